"""Non-maximum suppression."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from operators.records import Float32, Int32


def suppress(boxes: Float32, scores: Float32, classes: Int32, iou: float, limit: int) -> NDArray[np.intp]:
    """The rows to keep: greedy suppression within each class.

    Args:
        boxes: (N, 4) float32, xyxy, any unit.
        scores: (N,) float32.
        classes: (N,) int32; boxes of different classes never suppress each other.
        iou: a box overlapping a kept one of its class by more than this goes.
        limit: at most so many are kept.

    Returns:
        Rows, best score first; equal scores keep their order, so the result never depends on how a sort breaks ties.
    """
    order = np.argsort(-scores, kind="stable")
    boxes, classes = boxes[order], classes[order]
    corners = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:]) - np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    overlap = np.maximum(corners, 0).prod(axis=2)
    area = np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(axis=1)
    # overlap / union > iou, without dividing: empty boxes have no union.
    rivals = overlap > iou * (area[:, None] + area[None, :] - overlap)
    rivals &= classes[:, None] == classes[None, :]
    alive = np.ones(len(boxes), bool)
    kept: list[int] = []
    for row in range(len(boxes)):
        if alive[row]:
            kept.append(row)
            if len(kept) == limit:
                break
            alive &= ~rivals[row]
    return order[kept]
