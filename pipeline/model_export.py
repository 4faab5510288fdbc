"""Weights to a folder that everybody reads: those of a training, or PaddleDetection's official ones; and ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from operators.inference import ModelError

BEST = "best.pdparams"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the weights' own names do not tell, or tell wrongly.

    Attributes:
        like: the published model that official weights are of, by name; that of their file if None.
        size: height and width of the input, pixels.
        classes: the classes' names, in their order.
    """

    like: str | None = None
    size: tuple[int, int] | None = None
    classes: Sequence[str] | None = None


def export_weights(source: Path, folder: Path | None, wishes: Wishes) -> Path:
    """Export a training's best epoch, or official weights.

    Args:
        source: a folder of `crosscam train`, or a `.pdparams` file of PaddleDetection's.
        folder: gets the export; `model` in the training's folder, or one named after the file beside it, if None.
        wishes: what to do otherwise than the source says.

    Raises:
        ModelError: the source is neither, or its weights do not fit the network.
    """
    if source.is_dir():
        return _of_training(source, folder or source / "model", wishes)
    return _of_official(source, folder or source.with_suffix(""), wishes)


def _of_training(source: Path, folder: Path, wishes: Wishes) -> Path:
    from operators.networks.blueprint import read_blueprint
    from operators.networks.weights import put, read_state

    if wishes != Wishes():
        raise ModelError(f"{source} says itself what its network is: leave --like, --size and --classes out")
    blueprint = read_blueprint(source)
    if not (source / BEST).is_file():
        raise ModelError(f"{source / BEST} is missing: the training has not evaluated an epoch yet")
    network = blueprint.build()
    put(network, read_state(source / BEST), source / BEST)
    return blueprint.export(network, folder)


def _of_official(source: Path, folder: Path, wishes: Wishes) -> Path:
    from operators.networks.export import IMAGENET, UNIT, export
    from operators.networks.official_weights import (
        class_count,
        input_size,
        labels_of,
        load_official,
        network_of,
    )
    from operators.networks.weights import read_state

    name = wishes.like or source.stem
    state = read_state(source)
    network = network_of(name, state)
    load_official(network, state)
    labels = labels_of(name, state) if wishes.classes is None else tuple(wishes.classes)
    if labels and len(labels) != class_count(state):
        raise ModelError(f"{len(labels)} classes are named, and the weights tell {class_count(state)} apart")
    height, width = wishes.size or input_size(name)
    # PP-YOLOE+ alone takes pictures as they are, from 0 to 1.
    normalisation = UNIT if "ppyoloe_plus" in name else IMAGENET
    iou = 0.7 if "ppyoloe" in name else 0.6
    return export(network, folder, height=height, width=width, labels=labels, normalisation=normalisation, iou=iou)
