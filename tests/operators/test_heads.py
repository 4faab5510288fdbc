"""Reading boxes from what detectors say, against the plain definition of each layout."""

from __future__ import annotations

import math

import numpy as np
import pytest

from operators.heads import CANDIDATES, Decoded, Distributions, Grid, Joined, Moving, OneShot, Suppressed, recognise

SIZE = (64, 96)
RANDOM = np.random.default_rng(3)


def uniform(*shape: int) -> np.ndarray:
    return RANDOM.uniform(0, 1, shape).astype(np.float32)


def levels(strides: tuple[int, ...], channels: int, batch: int = 2) -> list[np.ndarray]:
    return [uniform(batch, math.ceil(SIZE[0] / s) * math.ceil(SIZE[1] / s), channels) for s in strides]


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        pytest.param([(1, 126, 4), (1, 6, 126)], Decoded(6), id="the bundled model"),
        pytest.param(
            [(1, n, 80) for n in (96, 24, 6, 2)] + [(1, n, 32) for n in (96, 24, 6, 2)],
            Distributions(80, (8, 16, 32, 64)),
            id="PicoDet",
        ),
        pytest.param(
            [(1, n, 80) for n in (96, 24, 6)] + [(1, n, 44) for n in (96, 24, 6)],
            Distributions(80, (8, 16, 32)),
            id="NanoDet",
        ),
        pytest.param([(1, 126, 85)], Grid(80), id="YOLOX"),
        pytest.param([(300, 6), (1,)], Suppressed(), id="suppressed"),
        pytest.param([(0, 6), (1,)], Suppressed(), id="suppressed, nothing seen"),
        pytest.param([(1, 1000)], None, id="a classifier"),
        pytest.param([(1, 125, 85)], None, id="another grid"),
        pytest.param([(1, 96, 80), (1, 24, 80)], None, id="half a head"),
        pytest.param([], None, id="nothing"),
    ],
)
def test_layouts_are_told_apart_by_shapes(shapes: list[tuple[int, ...]], expected: object) -> None:
    assert recognise([np.zeros(shape, np.float32) for shape in shapes], SIZE) == expected


