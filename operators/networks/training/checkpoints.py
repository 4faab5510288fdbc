"""What is left on disk of a training: checkpoints that another process goes on from, and the log."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import paddle
from paddle import nn

from operators.networks.training.errors import TrainingError


def store(state: Any, path: Path) -> None:
    """Whole or not at all."""
    half = path.with_suffix(".part")
    paddle.save(state, str(half))
    half.replace(path)


def write_log(log: Sequence[Mapping[str, Any]], path: Path) -> None:
    """A row an epoch."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(log[0]))
        writer.writeheader()
        writer.writerows(log)


def snapshot(made_by: Any, layers: Sequence[nn.Layer], optimiser: Any, log: list[dict[str, Any]]) -> dict[str, Any]:
    """All that a training needs to go on.

    Args:
        made_by: plain values that say by what recipe and on what; `restore` refuses others.
        layers: whatever is trained, the optimiser's parameters in this order.
        optimiser: of these layers.
        log: what was reached.
    """
    # Parameters have other names in another process, so that the optimiser's state goes by their order.
    state = optimiser.state_dict()
    moments = [
        {key[len(one.name) :]: value for key, value in state.items() if key.startswith(f"{one.name}_")}
        for one in parameters(layers)
    ]
    return {
        "made_by": made_by,
        "layers": [layer.state_dict() for layer in layers],
        "optimiser": moments,
        "log": log,
    }


def restore(path: Path, made_by: Any, layers: Sequence[nn.Layer], optimiser: Any) -> list[dict[str, Any]]:
    """Put a snapshot's state back, and give its log.

    Raises:
        TrainingError: the file is none of these, or was made by another recipe or on other labels.
    """
    try:
        state = paddle.load(str(path))
        known = state["made_by"]
    except Exception as error:
        raise TrainingError(f"{path} is no checkpoint of this training ({error}); remove it to start anew") from None
    if known != made_by:
        raise TrainingError(f"{path} was trained by another recipe or on other labels; train into another folder")
    for layer, own in zip(layers, state["layers"], strict=True):
        layer.set_state_dict(own)
    moments = zip(parameters(layers), state["optimiser"], strict=True)
    optimiser.set_state_dict({one.name + key: value for one, own in moments for key, value in own.items()})
    log: list[dict[str, Any]] = state["log"]
    return log


def parameters(layers: Sequence[nn.Layer]) -> list[Any]:
    """Of all layers, in order."""
    return [one for layer in layers for one in layer.parameters()]
