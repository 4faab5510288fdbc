"""ESNet, PicoDet's first backbone (Yu et al. 2021): shuffled blocks, each with a width of its own."""

from __future__ import annotations

import paddle
import paddle.nn.functional as F  # noqa: N812 - the name the field uses
from paddle import Tensor, nn

from operators.networks.layers import ConvNorm, SqueezeExcite, rounded

_CHANNELS = (24, 128, 256, 512)
_BLOCKS = (3, 7, 3)
# Found by search for PicoDet-S, a share of the stage's channels per block.
RATIOS_S = (0.875, 0.5, 0.5, 0.5, 0.625, 0.5, 0.625, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5)


class Shuffled(nn.Layer):  # type: ignore[misc]
    """Half of the channels pass; the other half goes through a ghost-like pair of convolutions; then a shuffle."""

    def __init__(self, channels: int, middle: int) -> None:
        super().__init__()
        half = channels // 2
        self.narrow = ConvNorm(half, middle // 2, 1, activation=F.hardswish)
        self.depthwise = ConvNorm(middle // 2, middle // 2, 3, 1, middle // 2, None)
        self.excite = SqueezeExcite(middle)
        self.widen = ConvNorm(middle, half, 1, activation=F.hardswish)

    def forward(self, x: Tensor) -> Tensor:
        passing, x = paddle.split(x, 2, axis=1)
        x = self.narrow(x)
        x = self.widen(self.excite(paddle.concat([x, self.depthwise(x)], axis=1)))
        return F.channel_shuffle(paddle.concat([passing, x], axis=1), 2)


class Halving(nn.Layer):  # type: ignore[misc]
    """Halves the resolution on two paths and mixes them."""

    def __init__(self, inputs: int, outputs: int, middle: int) -> None:
        super().__init__()
        half = outputs // 2
        self.short_depthwise = ConvNorm(inputs, inputs, 3, 2, inputs, None)
        self.short_pointwise = ConvNorm(inputs, half, 1, activation=F.hardswish)
        self.narrow = ConvNorm(inputs, middle // 2, 1, activation=F.hardswish)
        self.depthwise = ConvNorm(middle // 2, middle // 2, 3, 2, middle // 2, None)
        self.excite = SqueezeExcite(middle // 2)
        self.widen = ConvNorm(middle // 2, half, 1, activation=F.hardswish)
        self.mix_depthwise = ConvNorm(outputs, outputs, 3, 1, outputs, F.hardswish)
        self.mix_pointwise = ConvNorm(outputs, outputs, 1, activation=F.hardswish)

    def forward(self, x: Tensor) -> Tensor:
        short = self.short_pointwise(self.short_depthwise(x))
        long = self.widen(self.excite(self.depthwise(self.narrow(x))))
        return self.mix_pointwise(self.mix_depthwise(paddle.concat([short, long], axis=1)))


class ESNet(nn.Layer):  # type: ignore[misc]
    """ESNet without a head; `channels` and `forward` as `LCNet`'s."""

    def __init__(self, scale: float = 0.75, ratios: tuple[float, ...] = RATIOS_S) -> None:
        super().__init__()
        widths = [_CHANNELS[0], *(rounded(width * scale) for width in _CHANNELS[1:])]
        self.stem = ConvNorm(3, widths[0], 3, 2, activation=F.hardswish)
        self.stages = nn.LayerList()
        ratio = iter(ratios)
        for stage, count in enumerate(_BLOCKS):
            inputs, width = widths[stage], widths[stage + 1]
            middles = [rounded(int(width * next(ratio))) for _ in range(count)]
            blocks = [Halving(inputs, width, middles[0]), *(Shuffled(width, middle) for middle in middles[1:])]
            self.stages.append(nn.Sequential(*blocks))
        self.channels = tuple(widths[1:])

    def forward(self, image: Tensor) -> list[Tensor]:
        """Maps at strides 8, 16 and 32."""
        x = F.max_pool2d(self.stem(image), 3, stride=2, padding=1)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps
