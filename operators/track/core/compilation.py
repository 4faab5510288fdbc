"""How one source runs twice: compiled by numba, or as plain NumPy where numba is missing or not wanted.

A *kernel* is a function with a NumPy body; `loops_for` gives it a second body, in loops, that compiled code calls
instead. `both_ways` is for a kernel whose one body serves both. A *step* (`entry`) is a strategy's whole frame: written
once, it calls kernels, and is compiled as one unit, so that a frame costs one call. The two bodies of a kernel do the
same arithmetic in the same order, so both paths give the same bits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

try:
    import numba
    from numba.core import types
    from numba.extending import intrinsic, overload
except ImportError:  # the NumPy path serves alone
    numba = None

AVAILABLE = numba is not None
Function = TypeVar("Function", bound=Callable[..., Any])
_OPTIONS = {"error_model": "numpy", "nogil": True}


@cache
def _sources_digest() -> str:
    """Names the state of every file that can end up in a compiled step.

    numba looks only at the file of the function that it caches; a step also contains kernels from other files, and
    a cache that does not notice their change would run old code.
    """
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def entry(function: Function) -> Function:
    """A step: compiled on first use and kept on disk for later processes; `.py_func` is the NumPy path."""
    if not AVAILABLE:
        return function
    dispatcher = numba.njit(cache=True, **_OPTIONS)(function)
    stored: Any = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if hasattr(stored, "_source_stamp"):
        stored._source_stamp = _sources_digest()
    return dispatcher  # type: ignore[no-any-return]


def path_of(step: Any, compiled: bool) -> Any:
    """The compiled or the NumPy form of `step`."""
    return step if compiled or not AVAILABLE else step.py_func


def loops_for(kernel: Callable[..., Any]) -> Callable[[Function], Function]:
    """Gives `kernel` the decorated function as its body in compiled code."""

    def register(loops: Function) -> Function:
        if AVAILABLE:
            overload(kernel, jit_options=dict(_OPTIONS), strict=False)(lambda *arguments: loops)
        return loops

    return register


def both_ways(kernel: Function) -> Function:
    """Lets compiled code call `kernel`, whose one body is fit for both paths."""
    loops_for(kernel)(kernel)
    return kernel


def _pointer_at(_: Any, address: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return types.voidptr(address), generate


if AVAILABLE:
    pointer_at = intrinsic(_pointer_at)  # in compiled code: the memory at an address
