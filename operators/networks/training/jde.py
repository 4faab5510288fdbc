"""What JDE learns from (Wang et al., ECCV 2020): anchors that are objects, their boxes, and who they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import paddle
import paddle.nn.functional as F  # noqa: N812 - the name the field uses
from numpy.typing import NDArray
from paddle import Tensor, nn

from operators.networks.jde import ANCHORS, STRIDES, TRAINED_WIDTH
from operators.networks.training.losses import weighed
from operators.records import Float32, Int64

OBJECT, BACKGROUND = 0.5, 0.4
BOX, CLASS, IDENTITY = -4.85, -4.15, -2.3
"""Where the learned log variances of the three tasks begin, on each level."""


@dataclass(frozen=True, slots=True)
class LevelTargets:
    """Of one picture on one level of A anchors and H x W cells.

    Attributes:
        kinds: (A, H, W) 1 object, 0 background, -1 neither: not counted.
        boxes: (A, H, W, 4) what the network is to say of an object's box; 0 elsewhere.
        identities: (H, W) who is to be recognised there; -1 nobody.
    """

    kinds: Int64
    boxes: Float32
    identities: Int64


def encode(boxes: Float32, identities: Int64, *, height: int, width: int) -> list[LevelTargets]:
    """Targets of one picture, stride 32 first.

    An anchor that overlaps an object by half is that object, one that overlaps all by less than 0.4 is background; and
    every object has the anchor that overlaps it most, of whatever level, so that none is lost for its unusual shape.

    Args:
        boxes: (K, 4) xyxy, pixels of the input; those whose centre is outside are left out.
        identities: (K,), -1 where unknown.
        height, width: of the input.
    """
    centres = ((boxes[:, :2] + boxes[:, 2:]) / 2).astype(np.float32)
    sizes = boxes[:, 2:] - boxes[:, :2]
    kept = ((centres >= 0) & (centres < [width, height]) & (sizes > 1)).all(axis=1)
    boxes, identities, centres, sizes = boxes[kept], identities[kept], centres[kept], sizes[kept]
    overlaps = [overlap(boxes, level, height, width) for level in range(len(STRIDES))]
    forced: list[list[tuple[int, int]]] = [[] for _ in STRIDES]
    for row in range(len(boxes)):
        best = max(range(len(STRIDES)), key=lambda level: overlaps[level][row].max())
        forced[best].append((row, int(overlaps[best][row].argmax())))
    return [
        _level(level, overlaps[level], forced[level], identities, centres, sizes, (height, width))
        for level in range(len(STRIDES))
    ]


def anchors(level: int, width: int) -> NDArray[np.float64]:
    """(A, 2) widths and heights in pixels of an input of that width."""
    return np.array(ANCHORS[level], np.float64) * width / TRAINED_WIDTH


def overlap(boxes: Float32, level: int, height: int, width: int) -> NDArray[np.float64]:
    """(K, A, H, W) intersection over union of boxes and a level's anchors, whose centres are the cells' corners."""
    stride = STRIDES[level]
    size = anchors(level, width)[None, :, None, None]
    y, x = np.mgrid[: height // stride, : width // stride] * stride
    cells = np.stack([x, y], axis=2)[None, None].astype(np.float64)
    low, high = cells - size / 2, cells + size / 2
    given = boxes[:, None, None, None].astype(np.float64)
    common = np.clip(np.minimum(high, given[..., 2:]) - np.maximum(low, given[..., :2]), 0, None).prod(axis=-1)
    areas = size.prod(axis=-1) + (given[..., 2:] - given[..., :2]).prod(axis=-1)
    return np.asarray(common / (areas - common))


def _level(
    level: int,
    overlaps: NDArray[np.float64],
    forced: list[tuple[int, int]],
    identities: Int64,
    centres: Float32,
    sizes: Float32,
    shape: tuple[int, int],
) -> LevelTargets:
    stride, own = STRIDES[level], anchors(level, shape[1])
    lattice = (len(own), shape[0] // stride, shape[1] // stride)
    kinds = np.zeros(lattice, np.int64)
    boxes = np.zeros((*lattice, 4), np.float32)
    people = np.full(lattice[1:], -1, np.int64)
    if not len(identities):
        return LevelTargets(kinds, boxes, people)
    best, owner = overlaps.max(axis=0), overlaps.argmax(axis=0)
    kinds[best >= BACKGROUND] = -1
    kinds[best >= OBJECT] = 1
    for row, place in forced:
        where = np.unravel_index(place, lattice)
        kinds[where], owner[where] = 1, row
    a, y, x = np.nonzero(kinds == 1)
    rows = owner[a, y, x]
    corner = np.stack([x, y], axis=1) * stride
    boxes[a, y, x, :2] = (centres[rows] - corner) / own[a]
    boxes[a, y, x, 2:] = np.log(sizes[rows] / own[a])
    for k in np.argsort(best[a, y, x], kind="stable"):  # where anchors of a cell disagree, the best one says who it is
        people[y[k], x[k]] = identities[rows[k]]
    return LevelTargets(kinds, boxes, people)


class JdeLoss(nn.Layer):  # type: ignore[misc]
    """What `Jde.levels` is to be, with a classifier of identities and the tasks' learned weights on each level.

    Args:
        embedding: length of the embeddings.
        people: identities.
    """

    def __init__(self, embedding: int, people: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(embedding, people)
        self.scale = math.sqrt(2) * math.log(max(people - 1, 2))
        self.logs = nn.ParameterList(
            [
                self.create_parameter([1], default_initializer=nn.initializer.Constant(value))
                for _ in STRIDES
                for value in (BOX, CLASS, IDENTITY)
            ]
        )

    def forward(self, levels: Sequence[tuple[Tensor, Tensor]], targets: Sequence[Sequence[LevelTargets]]) -> Tensor:
        """The loss of a batch: `levels` as `Jde.levels` gives them; `targets` a picture, then a level."""
        total = paddle.zeros([])
        for number, (raw, look) in enumerate(levels):
            told = [picture[number] for picture in targets]
            kinds = np.stack([one.kinds for one in told]).ravel()
            values = raw.reshape([raw.shape[0], -1, 6, raw.shape[2], raw.shape[3]]).transpose([0, 1, 3, 4, 2])
            values = values.reshape([-1, 6])
            counted = F.cross_entropy(values[:, 4:], paddle.to_tensor(kinds), ignore_index=-1)
            box = identity = paddle.zeros([])
            objects = np.flatnonzero(kinds == 1)
            if len(objects):
                boxes = np.stack([one.boxes for one in told]).reshape(-1, 4)[objects]
                said = paddle.gather(values, paddle.to_tensor(objects))[:, :4]
                box = F.smooth_l1_loss(said, paddle.to_tensor(boxes))
            people = np.stack([one.identities for one in told]).ravel()
            known = np.flatnonzero(people >= 0)
            if len(known):
                looks = paddle.gather(look.transpose([0, 2, 3, 1]).flatten(0, 2), paddle.to_tensor(known))
                logits = self.classifier(self.scale * F.normalize(looks))
                identity = F.cross_entropy(logits, paddle.to_tensor(people[known]))
            total = total + weighed([box, counted, identity], list(self.logs)[3 * number : 3 * number + 3])
        return total
