"""Which of several overlapping boxes stay."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.nms import suppress
from operators.records import Float32


def rows(boxes: list[list[float]], scores: list[float], classes: list[int], **options: float) -> list[int]:
    array = np.array(boxes, np.float32).reshape(-1, 4)
    limit = int(options.pop("limit", 300))
    kept = suppress(
        array, np.array(scores, np.float32), np.array(classes, np.int32), options.pop("iou", 0.5), limit, **options
    )
    return kept.tolist()


def naive(boxes: Float32, scores: Float32, classes: np.ndarray, iou: float, across: float) -> list[int]:
    """One pair after the other, dividing."""

    def overlap(a: Float32, b: Float32) -> float:
        width, height = (min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1))
        inner = max(width, 0) * max(height, 0)
        union = sum((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)) - inner
        return inner / union if union else 0.0

    kept: list[int] = []
    for row in sorted(range(len(boxes)), key=lambda r: (-scores[r], r)):
        allowed = [iou if classes[row] == classes[other] else across for other in kept]
        if all(overlap(boxes[row], boxes[other]) <= limit for other, limit in zip(kept, allowed, strict=True)):
            kept.append(row)
    return kept


def test_the_better_of_two_boxes_on_one_object_stays() -> None:
    assert rows([[0, 0, 10, 10], [1, 0, 11, 10], [50, 0, 60, 10]], [0.6, 0.9, 0.3], [0, 0, 0]) == [1, 2]


def test_a_rider_and_the_bicycle_both_stay() -> None:
    assert rows([[0, 0, 10, 20], [0, 5, 10, 22]], [0.9, 0.8], [0, 1]) == [0, 1]


def test_one_van_is_not_both_a_car_and_a_truck() -> None:
    boxes = [[0, 0, 100, 50], [1, 0, 101, 50]]
    assert rows(boxes, [0.5, 0.6], [2, 5]) == [1]
    assert rows(boxes, [0.5, 0.6], [2, 5], across=1.0) == [1, 0]


def test_equal_scores_keep_their_order() -> None:
    assert rows([[0, 0, 10, 10], [0, 0, 10, 10], [20, 0, 30, 10]], [0.5, 0.5, 0.5], [0, 0, 0]) == [0, 2]


def test_the_limit_takes_the_best() -> None:
    assert rows([[i * 20, 0, i * 20 + 10, 10] for i in range(4)], [0.1, 0.4, 0.2, 0.3], [0] * 4, limit=2) == [1, 3]


def test_no_boxes_and_empty_boxes() -> None:
    assert rows([], [], []) == []
    assert rows([[5, 5, 5, 5], [5, 5, 5, 5], [9, 9, 3, 3]], [0.9, 0.8, 0.7], [0, 0, 0]) == [0, 1, 2]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_it_agrees_with_the_plain_definition(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    # Whole numbers: overlaps near a threshold are then equal to it or clearly apart from it.
    corners = random.integers(0, 30, (count, 2))
    boxes = np.concatenate([corners, corners + random.integers(1, 25, (count, 2))], axis=1).astype(np.float32)
    scores = (random.integers(0, 10, count) / 10).astype(np.float32)
    classes = random.integers(0, 3, count).astype(np.int32)
    assert suppress(boxes, scores, classes, 0.45, 300).tolist() == naive(boxes, scores, classes, 0.45, 0.8)
