"""PP-YOLOE (Xu et al. 2022): CSPRepResNet, a cross-stage-partial neck, and a head whose two tasks are aligned."""

from __future__ import annotations

from dataclasses import dataclass

import paddle
import paddle.nn.functional as F  # noqa: N812 - the name the field uses
from paddle import Tensor, nn

from operators.networks.layers import ConvNorm
from operators.networks.picodet import boxes_of, centres_of

STRIDES = (32, 16, 8)
BINS = 17
_RARE = -4.59511985013459


@dataclass(frozen=True)
class Size:
    """Factors of the large one's depth and width."""

    depth: float
    width: float


SIZES = {"s": Size(0.33, 0.5), "m": Size(0.67, 0.75), "l": Size(1.0, 1.0), "x": Size(1.33, 1.25)}


class Weigh(nn.Layer):  # type: ignore[misc]
    """Channels weighted by one linear map of their means (effective squeeze-and-excitation)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2D(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * F.hardsigmoid(self.conv(F.adaptive_avg_pool2d(x, 1)))


class Twofold(nn.Layer):  # type: ignore[misc]
    """A 3x3 and a pointwise convolution added up before the activation (RepVGG); one convolution once exported."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.wide = ConvNorm(channels, channels, 3, activation=None)
        self.point = ConvNorm(channels, channels, 1, activation=None)

    def forward(self, x: Tensor) -> Tensor:
        return F.swish(self.wide(x) + self.point(x))


class Block(nn.Layer):  # type: ignore[misc]
    """A 3x3 convolution, a twofold one, and the way around them where asked for."""

    def __init__(self, channels: int, around: bool) -> None:
        super().__init__()
        self.around = around
        self.first = ConvNorm(channels, channels, 3, activation=F.swish)
        self.second = Twofold(channels)

    def forward(self, x: Tensor) -> Tensor:
        out = self.second(self.first(x))
        return x + out if self.around else out


class Pool(nn.Layer):  # type: ignore[misc]
    """The map beside its maxima over 5, 9 and 13 cells, narrowed again."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = ConvNorm(4 * channels, channels, 1, activation=F.swish)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(paddle.concat([x, *(F.max_pool2d(x, k, 1, k // 2) for k in (5, 9, 13))], axis=1))


class BackboneStage(nn.Layer):  # type: ignore[misc]
    """Halves the resolution; half of the channels go through the blocks."""

    def __init__(self, inputs: int, outputs: int, depth: int) -> None:
        super().__init__()
        middle = (inputs + outputs) // 2
        self.halve = ConvNorm(inputs, middle, 3, 2, activation=F.swish)
        self.left = ConvNorm(middle, middle // 2, 1, activation=F.swish)
        self.right = ConvNorm(middle, middle // 2, 1, activation=F.swish)
        self.blocks = nn.Sequential(*[Block(middle // 2, around=True) for _ in range(depth)])
        self.weigh = Weigh(middle // 2 * 2)
        self.exit = ConvNorm(middle // 2 * 2, outputs, 1, activation=F.swish)

    def forward(self, x: Tensor) -> Tensor:
        x = self.halve(x)
        return self.exit(self.weigh(paddle.concat([self.left(x), self.blocks(self.right(x))], axis=1)))


class NeckStage(nn.Layer):  # type: ignore[misc]
    """Half of the channels go through the blocks, at the coarsest level with a pool between them."""

    def __init__(self, inputs: int, outputs: int, depth: int, pool: bool = False) -> None:
        super().__init__()
        half = outputs // 2
        self.left = ConvNorm(inputs, half, 1, activation=F.swish)
        self.right = ConvNorm(inputs, half, 1, activation=F.swish)
        blocks: list[nn.Layer] = []
        for number in range(depth):
            blocks.append(Block(half, around=False))
            if pool and number == (depth - 1) // 2:
                blocks.append(Pool(half))
        self.blocks = nn.Sequential(*blocks)
        self.exit = ConvNorm(2 * half, outputs, 1, activation=F.swish)

    def forward(self, x: Tensor) -> Tensor:
        return self.exit(paddle.concat([self.left(x), self.blocks(self.right(x))], axis=1))


class Attend(nn.Layer):  # type: ignore[misc]
    """Channels weighted by the picture's means, mixed."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weigh = nn.Conv2D(channels, channels, 1)
        self.mix = ConvNorm(channels, channels, 1, activation=F.swish)

    def forward(self, x: Tensor, means: Tensor) -> Tensor:
        return self.mix(x * F.sigmoid(self.weigh(means)))


