"""The small pieces that the networks share."""

from __future__ import annotations

from collections.abc import Callable

import paddle.nn.functional as F  # noqa: N812 - the name the field uses
from paddle import Tensor, nn

Activation = Callable[[Tensor], Tensor]


def rounded(channels: float, divisor: int = 8) -> int:
    """The nearest multiple of `divisor`, at least one, never more than a tenth below `channels`."""
    near = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return near if near >= 0.9 * channels else near + divisor


class ConvNorm(nn.Layer):  # type: ignore[misc]
    """Convolution that keeps the size (divided by the stride), batch norm, activation (None for none)."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 3,
        stride: int = 1,
        groups: int = 1,
        activation: Activation | None = F.relu,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2D(
            inputs, outputs, kernel, stride=stride, padding=kernel // 2, groups=groups, bias_attr=False
        )
        self.norm = nn.BatchNorm2D(outputs)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        return x if self.activation is None else self.activation(x)


class Separable(nn.Layer):  # type: ignore[misc]
    """A depthwise convolution, then a pointwise one; squeeze-and-excitation between them where asked for."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 3,
        stride: int = 1,
        excite: bool = False,
        activation: Activation | None = F.hardswish,
    ) -> None:
        super().__init__()
        self.depthwise = ConvNorm(inputs, inputs, kernel, stride, inputs, activation)
        self.excite = SqueezeExcite(inputs) if excite else None
        self.pointwise = ConvNorm(inputs, outputs, 1, activation=activation)

    def forward(self, x: Tensor) -> Tensor:
        x = self.depthwise(x)
        if self.excite is not None:
            x = self.excite(x)
        return self.pointwise(x)


class SqueezeExcite(nn.Layer):  # type: ignore[misc]
    """Channels weighted by what the whole picture holds of them (Hu et al. 2018), a quarter as many in between."""

    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        self.squeeze = nn.Conv2D(channels, channels // reduction, 1)
        self.excite = nn.Conv2D(channels // reduction, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        weights = F.adaptive_avg_pool2d(x, 1)
        return x * F.hardsigmoid(self.excite(F.relu(self.squeeze(weights))))
