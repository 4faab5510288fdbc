"""ReID networks: PP-LCNet with a short head, and PCB's pyramid of stripes on a ResNet (Zheng et al. 2019)."""

from __future__ import annotations

import paddle
import paddle.nn.functional as F  # noqa: N812 - the name the field uses
from paddle import Tensor, nn
from paddle.vision.models import resnet50, resnet101

from operators.networks.layers import ConvNorm
from operators.networks.lcnet import LCNet

STRIPES = 6
BRANCH = 128


class LCNetEmbedding(nn.Layer):  # type: ignore[misc]
    """PP-LCNet, mean over the picture, 1280 channels, `embedding` numbers. Scale 2.5 is the published one."""

    def __init__(self, scale: float = 2.5, embedding: int = 512, hidden: int = 1280) -> None:
        super().__init__()
        self.backbone = LCNet(scale)
        self.widen = nn.Conv2D(self.backbone.channels[-1], hidden, 1, bias_attr=False)
        self.project = nn.Linear(hidden, embedding)

    def forward(self, x: Tensor) -> Tensor:
        """(N, embedding), not normalised, for crops (N, 3, H, W), RGB, ImageNet-normalised."""
        x = F.adaptive_avg_pool2d(self.backbone(x)[-1], 1)
        return self.project(F.hardswish(self.widen(x)).flatten(1))


class PyramidEmbedding(nn.Layer):  # type: ignore[misc]
    """Every run of one to six neighbouring stripes of a ResNet's last map by itself: 21 branches of 128.

    Args:
        depth: 50 or 101 (the published one).
        width: channels of a branch.
    """

    def __init__(self, depth: int = 101, width: int = BRANCH) -> None:
        super().__init__()
        network = {50: resnet50, 101: resnet101}[depth](num_classes=0, with_pool=False)
        # Twice the stripes' resolution: the last stage keeps the size.
        network.layer4[0].conv2._stride = [1, 1]
        network.layer4[0].downsample[0]._stride = [1, 1]
        self.backbone = network
        self.runs = [(first, count) for count in range(1, STRIPES + 1) for first in range(STRIPES - count + 1)]
        self.branches = nn.LayerList([ConvNorm(2048, width, 1) for _ in self.runs])

    def forward(self, x: Tensor) -> Tensor:
        """(N, 21 x width), not normalised, for crops (N, 3, H, W), RGB, ImageNet-normalised; H a multiple of 96."""
        x = self.backbone(x)
        stripe = x.shape[2] // STRIPES
        parts = []
        for (first, count), branch in zip(self.runs, self.branches):
            part = x[:, :, first * stripe : (first + count) * stripe]
            pooled = F.adaptive_avg_pool2d(part, 1) + F.adaptive_max_pool2d(part, 1)
            parts.append(branch(pooled).flatten(1))
        return paddle.concat(parts, axis=1)
