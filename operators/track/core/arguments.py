# mypy: disable-error-code="no-untyped-def, no-untyped-call, no-any-return, unused-ignore"
# The bodies for compiled code carry no types: numba infers them.
"""How a tracker hands what it keeps to its step: as one argument, for every argument of a compiled call costs time.

`setup` (44,) float64: noise (5, 2, 4), dt, lifetime, shown, rate. `book` int64: the counters, the scales (4,), the
number of grouped classes and their groups, and room for the ids that end in a frame.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from operators.track.core.compilation import AVAILABLE, both_ways, loops_for
from operators.track.core.layout import COUNTERS
from operators.track.core.types import Floats, Ids, Ints

if AVAILABLE:
    from numba import carray

    from operators.track.core.compilation import pointer_at

DT = 40
_GROUPED = COUNTERS + 4
_GROUPS = _GROUPED + 1


def make_setup(noise: Floats, lifetime: float, shown: int, rate: float) -> Floats:
    """The setup of a tracker; its DT entry is written before each frame."""
    return np.concatenate([noise.ravel(), [1.0, lifetime, shown, rate]])


def make_book(counters: Ints, scales: Ints, groups: Ints, capacity: int) -> Ids:
    """The book of a tracker with room for `capacity` tracks; its first entries are the counters from then on."""
    return np.concatenate([counters, scales, [len(groups)], groups, np.zeros(capacity, np.int64)]).astype(np.int64)


def hand_over(arrays: tuple[Any, ...], compiled: bool) -> Any:
    """What a step gets as `tracks` for contiguous arrays in the order of `arrays_of`, which the caller keeps.

    Compiled code gets their addresses and shapes, and does not count who holds them: for every array that goes in or
    out of a kernel that would be an atomic operation, and a quarter of a small frame's time.
    """
    if not compiled:
        return arrays
    places = [(array.ctypes.data, array.shape[0], array.shape[-1]) for array in arrays]
    return np.array(places, np.int64)


def arrays_of(tracks):
    """Floats, ints, votes, embeds, book, setup, and room for a frame's dets and labels: what `hand_over` was given."""
    return tracks


@loops_for(arrays_of)
def _arrays_of(tracks):
    floats = carray(pointer_at(tracks[0, 0]), (tracks[0, 1], tracks[0, 2]), np.float64)
    ints = carray(pointer_at(tracks[1, 0]), (tracks[1, 1], tracks[1, 2]), np.int64)
    votes = carray(pointer_at(tracks[2, 0]), (tracks[2, 1], tracks[2, 2]), np.float64)
    embeds = carray(pointer_at(tracks[3, 0]), (tracks[3, 1], tracks[3, 2]), np.float32)
    book = carray(pointer_at(tracks[4, 0]), tracks[4, 1], np.int64)
    setup = carray(pointer_at(tracks[5, 0]), tracks[5, 1], np.float64)
    dets = carray(pointer_at(tracks[6, 0]), (tracks[6, 1], tracks[6, 2]), np.float64)
    labels = carray(pointer_at(tracks[7, 0]), (tracks[7, 1], tracks[7, 2]), np.int64)
    return floats, ints, votes, embeds, book, setup, dets, labels


@both_ways
def open_setup(tracks):
    """Noise (5, 2, 4), dt, lifetime, shown, rate."""
    setup = arrays_of(tracks)[5]
    return setup[:DT].reshape(5, 2, 4), setup[DT], setup[DT + 1], np.int64(setup[DT + 2]), setup[DT + 3]


@both_ways
def open_book(book: Ids) -> tuple[Ids, Ids, Ids, Ids]:
    """The counters, the scales (4,), the groups of classes, and the room for ended ids."""
    end = _GROUPS + book[_GROUPED]
    return book[:COUNTERS], book[COUNTERS:_GROUPED], book[_GROUPS:end], book[end:]


@both_ways
def open_tracks(tracks):
    """The arrays of the tracks, floats, ints, votes, embeds, and what is in the book, see `open_book`."""
    floats, ints, votes, embeds, book = arrays_of(tracks)[:5]
    counters, scales, groups, over = open_book(book)
    return floats, ints, votes, embeds, counters, scales, groups, over
