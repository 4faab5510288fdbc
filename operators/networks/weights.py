"""Weights by name: read from a file, and put into a network that must have exactly these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from paddle import nn

from operators.inference import ModelError
from operators.networks.tensor_file import read_saved
from operators.records import Float32

State = dict[str, Float32]
_SHOWN = 3


def read_state(file: Path) -> State:
    """The tensors of a `.pdparams` file by name.

    Raises:
        ModelError: it is missing, damaged, or holds something else.
    """
    if not file.is_file():
        raise ModelError(f"{file}: there is no such file of weights")
    try:
        found = read_saved(file)
    except Exception as error:
        raise ModelError(
            f"{file} cannot be read as Paddle's weights ({type(error).__name__}: {error}): copy it again from where "
            "you trust it"
        ) from error
    if not isinstance(found, Mapping):
        raise ModelError(f"{file} holds no weights by name: a .pdparams file of a whole network is expected")
    return {name: value for name, value in found.items() if isinstance(value, np.ndarray)}


def put(layer: nn.Layer, state: Mapping[str, Any], file: Path) -> None:
    """Put what a training of ours has written into its network. Paddle itself would load what fits and keep silent.

    Args:
        layer: gets the weights.
        state: by the layer's own names.
        file: where they are from, for the error.

    Raises:
        ModelError: names or shapes differ, as after a training by another version of crosscam; nothing is loaded.
    """
    own = layer.state_dict()
    wrong = differences(own, state)
    if wrong:
        raise ModelError(
            f"{file} holds the weights of another network, or was written by a version of crosscam whose network was "
            f"another one: of its tensors {wrong}; export it with that version, or train again into another folder"
        )
    for name, tensor in own.items():
        tensor.set_value(state[name])


def differences(own: Mapping[str, Any], given: Mapping[str, Any], names: Mapping[str, str] | None = None) -> str:
    """What does not fit, in words; empty where everything does.

    Args:
        own: tensors that are wanted.
        given: tensors that there are.
        names: what `given` calls them, by our names; the same where None.
    """
    names = names or {name: name for name in own}
    missing = [name for name in names.values() if name not in given]
    strange = sorted(set(given) - set(names.values()))
    differing = [
        f"{names[name]} is {_shape(given[names[name]])}, not {_shape(tensor)}"
        for name, tensor in own.items()
        if names[name] in given and list(given[names[name]].shape) != list(tensor.shape)
    ]
    found = ((missing, "are missing"), (strange, "have no place in it"), (differing, "differ in shape"))
    return "; ".join(f"{len(some)} {what} ({_first(some)})" for some, what in found if some)


def _first(names: Sequence[str]) -> str:
    return f"{', '.join(names[:_SHOWN])}{', ...' if len(names) > _SHOWN else ''}"


def _shape(tensor: Any) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"
