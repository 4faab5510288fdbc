"""JDE (Wang et al., ECCV 2020): YOLOv3 on DarkNet53 whose every anchor cell also says how its object looks."""

from __future__ import annotations

import paddle
import paddle.nn.functional as F  # noqa: N812 - the name the field uses
from paddle import Tensor, nn

from operators.networks.darknet import DarkNet, leaky
from operators.networks.in_graph import out_of_letterbox, suppress_in_graph
from operators.networks.layers import ConvNorm

STRIDES = (32, 16, 8)
ANCHORS = (
    ((128, 384), (180, 540), (256, 640), (512, 640)),
    ((32, 96), (45, 135), (64, 192), (90, 271)),
    ((8, 24), (11, 34), (16, 48), (23, 68)),
)
"""Per level (width, height) in pixels of an input of 1088x608."""
TRAINED_WIDTH = 1088
EMBEDDING = 512
FLOOR, IOU, LIMIT = 0.3, 0.5, 500


class Block(nn.Layer):  # type: ignore[misc]
    """Five convolutions, wide and narrow in turn: the route to the next level; and a sixth, the tip to predict from."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.route = nn.Sequential(
            ConvNorm(inputs, width, 1, activation=leaky),
            ConvNorm(width, 2 * width, 3, activation=leaky),
            ConvNorm(2 * width, width, 1, activation=leaky),
            ConvNorm(width, 2 * width, 3, activation=leaky),
            ConvNorm(2 * width, width, 1, activation=leaky),
        )
        self.tip = ConvNorm(width, 2 * width, 3, activation=leaky)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        route = self.route(x)
        return route, self.tip(route)


class Jde(nn.Layer):  # type: ignore[misc]
    """JDE for one class.

    Args:
        width: of DarkNet's stem, 32 in the published model.
        depths: blocks a stage.
        embedding: length of the embeddings.
    """

    def __init__(self, width: int = 32, depths: tuple[int, ...] = (1, 2, 8, 8, 4), embedding: int = EMBEDDING) -> None:
        super().__init__()
        self.backbone = DarkNet(width, depths)
        c3, c4, c5 = self.backbone.channels
        self.blocks = nn.LayerList(
            [Block(c5, c5 // 2), Block(c4 + c5 // 4, c4 // 2), Block(c3 + c4 // 4, c3 // 2)],
        )
        self.narrow = nn.LayerList([ConvNorm(c // 2, c // 4, 1, activation=leaky) for c in (c5, c4)])
        per_level = len(ANCHORS[0])
        self.predictors = nn.LayerList([nn.Conv2D(c, per_level * 6, 1) for c in (c5, c4, c3)])
        self.embedders = nn.LayerList([nn.Conv2D(c // 2, embedding, 3, padding=1) for c in (c5, c4, c3)])

    def levels(self, image: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Per level, stride 32 first: (B, 24, H, W), per anchor 4 of the box and 2 logits, background first; and
        embeddings (B, 512, H, W), not normalised."""
        found = []
        above = None
        for level, x in enumerate(reversed(self.backbone(image))):
            if above is not None:
                above = F.interpolate(self.narrow[level - 1](above), size=paddle.shape(x)[2:], mode="nearest")
                x = paddle.concat([above, x], axis=1)
            above, tip = self.blocks[level](x)
            found.append((self.predictors[level](tip), self.embedders[level](above)))
        return found

    def decode(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes (B, A, 4), xyxy in input pixels, scores (B, A) and L2-normalised embeddings (B, A, 512)."""
        boxes, scores, looks = [], [], []
        scale = paddle.shape(image)[3].astype("float32") / TRAINED_WIDTH
        for (raw, look), anchors, stride in zip(self.levels(image), ANCHORS, STRIDES):
            height, width = paddle.shape(raw)[2], paddle.shape(raw)[3]
            raw = raw.reshape([0, len(anchors), 6, -1]).transpose([0, 1, 3, 2])
            sizes = paddle.to_tensor(anchors, dtype="float32").reshape([1, len(anchors), 1, 2]) * scale
            y, x = paddle.meshgrid(paddle.arange(height, dtype="float32"), paddle.arange(width, dtype="float32"))
            cells = paddle.stack([x.flatten(), y.flatten()], axis=1).reshape([1, 1, -1, 2]) * stride
            centres = raw[:, :, :, :2] * sizes + cells
            halves = paddle.exp(raw[:, :, :, 2:4]) * sizes / 2
            boxes.append(paddle.concat([centres - halves, centres + halves], axis=3).flatten(1, 2))
            scores.append(F.softmax(raw[:, :, :, 4:], axis=3)[:, :, :, 1].flatten(1, 2))
            unit = look / paddle.sqrt((look * look).sum(axis=1, keepdim=True) + 1e-12)
            unit = unit.flatten(2).transpose([0, 2, 1])
            looks.append(paddle.concat([unit] * len(anchors), axis=1))
        return paddle.concat(boxes, axis=1), paddle.concat(scores, axis=1), paddle.concat(looks, axis=1)

    def forward(self, image: Tensor, im_shape: Tensor, scale_factor: Tensor) -> tuple[Tensor, Tensor]:
        """Find objects in one picture.

        Args:
            image: (1, 3, H, W) float32, RGB in [0, 1]; the picture lies in the middle of it.
            im_shape: (1, 2), height and width of the picture within.
            scale_factor: (1, 2), input pixels per picture pixel, y and x.

        Returns:
            rows (N, 6) of class, score, xyxy in pixels of the picture; embeddings (N, 512), L2-normalised.
        """
        boxes, scores, looks = self.decode(image)
        rows, places, _ = suppress_in_graph(boxes, scores.unsqueeze(1), FLOOR, IOU, LIMIT)
        looks = paddle.gather(looks.flatten(0, 1), places.flatten())
        return out_of_letterbox(rows, image, im_shape, scale_factor), looks
