"""PicoDet (Yu et al. 2021), both of its versions: a light one-stage detector without anchors.

The second version, on PP-LCNet with an aligned head, comes in sizes xs, s, m and l; of the first, on ESNet, there is s,
whose published weights are still in wide use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import paddle
import paddle.nn.functional as F  # noqa: N812 - the name the field uses
from paddle import Tensor, nn

from operators.networks.esnet import ESNet
from operators.networks.layers import ConvNorm, Separable
from operators.networks.lcnet import LCNet

STRIDES = (8, 16, 32, 64)
BINS = 8
"""A side's distance is the expectation over 0..7 strides (Generalized Focal Loss, Li et al. 2020)."""

_RARE = -4.59511985013459
"""Logit of 0.01: at the start nearly everything is background."""


@dataclass(frozen=True)
class Size:
    """Attributes: `scale` of the backbone, `width` of neck and head, `depth`: separable blocks a level in the head."""

    scale: float
    width: int
    depth: int


SIZES = {"xs": Size(0.35, 96, 2), "s": Size(0.75, 96, 2), "m": Size(1.5, 128, 4), "l": Size(2.0, 160, 4)}


class Fuse(nn.Layer):  # type: ignore[misc]
    """Two separable blocks over two maps side by side (LC-PAN)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = Separable(2 * width, 2 * width, 5)
        self.second = Separable(2 * width, width, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


class PartialFuse(nn.Layer):  # type: ignore[misc]
    """A cross-stage-partial layer over two maps side by side (CSP-PAN, the first version)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.short = ConvNorm(2 * width, half, 1, activation=F.hardswish)
        self.entry = ConvNorm(2 * width, half, 1, activation=F.hardswish)
        self.first = ConvNorm(half, half, 1, activation=F.hardswish)
        self.second = Separable(half, half, 5)
        self.exit = ConvNorm(width, width, 1, activation=F.hardswish)

    def forward(self, x: Tensor) -> Tensor:
        short = self.short(x)
        return self.exit(paddle.concat([self.second(self.first(self.entry(x))), short], axis=1))


class Pyramid(nn.Layer):  # type: ignore[misc]
    """Three maps in, four out, all of one width: top-down, bottom-up, and one more level above."""

    def __init__(self, inputs: Sequence[int], width: int, fuse: type[Fuse] | type[PartialFuse]) -> None:
        super().__init__()
        self.laterals = nn.LayerList([ConvNorm(channels, width, 1, activation=F.hardswish) for channels in inputs])
        self.down = nn.LayerList([fuse(width) for _ in range(2)])
        self.halve = nn.LayerList([Separable(width, width, 5, 2) for _ in range(2)])
        self.up = nn.LayerList([fuse(width) for _ in range(2)])
        self.top_of_backbone = Separable(width, width, 5, 2)
        self.top_of_neck = Separable(width, width, 5, 2)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        maps = [lateral(x) for lateral, x in zip(self.laterals, maps)]
        inner = [maps[-1]]
        for level, fuse in zip((1, 0), self.down):
            larger = F.interpolate(inner[0], size=paddle.shape(maps[level])[2:], mode="nearest")
            inner.insert(0, fuse(paddle.concat([larger, maps[level]], axis=1)))
        outs = [inner[0]]
        for level, (halve, fuse) in enumerate(zip(self.halve, self.up)):
            outs.append(fuse(paddle.concat([halve(outs[-1]), inner[level + 1]], axis=1)))
        outs.append(self.top_of_backbone(maps[-1]) + self.top_of_neck(outs[-1]))
        return outs


