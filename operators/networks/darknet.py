"""DarkNet53 (Redmon and Farhadi 2018), the backbone of YOLOv3 and of JDE."""

from __future__ import annotations

import paddle.nn.functional as F  # noqa: N812 - the name the field uses
from paddle import Tensor, nn

from operators.networks.layers import ConvNorm

DEPTHS = (1, 2, 8, 8, 4)


def leaky(x: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.1."""
    return F.leaky_relu(x, 0.1)


class Residual(nn.Layer):  # type: ignore[misc]
    """A pointwise convolution to half of the channels, a 3x3 one back, and the way around them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.narrow = ConvNorm(channels, channels // 2, 1, activation=leaky)
        self.widen = ConvNorm(channels // 2, channels, 3, activation=leaky)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.widen(self.narrow(x))


class DarkNet(nn.Layer):  # type: ignore[misc]
    """DarkNet53 at `width` 32; `forward` gives maps at strides 8, 16 and 32."""

    def __init__(self, width: int = 32, depths: tuple[int, ...] = DEPTHS) -> None:
        super().__init__()
        self.stem = ConvNorm(3, width, 3, activation=leaky)
        self.stages = nn.LayerList()
        for level, depth in enumerate(depths):
            inputs = width * 2**level
            halve = ConvNorm(inputs, 2 * inputs, 3, 2, activation=leaky)
            self.stages.append(nn.Sequential(halve, *[Residual(2 * inputs) for _ in range(depth)]))
        self.channels = (8 * width, 16 * width, 32 * width)

    def forward(self, image: Tensor) -> list[Tensor]:
        x = self.stem(image)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps[2:]
