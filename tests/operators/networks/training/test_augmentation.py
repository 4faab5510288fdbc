"""Pictures that detectors learn from: the boxes go where the objects go, and batches are drawn the same every time."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from operators.networks.training.augmentation import (
    NOTHING,
    Augmentation,
    Sample,
    augmented,
    cropped,
    expanded,
    flipped,
    recoloured,
)
from operators.networks.training.batches import Batches, Pictures, prepared
from operators.networks.training.errors import TrainingError
from operators.networks.training.labelled import Labelled, gathered, joined


def sample() -> Sample:
    """A white and a grey object on black."""
    image = np.zeros((60, 90, 3), np.uint8)
    image[10:30, 20:40] = 255
    image[35:55, 60:75] = 128
    return image, np.float32([[20, 10, 40, 30], [60, 35, 75, 55]]), np.array([0, 1])


def check(changed: Sample) -> None:
    """Every box surrounds the pixels of its object that are left."""
    image, boxes, classes = changed
    for box, kind in zip(boxes, classes, strict=True):
        ys, xs = np.nonzero((image == (255, 128)[kind]).all(axis=2))
        np.testing.assert_allclose([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], box, atol=1.001)


def test_boxes_go_where_their_objects_go() -> None:
    given = sample()
    check(flipped(given))
    sizes = set()
    for seed in range(30):
        random = np.random.default_rng(seed)
        larger = expanded(given, 3.0, random)
        check(larger)
        assert len(larger[1]) == 2
        smaller = cropped(given, random)
        check(smaller)
        assert len(smaller[1]) >= 1, "a part holds the middle of something"
        sizes.add(smaller[0].shape)
    assert len(sizes) > 20
    np.testing.assert_array_equal(given[0], sample()[0], "nothing is written to what is given")
    np.testing.assert_array_equal(given[1], sample()[1])


def test_colours_change_by_chance_only() -> None:
    image = np.random.default_rng(1).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    np.testing.assert_array_equal(recoloured(image, 0.0, np.random.default_rng(2)), image)
    assert (recoloured(image, 1.0, np.random.default_rng(2)) != image).mean() > 0.5


def test_without_chances_nothing_is_done() -> None:
    image, boxes, _ = augmented(sample(), NOTHING, np.random.default_rng(0))
    np.testing.assert_array_equal(image, sample()[0])
    np.testing.assert_array_equal(boxes, sample()[1])


def test_inputs_are_stretched_and_what_shows_nothing_is_left_out() -> None:
    image = np.full((60, 90, 3), (104, 116, 124), np.uint8)
    boxes = np.float32([[30, 10, 60, 40], [0, 0, 2, 30]])
    values, placed, kinds = prepared((image, boxes, np.array([1, 0])), 32, 64)
    assert values.shape == (3, 32, 64)
    assert np.abs(values).max() < 0.02, "ImageNet's mean colour is 0"
    np.testing.assert_allclose(placed, [[30 * 64 / 90, 10 * 32 / 60, 60 * 64 / 90, 40 * 32 / 60]])
    assert kinds.tolist() == [1]


@pytest.fixture
def data(tmp_path: Path) -> Labelled:
    image, boxes, kinds = sample()
    rows = [[*box, kind, -1] for box, kind in zip(boxes.tolist(), kinds, strict=True)]
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
    return gathered([(tmp_path / f"{n}.png", -1, rows if n else []) for n in range(3)], ("person", "car"), tmp_path)


def test_batches_are_the_same_with_and_without_threads(data: Labelled) -> None:
    def batches(threads: int) -> Batches:
        how = Augmentation(expand=0.5, largest=2.0)
        return Batches(Pictures(data), 2, height=64, width=96, scales=(0.5, 1.0, 1.5), how=how, seed=3, threads=threads)

    plain, ahead = batches(0), batches(2)
    assert plain.steps == 2
    shapes = set()
    for epoch, step in [(0, 0), (0, 1), (1, 0), (5, 1), (5, 0)]:
        one, other = plain.get(epoch, step), ahead.get(epoch, step)
        np.testing.assert_array_equal(one[0], other[0])
        shapes.add(one[0].shape)
        for (boxes, kinds), (there, others) in zip(one[1], other[1], strict=True):
            np.testing.assert_array_equal(boxes, there)
            np.testing.assert_array_equal(kinds, others)
    assert shapes <= {(2, 3, 32, 64), (2, 3, 64, 96), (2, 3, 96, 128), (2, 3, 96, 160), (2, 3, 32, 32)}
    assert len(shapes) > 1


def test_an_epoch_shows_every_picture(data: Labelled) -> None:
    batches = Batches(Pictures(data), 1, height=32, width=32, how=NOTHING)
    assert sorted(len(batches.get(0, step)[1][0][0]) for step in range(batches.steps)) == [0, 2, 2]


def test_data_sets_are_joined_by_the_names_of_their_classes(data: Labelled) -> None:
    both = joined([data, data], ("bus", "car", "person"))
    assert both.classes.tolist() == [2, 1] * 4
    assert [len(both.boxes[both.rows(picture)]) for picture in range(6)] == [0, 2, 2, 0, 2, 2]


def test_frames_of_a_video_that_ends_too_soon_are_named(tmp_path: Path) -> None:
    video = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 5, (90, 60))
    for level in (50, 200):
        video.write(np.full((60, 90, 3), level, np.uint8))
    video.release()
    rows = [[1, 1, 30, 30, 0, -1]]
    there = gathered([(tmp_path / "v.avi", 1, rows)], ("person",), tmp_path)
    image, _, _ = Pictures(there).sample(0)
    assert image.mean() == pytest.approx(200, abs=3)
    with pytest.raises(TrainingError, match="frame 3 cannot be read"):
        Pictures(gathered([(tmp_path / "v.avi", 2, rows)], ("person",), tmp_path))
