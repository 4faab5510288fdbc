# mypy: disable-error-code="no-untyped-def, no-untyped-call, no-any-return, unused-ignore"
# The bodies for compiled code carry no types: numba infers them.
"""How a tracker hands its small things to its step: in two arrays, for every argument of a compiled call costs time.

`setup` (44,) float64: noise (5, 2, 4), dt, lifetime, shown, rate. `book` int64: the counters, the scales (4,), the
number of grouped classes and their groups, and room for the ids that end in a frame.
"""

from __future__ import annotations

import numpy as np

from operators.track.core.compilation import both_ways, on_loan
from operators.track.core.layout import COUNTERS
from operators.track.core.types import Floats, Ids, Ints

DT = 40
_GROUPED = COUNTERS + 4
_GROUPS = _GROUPED + 1


def make_setup(noise: Floats, lifetime: float, shown: int, rate: float) -> Floats:
    """The setup of a tracker; its DT entry is written before each frame."""
    return np.concatenate([noise.ravel(), [1.0, lifetime, shown, rate]])


def make_book(counters: Ints, scales: Ints, groups: Ints, capacity: int) -> Ids:
    """The book of a tracker with room for `capacity` tracks; its first entries are the counters from then on."""
    return np.concatenate([counters, scales, [len(groups)], groups, np.zeros(capacity, np.int64)]).astype(np.int64)


@both_ways
def open_setup(setup):
    """Noise (5, 2, 4), dt, lifetime, shown, rate."""
    noise = on_loan(setup)[:DT].reshape(5, 2, 4)
    return noise, setup[DT], setup[DT + 1], np.int64(setup[DT + 2]), setup[DT + 3]


@both_ways
def open_book(book: Ids) -> tuple[Ids, Ids, Ids, Ids]:
    """The counters, the scales (4,), the groups of classes, and the room for ended ids."""
    kept, end = on_loan(book), _GROUPS + book[_GROUPED]
    return kept[:COUNTERS], kept[COUNTERS:_GROUPED], kept[_GROUPS:end], kept[end:]


@both_ways
def open_tracks(tracks):
    """The arrays of the tracks, floats, ints, votes, embeds, and what is in the book, see `open_book`."""
    floats, ints, votes, embeds, book = tracks
    counters, scales, groups, over = open_book(book)
    return on_loan(floats), on_loan(ints), on_loan(votes), on_loan(embeds), counters, scales, groups, over
