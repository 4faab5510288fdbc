"""Networks as folders that `open_detector` reads, in PaddleDetection's layout: program, parameters, infer_cfg.yml."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import paddle
from paddle import Tensor, nn
from ruamel.yaml import YAML

from operators.networks.fairmot import FairMot
from operators.networks.in_graph import suppress_in_graph, to_picture
from operators.networks.jde import Jde
from operators.networks.picodet import PicoDet
from operators.networks.ppyoloe import PPYoloE

IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "is_scale": True, "norm_type": "mean_std"}
UNIT = {"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0], "is_scale": True, "norm_type": "none"}
FLOOR, IOU, LIMIT = 0.025, 0.6, 300
"""Of a detector's suppression: least score, overlap, boxes a picture."""


class Suppressing(nn.Layer):  # type: ignore[misc]
    """A detector with its suppression inside: rows (N, 6) of class, score, xyxy of the picture; counts (B,)."""

    def __init__(self, network: nn.Layer, floor: float = FLOOR, iou: float = IOU, limit: int = LIMIT) -> None:
        super().__init__()
        self.network, self.floor, self.iou, self.limit = network, floor, iou, limit

    def forward(self, image: Tensor, scale_factor: Tensor) -> tuple[Tensor, Tensor]:
        boxes, scores = self.network(image)
        rows, _, counts = suppress_in_graph(to_picture(boxes, scale_factor), scores, self.floor, self.iou, self.limit)
        return rows, counts


class Raw(nn.Layer):  # type: ignore[misc]
    """PicoDet as its raw export: scores of every level, then sides of every level."""

    def __init__(self, network: nn.Layer) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> list[Tensor]:
        scores, sides = self.network.levels(image)
        return [*scores, *sides]


def export(
    network: nn.Layer,
    folder: Path,
    *,
    height: int,
    width: int,
    labels: Sequence[str] = (),
    normalisation: dict[str, Any] | None = None,
    iou: float = IOU,
) -> Path:
    """Export a detector (suppression inside), a one-shot tracker or a ReID network as PaddleDetection does its own.

    Args:
        network: `PicoDet`, `PPYoloE`, `FairMot`, `Jde`, or one that makes embeddings of crops.
        folder, labels: as `save`'s.
        height, width: of the network's input, pixels.
        normalisation: of a detector's input; `IMAGENET` if None.
        iou: overlap of a detector's suppression.
    """
    if isinstance(network, FairMot | Jde):
        return save(
            network,
            folder,
            inputs={"image": [1, 3, height, width], "im_shape": [1, 2], "scale_factor": [1, 2]},
            architecture="JDE" if isinstance(network, Jde) else "FairMOT",
            labels=labels,
            preprocess=[letterbox(height, width), normalise(UNIT), PERMUTE],
        )
    if isinstance(network, PicoDet | PPYoloE):
        return save(
            Suppressing(network, iou=iou),
            folder,
            inputs={"image": [None, 3, height, width], "scale_factor": [None, 2]},
            architecture="GFL" if isinstance(network, PicoDet) else "YOLO",
            labels=labels,
            preprocess=[resize(height, width), normalise(normalisation or IMAGENET), PERMUTE],
        )
    # Crops are stretched linearly, as in training.
    steps = [{**resize(height, width), "interp": 1}, normalise(IMAGENET), PERMUTE]
    return save(network, folder, inputs={"x": [None, 3, height, width]}, architecture="DeepSORT", preprocess=steps)


def save(
    network: nn.Layer,
    folder: Path,
    *,
    inputs: dict[str, Sequence[int | None]],
    architecture: str,
    labels: Sequence[str] = (),
    preprocess: Sequence[dict[str, Any]] = (),
    iou: float | None = None,
) -> Path:
    """Export a network.

    Args:
        network: in `eval` mode afterwards.
        folder: made if it is not there.
        inputs: names and shapes of the inputs in their order, None where a side is free.
        architecture: as PaddleDetection calls it.
        labels: the classes' names.
        preprocess: the steps, as infer_cfg.yml has them.
        iou: threshold of the suppression that is left to do, if it is.

    Returns:
        The folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    network.eval()
    specification = [paddle.static.InputSpec(list(shape), "float32", name) for name, shape in inputs.items()]
    with warnings.catch_warnings():
        # Paddle warns of its own ways.
        warnings.simplefilter("ignore")
        static = paddle.jit.to_static(network, input_spec=specification, full_graph=True)
        paddle.jit.save(static, str(folder / "model"))
    configuration: dict[str, Any] = {
        "mode": "paddle",
        "draw_threshold": 0.5,
        "metric": "MOT" if architecture in ("FairMOT", "JDE") else "COCO",
        "use_dynamic_shape": False,
        "arch": architecture,
        "min_subgraph_size": 3,
        "Preprocess": [dict(step) for step in preprocess],
        "label_list": list(labels),
    }
    if iou is not None:
        configuration["NMS"] = {"name": "MultiClassNMS", "nms_threshold": iou, "score_threshold": 0.025}
    with (folder / "infer_cfg.yml").open("w", encoding="utf-8") as file:
        YAML().dump(configuration, file)
    return folder


def resize(height: int, width: int) -> dict[str, Any]:
    """Stretched to that size."""
    return {"type": "Resize", "target_size": [height, width], "keep_ratio": False, "interp": 2}


def letterbox(height: int, width: int) -> dict[str, Any]:
    """In the middle of that size."""
    return {"type": "LetterBoxResize", "target_size": [height, width]}


def normalise(how: dict[str, Any]) -> dict[str, Any]:
    """`IMAGENET` or `UNIT`."""
    return {"type": "NormalizeImage", **how}


PERMUTE = {"type": "Permute"}
