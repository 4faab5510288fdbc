"""CenterTrack (Zhou et al., ECCV 2020): objects as points, and where each was in the picture before."""

from __future__ import annotations

import paddle
import paddle.nn.functional as F  # noqa: N812 - the name the field uses
from paddle import Tensor, nn

from operators.networks.dla import CHANNELS, AggregatingNeck, Dla
from operators.networks.fairmot import Head, at_cells
from operators.networks.in_graph import peaks
from operators.networks.layers import ConvNorm

TOP = 100
_RARE = -4.6


class CenterTrack(nn.Layer):  # type: ignore[misc]
    """CenterTrack on DLA-34.

    Args:
        classes: number of classes.
        top: how many rows `forward` gives.
        tiny: a network of the same kind, too small to be of use: for tests of exports.
    """

    def __init__(self, classes: int = 1, top: int = TOP, tiny: bool = False) -> None:
        super().__init__()
        channels = [c // 4 for c in CHANNELS] if tiny else list(CHANNELS)
        self.backbone = Dla(channels)
        self.neck = AggregatingNeck(self.backbone.channels)
        self.top = top
        self.before = ConvNorm(3, channels[0], 7)
        self.heat_before = ConvNorm(1, channels[0], 7)
        width = self.neck.width
        self.heat = Head(width, classes, _RARE)
        self.size = Head(width, 4)
        self.offset = Head(width, 2)
        self.motion = Head(width, 2)

    def forward(self, image: Tensor, pre_image: Tensor, pre_hm: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Find objects in one picture.

        Args:
            image: (1, 3, H, W) float32, BGR, normalised.
            pre_image: the picture before, likewise.
            pre_hm: (1, 1, H, W) in [0, 1], where objects were in it.

        Returns:
            rows (K, 6) of class, score, xyxy; centres (K, 2); what to add to a centre for where it was (K, 2): all in
            cells, a quarter of the input.
        """
        x = self.neck(self.backbone(image, self.before(pre_image) + self.heat_before(pre_hm)))
        scores, classes, cells = peaks(F.sigmoid(self.heat(x)), self.top)
        columns = paddle.shape(x)[3].astype("int64")
        corner = paddle.stack([cells % columns, cells // columns], axis=1).astype("float32")
        centres = corner + at_cells(self.offset(x), cells)
        sides = at_cells(self.size(x), cells)
        boxes = paddle.concat([centres - sides[:, :2], centres + sides[:, 2:]], axis=1)
        rows = paddle.concat([classes.astype("float32").unsqueeze(1), scores.unsqueeze(1), boxes], axis=1)
        return rows, centres, at_cells(self.motion(x), cells)
