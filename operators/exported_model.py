"""Read what PaddleDetection writes beside an exported model: `infer_cfg.yml`, or `inference.yml` in newer exports.

Every key is optional and unknown ones are passed over, said at debug level: the format has grown over the years, and
users own files of all of them. What matters here is how pictures are prepared, what the classes are called, which
architecture it is, and the threshold of non-maximum suppression.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from operators.inference import ModelError
from operators.preprocess import Preprocessing, Resizing

_log = logging.getLogger(__name__)

CONFIGURATION_NAMES = ("infer_cfg.yml", "inference.yml")

ONE_SHOT = ("FairMOT", "JDE")
"""Architectures that give every object's embedding along with its box."""

_KNOWN_KEYS = (
    *("Preprocess", "NMS", "arch", "label_list", "draw_threshold", "metric", "mode", "use_dynamic_shape"),
    *("min_subgraph_size", "tracker", "fpn_stride", "mask"),
)
_KNOWN_FIELDS = {
    "Resize": "target_size keep_ratio interp",
    "LetterBoxResize": "target_size",
    "NormalizeImage": "mean std is_scale norm_type",
    "Permute": "",
    "PadStride": "stride",
    "Pad": "size fill_value",
    "WarpAffine": "keep_res pad input_h input_w down_ratio",
}

# What PaddleDetection's own deployment code fills in, and takes where a key is absent.
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_LETTERBOX_GREY = 127.5
_PAD_GREY = 114.0
_AREA, _LINEAR = 3, 1


@dataclass(frozen=True)
class Description:
    """What is known of a model beside its network.

    Attributes:
        preprocessing: how pictures are prepared; a height and width of 0 where the file does not say to which size.
        labels: names of its classes, in their order; empty where the file names none.
        iou: threshold of non-maximum suppression; None where the file says nothing.
        architecture: as PaddleDetection calls it (YOLO, GFL, FairMOT, ...); "" where the file says nothing.
    """

    preprocessing: Preprocessing
    labels: tuple[str, ...] = ()
    iou: float | None = None
    architecture: str = ""

    @property
    def one_shot(self) -> bool:
        """It gives embeddings along with the boxes."""
        return self.architecture in ONE_SHOT

    @property
    def looks_back(self) -> bool:
        """It is shown the picture before, too, and says how far objects have moved since."""
        return self.architecture == "CenterTrack"

    @property
    def sized(self) -> bool:
        """It says how large pictures are to be, or that they keep their size."""
        return self.preprocessing.resizing.height > 0 or self.preprocessing.resizing.warp


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
    for key in content:
        if key not in _KNOWN_KEYS:
            _log.debug("%s: the key %s is not known and not needed", file, key)
    try:
        suppression = content.get("NMS") or {}
        iou = suppression.get("nms_threshold")
        return Description(
            preprocessing=_preprocessing(content.get("Preprocess") or [], file),
            labels=tuple(str(name) for name in content.get("label_list") or ()),
            iou=None if iou is None else float(iou),
            architecture=str(content.get("arch") or ""),
        )
    except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
        raise ModelError(f"{file} is not laid out as PaddleDetection's exports are: {error!r}") from error
    except ModelError as error:
        raise ModelError(f"{file}: {error}") from error


def _preprocessing(steps: Sequence[Mapping[str, Any]], file: Path) -> Preprocessing:
    """The steps of an export, in their order, as one operation."""
    found = Preprocessing(Resizing(0, 0))
    normalised = False
    for step in steps:
        kind = step["type"]
        for field in step:
            if kind in _KNOWN_FIELDS and field not in ("type", *_KNOWN_FIELDS[kind].split()):
                _log.debug("%s: %s.%s is not known and passed over", file, kind, field)
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
        elif kind == "WarpAffine":
            found = replace(found, resizing=_warping(step), bgr=True)
        elif kind != "Permute":
            raise ModelError(f"preprocessing has a step {kind!r}, which no detector here needs: it cannot be followed")
    return found


def _warping(step: Mapping[str, Any]) -> Resizing:
    """CenterNet's way. Its pictures are turned to blue first, and stay so."""
    if step.get("keep_res", False):
        return Resizing(0, 0, pad_to=int(step.get("pad", 31)) + 1, warp=True)
    return Resizing(int(step.get("input_h", 512)), int(step.get("input_w", 512)), warp=True)


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
