"""What all commits of the window say of pairs of tracks, compiled: summed, seen from both sides, found by track."""

# mypy: disable-error-code="untyped-decorator, unused-ignore, no-any-return"

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from mtmct.topology import Float64
from operators.records import Int64

_compiled = numba.njit(cache=True, nogil=True)
_MARKS = 1 << 14
_STRIDE = 40503  # odd, so that a table of any power of two is gone through


class Columns(NamedTuple):
    """What is known of pairs: of each track its rows, by partner; tracks by their places among all.

    Attributes:
        heads: (U + 1,) int64, where the rows of each track begin. places: (R,) int64, the partner of each row.
        llr, recent, distance: (R,) float64, see `mtmct.coincidence.Beside`.
    """

    heads: Int64
    places: Int64
    llr: Float64
    recent: Float64
    distance: Float64


@_compiled
def summed(
    pairs: Int64, slots: Int64, llr: Float64, distance: Float64, starts: Int64, late: NDArray[np.bool_], share: float
) -> tuple[Int64, Int64, Float64, Float64, Float64]:
    """The rows of several commits as one row a pair.

    Args:
        pairs: (R, 2) int64, uids, the lower first, ascending within each commit. slots, llr, distance: (R,) of them.
        starts: (C + 1,) where each commit's rows begin. late: (C,) which commits are of the last seconds.
        share: what a slot is of an independent observation: errors closer in time are one error.

    Returns:
        (U,) the uids of all tracks in them, ascending. Of each pair, ascending: (P, 2) places of the two in these; the
        evidence in all and of late, nats; the mean distance of late, NaN if there is none. Summed in the order of the
        commits, and taken for as many observations as are independent.
    """
    commits = len(late)
    names, table, place_of = _names(pairs)
    heads = starts[:-1].copy()
    room = len(pairs)
    places = np.empty((room, 2), np.int64)
    in_all, in_late, far = np.empty(room), np.empty(room), np.empty(room)
    # What is known beside each other track so far: sums, and of which one that is.
    counted = np.zeros((len(names), 2), np.int64)
    said = np.zeros((len(names), 3))
    touched = np.empty(len(names), np.int64)
    found = 0
    for lower in range(len(names)):
        count = 0
        for commit in range(commits):
            row = heads[commit]
            while row < starts[commit + 1] and pairs[row, 0] == names[lower]:
                other = place_of[_spot(table, pairs[row, 1])]
                if counted[other, 0] == 0:
                    touched[count] = other
                    count += 1
                counted[other, 0] += slots[row]
                said[other, 0] += llr[row]
                if late[commit]:
                    counted[other, 1] += slots[row]
                    said[other, 1] += llr[row]
                    said[other, 2] += distance[row]
                row += 1
            heads[commit] = row
        # Nearly in order, since each commit's rows are.
        for at in range(1, count):
            other = touched[at]
            while at > 0 and touched[at - 1] > other:
                touched[at] = touched[at - 1]
                at -= 1
            touched[at] = other
        for other in touched[:count]:
            places[found, 0], places[found, 1] = lower, other
            slots_in_all, slots_late = counted[other, 0], counted[other, 1]
            in_all[found] = said[other, 0] / slots_in_all * max(1.0, slots_in_all * share)
            in_late[found] = said[other, 1] / slots_late * max(1.0, slots_late * share) if slots_late else 0.0
            far[found] = said[other, 2] / slots_late if slots_late else np.nan
            counted[other, 0], counted[other, 1] = 0, 0
            said[other, 0], said[other, 1], said[other, 2] = 0.0, 0.0, 0.0
            found += 1
    return names, places[:found].copy(), in_all[:found].copy(), in_late[:found].copy(), far[:found].copy()


@_compiled
def _names(pairs: Int64) -> tuple[Int64, Int64, Int64]:
    """The uids in some pairs, ascending; a hash table of these, and the place of each in the ascending ones."""
    table = np.full(1 << 12, -1, np.int64)
    count = 0
    for row in range(len(pairs)):
        for side in range(2):
            if row > 0 and pairs[row, side] == pairs[row - 1, side]:
                continue
            at = _spot(table, pairs[row, side])
            if table[at] >= 0:
                continue
            table[at] = pairs[row, side]
            count += 1
            if 2 * count > len(table):
                larger = np.full(2 * len(table), -1, np.int64)
                for uid in table:
                    if uid >= 0:
                        larger[_spot(larger, uid)] = uid
                table = larger
    names = np.sort(table[table >= 0])
    places = np.empty(len(table), np.int64)
    for place, uid in enumerate(names):
        places[_spot(table, uid)] = place
    return names, table, places


@_compiled
def _spot(table: Int64, uid: int) -> int:
    """Where a uid is in a hash table of 2 to the power of something, or where it belongs."""
    last = len(table) - 1
    # Tracks that are seen together are numbered together: their places are side by side.
    at = uid & last
    while table[at] != uid and table[at] >= 0:
        at = (at + _STRIDE) & last
    return at


