"""The whole loss of PicoDet and PP-YOLOE (Yu et al. 2021, Xu et al. 2022), which learn from the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import paddle
import paddle.nn.functional as F  # noqa: N812 - the name the field uses
from paddle import Tensor, nn

from operators.networks.picodet import STRIDES as PICODET_STRIDES
from operators.networks.picodet import PicoDet, boxes_of
from operators.networks.ppyoloe import STRIDES as PPYOLOE_STRIDES
from operators.networks.training.assignment import Assigned, Lattice, atss, lattice, task_aligned
from operators.networks.training.detection_losses import (
    distribution_focal,
    generalised_iou,
    quality_focal,
    varifocal,
)
from operators.records import Float32, Int64

CLASS, BOX, SIDES = 1.0, 2.5, 0.5
"""Weights of the three losses, as published."""

LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"varifocal": varifocal, "quality": quality_focal}
Truth = tuple[Float32, Int64]
"""Of one picture: (G, 4) boxes, xyxy in pixels of the input, and (G,) classes."""


def detection_loss(
    network: nn.Layer, image: Tensor, truth: Sequence[Truth], *, aligned: bool, kind: str = "varifocal"
) -> dict[str, Tensor]:
    """The loss of a batch.

    Args:
        network: a `PicoDet` or `PPYoloE`, in `train` mode.
        image: (B, 3, H, W) as it wants it.
        truth: one a picture.
        aligned: cells are assigned to objects by task-aligned learning, else by ATSS.
        kind: one of `LOSSES`, of the classes.

    Returns:
        `loss`, and its parts `class`, `box` and `sides`, weighed.
    """
    scores, sides, strides = heads(network, image)
    cells = lattice(image.shape[2], image.shape[3], strides)
    steps = paddle.to_tensor(cells.strides).unsqueeze(1)
    boxes = boxes_of(sides, paddle.to_tensor(cells.centres), steps, network.bins)
    told = assigned(cells, truth, scores.numpy(), boxes.numpy(), aligned)
    rows = np.stack([one.rows for one in told])
    places = np.flatnonzero(rows.ravel() >= 0)
    quality = np.zeros(scores.shape, np.float32)
    picture, cell = np.nonzero(rows >= 0)
    kinds = np.concatenate([classes[one.rows[one.rows >= 0]] for one, (_, classes) in zip(told, truth, strict=True)])
    weights = np.stack([one.quality for one in told])[picture, cell]
    quality[picture, cell, kinds] = weights
    whole = max(float(weights.sum()), 1.0)
    parts = {"class": CLASS * LOSSES[kind](scores, paddle.to_tensor(quality)) / whole}
    if len(places):
        wanted = np.concatenate([have[one.rows[one.rows >= 0]] for one, (have, _) in zip(told, truth, strict=True)])
        at, weight = paddle.to_tensor(places), paddle.to_tensor(weights)
        found = paddle.gather(boxes.flatten(0, 1), at)
        parts["box"] = BOX * (generalised_iou(found, paddle.to_tensor(wanted)) * weight).sum() / whole
        centres, stride = cells.centres[cell], cells.strides[cell][:, None]
        distances = np.concatenate([centres - wanted[:, :2], wanted[:, 2:] - centres], axis=1) / stride
        bins = paddle.gather(sides.flatten(0, 1), at).reshape([len(places), 4, -1])
        off = distribution_focal(bins, paddle.to_tensor(distances.astype(np.float32)))
        parts["sides"] = SIDES * (off * weight).sum() / whole
    else:  # all weights have a gradient, if of nothing
        parts["box"] = parts["sides"] = 0.0 * sides.sum()
    return {"loss": parts["class"] + parts["box"] + parts["sides"], **parts}


def heads(network: nn.Layer, image: Tensor) -> tuple[Tensor, Tensor, tuple[int, ...]]:
    """Scores (B, A, C) in [0, 1], bins (B, A, 4 x N) of the sides, and the strides of the levels in their order."""
    scores, sides = (paddle.concat(levels, axis=1) for levels in network.levels(image))
    if isinstance(network, PicoDet):
        return scores, sides, PICODET_STRIDES
    return F.sigmoid(scores), sides, PPYOLOE_STRIDES


def assigned(cells: Lattice, truth: Sequence[Truth], scores: Float32, boxes: Float32, aligned: bool) -> list[Assigned]:
    """What every cell of every picture learns; scores (B, A, C) and boxes (B, A, 4) are what is found now."""
    return [
        task_aligned(cells, have, classes, scores[row], boxes[row]) if aligned else atss(cells, have, boxes[row])
        for row, (have, classes) in enumerate(truth)
    ]
