"""Small networks of every family, with weights that say something, and how each is exported.

As a program it exports them all into a folder in the format of Paddle 2 (`.pdmodel`); test_exports.py runs it, in a
process of its own with FLAGS_enable_pir_api=0: Paddle decides for one of its formats when it starts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import paddle

from operators.networks import picodet
from operators.networks.centertrack import CenterTrack
from operators.networks.export import IMAGENET, PERMUTE, UNIT, Raw, Suppressing, letterbox, normalise, resize, save
from operators.networks.fairmot import FairMot
from operators.networks.jde import Jde
from operators.networks.picodet import PicoDet
from operators.networks.ppyoloe import PPYoloE, Size
from operators.networks.reid import LCNetEmbedding, PyramidEmbedding

SIDE = 64
LABELS = ["pedestrian", "car", "bus"]
SHAPE = [1, 3, SIDE, SIDE]
Shape = Sequence[int | None]


def quick_norms(network: paddle.nn.Layer) -> None:
    for layer in network.sublayers():
        if isinstance(layer, paddle.nn.BatchNorm2D):
            layer._momentum = 0.3


def livened(network: paddle.nn.Layer) -> paddle.nn.Layer:
    """Random weights say "nothing" everywhere; these say all kinds of things, of a sensible size."""
    with paddle.no_grad():
        if isinstance(network, FairMot | CenterTrack):
            quick_norms(network)
            for _ in range(4):
                network.neck(network.backbone(paddle.rand([2, 3, 64, 64])))
            for head in (network.heat, network.size, network.offset):
                head.predict.weight.set_value(head.predict.weight * 0.05)
        elif isinstance(network, LCNetEmbedding):
            quick_norms(network)
            for _ in range(4):  # so that norms know what they are to normalise, and something comes out
                network(paddle.randn([2, 3, 64, 32]))
    for name, parameter in network.named_parameters():
        if name.endswith("bias") and ("predict" in name or "heat" in name):
            middle = 2.0 if name == "size.predict.bias" else 0.0  # boxes have an extent
            parameter.set_value(np.random.default_rng(3).normal(middle, 0.5, parameter.shape).astype(np.float32))
    network.eval()
    return network


@dataclass(frozen=True)
class Family:
    """How a network is made, and what `save` is told of it."""

    make: Callable[[], paddle.nn.Layer]
    architecture: str
    inputs: dict[str, Shape]
    steps: list[dict[str, Any]]
    labels: Sequence[str] = ()
    wrap: Callable[[paddle.nn.Layer], paddle.nn.Layer] = lambda network: network

    def build(self) -> paddle.nn.Layer:
        """The same weights at every call, in every process."""
        paddle.seed(7)
        return livened(self.make())

    def save(self, network: paddle.nn.Layer, folder: Path) -> Path:
        given = {"architecture": self.architecture, "labels": self.labels, "preprocess": self.steps}
        return save(self.wrap(network), folder, inputs=self.inputs, **given)  # type: ignore[arg-type]


def one_shot(make: Callable[[], paddle.nn.Layer], architecture: str, labels: Sequence[str]) -> Family:
    inputs: dict[str, Shape] = {"image": [1, 3, 64, 96], "im_shape": [1, 2], "scale_factor": [1, 2]}
    return Family(make, architecture, inputs, [letterbox(64, 96), normalise(UNIT), PERMUTE], labels)


def picodet_tiny() -> PicoDet:
    return PicoDet(3, picodet.Size(0.35, 32, 1))


PICODET_STEPS = [resize(SIDE, SIDE), normalise(IMAGENET), PERMUTE]
ONE_SHOTS = {
    "FairMOT on DLA": one_shot(lambda: FairMot(1, "dla34", top=30, tiny=True), "FairMOT", LABELS[:1]),
    "MCFairMOT on HRNet": one_shot(lambda: FairMot(3, "hrnet18", top=30, tiny=True), "FairMOT", LABELS),
    "JDE": one_shot(lambda: Jde(4, (1, 1, 1, 1, 1)), "JDE", LABELS[:1]),
}
EMBEDDERS = {
    "PP-LCNet": Family(
        lambda: LCNetEmbedding(0.35, 64, 96), "DeepSORT", {"x": [None, 3, 256, 128]}, [normalise(IMAGENET), PERMUTE]
    ),
    "PCB": Family(
        lambda: PyramidEmbedding(50, 8), "DeepSORT", {"crops": [None, 3, 192, 64]}, [normalise(IMAGENET), PERMUTE]
    ),
}
FAMILIES = {
    "PP-YOLOE": Family(
        lambda: PPYoloE(3, Size(0.1, 0.125)),
        "YOLO",
        {"image": [None, 3, SIDE, SIDE], "scale_factor": [None, 2]},
        [resize(SIDE, SIDE), normalise(UNIT), PERMUTE],
        LABELS,
        lambda network: Suppressing(network, floor=0.3),
    ),
    "PicoDet": Family(picodet_tiny, "PicoDet", {"image": [None, 3, SIDE, SIDE]}, PICODET_STEPS, LABELS),
    "PicoDet, raw heads": Family(picodet_tiny, "PicoDet", {"image": [None, 3, SIDE, SIDE]}, PICODET_STEPS, LABELS, Raw),
    "CenterTrack": Family(
        lambda: CenterTrack(3, top=20, tiny=True),
        "CenterTrack",
        {"image": SHAPE, "pre_image": SHAPE, "pre_hm": [1, 1, SIDE, SIDE]},
        [{"type": "WarpAffine", "input_h": SIDE, "input_w": SIDE, "keep_res": False}, normalise(UNIT), PERMUTE],
        LABELS,
    ),
    **ONE_SHOTS,
    **EMBEDDERS,
}


def mend_the_old_format() -> None:
    """Paddle 3.2 lost some operations of its own old format on the way; they are put back here."""
    from paddle import _C_ops
    from paddle.base.framework import Variable
    from paddle.base.layer_helper import LayerHelper

    def operation(kind: str, usual: Callable[..., Any]) -> Callable[..., Any]:
        def run(x: Any, *more: Any, **options: Any) -> Any:
            if not isinstance(x, Variable):
                return usual(x, *more, **options)
            helper = LayerHelper(kind)
            out = helper.create_variable_for_type_inference(x.dtype)
            helper.append_op(type=kind, inputs={"X": x}, outputs={"Out": out})
            return out

        return run

    for kind in ("sigmoid", "sqrt", "floor"):
        setattr(_C_ops, kind, operation(kind, getattr(_C_ops, kind)))


if __name__ == "__main__":
    mend_the_old_format()
    for name, family in FAMILIES.items():
        family.save(family.build(), Path(sys.argv[1]) / name)