@_compiled
def both_ways(places: Int64, tracks: int, llr: Float64, recent: Float64, distance: Float64) -> Columns:
    """Every pair from both sides, sorted by the one track, then by the other.

    Args:
        places: (P, 2) int64, the tracks of each pair by their places, the lower first; pairs in any order.
        tracks: how many there are. llr, recent, distance: (P,) what is known of each pair.
    """
    count = len(places)
    begins = np.zeros(tracks + 1, np.int64)
    for row in range(count):
        begins[places[row, 0] + 1] += 1
        begins[places[row, 1] + 1] += 1
    for place in range(tracks):
        begins[place + 1] += begins[place]
    heads = begins.copy()
    others, all_llr = np.empty(2 * count, np.int64), np.empty(2 * count)
    all_recent, all_distance = np.empty(2 * count), np.empty(2 * count)
    # Partners below come first, then those above: each kind in order, as the pairs are gone through by these.
    for side in range(2):
        for row in _by_side(places, side, tracks):
            at = begins[places[row, 1 - side]]
            others[at], all_llr[at] = places[row, side], llr[row]
            all_recent[at], all_distance[at] = recent[row], distance[row]
            begins[places[row, 1 - side]] = at + 1
    return Columns(heads, others, all_llr, all_recent, all_distance)


@_compiled
def _by_side(places: Int64, side: int, tracks: int) -> Int64:
    """The rows of some pairs by the place of their lower (0) or higher (1) track."""
    begins = np.zeros(tracks + 1, np.int64)
    for row in range(len(places)):
        begins[places[row, side] + 1] += 1
    for place in range(tracks):
        begins[place + 1] += begins[place]
    order = np.empty(len(places), np.int64)
    for row in range(len(places)):
        order[begins[places[row, side]]] = row
        begins[places[row, side]] += 1
    return order


@_compiled
def said(keys: Int64, llr: Float64, wanted: Int64) -> float:
    """The sum of `llr` over those of some keys that are wanted; both ascending."""
    total = 0.0
    low = 0
    for key in wanted:
        high = len(keys)
        while low < high:
            middle = (low + high) >> 1
            if keys[middle] < key:
                low = middle + 1
            else:
                high = middle
        if low < len(keys) and keys[low] == key:
            total += llr[low]
    return total


@_compiled
def touching(pairs: Int64, uids: Int64) -> Int64:
    """The rows of those of some pairs ((R, 2) uids) in which one of these tracks is ((K,) uids, ascending)."""
    found = np.empty(64, np.int64)
    count = 0
    # By the last bits first: nearly all rows are of other tracks.
    marked = np.zeros(_MARKS, np.bool_)
    for uid in uids:
        marked[uid & (_MARKS - 1)] = True
    for row in range(len(pairs)):
        hit = False
        for side in range(2):
            uid = pairs[row, side]
            if not hit and marked[uid & (_MARKS - 1)]:
                at = np.searchsorted(uids, uid)
                hit = at < len(uids) and uids[at] == uid
        if hit:
            if count == len(found):
                found = np.concatenate((found, found))
            found[count] = row
            count += 1
    return found[:count].copy()


@_compiled
def patched(known: Columns, names: Int64, changed: Int64, new: Columns) -> Columns:
    """What is known of all pairs, with other rows in the place of all those in which some tracks are.

    Args:
        known: of the tracks that were known: of each the rows, by partner.
        names: (U,) uids of all tracks, ascending: those that were known, and after them others.
        changed: (K,) places of the tracks whose rows have changed.
        new: likewise, of all tracks in `names`: the rows of the pairs in which a changed one is, from both sides.
    """
    other, beside = np.zeros(len(names), np.bool_), np.zeros(len(names), np.bool_)
    before = len(known.heads) - 1
    for place in changed:
        other[place] = True
        if place < before:
            for row in range(known.heads[place], known.heads[place + 1]):
                beside[known.places[row]] = True
    room = len(known.places) + len(new.places)
    heads, places = np.zeros(len(names) + 1, np.int64), np.empty(room, np.int64)
    llr, recent, distance = np.empty(room), np.empty(room), np.empty(room)
    end = 0
    for track in range(len(names)):
        at, last = (known.heads[track], known.heads[track + 1]) if track < before else (0, 0)
        row, stop = new.heads[track], new.heads[track + 1]
        if other[track]:
            last = at
        elif row == stop and not beside[track]:
            for old in range(at, last):
                places[end], llr[end], recent[end] = known.places[old], known.llr[old], known.recent[old]
                distance[end] = known.distance[old]
                end += 1
            last = at
        while at < last or row < stop:
            if at < last and other[known.places[at]]:
                at += 1
            elif row == stop or (at < last and known.places[at] < new.places[row]):
                places[end], llr[end], recent[end] = known.places[at], known.llr[at], known.recent[at]
                distance[end] = known.distance[at]
                at, end = at + 1, end + 1
            else:
                places[end], llr[end], recent[end] = new.places[row], new.llr[row], new.recent[row]
                distance[end] = new.distance[row]
                row, end = row + 1, end + 1
        heads[track + 1] = end
    return Columns(heads, places[:end], llr[:end], recent[:end], distance[:end])
