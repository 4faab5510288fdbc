"""Whom tracks could be, put together from where each is found: for many tracks at once, compiled.

Nothing compiled here calls what is compiled elsewhere: the cache of compiled code would not notice a change there.
"""

# mypy: disable-error-code="untyped-decorator, unused-ignore, no-any-return"

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from operators.records import Int64

_compiled = numba.njit(cache=True, nogil=True)


class Found(NamedTuple):
    """Where identities were found for some tracks, by the places of these.

    Attributes:
        alike, near: (T, N) int64, numbers of those who look alike, and of those who could have come; 0 for none.
        beside, bounds: rows of the tracks that have stood near each, -1 for one that is not remembered; (T + 1,) where
            those of each begin.
    """

    alike: Int64
    near: Int64
    beside: Int64
    bounds: Int64

    def and_then(self, other: Found) -> Found:
        """These tracks, and after them others."""
        return Found(
            np.concatenate([self.alike, other.alike]),
            np.concatenate([self.near, other.near]),
            np.concatenate([self.beside, other.beside]),
            np.concatenate([self.bounds, other.bounds[1:] + self.bounds[-1]]),
        )


@_compiled
def first_known(owners: Int64, known: Int64, limit: int) -> Int64:
    """(Q, limit) int64: of each row of owners the first that are known, each once; 0 where there are fewer.

    Args:
        owners: (Q, K). known: (N,) ascending.
    """
    found = np.zeros((len(owners), limit), np.int64)
    for query in range(len(owners)):
        count = 0
        for column in range(owners.shape[1]):
            owner = owners[query, column]
            twice = False
            for before in range(count):
                twice |= found[query, before] == owner
            if twice:
                continue
            at = np.searchsorted(known, owner)
            if at < len(known) and known[at] == owner:
                found[query, count] = owner
                count += 1
                if count == limit:
                    break
    return found


@_compiled
def offered(
    found: Found,
    places: Int64,
    placed: NDArray[np.bool_],
    owners: Int64,
    in_view: Int64,
    more: Int64,
    more_at: Int64,
) -> tuple[Int64, Int64]:
    """Whom each of some tracks could be.

    Args:
        found: where they were found. places: (T,) the tracks in it.
        placed: (T,) whether the camera of each is calibrated: then who is `in_view` (numbers, ascending) is somebody
            else, unless beside it.
        owners: (R,) by row of a track the number of its identity, 0 for none.
        more, more_at: further numbers, (T + 1,) where those of each track begin.

    Returns:
        (T + 1,) where those of each track begin, and their numbers, ascending.
    """
    room = len(more) + 2 * len(places) * found.near.shape[1]
    for place in places:
        room += found.bounds[place + 1] - found.bounds[place]
    bounds, numbers = np.zeros(len(places) + 1, np.int64), np.empty(room, np.int64)
    for track in range(len(places)):
        place, begun = places[track], bounds[track]
        end = begun
        for column in range(found.near.shape[1]):
            numbers[end], numbers[end + 1] = found.alike[place, column], found.near[place, column]
            end += 2
        for at in range(more_at[track], more_at[track + 1]):
            numbers[end] = more[at]
            end += 1
        if placed[track]:
            kept = begun
            for at in range(begun, end):
                there = np.searchsorted(in_view, numbers[at])
                if there == len(in_view) or in_view[there] != numbers[at]:
                    numbers[kept] = numbers[at]
                    kept += 1
            end = kept
        for at in range(found.bounds[place], found.bounds[place + 1]):
            if found.beside[at] >= 0:
                numbers[end] = owners[found.beside[at]]
                end += 1
        numbers[begun:end] = np.sort(numbers[begun:end])
        kept = begun
        for at in range(begun, end):
            if numbers[at] > 0 and (kept == begun or numbers[kept - 1] != numbers[at]):
                numbers[kept] = numbers[at]
                kept += 1
        bounds[track + 1] = kept
    return bounds, numbers[: bounds[len(places)]].copy()


@_compiled
def as_offered(at: Int64, numbers: Int64, beside_at: Int64, beside: Int64, before: Int64, owners: Int64) -> bool:
    """Whether some tracks could be the same as before, now that others beside them have got identities.

    Args:
        at: (T + 1,) where in `numbers` those begin whom each track could be, ascending.
        beside_at, beside: (T + 1,) where in `beside` the rows of the tracks beside each begin, -1 for one forgotten.
        before: whose these were, 0 for nobody's. owners: (R,) by row whose they are.
    """
    for track in range(len(at) - 1):
        for place in range(beside_at[track], beside_at[track + 1]):
            owner = owners[beside[place]] if beside[place] >= 0 else 0
            if owner == before[place]:
                continue
            if before[place] != 0:
                return False
            there = at[track] + np.searchsorted(numbers[at[track] : at[track + 1]], owner)
            if there == at[track + 1] or numbers[there] != owner:
                return False
    return True
