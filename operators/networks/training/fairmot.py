"""What FairMOT learns from (Zhang et al., IJCV 2021): a bump a centre, its box, and who it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import paddle
import paddle.nn.functional as F  # noqa: N812 - the name the field uses
from paddle import Tensor, nn

from operators.networks.fairmot import STRIDE
from operators.networks.training.losses import heat_focal, weighed
from operators.records import Float32, Int64

SIZE_WEIGHT, OFFSET_WEIGHT = 0.1, 1.0
DETECTION, IDENTITY = -1.85, -1.05
"""Where the learned log variances of the two tasks begin."""


@dataclass(frozen=True, slots=True)
class Targets:
    """Of one picture, on a map of H x W cells of 4 pixels.

    Attributes:
        heat: (C, H, W), 1 at centres, Gaussian around them.
        cells: (K,) the centres' cells, counted row by row.
        sides: (K, 4) left, top, right, bottom of the box from its centre, in cells.
        offsets: (K, 2) the centre's x, y within its cell, in cells.
        classes, identities: (K,).
    """

    heat: Float32
    cells: Int64
    sides: Float32
    offsets: Float32
    classes: Int64
    identities: Int64


def encode(boxes: Float32, classes: Int64, identities: Int64, *, count: int, height: int, width: int) -> Targets:
    """Targets of one picture.

    Args:
        boxes: (K, 4) xyxy, pixels of the input; those whose centre is outside are left out.
        classes, identities: (K,).
        count: classes there are.
        height, width: of the input, pixels.
    """
    rows, columns = height // STRIDE, width // STRIDE
    scaled = boxes / STRIDE
    centres = (scaled[:, :2] + scaled[:, 2:]) / 2
    kept = (centres >= 0).all(axis=1) & (centres < [columns, rows]).all(axis=1) & (scaled[:, 2:] > scaled[:, :2]).all(1)
    scaled, centres, classes, identities = scaled[kept], centres[kept], classes[kept], identities[kept]
    cells = centres.astype(np.int64)
    heat = np.zeros((count, rows, columns), np.float32)
    for box, (x, y), kind in zip(scaled, cells, classes, strict=True):
        reach = radius(float(np.ceil(box[3] - box[1])), float(np.ceil(box[2] - box[0])))
        left, top = max(x - reach, 0), max(y - reach, 0)
        ys, xs = np.ogrid[top : min(y + reach + 1, rows), left : min(x + reach + 1, columns)]
        deviation = (2 * reach + 1) / 6
        bump = np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (2 * deviation**2))
        part = heat[kind, ys[0, 0] : ys[-1, 0] + 1, xs[0, 0] : xs[0, -1] + 1]
        np.maximum(part, bump, out=part)
    sides = np.concatenate([centres - scaled[:, :2], scaled[:, 2:] - centres], axis=1)
    return Targets(
        heat,
        cells[:, 1] * columns + cells[:, 0],
        sides.astype(np.float32),
        (centres - cells).astype(np.float32),
        classes,
        identities,
    )


def radius(height: float, width: float, overlap: float = 0.7) -> int:
    """How far the bump of a box reaches, in whole cells.

    CornerNet asks how far corners may be off for boxes to overlap that much; CenterNet and FairMOT were trained with
    the root of that quadratic not divided by its leading coefficient, thus about three times as wide: so it is here.
    """
    half, product = 2 * overlap * (height + width), 4 * 4 * overlap * (1 - overlap) * height * width
    return max(int((math.sqrt(half * half + product) - half) / 2), 0)


class FairMotLoss(nn.Layer):  # type: ignore[misc]
    """What `FairMot.maps` is to be, with a classifier of identities a class and the tasks' learned weights.

    Args:
        embedding: length of the embeddings.
        people: identities of each class.
    """

    def __init__(self, embedding: int, people: Sequence[int]) -> None:
        super().__init__()
        self.classifiers = nn.LayerList([nn.Linear(embedding, count) for count in people])
        self.scales = [math.sqrt(2) * math.log(max(count - 1, 2)) for count in people]
        self.detection = _number(self, DETECTION)
        self.identity = _number(self, IDENTITY)

    def forward(self, maps: Sequence[Tensor], targets: Sequence[Targets]) -> Tensor:
        """The loss of a batch: `maps` as `FairMot.maps` gives them, one of the targets a picture."""
        heat, size, offset, look = maps
        detection = heat_focal(heat, paddle.to_tensor(np.stack([one.heat for one in targets])))
        cells = heat.shape[2] * heat.shape[3]
        places = np.concatenate([one.cells + number * cells for number, one in enumerate(targets)])
        identity = paddle.zeros([])
        if len(places):
            at = paddle.to_tensor(places)
            sides = paddle.to_tensor(np.concatenate([one.sides for one in targets]))
            offsets = paddle.to_tensor(np.concatenate([one.offsets for one in targets]))
            detection = detection + SIZE_WEIGHT * F.l1_loss(_picked(size, at), sides)
            detection = detection + OFFSET_WEIGHT * F.l1_loss(_picked(offset, at), offsets)
            looks = F.normalize(_picked(look, at))
            kinds = np.concatenate([one.classes for one in targets])
            people = np.concatenate([one.identities for one in targets])
            for kind, (classifier, scale) in enumerate(zip(self.classifiers, self.scales, strict=True)):
                known = np.flatnonzero((kinds == kind) & (people >= 0))
                if len(known):
                    logits = classifier(scale * paddle.gather(looks, paddle.to_tensor(known)))
                    identity = identity + F.cross_entropy(logits, paddle.to_tensor(people[known]))
        return weighed([detection, identity], [self.detection, self.identity])


def _number(layer: nn.Layer, value: float) -> Tensor:
    return layer.create_parameter([1], default_initializer=nn.initializer.Constant(value))


def _picked(maps: Tensor, at: Tensor) -> Tensor:
    """(K, D) of (B, D, H, W)."""
    return paddle.gather(maps.transpose([0, 2, 3, 1]).flatten(0, 2), at)