def test_distributions() -> None:
    strides = (8, 16, 32, 64)
    outputs = levels(strides, 3) + [9 * side for side in levels(strides, 32)]
    found = recognise(outputs, SIZE).read(outputs, 1, SIZE, 0.7)  # type: ignore[union-attr]
    expected = []
    for level, stride in enumerate(strides):
        columns = math.ceil(SIZE[1] / stride)
        for anchor, row in enumerate(outputs[level][1]):
            for number, score in enumerate(row):
                if score >= 0.7:
                    bins = np.exp(outputs[4 + level][1, anchor].reshape(4, 8).astype(float))
                    left, top, right, bottom = (bins / bins.sum(1, keepdims=True)) @ np.arange(8) * stride
                    x, y = (anchor % columns + 0.5) * stride, (anchor // columns + 0.5) * stride
                    expected.append([number, score, x - left, y - top, x + right, y + bottom])
    found_rows = np.column_stack([found.classes, found.scores, found.boxes])
    assert len(expected) > 50
    np.testing.assert_allclose(found_rows, expected, rtol=1e-4, atol=1e-3)
    assert not found.suppressed


def test_grid() -> None:
    outputs = [uniform(2, 126, 7)]
    found = recognise(outputs, SIZE).read(outputs, 1, SIZE, 0.4)  # type: ignore[union-attr]
    cells = [
        (column, row, stride)
        for stride in (8, 16, 32)
        for row in range(SIZE[0] // stride)
        for column in range(SIZE[1] // stride)
    ]
    expected = []
    for (column, row, stride), (x, y, width, height, objectness, *scores) in zip(cells, outputs[0][1], strict=True):
        for number, score in enumerate(scores):
            if score * objectness >= 0.4:
                cx, cy = (column + x) * stride, (row + y) * stride
                w, h = math.exp(width) * stride / 2, math.exp(height) * stride / 2
                expected.append([number, score * objectness, cx - w, cy - h, cx + w, cy + h])
    assert len(expected) > 10
    np.testing.assert_allclose(np.column_stack([found.classes, found.scores, found.boxes]), expected, rtol=1e-4)


def test_decoded() -> None:
    boxes, scores = uniform(2, 126, 4), uniform(2, 6, 126)
    found = recognise([boxes, scores], SIZE).read([boxes, scores], 1, SIZE, 0.9)  # type: ignore[union-attr]
    assert len(found.scores) == (scores[1] >= 0.9).sum()
    for box, score, number in zip(found.boxes, found.scores, found.classes, strict=True):
        anchor = np.flatnonzero(scores[1, number] == score)[0]
        np.testing.assert_array_equal(box, boxes[1, anchor])


def test_suppressed_rows_belong_to_their_pictures() -> None:
    rows = np.float32([[0, 0.9, 1, 2, 3, 4], [2, 0.05, 1, 2, 3, 4], [1, 0.8, 5, 6, 7, 8], [-1, 0.7, 0, 0, 0, 0]])
    outputs = [rows, np.array([2, 2], np.int32)]
    first, second = (Suppressed().read(outputs, row, SIZE, 0.1) for row in (0, 1))
    assert first.classes.tolist() == [0]
    assert second.classes.tolist() == [1]
    assert second.boxes.tolist() == [[5, 6, 7, 8]]
    assert first.suppressed and first.in_picture


def test_of_too_many_candidates_the_best_are_read() -> None:
    boxes, scores = uniform(1, 3000, 4), uniform(1, 2, 3000)
    found = Decoded(2).read([boxes, scores], 0, SIZE, 0.1)
    assert len(found.scores) == CANDIDATES
    assert found.scores.min() == np.sort(scores.ravel())[-CANDIDATES]


def test_nothing_scores_enough() -> None:
    strides = (8, 16, 32)
    for outputs in (
        levels(strides, 3) + levels(strides, 44),
        [uniform(1, 126, 85)],
        [uniform(1, 126, 4), uniform(1, 3, 126)],
    ):
        found = recognise(outputs, SIZE).read(outputs, 0, SIZE, 1.5)  # type: ignore[union-attr]
        assert found.boxes.shape == (0, 4)
        assert found.scores.shape == found.classes.shape == (0,)


def test_a_network_told_the_scale_gives_boxes_of_the_picture() -> None:
    outputs = [uniform(1, 126, 4), uniform(1, 3, 126)]
    for scaled in (False, True):
        head = recognise(outputs, SIZE, scaled=scaled)
        assert head is not None
        found = head.read(outputs, 0, SIZE, 0.5)
        assert (found.in_picture, found.suppressed) == (scaled, False)


def test_boxes_beside_their_scores_are_told_from_yolox_by_the_labels() -> None:
    output = uniform(2, 126, 9)
    head = recognise([output], SIZE, labels=5)
    assert isinstance(head, Joined)
    found = head.read([output], 1, SIZE, 0.9)
    rows, classes = np.nonzero(output[1, :, 4:] >= 0.9)
    np.testing.assert_array_equal(found.boxes, output[1, rows, :4])
    np.testing.assert_array_equal(found.classes, classes)
    assert isinstance(recognise([output], SIZE, labels=4), Grid)


def test_one_shot_rows_come_with_their_looks() -> None:
    rows = np.float32([[0, 0.9, 1, 2, 3, 4], [2, 0.3, 5, 6, 7, 8], [1, 0.8, 1, 1, 2, 2]])
    looks = np.float32([[3, 0, 4], [1, 0, 0], [0, 2, 0]])
    head = recognise([rows, looks], SIZE)
    assert isinstance(head, OneShot)
    found = head.read([rows, looks], 0, SIZE, 0.5)
    assert found.embeddings is not None
    assert found.classes.tolist() == [0, 1]
    np.testing.assert_allclose(found.embeddings, [[0.6, 0, 0.8], [0, 1, 0]])


@pytest.mark.parametrize("looks", [np.zeros((1, 512), np.float32), np.zeros((0, 512), np.float32)], ids=["one", "none"])
def test_jde_says_nothing_by_a_row_of_class_minus_one(looks: np.ndarray) -> None:
    outputs = [np.float32([[-1, 0.0, 0, 0, 0, 0]]), looks]
    head = recognise(outputs, SIZE)
    assert head is not None
    found = head.read(outputs, 0, SIZE, 0.0)
    assert found.embeddings is not None
    assert found.boxes.shape == (0, 4)
    assert found.embeddings.shape == (0, 512)


def test_centertrack_says_where_things_came_from() -> None:
    outputs = [np.float32([[0, 0.9, 1, 2, 3, 4], [0, 0.1, 1, 2, 3, 4]]), uniform(2, 2), np.float32([[0.5, -1], [9, 9]])]
    head = recognise(outputs, SIZE)
    assert isinstance(head, Moving)
    found = head.read(outputs, 0, SIZE, 0.5)
    assert found.offsets is not None
    assert found.boxes.tolist() == [[4, 8, 12, 16]]
    assert found.offsets.tolist() == [[2, -4]]
