"""Strategies that begin with something right and spoil it: most of what they give is nearly understood."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

from hypothesis import strategies as st

_ODD_TEXT = (
    "", " ", "0", "-1", "1e999", "nan", "null", "~", "none", "true", "x" * 300, "\x00", "é\u202e☃", "../../etc/passwd",
    "${HOME}", "${NOT_SET}", "${}", "{n}", "{n:99999d}", "{n:d", "rtsp://", "rtsp://a:b@c:99999/x", "http://[::1",
    "simulated:", "simulated:people=-1", "simulated:cameras=1e9", "detections:", "detections:.", "5m", "-5m", "9" * 400,
    "2026-05-01", "2026-13-45T99:00:00", "!!python/object/apply:os.system [ls]", "*a", "&a [*a]", "[[[[[[", "\ud7ff",
)  # fmt: skip
_NUMBERS = (
    0,
    1,
    -1,
    2**31,
    2**53,
    2**63,
    -(2**63),
    2**64,
    10**30,
    0.0,
    -0.0,
    1e-300,
    1e300,
    float("nan"),
    float("inf"),
)

leaves = st.one_of(
    st.none(), st.booleans(), st.sampled_from(_NUMBERS), st.integers(-3, 1000), st.floats(), st.sampled_from(_ODD_TEXT),
    st.text(max_size=12),
)  # fmt: skip
junk = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
Path = tuple[Any, ...]


def _paths(node: Any, at: Path = ()) -> Iterator[Path]:
    if isinstance(node, dict):
        children: Any = node.items()
    elif isinstance(node, list):
        children = enumerate(node)
    else:
        return
    for key, child in children:
        yield (*at, key)
        yield from _paths(child, (*at, key))


@st.composite
def mutated(draw: st.DrawFn, bases: Sequence[Any], values: st.SearchStrategy[Any] = junk) -> Any:
    """One of some documents of dicts and lists, with one to four of its parts replaced, removed, doubled or swapped."""
    document = copy.deepcopy(draw(st.sampled_from(bases)))
    for _ in range(draw(st.integers(1, 4))):
        paths = list(_paths(document))
        if not paths:
            break
        *way, last = draw(st.sampled_from(paths))
        holder = document
        for key in way:
            holder = holder[key]
        match draw(st.sampled_from(("replace", "replace", "remove", "add", "swap", "copy"))):
            case "replace":
                holder[last] = copy.deepcopy(draw(values))
            case "remove":
                del holder[last]
            case "add" if isinstance(holder, list):
                holder.insert(last, copy.deepcopy(draw(values)))
            case "add":
                holder[draw(st.text(max_size=8))] = copy.deepcopy(draw(values))
            case "swap":
                holder[last] = str(holder[last]) if not isinstance(holder[last], str) else [holder[last]]
            case "copy":
                *from_way, from_last = draw(st.sampled_from(paths))
                found: Any = document
                try:
                    for key in (*from_way, from_last):
                        found = found[key]
                except (KeyError, IndexError, TypeError):
                    continue  # an earlier change has taken it away
                holder[last] = copy.deepcopy(found)
    return document


@st.composite
def spliced(draw: st.DrawFn, bases: Sequence[bytes], tokens: Sequence[bytes] = (b"\x00", b"\xff")) -> bytes:
    """One of some files, with one to six stretches of it overwritten, taken out, put in or moved; or cut short."""
    data = bytearray(draw(st.sampled_from(bases)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data)))
        gone = draw(st.sampled_from((0, 0, 1, 2, 4, 8, 30)))
        new = draw(st.one_of(st.binary(max_size=8), st.sampled_from(tokens)))
        match draw(st.sampled_from(("put", "put", "put", "move", "cut"))):
            case "put":
                data[at : at + gone] = new
            case "move":
                other = draw(st.integers(0, len(data)))
                data[at:at] = data[other : other + 40]
            case "cut":
                del data[at:]
    return bytes(data)
