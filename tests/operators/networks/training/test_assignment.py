"""Which cell learns which object: against the papers' rules in plain Python, cell by cell."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from operators.networks.picodet import STRIDES, centres_of
from operators.networks.training.assignment import Lattice, atss, lattice, overlap, task_aligned

CELLS = lattice(64, 96, (8, 16, 32))
TRUTH = np.float32([[10, 6, 40, 50], [30, 10, 60, 58], [70, 30, 78, 37]])
CLASSES = np.array([0, 1, 1])


def plain_overlap(a: np.ndarray, b: np.ndarray) -> float:
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(w, 0) * max(h, 0)
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def within(cell: np.ndarray, box: np.ndarray) -> bool:
    return bool(box[0] < cell[0] < box[2] and box[1] < cell[1] < box[3])


def found(seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Boxes near an object that the cell is within, if there is one, and scores."""
    random = np.random.default_rng(seed)
    own = [[row for row, box in enumerate(TRUTH) if within(cell, box)] or [0] for cell in CELLS.centres]
    rows = [random.choice(choice) for choice in own]
    boxes = TRUTH[rows] + random.normal(0, 2, (len(rows), 4))
    return boxes.astype(np.float32), random.uniform(0, 1, (len(boxes), 2)).astype(np.float32)


def test_the_lattice_is_that_of_the_networks() -> None:
    cells = lattice(96, 160, STRIDES)
    centres, strides = centres_of(paddle.to_tensor(96), paddle.to_tensor(160), STRIDES)
    np.testing.assert_array_equal(cells.centres, centres.numpy())
    np.testing.assert_array_equal(cells.strides, strides.numpy()[:, 0])
    assert cells.counts == (240, 60, 15, 6)


def test_atss_is_that_of_plain_python() -> None:
    boxes, _ = found()
    told = atss(CELLS, TRUTH, boxes, nearest=4)
    best = np.zeros(len(CELLS.strides))
    rows = np.full(len(CELLS.strides), -1)
    for number, box in enumerate(TRUTH):
        middle = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]
        candidates = []
        for start, end in zip(np.cumsum([0, *CELLS.counts]), np.cumsum(CELLS.counts), strict=False):
            far = sorted((np.hypot(*(CELLS.centres[cell] - middle)), cell) for cell in range(start, end))
            candidates += [cell for _, cell in far[:4]]
        own = {}
        for cell in candidates:
            half = 2.5 * CELLS.strides[cell]
            own[cell] = plain_overlap(box, np.r_[CELLS.centres[cell] - half, CELLS.centres[cell] + half])
        limit = np.mean(list(own.values())) + np.std(list(own.values()), ddof=1)
        for cell, iou in own.items():
            if iou >= limit and within(CELLS.centres[cell], box) and iou > best[cell]:
                best[cell], rows[cell] = iou, number
    assert set(rows) == {-1, 0, 1, 2}
    np.testing.assert_array_equal(told.rows, rows)
    for cell, row in enumerate(rows):
        expected = plain_overlap(TRUTH[row], boxes[cell]) if row >= 0 else 0
        assert told.quality[cell] == pytest.approx(expected, abs=1e-6)


def test_task_aligned_learning_is_that_of_plain_python() -> None:
    boxes, scores = found()
    told = task_aligned(CELLS, TRUTH, CLASSES, scores, boxes, top=3)
    metric = {}
    owner: dict[int, int] = {}
    for row, box in enumerate(TRUTH):
        inside = [cell for cell in range(len(boxes)) if within(CELLS.centres[cell], box)]
        for cell in inside:
            metric[row, cell] = scores[cell, CLASSES[row]] * plain_overlap(box, boxes[cell]) ** 6
        for cell in sorted(inside, key=lambda cell: -metric[row, cell])[:3]:
            rival = owner.get(cell)
            if rival is None or plain_overlap(box, boxes[cell]) > plain_overlap(TRUTH[rival], boxes[cell]):
                owner[cell] = row
    assert set(owner.values()) == {0, 1, 2}
    assert {cell: told.rows[cell] for cell in np.flatnonzero(told.rows >= 0)} == owner
    for row, box in enumerate(TRUTH):
        own = [cell for cell, who in owner.items() if who == row]
        fit = max(plain_overlap(box, boxes[cell]) for cell in own)
        for cell in own:
            share = metric[row, cell] / max(metric[row, other] for other in own)
            assert told.quality[cell] == pytest.approx(share * fit, abs=1e-6)
    assert (told.quality[told.rows < 0] == 0).all()


def test_a_cell_that_two_objects_want_goes_to_the_one_it_fits() -> None:
    cells = Lattice(np.float32([[20, 20]]), np.float32([8]), (1,))
    truth = np.float32([[0, 0, 40, 40], [10, 10, 30, 30]])
    told = task_aligned(cells, truth, np.array([0, 0]), np.float32([[0.5]]), np.float32([[11, 10, 30, 30]]))
    assert told.rows.tolist() == [1]
    assert told.quality[0] == pytest.approx(0.95)


@pytest.mark.parametrize("aligned", [False, True])
def test_without_objects_no_cell_learns_one(aligned: bool) -> None:
    boxes, scores = found()
    none = np.zeros((0, 4), np.float32)
    told = task_aligned(CELLS, none, CLASSES[:0], scores, boxes) if aligned else atss(CELLS, none, boxes)
    assert (told.rows == -1).all()
    assert not told.quality.any()


def test_an_object_that_nothing_overlaps_is_left_to_later() -> None:
    boxes = np.tile(np.float32([[500, 500, 510, 510]]), (len(CELLS.strides), 1))
    told = task_aligned(CELLS, TRUTH, CLASSES, found()[1], boxes)
    assert (told.rows == -1).all()


def test_boxes_without_extent_overlap_nothing() -> None:
    assert overlap(np.float32([[5, 5, 5, 5], [0, 0, 2, 2]]), np.float32([[5, 5, 5, 5], [1, 0, 3, 2]])).tolist() == [
        [0, 0],
        [0, pytest.approx(1 / 3)],
    ]
