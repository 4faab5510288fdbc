"""NanoDet-g as Paddle layers: a one-stage, anchor-free detector without exotic operators.

Architecture (NanoDet, Lyu 2020-2021, the "g" variant made for GPUs and NPUs): a small cross-stage-partial backbone of
plain 3x3 convolutions, a path aggregation neck that adds bilinearly resized maps, and per level one 3x3 convolution
followed by a 1x1 one that predicts class scores and, per box side, a discrete distribution of its distance
(Generalized Focal Loss, Li et al. 2020). Batch norms do not appear: the published weights have them fused.
"""

from __future__ import annotations

from collections.abc import Sequence

import paddle
import paddle.nn.functional as F  # noqa: N812 - the name the field uses
from paddle import Tensor, nn

STRIDES = (8, 16, 32)
DISTANCE_BINS = 11
"""A side's distance is the expectation over 0..10 strides."""

_SLOPE = 0.1


class Convolution(nn.Layer):  # type: ignore[misc]
    """A convolution with bias that keeps the size (divided by the stride), and a leaky ReLU unless told otherwise."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, activate: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2D(inputs, outputs, kernel, stride=stride, padding=kernel // 2)
        self.activate = activate

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return F.leaky_relu(x, _SLOPE) if self.activate else x


class PartialUnit(nn.Layer):  # type: ignore[misc]
    """Two convolutions in a row at half the width; their outputs, the later one first, side by side."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.first = Convolution(inputs, width)
        self.second = Convolution(width, width)

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x)
        return paddle.concat([self.second(first), first], axis=1)


class PartialStage(nn.Layer):  # type: ignore[misc]
    """A (strided) convolution, `units` partial units, a closing one; its output beside the entry's: 2 x width."""

    def __init__(self, width: int, stride: int, units: int) -> None:
        super().__init__()
        self.entry = Convolution(width, width, stride=stride)
        self.units = nn.LayerList([PartialUnit(width, width // 2) for _ in range(units)])
        self.exit = Convolution(width, width)

    def forward(self, x: Tensor) -> Tensor:
        entry = x = self.entry(x)
        for unit in self.units:
            x = unit(x)
        return paddle.concat([self.exit(x), entry], axis=1)


class NanoDet(nn.Layer):  # type: ignore[misc]
    """NanoDet-g with its decoding inside, so that only non-maximum suppression is left to do.

    Args:
        classes: number of classes C.
        mean: per channel, in the order of the input's channels, taken off the picture before anything else. (What the
            picture is divided by afterwards belongs into the first convolution's weights; the mean cannot go there,
            because the convolution pads with zeros that stand for the mean.)
    """

    def __init__(self, classes: int, mean: Sequence[float] = (0.0, 0.0, 0.0)) -> None:
        super().__init__()
        self.classes = classes
        self.register_buffer("mean", paddle.to_tensor(list(mean), dtype="float32").reshape([1, 3, 1, 1]))
        self.stem = Convolution(3, 32, stride=2)
        self.stages = nn.LayerList(
            [PartialStage(32, 1, 1), PartialStage(64, 2, 2), PartialStage(128, 2, 2), PartialStage(256, 2, 3)]
        )
        self.laterals = nn.LayerList([Convolution(width, 128, kernel=1, activate=False) for width in (128, 256, 512)])
        self.towers = nn.LayerList([Convolution(128, 128) for _ in STRIDES])
        self.predictors = nn.LayerList(
            [Convolution(128, classes + 4 * DISTANCE_BINS, kernel=1, activate=False) for _ in STRIDES]
        )
        self.register_buffer("bins", paddle.arange(DISTANCE_BINS, dtype="float32").reshape([1, 1, DISTANCE_BINS, 1]))

    def convolutions(self) -> list[nn.Conv2D]:
        """Every convolution, in the order of computation: stem, stages, laterals, then tower and predictor by level."""
        blocks: list[Convolution] = [self.stem]
        for stage in self.stages:
            blocks += [stage.entry, *(c for unit in stage.units for c in (unit.first, unit.second)), stage.exit]
        blocks += self.laterals
        for tower, predictor in zip(self.towers, self.predictors, strict=True):
            blocks += [tower, predictor]
        return [block.conv for block in blocks]

    def levels(self, image: Tensor) -> list[Tensor]:
        """By level (B, C + 44, H/stride, W/stride), raw: class logits, then the bins of left, top, right, bottom."""
        x = F.max_pool2d(self.stem(image - self.mean), 3, stride=2, padding=1)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        c3, c4, c5 = [self.laterals[level](maps[level + 1]) for level in range(3)]
        p4 = c4 + _twice(c5)
        p3 = c3 + _twice(p4)
        # Halving bilinearly with half-pixel centres is the mean of 2x2 pixels.
        n4 = p4 + F.avg_pool2d(p3, 2)
        n5 = c5 + F.avg_pool2d(n4, 2)
        fused = [p3, n4, n5]
        return [self.predictors[level](self.towers[level](fused[level])) for level in range(3)]

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Find objects.

        Args:
            image: (B, 3, H, W) float32, RGB, 0 to 255; H and W multiples of 32.

        Returns:
            boxes (B, A, 4) float32, xyxy in pixels of `image`, and scores (B, C, A) float32 in [0, 1], where
            A = HW (1/64 + 1/256 + 1/1024).
        """
        boxes, scores = [], []
        levels = self.levels(image)
        for level, stride in enumerate(STRIDES):
            raw = levels[level]
            rows, columns = paddle.shape(raw)[2], paddle.shape(raw)[3]
            scores.append(F.sigmoid(raw[:, : self.classes]).flatten(2))
            bins = raw[:, self.classes :].flatten(2).reshape([0, 4, DISTANCE_BINS, -1])
            distances = (F.softmax(bins, axis=2) * self.bins).sum(axis=2) * stride
            ys, xs = paddle.meshgrid(
                (paddle.arange(rows, dtype="float32") + 0.5) * stride,
                (paddle.arange(columns, dtype="float32") + 0.5) * stride,
            )
            centres = paddle.stack([xs.flatten(), ys.flatten()], axis=0).unsqueeze(0)
            boxes.append(paddle.concat([centres - distances[:, :2], centres + distances[:, 2:]], axis=1))
        return paddle.concat(boxes, axis=2).transpose([0, 2, 1]), paddle.concat(scores, axis=2)


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
