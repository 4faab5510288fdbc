"""Read what PaddleDetection writes beside an exported model: `infer_cfg.yml`, or `inference.yml` in newer exports.

Every key is optional and unknown ones are passed over: the format has grown over the years, and users own files of all
of them. What matters here is how pictures are prepared, what the classes are called, and the threshold of
non-maximum suppression.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from operators.inference import ModelError
from operators.preprocess import Preprocessing, Resizing

CONFIGURATION_NAMES = ("infer_cfg.yml", "inference.yml")

_COCO_NAMES = """
    person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign,
    parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella,
    handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove,
    skateboard, surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple,
    sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining
    table, toilet, tv, laptop, mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink,
    refrigerator, book, clock, vase, scissors, teddy bear, hair drier, toothbrush
"""
COCO = tuple(name.strip() for name in _COCO_NAMES.split(","))
"""What detectors trained on COCO call their eighty classes."""

# What PaddleDetection's own deployment code fills in, and takes where a key is absent.
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_LETTERBOX_GREY = 127.5
_PAD_GREY = 114.0
_AREA, _LINEAR = 3, 1


@dataclass(frozen=True)
class Description:
    """What is known of a detector beside its network.

    Attributes:
        preprocessing: how pictures are prepared.
        labels: names of its classes, in their order; empty where the file names none.
        iou: threshold of non-maximum suppression; None where the file says nothing.
    """

    preprocessing: Preprocessing
    labels: tuple[str, ...] = ()
    iou: float | None = None


def find_configuration(folder: Path) -> Path | None:
    """The configuration in a model's folder, if there is one."""
    return next((folder / name for name in CONFIGURATION_NAMES if (folder / name).is_file()), None)


def read_configuration(file: Path) -> Description:
    """Read a configuration.

    Raises:
        ModelError: it is no YAML map, or a step of the preprocessing is one that no detector here needs.
    """
    try:
        content = YAML(typ="safe").load(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise ModelError(f"{file} cannot be read as YAML ({type(error).__name__}): export the model again") from error
    if not isinstance(content, Mapping):
        raise ModelError(f"{file} describes no model: a map with the key Preprocess is expected")
    try:
        suppression = content.get("NMS") or {}
        iou = suppression.get("nms_threshold")
        return Description(
            preprocessing=_preprocessing(content.get("Preprocess") or []),
            labels=tuple(str(name) for name in content.get("label_list") or ()),
            iou=None if iou is None else float(iou),
        )
    except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
        raise ModelError(f"{file} is not laid out as PaddleDetection's exports are: {error!r}") from error
    except ModelError as error:
        raise ModelError(f"{file}: {error}") from error


def _preprocessing(steps: list[Mapping[str, Any]]) -> Preprocessing:
    """The steps of an export, in their order, as one operation."""
    found = Preprocessing(Resizing(0, 0))
    normalised = False
    for step in steps:
        kind = step["type"]
        if kind in ("Resize", "LetterBoxResize"):
            height, width = _pair(step["target_size"])
            boxed = kind == "LetterBoxResize"
            resizing = Resizing(
                height,
                width,
                keep_ratio=boxed or bool(step.get("keep_ratio", True)),
                interpolation=_AREA if boxed else int(step.get("interp", _LINEAR)),
                fill=boxed,
                centred=boxed,
                pad_to=found.resizing.pad_to,
            )
            found = replace(found, resizing=resizing, padding=_LETTERBOX_GREY if boxed else found.padding)
        elif kind == "NormalizeImage":
            found = _normalising(found, step)
            normalised = True
        elif kind == "PadStride":
            stride = int(step.get("stride") or 0)
            # Padding before normalising is black; after it, it is the mean.
            padding = None if normalised else 0.0
            found = replace(found, resizing=replace(found.resizing, pad_to=max(1, stride)), padding=padding)
        elif kind == "Pad":
            height, width = _pair(step["size"])
            value = step.get("fill_value", _PAD_GREY)
            grey = float(value[0] if isinstance(value, list) else value)
            resizing = replace(found.resizing, height=height, width=width, fill=True)
            found = replace(found, resizing=resizing, padding=None if normalised else grey)
        elif kind != "Permute":
            raise ModelError(f"preprocessing has a step {kind!r}, which no detector here needs: it cannot be followed")
    if not found.resizing.height:
        raise ModelError("preprocessing has no Resize with a target_size: add the one the network was trained with")
    return found


def _normalising(found: Preprocessing, step: Mapping[str, Any]) -> Preprocessing:
    unit = 255.0 if step.get("is_scale", True) else 1.0
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if step.get("norm_type", "mean_std") == "mean_std":
        mean = _three(step.get("mean", _IMAGENET_MEAN))
        std = _three(step.get("std", _IMAGENET_STD))
    return replace(found, mean=_three([unit * m for m in mean]), std=_three([unit * s for s in std]))


def _pair(value: Any) -> tuple[int, int]:
    height, width = (value, value) if isinstance(value, int) else value
    return int(height), int(width)


def _three(values: Any) -> tuple[float, float, float]:
    first, second, third = (float(v) for v in values)
    return first, second, third
