"""HRNetV2-W18 (Wang et al. 2019): four resolutions side by side that keep telling each other what they see."""

from __future__ import annotations

import paddle.nn.functional as F  # noqa: N812 - the name the field uses
from paddle import Tensor, nn

from operators.networks.layers import ConvNorm

MODULES = (1, 4, 3)
BLOCKS = 4


class Bottleneck(nn.Layer):  # type: ignore[misc]
    """1x1, 3x3, 1x1 to four times the width, and the way around them."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            ConvNorm(inputs, width, 1), ConvNorm(width, width, 3), ConvNorm(width, 4 * width, 1, activation=None)
        )
        self.around = None if inputs == 4 * width else ConvNorm(inputs, 4 * width, 1, activation=None)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.path(x) + (x if self.around is None else self.around(x)))


class Basic(nn.Layer):  # type: ignore[misc]
    """Two 3x3 convolutions and the way around them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.path = nn.Sequential(ConvNorm(width, width, 3), ConvNorm(width, width, 3, activation=None))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.path(x) + x)


class Exchange(nn.Layer):  # type: ignore[misc]
    """One module: blocks on every branch, then every branch gets the sum of all, brought to its size."""

    def __init__(self, widths: tuple[int, ...], blocks: int = BLOCKS) -> None:
        super().__init__()
        self.branches = nn.LayerList([nn.Sequential(*[Basic(width) for _ in range(blocks)]) for width in widths])
        self.paths = nn.LayerList()
        for to, width in enumerate(widths):
            row = nn.LayerList()
            for source, own in enumerate(widths):
                if source > to:
                    row.append(ConvNorm(own, width, 1, activation=None))
                elif source < to:
                    steps = [ConvNorm(own, own, 3, 2) for _ in range(to - source - 1)]
                    row.append(nn.Sequential(*steps, ConvNorm(own, width, 3, 2, activation=None)))
                else:
                    row.append(nn.Identity())
            self.paths.append(row)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        maps = [branch(x) for branch, x in zip(self.branches, maps)]
        outs = []
        for to, row in enumerate(self.paths):
            total = maps[to]
            for source, (path, x) in enumerate(zip(row, maps)):
                if source > to:
                    total = total + F.interpolate(path(x), scale_factor=2 ** (source - to), mode="nearest")
                elif source < to:
                    total = total + path(x)
            outs.append(F.relu(total))
        return outs


class HrNet(nn.Layer):  # type: ignore[misc]
    """HRNetV2 of that width (18 is the light one); `forward` gives maps at strides 4, 8, 16 and 32."""

    def __init__(self, width: int = 18, modules: tuple[int, ...] = MODULES, blocks: int = BLOCKS) -> None:
        super().__init__()
        self.stem = nn.Sequential(ConvNorm(3, 64, 3, 2), ConvNorm(64, 64, 3, 2))
        self.first = nn.Sequential(*[Bottleneck(64 if k == 0 else 256, 64) for k in range(4)])
        self.channels = tuple(width * 2**level for level in range(4))
        self.begin = nn.LayerList()
        self.stages = nn.LayerList()
        last = (256,)
        for stage, count in enumerate(modules):
            widths = self.channels[: stage + 2]
            entries = nn.LayerList()
            for level, wide in enumerate(widths):
                if level < len(last):
                    same = last[level] == wide
                    entries.append(nn.Identity() if same else ConvNorm(last[level], wide, 3))
                else:
                    entries.append(ConvNorm(last[-1], wide, 3, 2))
            self.begin.append(entries)
            self.stages.append(nn.LayerList([Exchange(widths, blocks) for _ in range(count)]))
            last = widths

    def forward(self, image: Tensor) -> list[Tensor]:
        maps = [self.first(self.stem(image))]
        for entries, stage in zip(self.begin, self.stages):
            known = len(maps)
            maps = [entry(maps[min(level, known - 1)]) for level, entry in enumerate(entries)]
            for module in stage:
                maps = module(maps)
        return maps
