"""What all commits of the window say of pairs of tracks, compiled: summed, seen from both sides, found by track."""

# mypy: disable-error-code="untyped-decorator, unused-ignore, no-any-return"

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numba
import numpy as np
from numba.core import cgutils, types
from numba.extending import intrinsic
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


@intrinsic  # type: ignore[misc]
def _memory(typing_context: Any, address: Any) -> Any:
    """The memory that begins at an address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(address), generate


class Rows(NamedTuple):
    """The rows of a commit, in contiguous memory, as in `mtmct.coincidence.PairRows`."""

    pairs: Int64
    slots: Int64
    llr: Float64
    distance: Float64

    @classmethod
    def of(cls, pairs: Int64, slots: Int64, llr: Float64, distance: Float64) -> Rows:
        """The same rows, copied only if they are laid out otherwise.

        Raises:
            ValueError: the columns differ in length: read by address, memory of others would be taken for rows.
        """
        if not pairs.shape == (len(slots), 2) == (len(llr), 2) == (len(distance), 2):
            raise ValueError(f"columns of {pairs.shape}, {len(slots)}, {len(llr)} and {len(distance)} are no rows")
        return cls(
            np.ascontiguousarray(pairs, np.int64),
            np.ascontiguousarray(slots, np.int64),
            np.ascontiguousarray(llr, np.float64),
            np.ascontiguousarray(distance, np.float64),
        )


class Lying(NamedTuple):
    """The rows of some commits by where they lie: joined they would be copied, tens of megabytes a commit.

    Attributes:
        commits: the rows, which must live as long as they are read.
        columns: (C, 4) int64, addresses: of each commit's rows the pairs, (R, 2) int64, uids, the lower first,
            ascending; slots, (R,) int64, llr and distance, (R,) float64.
        lengths: (C,) int64, how many rows each commit has.
    """

    commits: Sequence[Rows]
    columns: Int64
    lengths: Int64

    @classmethod
    def of(cls, commits: Sequence[Rows]) -> Lying:
        """These rows."""
        columns = [[array.ctypes.data for array in rows] for rows in commits]
        lengths = [len(rows.slots) for rows in commits]
        return cls(commits, np.array(columns, np.int64).reshape(-1, 4), np.array(lengths, np.int64))

    def sums(self, late: NDArray[np.bool_], share: float) -> tuple[Int64, Int64, Float64, Float64, Float64]:
        """See `summed`."""
        found: tuple[Int64, Int64, Float64, Float64, Float64] = summed(self.columns, self.lengths, late, share)
        return found

    def said(self, wanted: Int64) -> list[float]:
        """The sum of what each commit says of those of some pairs ((K, 2) uids, ascending) that are there, nats."""
        found: list[float] = said(self.columns, self.lengths, wanted).tolist()
        return found


@_compiled
def summed(
    columns: Int64, lengths: Int64, late: NDArray[np.bool_], share: float
) -> tuple[Int64, Int64, Float64, Float64, Float64]:
    """The rows of several commits as one row a pair.

    Args:
        columns, lengths: see `Lying`. late: (C,) which commits are of the last seconds.
        share: what a slot is of an independent observation: errors closer in time are one error.

    Returns:
        (U,) the uids of all tracks in them, ascending. Of each pair, ascending: (P, 2) places of the two in these; the
        evidence in all and of late, nats; the mean distance of late, NaN if there is none. Summed in the order of the
        commits, and taken for as many observations as are independent.
    """
    commits = len(lengths)
    names, table, place_of = _names(columns, lengths)
    heads = np.zeros(commits, np.int64)
    room = lengths.sum()
    places = np.empty((room, 2), np.int64)
    in_all, in_late, far = np.empty(room), np.empty(room), np.empty(room)
    # What is known beside each other track so far: slots and evidence in all; slots, evidence and distance of late.
    known = np.zeros((len(names), 5))
    touched = np.empty(len(names), np.int64)
    found = 0
    for lower in range(len(names)):
        count = 0
        for commit in range(commits):
            row, length = heads[commit], lengths[commit]
            pairs = numba.carray(_memory(columns[commit, 0]), (length, 2), np.int64)
            if row == length or pairs[row, 0] != names[lower]:
                continue
            slots = numba.carray(_memory(columns[commit, 1]), length, np.int64)
            llr = numba.carray(_memory(columns[commit, 2]), length, np.float64)
            distance = numba.carray(_memory(columns[commit, 3]), length, np.float64)
            while row < length and pairs[row, 0] == names[lower]:
                other = place_of[_spot(table, pairs[row, 1])]
                if known[other, 0] == 0:
                    touched[count] = other
                    count += 1
                known[other, 0] += slots[row]
                known[other, 1] += llr[row]
                if late[commit]:
                    known[other, 2] += slots[row]
                    known[other, 3] += llr[row]
                    known[other, 4] += distance[row]
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
            in_slots, late_slots = known[other, 0], known[other, 2]
            in_all[found] = known[other, 1] / in_slots * max(1.0, in_slots * share)
            in_late[found] = known[other, 3] / late_slots * max(1.0, late_slots * share) if late_slots else 0.0
            far[found] = known[other, 4] / late_slots if late_slots else np.nan
            for column in range(5):
                known[other, column] = 0.0
            found += 1
    return names, places[:found], in_all[:found], in_late[:found], far[:found]


@_compiled
def _names(columns: Int64, lengths: Int64) -> tuple[Int64, Int64, Int64]:
    """The uids in the pairs of some commits, ascending; a hash table of these; and the place of each in the former."""
    table = np.full(1 << 12, -1, np.int64)
    count = 0
    for commit in range(len(lengths)):
        pairs = numba.carray(_memory(columns[commit, 0]), (lengths[commit], 2), np.int64)
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
                    table = _enlarged(table)
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
def _enlarged(table: Int64) -> Int64:
    larger = np.full(2 * len(table), -1, np.int64)
    for uid in table:
        if uid >= 0:
            larger[_spot(larger, uid)] = uid
    return larger


@_compiled
def both_ways(places: Int64, tracks: int, llr: Float64, recent: Float64, distance: Float64) -> Columns:
    """Every pair from both sides, sorted by the one track, then by the other.

    Args:
        places: (P, 2) int64, ascending, the tracks of each pair by their places, the lower first.
        tracks: how many there are. llr, recent, distance: (P,) what is known of each pair.
    """
    count = len(places)
    heads, above = np.zeros(tracks + 1, np.int64), np.zeros(tracks, np.int64)
    for row in range(count):
        heads[places[row, 0] + 1] += 1
        heads[places[row, 1] + 1] += 1
        above[places[row, 1]] += 1
    for place in range(tracks):
        heads[place + 1] += heads[place]
        above[place] += heads[place]
    # Partners below come first, then those above: each kind in order, as the pairs are.
    below = heads[:-1].copy()
    others, all_llr = np.empty(2 * count, np.int64), np.empty(2 * count)
    all_recent, all_distance = np.empty(2 * count), np.empty(2 * count)
    for row in range(count):
        lower, higher = places[row, 0], places[row, 1]
        at = above[lower]
        others[at], all_llr[at], all_recent[at], all_distance[at] = higher, llr[row], recent[row], distance[row]
        above[lower] = at + 1
        at = below[higher]
        others[at], all_llr[at], all_recent[at], all_distance[at] = lower, llr[row], recent[row], distance[row]
        below[higher] = at + 1
    return Columns(heads, others, all_llr, all_recent, all_distance)


@_compiled
def said(columns: Int64, lengths: Int64, wanted: Int64) -> Float64:
    """See `Lying.said`."""
    totals = np.zeros(len(lengths))
    for commit in range(len(lengths)):
        pairs = numba.carray(_memory(columns[commit, 0]), (lengths[commit], 2), np.int64)
        llr = numba.carray(_memory(columns[commit, 2]), lengths[commit], np.float64)
        low = 0
        for pair in range(len(wanted)):
            one, other, high = wanted[pair, 0], wanted[pair, 1], len(pairs)
            while low < high:
                middle = (low + high) >> 1
                if pairs[middle, 0] < one or (pairs[middle, 0] == one and pairs[middle, 1] < other):
                    low = middle + 1
                else:
                    high = middle
            if low < len(pairs) and pairs[low, 0] == one and pairs[low, 1] == other:
                totals[commit] += llr[low]
    return totals


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
def rearranged(rows: Rows, moved: Int64, pairs: Int64) -> Rows:
    """The same rows with other pairs in the place of some, ascending again.

    Args:
        rows: ascending by pair.
        moved: (K,) which of them have another pair. pairs: (K, 2) these, ascending, of equals the lower row first.
    """
    length = len(rows.slots)
    found = Rows(np.empty((length, 2), np.int64), np.empty(length, np.int64), np.empty(length), np.empty(length))
    stays = np.ones(length, np.bool_)
    for row in moved:
        stays[row] = False
    row = other = 0
    for place in range(length):
        while row < length and not stays[row]:
            row += 1
        first = row == length
        if not first and other < len(moved):
            one, two = pairs[other, 0], pairs[other, 1]
            lower, higher = rows.pairs[row, 0], rows.pairs[row, 1]
            first = (one, two, moved[other]) < (lower, higher, row)
        if first:
            source = moved[other]
            found.pairs[place, 0], found.pairs[place, 1] = pairs[other, 0], pairs[other, 1]
            other += 1
        else:
            source = row
            found.pairs[place, 0], found.pairs[place, 1] = rows.pairs[row, 0], rows.pairs[row, 1]
            row += 1
        found.slots[place] = rows.slots[source]
        found.llr[place], found.distance[place] = rows.llr[source], rows.distance[source]
    return found


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
