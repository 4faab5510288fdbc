"""DLA-34 (Yu et al. 2018) and the aggregating neck that CenterNet put on it (Zhou et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import paddle
import paddle.nn.functional as F  # noqa: N812 - the name the field uses
from paddle import Tensor, nn
from paddle.vision.ops import DeformConv2D

from operators.networks.layers import ConvNorm

CHANNELS = (16, 32, 64, 128, 256, 512)
DEPTHS = (1, 1, 1, 2, 2, 1)


class Basic(nn.Layer):  # type: ignore[misc]
    """Two 3x3 convolutions and the way around them."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first = ConvNorm(inputs, outputs, 3, stride)
        self.second = ConvNorm(outputs, outputs, 3, activation=None)

    def forward(self, x: Tensor, around: Tensor) -> Tensor:
        return F.relu(self.second(self.first(x)) + around)


class Tree(nn.Layer):  # type: ignore[misc]
    """Blocks whose outputs a root gathers, recursively."""

    def __init__(
        self, depth: int, inputs: int, outputs: int, stride: int, gathers_input: bool, gathered: int = 0
    ) -> None:
        super().__init__()
        own = gathered + (inputs if gathers_input else 0)
        self.gathers_input, self.depth, self.stride = gathers_input, depth, stride
        self.project = ConvNorm(inputs, outputs, 1, activation=None) if inputs != outputs and depth == 1 else None
        if depth == 1:
            self.left, self.right = Basic(inputs, outputs, stride), Basic(outputs, outputs)
            self.root = ConvNorm(2 * outputs + own, outputs, 1)
        else:
            self.left = Tree(depth - 1, inputs, outputs, stride, False)
            self.right = Tree(depth - 1, outputs, outputs, 1, False, own + outputs)

    def forward(self, x: Tensor, gathered: Sequence[Tensor] = ()) -> Tensor:
        small = F.max_pool2d(x, self.stride, self.stride) if self.stride > 1 else x
        gathered = [*gathered, small] if self.gathers_input else list(gathered)
        if self.depth > 1:
            left = self.left(x)
            return self.right(left, [*gathered, left])
        left = self.left(x, small if self.project is None else self.project(small))
        right = self.right(left, left)
        return self.root(paddle.concat([right, left, *gathered], axis=1))


class Dla(nn.Layer):  # type: ignore[misc]
    """DLA-34; `forward` gives maps at strides 4, 8, 16 and 32."""

    def __init__(self, channels: Sequence[int] = CHANNELS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__()
        self.stem = ConvNorm(3, channels[0], 7)
        self.flat = nn.Sequential(ConvNorm(channels[0], channels[0], 3), ConvNorm(channels[0], channels[1], 3, 2))
        self.trees = nn.LayerList(
            [Tree(depths[k], channels[k - 1], channels[k], 2, gathers_input=k > 2) for k in range(2, 6)]
        )
        self.channels = tuple(channels[2:])

    def forward(self, image: Tensor, beside: Tensor | None = None) -> list[Tensor]:
        """`beside`: added to the stem's output; what CenterTrack knows of the picture before."""
        x = self.stem(image)
        x = self.flat(x if beside is None else x + beside)
        maps = []
        for tree in self.trees:
            x = tree(x)
            maps.append(x)
        return maps


class Enlarge(nn.Layer):  # type: ignore[misc]
    """A depthwise transposed convolution that begins as bilinear interpolation."""

    def __init__(self, channels: int, factor: int) -> None:
        super().__init__()
        self.conv = nn.Conv2DTranspose(
            channels, channels, 2 * factor, factor, factor // 2, groups=channels, bias_attr=False
        )
        centre = factor - 0.5
        slope = 1 - np.abs(np.arange(2 * factor) - centre) / factor
        kernel = np.tile(np.outer(slope, slope), (channels, 1, 1, 1)).astype(np.float32)
        self.conv.weight.set_value(kernel)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class DeformNorm(nn.Layer):  # type: ignore[misc]
    """A 3x3 convolution whose taps move and weigh as the map says (Zhu et al. 2019), batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        still = nn.initializer.Constant(0.0)
        self.shifts = nn.Conv2D(inputs, 3 * 9, 3, padding=1, weight_attr=still, bias_attr=still)
        self.bent = DeformConv2D(inputs, outputs, 3, padding=1)
        self.norm = nn.BatchNorm2D(outputs)

    def forward(self, x: Tensor) -> Tensor:
        shifts, weights = paddle.split(self.shifts(x), [2 * 9, 9], axis=1)
        return F.relu(self.norm(self.bent(x, shifts, F.sigmoid(weights))))


class Aggregate(nn.Layer):  # type: ignore[misc]
    """Brings deeper maps to the size and width of the first, one after the other adding them up."""

    def __init__(self, width: int, inputs: Sequence[int], factors: Sequence[int], deformable: bool = False) -> None:
        super().__init__()
        block = DeformNorm if deformable else ConvNorm
        self.project = nn.LayerList([block(channels, width) for channels in inputs[1:]])
        self.enlarge = nn.LayerList([Enlarge(width, factor) for factor in factors[1:]])
        self.mix = nn.LayerList([block(width, width) for _ in inputs[1:]])

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """All maps as they came out; the last one holds everything."""
        maps = [*maps]
        for level, (project, enlarge, mix) in enumerate(zip(self.project, self.enlarge, self.mix)):
            maps[level + 1] = mix(enlarge(project(maps[level + 1])) + maps[level])
        return maps


class AggregatingNeck(nn.Layer):  # type: ignore[misc]
    """Four maps at strides 4 to 32 in, one at stride 4 out, of the first one's channels."""

    def __init__(self, channels: Sequence[int], deformable: bool = False) -> None:
        super().__init__()
        widths = [*channels]
        self.width = widths[0]
        self.steps = nn.LayerList()
        inputs = list(widths)
        for start in range(len(widths) - 2, -1, -1):
            factors = [1] + [2] * (len(widths) - 1 - start)
            self.steps.append(Aggregate(widths[start], inputs[start:], factors, deformable))
            inputs[start + 1 :] = [widths[start]] * (len(widths) - 1 - start)
        self.last = Aggregate(self.width, widths[:3], (1, 2, 4), deformable)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        maps = [*maps]
        outs = [maps[-1]]
        for number, step in enumerate(self.steps):
            start = len(maps) - 2 - number
            maps = maps[:start] + step(maps[start:])
            outs.insert(0, maps[-1])
        return self.last(outs[:3])[-1]
