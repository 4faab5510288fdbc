"""PP-LCNet (Cui et al. 2021): depthwise-separable blocks with hard-swish, for CPUs."""

from __future__ import annotations

import paddle.nn.functional as F  # noqa: N812 - the name the field uses
from paddle import Tensor, nn

from operators.networks.layers import ConvNorm, Separable, rounded

_STEM = 16
# Per stage its blocks: kernel, input channels, output channels, stride, squeeze-and-excitation.
_STAGES = (
    ((3, 16, 32, 1, False),),
    ((3, 32, 64, 2, False), (3, 64, 64, 1, False)),
    ((3, 64, 128, 2, False), (3, 128, 128, 1, False)),
    ((3, 128, 256, 2, False), *((5, 256, 256, 1, False),) * 5),
    ((5, 256, 512, 2, True), (5, 512, 512, 1, True)),
)


class LCNet(nn.Layer):  # type: ignore[misc]
    """PP-LCNet without a head.

    Args:
        scale: of the channels; 0.35, 0.5, 0.75, 1, 1.5, 2 and 2.5 are the published ones.

    Attributes:
        channels: of the three maps that `forward` gives.
    """

    def __init__(self, scale: float = 1.0, last_stride: int = 2) -> None:
        super().__init__()
        self.stem = ConvNorm(3, rounded(_STEM * scale), 3, 2, activation=F.hardswish)
        self.stages = nn.LayerList()
        for stage in _STAGES:
            blocks = []
            for kernel, inputs, outputs, stride, excite in stage:
                step = last_stride if excite and stride == 2 else stride
                blocks.append(Separable(rounded(inputs * scale), rounded(outputs * scale), kernel, step, excite))
            self.stages.append(nn.Sequential(*blocks))
        self.channels = tuple(rounded(channels * scale) for channels in (128, 256, 512))

    def forward(self, image: Tensor) -> list[Tensor]:
        """Maps at strides 8, 16 and 32 (or 16, by `last_stride`)."""
        x = self.stem(image)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps[2:]