class PPYoloE(nn.Layer):  # type: ignore[misc]
    """PP-YOLOE.

    Args:
        classes: number of classes C.
        size: one of `SIZES`, or factors of your own.
    """

    def __init__(self, classes: int, size: str | Size = "s") -> None:
        super().__init__()
        chosen = SIZES[size] if isinstance(size, str) else size
        self.classes = classes
        widths = [max(round(width * chosen.width), 1) for width in (64, 128, 256, 512, 1024)]
        depths = [max(round(depth * chosen.depth), 1) for depth in (3, 6, 6, 3)]
        self.stem = nn.Sequential(
            ConvNorm(3, widths[0] // 2, 3, 2, activation=F.swish),
            ConvNorm(widths[0] // 2, widths[0] // 2, 3, activation=F.swish),
            ConvNorm(widths[0] // 2, widths[0], 3, activation=F.swish),
        )
        self.stages = nn.LayerList([BackboneStage(widths[k], widths[k + 1], depths[k]) for k in range(4)])
        outs = [max(round(width * chosen.width), 1) for width in (768, 384, 192)]
        depth = max(round(3 * chosen.depth), 1)
        down, narrow, inputs = [], [], 0
        for level, width in enumerate(outs):
            down.append(NeckStage(widths[4 - level] + inputs, width, depth, pool=level == 0))
            if level < 2:
                narrow.append(ConvNorm(width, width // 2, 1, activation=F.swish))
                inputs = width // 2
        self.down, self.narrow = nn.LayerList(down), nn.LayerList(narrow)
        self.halve = nn.LayerList([ConvNorm(outs[k + 1], outs[k + 1], 3, 2, activation=F.swish) for k in (1, 0)])
        self.up = nn.LayerList([NeckStage(outs[k] + outs[k + 1], outs[k], depth) for k in (1, 0)])
        self.attend_class = nn.LayerList([Attend(width) for width in outs])
        self.attend_sides = nn.LayerList([Attend(width) for width in outs])
        self.predict_class = nn.LayerList([nn.Conv2D(width, classes, 3, padding=1) for width in outs])
        self.predict_sides = nn.LayerList([nn.Conv2D(width, 4 * BINS, 3, padding=1) for width in outs])
        for conv in self.predict_class:
            nn.initializer.Constant(_RARE)(conv.bias)
        self.register_buffer("bins", paddle.arange(BINS, dtype="float32"))

    def neck(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps at strides 8, 16, 32 in; three at strides 32, 16, 8 out."""
        inner: list[Tensor] = []
        above = None
        for level, stage in enumerate(self.down):
            x = maps[2 - level]
            if above is not None:
                x = paddle.concat([F.interpolate(above, size=paddle.shape(x)[2:], mode="nearest"), x], axis=1)
            x = stage(x)
            inner.append(x)
            above = self.narrow[level](x) if level < 2 else None
        outs = [inner[2]]
        for number, level in enumerate((1, 0)):
            x = paddle.concat([self.halve[number](outs[0]), inner[level]], axis=1)
            outs.insert(0, self.up[number](x))
        return outs

    def levels(self, image: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Per level, stride 32 first: class logits (B, HW, C), and bins (B, HW, 68) of left, top, right, bottom."""
        x = self.stem(image)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        logits, sides = [], []
        for level, x in enumerate(self.neck(maps[1:])):
            means = F.adaptive_avg_pool2d(x, 1)
            logit = self.predict_class[level](self.attend_class[level](x, means) + x)
            side = self.predict_sides[level](self.attend_sides[level](x, means))
            logits.append(logit.flatten(2).transpose([0, 2, 1]))
            sides.append(side.flatten(2).transpose([0, 2, 1]))
        return logits, sides

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Find objects; arguments and results as `PicoDet.forward`'s, in [0, 1] where normalised so in training."""
        logits, sides = self.levels(image)
        centres, strides = centres_of(paddle.shape(image)[2], paddle.shape(image)[3], STRIDES)
        boxes = boxes_of(paddle.concat(sides, axis=1), centres, strides, self.bins)
        return boxes, F.sigmoid(paddle.concat(logits, axis=1)).transpose([0, 2, 1])