class PlainBranch(nn.Layer):  # type: ignore[misc]
    """The first version's head at one level: classes and box sides from one convolution."""

    def __init__(self, width: int, depth: int, classes: int) -> None:
        super().__init__()
        self.tower = nn.Sequential(*[Separable(width, width, 5) for _ in range(depth)])
        self.predict = nn.Conv2D(width, classes + 4 * BINS, 1)
        self.classes = classes
        nn.initializer.Constant(_RARE)(self.predict.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        raw = self.predict(self.tower(x))
        return F.sigmoid(raw[:, : self.classes]), raw[:, self.classes :]


class AlignedBranch(nn.Layer):  # type: ignore[misc]
    """The second version's head at one level: a class counts as far as a second opinion says something is there."""

    def __init__(self, width: int, depth: int, classes: int) -> None:
        super().__init__()
        self.tower = nn.Sequential(*[Separable(width, width, 5) for _ in range(depth)])
        self.weigh = nn.Conv2D(width, width, 1)
        self.mix = ConvNorm(width, width, 1, activation=F.hardswish)
        self.predict_class = nn.Conv2D(width, classes, 1)
        self.predict_sides = nn.Conv2D(width, 4 * BINS, 1)
        self.align_wide = ConvNorm(width, 1, 5, activation=F.hardswish)
        self.align = ConvNorm(1, 1, 1, activation=None)
        nn.initializer.Constant(_RARE)(self.predict_class.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.tower(x)
        mixed = self.mix(x * F.sigmoid(self.weigh(F.adaptive_avg_pool2d(x, 1))))
        classes, sides = self.predict_class(mixed), self.predict_sides(mixed)
        there = self.align(self.align_wide(x))
        return paddle.sqrt(F.sigmoid(classes) * F.sigmoid(there) + 1e-9), sides


class PicoDet(nn.Layer):  # type: ignore[misc]
    """PicoDet.

    Args:
        classes: number of classes C.
        size: one of `SIZES`, or one of your own.
        version: 2 (PP-LCNet, aligned head), or 1 (ESNet; size s only).
    """

    def __init__(self, classes: int, size: str | Size = "s", version: int = 2) -> None:
        super().__init__()
        chosen = SIZES[size] if isinstance(size, str) else size
        if version == 1 and size != "s":
            raise ValueError("PicoDet's first version is here in size s only")
        self.classes, self.version = classes, version
        self.backbone = LCNet(chosen.scale) if version == 2 else ESNet()
        self.neck = Pyramid(self.backbone.channels, chosen.width, Fuse if version == 2 else PartialFuse)
        branch = AlignedBranch if version == 2 else PlainBranch
        self.branches = nn.LayerList([branch(chosen.width, chosen.depth, classes) for _ in STRIDES])
        self.register_buffer("bins", paddle.arange(BINS, dtype="float32"))

    def levels(self, image: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Per level scores (B, HW, C) in [0, 1], and bins (B, HW, 32) of left, top, right, bottom: the raw export."""
        scores, sides = [], []
        for x, branch in zip(self.neck(self.backbone(image)), self.branches):
            score, side = branch(x)
            scores.append(score.flatten(2).transpose([0, 2, 1]))
            sides.append(side.flatten(2).transpose([0, 2, 1]))
        return scores, sides

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Find objects.

        Args:
            image: (B, 3, H, W) float32, RGB, ImageNet-normalised; H and W multiples of 32.

        Returns:
            boxes (B, A, 4) float32, xyxy in pixels of `image`; scores (B, C, A) float32 in [0, 1].
        """
        scores, sides = self.levels(image)
        height, width = paddle.shape(image)[2], paddle.shape(image)[3]
        centres, strides = centres_of(height, width, STRIDES)
        boxes = boxes_of(paddle.concat(sides, axis=1), centres, strides, self.bins)
        return boxes, paddle.concat(scores, axis=1).transpose([0, 2, 1])


def centres_of(height: Tensor, width: Tensor, strides: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The cells' centres (A, 2) as x, y in pixels, and their strides (A, 1), for an input of that size."""
    centres, sizes = [], []
    for stride in strides:
        rows, columns = (height + stride - 1) // stride, (width + stride - 1) // stride
        y, x = paddle.meshgrid(
            (paddle.arange(rows, dtype="float32") + 0.5) * stride,
            (paddle.arange(columns, dtype="float32") + 0.5) * stride,
        )
        cells = paddle.stack([x.flatten(), y.flatten()], axis=1)
        centres.append(cells)
        sizes.append(paddle.full_like(cells[:, :1], stride))
    return paddle.concat(centres), paddle.concat(sizes)


def boxes_of(sides: Tensor, centres: Tensor, strides: Tensor, bins: Tensor) -> Tensor:
    """Boxes (B, A, 4), xyxy in pixels, from bins (B, A, 4 x bins)."""
    weights = F.softmax(sides.reshape([0, -1, 4, len(bins)]), axis=3)
    distances = (weights * bins).sum(axis=3) * strides
    return paddle.concat([centres - distances[:, :, :2], centres + distances[:, :, 2:]], axis=2)
