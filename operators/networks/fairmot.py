"""FairMOT (Zhang et al., IJCV 2021) and, with several classes, MCFairMOT: points that also say how they look.

On DLA-34, whose published model has deformable convolutions in its neck, or HRNetV2-W18, which has none.
"""

from __future__ import annotations

import paddle
import paddle.nn.functional as F  # noqa: N812 - the name the field uses
from paddle import Tensor, nn

from operators.networks.dla import CHANNELS, AggregatingNeck, Dla
from operators.networks.hrnet import MODULES, HrNet
from operators.networks.in_graph import out_of_letterbox, peaks

STRIDE = 4
EMBEDDING = 128
TOP = 500
_HIDDEN = 256
_RARE = -2.19


class Head(nn.Layer):  # type: ignore[misc]
    """A 3x3 convolution, ReLU, a pointwise one."""

    def __init__(self, inputs: int, outputs: int, bias: float = 0.0, hidden: int = _HIDDEN) -> None:
        super().__init__()
        self.hidden = nn.Conv2D(inputs, hidden, 3, padding=1)
        self.predict = nn.Conv2D(hidden, outputs, 1)
        nn.initializer.Constant(bias)(self.predict.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.predict(F.relu(self.hidden(x)))


class FairMot(nn.Layer):  # type: ignore[misc]
    """FairMOT.

    Args:
        classes: number of classes C.
        backbone: `dla34` or `hrnet18`.
        embedding: length of the embeddings.
        top: how many rows `forward` gives.
        scale: of the backbone's channels; 1 is the published one.
        hidden: channels within a head.
        deformable: convolutions in the neck; slow on a CPU.
        tiny: a network of the same kind, too small to be of use: for tests of exports.

    Attributes:
        on_dla: the backbone is DLA-34.
    """

    def __init__(
        self,
        classes: int = 1,
        backbone: str = "dla34",
        embedding: int = EMBEDDING,
        top: int = TOP,
        scale: float = 1.0,
        hidden: int = _HIDDEN,
        deformable: bool = False,
        tiny: bool = False,
    ) -> None:
        super().__init__()
        self.on_dla = backbone == "dla34"
        if backbone == "dla34":
            self.backbone = Dla([max(round(c * (0.25 if tiny else scale)), 4) for c in CHANNELS])
        elif backbone == "hrnet18":
            self.backbone = HrNet(4, (1, 1, 1), blocks=1) if tiny else HrNet(round(18 * scale), MODULES)
        else:
            raise ValueError(f"there is no backbone {backbone!r}: take dla34 or hrnet18")
        self.neck = AggregatingNeck(self.backbone.channels, deformable)
        self.top = top
        width = self.neck.width
        self.heat = Head(width, classes, _RARE, hidden)
        self.size = Head(width, 4, hidden=hidden)
        self.offset = Head(width, 2, hidden=hidden)
        self.look = Head(width, embedding, hidden=hidden)

    def maps(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """At stride 4: heat (B, C, H, W) in [0, 1], distances of left, top, right, bottom from the centre (B, 4, H, W)
        and the centre's offset in its cell x, y (B, 2, H, W), both in cells, and embeddings (B, D, H, W)."""
        x = self.neck(self.backbone(image))
        return F.sigmoid(self.heat(x)), self.size(x), self.offset(x), self.look(x)

    def forward(self, image: Tensor, im_shape: Tensor, scale_factor: Tensor) -> tuple[Tensor, Tensor]:
        """Find objects in one picture; arguments and results as `Jde.forward`'s, K = `top` rows, peaks of the heat."""
        heat, size, offset, look = self.maps(image)
        scores, classes, cells = peaks(heat, self.top)
        columns = paddle.shape(heat)[3].astype("int64")
        corner = paddle.stack([cells % columns, cells // columns], axis=1).astype("float32")
        centres = corner + at_cells(offset, cells)
        sides = at_cells(size, cells)
        boxes = paddle.concat([centres - sides[:, :2], centres + sides[:, 2:]], axis=1) * STRIDE
        rows = paddle.concat([classes.astype("float32").unsqueeze(1), scores.unsqueeze(1), boxes], axis=1)
        looks = at_cells(look, cells)
        looks = looks / paddle.sqrt((looks * looks).sum(axis=1, keepdim=True) + 1e-12)
        return out_of_letterbox(rows, image, im_shape, scale_factor), looks


def at_cells(maps: Tensor, cells: Tensor) -> Tensor:
    """(K, D) values of (1, D, H, W) at cells (K,)."""
    return paddle.gather(maps.flatten(2)[0].transpose([1, 0]), cells)
