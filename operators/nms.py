"""Non-maximum suppression."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from operators.records import Float32, Int32

SAME_OBJECT = 0.8
"""Boxes of two classes that overlap by more than this are one object seen as two things."""


def suppress(
    boxes: Float32, scores: Float32, classes: Int32, iou: float, limit: int, across: float = SAME_OBJECT
) -> NDArray[np.intp]:
    """The rows to keep, greedily: the best box first, and away with what overlaps it too much.

    Args:
        boxes: (N, 4) float32, xyxy, any unit.
        scores: (N,) float32.
        classes: (N,) int32.
        iou: a box goes if it overlaps a better one of its class by more than this.
        limit: at most so many are kept.
        across: a box goes if it overlaps a better one of another class by more than this; 1 to let classes be. A van
            comes as car and as truck in one place, and two boxes would become two tracks; a rider and the bicycle
            overlap by far less.

    Returns:
        Rows, best score first; equal scores keep their order, so the result never depends on how a sort breaks ties.
    """
    order = np.argsort(-scores, kind="stable")
    boxes, classes = boxes[order], classes[order]
    sides = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:]) - np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    overlap = np.maximum(sides, 0).prod(axis=2)
    area = np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(axis=1)
    union = area[:, None] + area[None, :] - overlap
    allowed = np.where(classes[:, None] == classes[None, :], np.float32(iou), np.float32(across))
    # Not divided: empty boxes have no union.
    rivals = overlap > allowed * union
    alive = np.ones(len(boxes), bool)
    kept: list[int] = []
    for row in range(len(boxes)):
        if alive[row]:
            kept.append(row)
            if len(kept) == limit:
                break
            alive &= ~rivals[row]
    return order[kept]
