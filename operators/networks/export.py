"""Networks as folders that `open_detector` reads, in PaddleDetection's layout: program, parameters, infer_cfg.yml."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import paddle
from paddle import Tensor, nn
from ruamel.yaml import YAML

from operators.networks.in_graph import suppress_in_graph, to_picture

IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "is_scale": True, "norm_type": "mean_std"}
UNIT = {"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0], "is_scale": True, "norm_type": "none"}


class Suppressing(nn.Layer):  # type: ignore[misc]
    """A detector with its suppression inside: rows (N, 6) of class, score, xyxy of the picture; counts (B,)."""

    def __init__(self, network: nn.Layer, floor: float = 0.025, iou: float = 0.6, limit: int = 300) -> None:
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
