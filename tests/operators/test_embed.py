"""Embeddings: what is alike stays alike, nothing breaks on odd boxes, and crops are judged fairly."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.crop_quality import WORTHLESS, crop_quality
from operators.detect import BUNDLED
from operators.embed import NeuralEmbedder, StripeEmbedder, open_embedder
from operators.inference import ModelError

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared"
OSNET = SHARED / "models" / "osnet_x0_25_msmt17.onnx"
PETS = SHARED / "data" / "pets_s2l1"

RED, NAVY, BLACK, WHITE, GREEN = (40, 30, 190), (110, 50, 20), (25, 22, 22), (225, 230, 228), (60, 150, 50)
MEADOW, ASPHALT = (70, 140, 90), (135, 130, 128)
BOX = np.array([[60, 20, 100, 120]], np.float32)
STRIPES = StripeEmbedder()


def street(top, legs, ground=ASPHALT, seed=0, at=0):
    """A grainy picture, 160 wide and 140 high, with somebody in BOX, `at` pixels off its middle."""
    image = np.full((140, 160, 3), ground, np.int16)
    image[20:36, 74 + at : 86 + at] = (120, 150, 190)
    image[36:75, 66 + at : 94 + at] = top
    image[75:120, 70 + at : 80 + at] = legs
    image[75:120, 82 + at : 92 + at] = legs
    image += np.random.default_rng(seed).integers(-12, 13, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def road(body, ground=ASPHALT, seed=0):
    """The same size of picture, with a car in (30, 40, 130, 90)."""
    image = np.full((140, 160, 3), ground, np.int16)
    image[58:84, 30:130] = body
    image[42:58, 50:110] = (70, 60, 55)
    image[78:90, 40:58] = image[78:90, 102:120] = 20
    image += np.random.default_rng(seed).integers(-12, 13, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def darker(image):
    """What another camera makes of it: gamma, a colour cast, blur."""
    seen = (image / 255.0) ** 1.3 * np.array([1.08, 0.97, 0.92])
    return cv2.GaussianBlur(np.clip(seen * 255, 0, 255).astype(np.uint8), (0, 0), 1.0)


def look(image, box=BOX, embedder=STRIPES):
    return embedder.embed(image, box)[0][0]


# --- the default embedder


@pytest.mark.parametrize(
    "again",
    [
        pytest.param(street(RED, NAVY, seed=1, at=3), id="a step aside"),
        pytest.param(street(RED, NAVY, MEADOW, seed=2), id="on other ground"),
        pytest.param(darker(street(RED, NAVY, seed=3)), id="in another camera"),
    ],
)
@pytest.mark.parametrize(
    "other",
    [
        pytest.param(street(NAVY, RED), id="colours swapped"),
        pytest.param(street(RED, WHITE), id="other legs"),
        pytest.param(street(BLACK, NAVY), id="other top"),
        pytest.param(street(GREEN, BLACK), id="all other"),
    ],
)
def test_the_same_clothes_are_more_alike_than_others_in_the_same_place(again, other):
    known = look(street(RED, NAVY))
    assert known @ look(again) > known @ look(other) + 0.03


def test_cars_are_told_apart_by_their_paint():
    box = np.array([[30, 40, 130, 90]], np.float32)
    known = look(road(RED), box)
    assert known @ look(darker(road(RED, seed=1)), box) > max(
        known @ look(road(paint, seed=2), box) + 0.1 for paint in (WHITE, NAVY, BLACK)
    )


def test_an_embedding_is_the_same_bytes_alone_and_in_company():
    image = street(RED, NAVY)
    boxes = np.array([[60, 20, 100, 120], [10, 10, 60, 120], [80.4, 30.7, 140.2, 139.9]], np.float32)
    together, _ = STRIPES.embed(image, boxes)
    assert together.tobytes() == STRIPES.embed(image, boxes)[0].tobytes()
    for row, box in enumerate(boxes):
        assert look(image, box[None]).tobytes() == together[row].tobytes()


def test_no_boxes_give_no_rows():
    vectors, quality = STRIPES.embed(street(RED, NAVY), np.zeros((0, 4), np.float32))
    assert (vectors.shape, vectors.dtype) == ((0, STRIPES.dim), np.float32)
    assert (quality.shape, quality.dtype) == ((0,), np.float32)


WORTHLESS_BOXES = {
    "no width": (50, 20, 50, 120),
    "inside out": (100, 120, 60, 20),
    "left of the picture": (-80, 20, -40, 120),
    "below the picture": (60, 150, 100, 250),
    "touching from outside": (160, 20, 200, 120),
    "not a number": (60, np.nan, 100, 120),
    "endless": (60, 20, np.inf, 120),
}


@pytest.mark.parametrize("box", WORTHLESS_BOXES.values(), ids=WORTHLESS_BOXES)
def test_a_box_that_shows_nothing_is_marked_and_spoils_no_other(box):
    image = street(RED, NAVY)
    vectors, quality = STRIPES.embed(image, np.array([BOX[0], box], np.float32))
    assert quality[1] == np.float32(WORTHLESS) < quality[0]
    assert vectors[1].tolist() == [1.0] + [0.0] * (STRIPES.dim - 1)
    assert vectors[0].tobytes() == look(image).tobytes()
    assert quality[0] == STRIPES.embed(image, BOX)[1][0]


@pytest.mark.parametrize("image", [np.zeros((30, 40, 3), np.uint8), np.full((30, 40, 3), 255, np.uint8)])
@given(
    boxes=st.lists(
        st.tuples(*[st.floats(-3000, 3000, width=32) | st.sampled_from([0.0, 0.5, 30.0, 40.0])] * 4), max_size=5
    )
)
@settings(max_examples=60, deadline=None)
def test_whatever_the_boxes_vectors_have_length_one_and_qualities_lie_between_0_and_1(image, boxes):
    vectors, quality = STRIPES.embed(image, np.array(boxes, np.float32).reshape(-1, 4))
    assert vectors.dtype == quality.dtype == np.float32
    assert vectors.shape == (len(boxes), STRIPES.dim)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert ((quality >= np.float32(WORTHLESS)) & (quality <= 1)).all()


def test_a_person_half_out_of_the_picture_still_looks_like_himself():
    image = street(RED, NAVY)
    half = look(image[:70].copy())
    assert half @ look(image) > half @ look(street(BLACK, WHITE))


def test_a_picture_seen_through_a_view_of_a_larger_one_gives_the_same():
    image = street(RED, NAVY)
    wide = np.zeros((140, 400, 3), np.uint8)
    wide[:, 100:260] = image
    assert look(wide[:, 100:260]).tobytes() == look(image).tobytes()


def test_people_of_a_real_scene_are_found_again():
    if not PETS.is_dir():
        pytest.skip(f"needs {PETS} (shared/ holds third-party data that is not part of the project)")
    rows = np.loadtxt(PETS / "gt.txt", delimiter=",")
    same = {}
    for line in (PETS / "people.txt").read_text().splitlines()[1:]:
        same |= dict.fromkeys(map(int, line.split()), int(line.split()[0]))
    video, number, vectors, people, frames = cv2.VideoCapture(str(PETS / "vtest.avi")), 0, [], [], []
    while video.grab():
        number += 1
        if number % 25 == 0:
            here = rows[rows[:, 0] == number]
            boxes = np.concatenate([here[:, 2:4], here[:, 2:4] + here[:, 4:6]], 1).astype(np.float32)
            vectors.append(STRIPES.embed(video.retrieve()[1], boxes)[0])
            people += [same[int(i)] for i in here[:, 1]]
            frames += [number] * len(here)
    cosines, people, frames = np.concatenate(vectors) @ np.concatenate(vectors).T, np.array(people), np.array(frames)
    cosines[np.abs(frames[:, None] - frames) < 80] = -2
    assert (people[cosines.argmax(1)] == people).mean() > 0.85


# --- how far a crop is trusted


def quality(*boxes, shape=(480, 640), **known):
    return crop_quality(shape, np.array(boxes, np.float32), **known).tolist()


def test_a_large_whole_free_crop_is_fully_trusted():
    assert quality((100, 100, 180, 300)) == [1.0]


def test_a_small_crop_is_trusted_less():
    assert quality((100, 100, 116, 132))[0] == pytest.approx(np.sqrt(16 * 32) / 64)


@pytest.mark.parametrize("box", [(0, 100, 80, 300), (560, 100, 640, 300), (100, 280, 180, 480), (100, 0, 180, 200)])
def test_a_crop_that_ends_at_the_border_may_be_half_an_object(box):
    assert quality(box) == [0.5]


def test_a_crop_that_reaches_over_the_border_shows_what_is_inside():
    assert quality((-40, 100, 120, 300))[0] == pytest.approx(0.5 * 120 / 160)


def test_who_stands_in_front_hides_and_who_stands_behind_only_disturbs():
    front, behind = quality((100, 100, 180, 320), (140, 90, 220, 300))
    assert behind == pytest.approx(1 - 200 / 210 * 0.5, abs=1e-6)
    assert front == pytest.approx(1 - 0.5 * 200 / 220 * 0.5, abs=1e-6)


def test_one_wholly_hidden_is_hardly_trusted_but_not_called_worthless():
    hidden = quality((110, 110, 170, 290), (100, 100, 180, 300))[0]
    assert WORTHLESS < hidden < 0.01


def test_a_crop_in_the_dark_is_trusted_less():
    box = (100, 100, 180, 300)
    assert quality(box, brightness=np.array([25], np.float32)) == pytest.approx([0.85])
    assert quality(box, brightness=np.array([120], np.float32)) == [1.0]


def test_the_quality_of_an_embedding_knows_all_of_the_above():
    image = street(RED, NAVY)
    free = STRIPES.embed(image, BOX)[1][0]
    beside = np.concatenate([BOX, BOX + np.array([20, 5, 20, 5], np.float32)])
    assert STRIPES.embed(image, beside)[1][0] < 0.6 * free
    assert STRIPES.embed((image // 8).astype(np.uint8), BOX)[1][0] < free


# --- opening


def test_the_default_needs_nothing_and_none_is_none():
    default = open_embedder()
    assert isinstance(default, StripeEmbedder)
    assert open_embedder("none") is None


def test_a_missing_network_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"no model at .*reid"):
        open_embedder(tmp_path / "reid")


# --- networks


class MeanOfQuarters:
    """A network as exporters make them: the mean of each quarter of the height, per channel; counts its calls."""

    input_names = ("x",)

    def __init__(self, shape=(-1, 3, 32, 16), tail=(), spoil=None):
        self.name, self.input_shapes, self._tail, self._spoil = "quarters", (shape,), tail, spoil
        self.batches = []

    def run(self, inputs):
        (pictures,) = inputs
        assert pictures.dtype == np.float32
        for side, expected in zip(pictures.shape, self.input_shapes[0], strict=True):
            assert expected in (-1, side)
        self.batches.append(len(pictures))
        if self.input_shapes[0][3] == 3:
            pictures = pictures.transpose(0, 3, 1, 2)
        parts = np.split(pictures, 4, axis=2)
        features = np.concatenate([part.mean(axis=(2, 3)) for part in parts], axis=1).astype(np.float32)
        if self._spoil is not None:
            features[:] = self._spoil
        return [features.reshape(*features.shape, *self._tail)]


@pytest.mark.parametrize("embedder", [STRIPES, NeuralEmbedder(MeanOfQuarters())], ids=["stripes", "network"])
def test_a_picture_of_one_pixel_looks_like_something(embedder):
    vectors, quality = embedder.embed(np.full((1, 1, 3), 90, np.uint8), np.float32([[0, 0, 1, 1], [-5, -5, 9, 9]]))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert ((quality >= np.float32(WORTHLESS)) & (quality < 0.1)).all()


CROPS = np.array([[60, 20, 100, 120], [0, 0, 50, 100], [90, 10, 160, 140]], np.float32)


def test_a_network_sees_normalised_red_first():
    vector = look(np.full((140, 160, 3), (255, 0, 0), np.uint8), embedder=NeuralEmbedder(MeanOfQuarters()))
    expected = np.tile((np.array([0, 0, 255]) - (123.675, 116.28, 103.53)) / (58.395, 57.12, 57.375), 4)
    np.testing.assert_allclose(vector, expected / np.linalg.norm(expected), atol=1e-5)


@pytest.mark.parametrize(
    "network",
    [
        pytest.param(MeanOfQuarters((-1, 32, 16, 3)), id="channels last"),
        pytest.param(MeanOfQuarters((2, 3, 32, 16)), id="two pictures at a time, always"),
        pytest.param(MeanOfQuarters(tail=(1, 1)), id="vectors as 1x1 maps"),
    ],
)
def test_the_layout_of_an_export_changes_nothing(network):
    image = street(RED, NAVY)
    expected, trust = NeuralEmbedder(MeanOfQuarters()).embed(image, CROPS)
    vectors, same_trust = NeuralEmbedder(network).embed(image, CROPS)
    assert vectors.shape == (3, 12)
    np.testing.assert_allclose(vectors, expected, atol=1e-6)
    assert same_trust.tolist() == trust.tolist()


def test_an_input_of_free_size_gets_the_usual_one():
    network = MeanOfQuarters((-1, 3, -1, -1))
    vectors, _ = NeuralEmbedder(network).embed(street(RED, NAVY), CROPS)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_crops_go_through_in_batches_and_worthless_ones_not_at_all():
    network = MeanOfQuarters()
    embedder = NeuralEmbedder(network, max_batch=2)
    network.batches.clear()
    boxes = np.concatenate([CROPS, np.array(list(WORTHLESS_BOXES.values()), np.float32)])
    vectors, trust = embedder.embed(street(RED, NAVY), boxes)
    assert network.batches == [2, 1]
    assert (trust[3:] == np.float32(WORTHLESS)).all()
    assert (vectors[3:, 0] == 1).all()
    assert embedder.embed(street(RED, NAVY), np.zeros((0, 4), np.float32))[0].shape == (0, 12)


@pytest.mark.parametrize("spoil", [np.nan, np.inf, 0.0])
def test_a_network_that_fails_to_give_numbers_makes_worthless_crops_not_nans(spoil):
    vectors, trust = NeuralEmbedder(MeanOfQuarters(spoil=spoil)).embed(street(RED, NAVY), CROPS)
    assert (trust == np.float32(WORTHLESS)).all()
    assert np.isfinite(vectors).all()


@pytest.mark.parametrize("shape", [(-1, 4, 32, 16), (-1, 3, 32), (-1, 2048)])
def test_a_network_that_takes_no_pictures_is_refused(shape):
    with pytest.raises(ModelError, match="is no ReID network: its input has the shape"):
        NeuralEmbedder(MeanOfQuarters(shape))


def test_a_detector_is_refused_as_an_embedder():
    with pytest.raises(ModelError, match="is no ReID network"):
        open_embedder(BUNDLED)


def test_the_configuration_beside_a_network_is_followed(tmp_path):
    if not OSNET.is_file():
        pytest.skip(f"needs {OSNET} (shared/ holds models that are not part of the project)")
    (tmp_path / "reid.onnx").symlink_to(OSNET)
    plain = open_embedder(tmp_path)
    (tmp_path / "infer_cfg.yml").write_text(
        "Preprocess:\n- {type: Resize, target_size: [256, 128], keep_ratio: false, interp: 1}\n"
        "- {type: NormalizeImage, mean: [0.0, 0.0, 0.0], std: [1.0, 1.0, 1.0], is_scale: true}\n- {type: Permute}\n"
    )
    image = street(RED, NAVY)
    assert not np.allclose(look(image, embedder=open_embedder(tmp_path)), look(image, embedder=plain), atol=1e-2)


def test_osnet_tells_people_apart_whatever_the_batch():
    if not OSNET.is_file():
        pytest.skip(f"needs {OSNET} (shared/ holds models that are not part of the project)")
    embedder = open_embedder(OSNET)
    assert embedder.dim == 512
    image = street(RED, NAVY)
    vectors, trust = embedder.embed(image, CROPS)
    assert vectors.dtype == trust.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(vectors[0], look(image, embedder=embedder), atol=1e-4)
    again, other = street(RED, NAVY, MEADOW, seed=1), street(BLACK, WHITE, MEADOW, seed=1)
    assert vectors[0] @ look(again, embedder=embedder) > vectors[0] @ look(other, embedder=embedder)


def test_old_numbers_of_pptracking_need_lying_crops_with_blue_first():
    class Recorder:
        name, input_names, input_shapes = "recorder", ("crops",), ((-1, 3, 192, 64),)

        def run(self, inputs):
            self.seen = inputs[0]
            return [inputs[0].mean(axis=(2, 3))]

    recorder = Recorder()
    image = street(RED, NAVY)
    NeuralEmbedder(recorder, pptracking_compat=True).embed(image, BOX)
    crop = cv2.resize(image[20:120, 60:100].transpose(1, 0, 2), (64, 192))
    blue_first = (crop - np.float32([123.675, 116.28, 103.53])) / np.float32([58.395, 57.12, 57.375])
    np.testing.assert_allclose(recorder.seen[0], blue_first.transpose(2, 0, 1), atol=1e-5)
