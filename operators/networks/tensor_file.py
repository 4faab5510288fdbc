"""Reads what `paddle.save` has written, without running what a file says.

Such a file is a pickle, which may name any function of Python for whoever reads it to call, and weights are copied from
anywhere. Here a file may name what arrays are made of and nothing else.
"""

from __future__ import annotations

import codecs
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

# Paddle's own entries beside the tensors: names of parameters, and which pieces an array of gigabytes is in.
_NAMES, _PIECES = "StructuredToParameterName@@", "UnpackBigParamInfor@@"
_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")


def read_saved(file: Path) -> Any:
    """What was saved, tensors as arrays.

    Raises:
        OSError, pickle.UnpicklingError, ValueError, ...: whatever a damaged file leads to.
    """
    with file.open("rb") as opened:
        return _plain(_Reader(opened, encoding="latin1").load())


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        known = _KNOWN.get((module.replace("__builtin__", "builtins"), name))
        if known is None:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no weights need")
        return known

    def persistent_load(self, name: Any) -> NoReturn:
        raise pickle.UnpicklingError("it refers to something outside of it")


def _array_of(expression: str, values: Mapping[str, Any]) -> Any:
    """Older tensors are saved as the call eval("data", {"data": array})."""
    if expression != "data" or not isinstance(values.get("data"), np.ndarray):
        raise pickle.UnpicklingError("it asks for an expression to be evaluated")
    return values["data"]


def _bytes_of(text: str, encoding: str) -> bytes:
    """As old pickles hold them."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the encoding {encoding}")
    return codecs.encode(text, "latin1")


# NumPy's own functions by which its pickles make arrays and scalars.
_MULTIARRAY: dict[str, Any] = {"_reconstruct": np.zeros(1).__reduce__()[0], "scalar": np.float64(0).__reduce__()[0]}

_KNOWN: dict[tuple[str, str], Any] = {
    ("builtins", "tuple"): tuple,
    ("builtins", "eval"): _array_of,
    ("collections", "OrderedDict"): OrderedDict,
    ("_codecs", "encode"): _bytes_of,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    **{(module, name): made for module in _MODULES for name, made in _MULTIARRAY.items()},
}


def _plain(value: Any) -> Any:
    """Arrays for Paddle's pairs of a name and an array, without what it keeps beside them."""
    if isinstance(value, dict):
        whole = {
            name: np.concatenate([value[part] for part in pieces["slices"]]).reshape(pieces["OriginShape"])
            for name, pieces in value.get(_PIECES, {}).items()
        }
        parts = {part for pieces in value.get(_PIECES, {}).values() for part in pieces["slices"]}
        return {
            name: _plain(one)
            for name, one in {**value, **whole}.items()
            if name not in parts and name not in (_NAMES, _PIECES)
        }
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, tuple):
        if len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], np.ndarray):
            return value[1]
        return tuple(_plain(one) for one in value)
    return value
