"""Whose positions a track follows, and which identities hold tracks that cannot be one: over all pairs, compiled."""

# mypy: disable-error-code="untyped-decorator, unused-ignore, no-any-return"

from __future__ import annotations

import numba
import numpy as np

from mtmct.columns import TrackTable
from mtmct.topology import Float64
from operators.records import Int64

_compiled = numba.njit(cache=True, nogil=True)
_NUMBER_BITS = 31  # of an identity's number beside that of another in one key


@_compiled
def pulled(
    heads: Int64, places: Int64, recent: Float64, owners: Int64, live: Int64, move_odds: float
) -> tuple[Int64, Int64]:
    """Tracks whose positions of the last seconds are those of another identity than their own.

    Args:
        heads, places, recent: see `mtmct.coincidence.PairTable`.
        owners: (U,) the identity of each track in it, 0 for none.
        live: places of the tracks that are looked at, ascending.
        move_odds: by how much the positions must be more like the other's, nats.

    Returns:
        (F,) places of these tracks, ascending, and the number of the identity that each follows: of several that
        whose positions say most, of equals the oldest.
    """
    found, numbers = np.empty(len(live), np.int64), np.empty(len(live), np.int64)
    known = np.unique(owners)
    which = np.searchsorted(known, owners)
    sums, there = np.zeros(len(known)), np.zeros(len(known), np.bool_)
    beside = np.empty(len(known), np.int64)
    total = 0
    for track in live:
        mine = which[track]
        if owners[track] <= 0:
            continue
        count = 0
        for row in range(heads[track], heads[track + 1]):
            other = which[places[row]]
            if known[other] <= 0:
                continue
            if not there[other]:
                there[other] = True
                beside[count] = other
                count += 1
            sums[other] += recent[row]
        held = max(sums[mine], 0.0)
        best = -1
        for at in range(count):
            other = beside[at]
            if other == mine or not sums[other] > held + move_odds:
                continue
            if best < 0 or sums[other] > sums[best] or (sums[other] == sums[best] and other < best):
                best = other
        if best >= 0:
            found[total], numbers[total] = track, known[best]
            total += 1
        for at in range(count):
            sums[beside[at]], there[beside[at]] = 0.0, False
    return found[:total].copy(), numbers[:total].copy()


@_compiled
def attracted(heads: Int64, places: Int64, llr: Float64, owners: Int64, live: Int64) -> Int64:
    """Pairs of identities of which tracks have positions that speak for one.

    Args:
        heads, places, llr: see `mtmct.coincidence.PairTable`.
        owners: (U,) the identity of each track in it, 0 for none.
        live: places of the tracks that are looked at.

    Returns:
        (P, 2) the younger and the older of each pair, ascending.
    """
    keys = np.empty(256, np.int64)
    count = 0
    for track in live:
        for row in range(heads[track], heads[track + 1]):
            one, other = owners[track], owners[places[row]]
            if llr[row] > 0 and one > 0 and other > 0 and one != other:
                if count == len(keys):
                    keys = np.concatenate((keys, keys))
                keys[count] = (max(one, other) << _NUMBER_BITS) | min(one, other)
                count += 1
    unique = np.unique(keys[:count])
    pairs = np.empty((len(unique), 2), np.int64)
    for row in range(len(unique)):
        pairs[row, 0], pairs[row, 1] = unique[row] >> _NUMBER_BITS, unique[row] & ((1 << _NUMBER_BITS) - 1)
    return pairs


@_compiled
def contradicted(
    heads: Int64, places: Int64, recent: Float64, distance: Float64, owners: Int64, split_odds: float, drift_m: float
) -> Int64:
    """(P, 2) places of two tracks of one identity that have lately stood too far apart to be one; each pair both ways.

    Args:
        heads, places, recent, distance: see `mtmct.coincidence.PairTable`.
        owners: (U,) the identity of each track in it, 0 for none.
        split_odds, drift_m: see `mtmct.settings`.
    """
    pairs = np.empty((64, 2), np.int64)
    count = 0
    for track in range(len(owners)):
        if owners[track] <= 0:
            continue
        for row in range(heads[track], heads[track + 1]):
            if owners[places[row]] == owners[track] and recent[row] < -split_odds and distance[row] > drift_m:
                if count == len(pairs):
                    pairs = np.concatenate((pairs, pairs))
                pairs[count, 0], pairs[count, 1] = track, places[row]
                count += 1
    return pairs[:count].copy()


@_compiled
def doubled(tracks: TrackTable, order: Int64) -> Int64:
    """Identities of which one camera shows two tracks at once, ascending.

    Args:
        tracks: the columns.
        order: rows by identity.
    """
    found = np.empty(len(order), np.int64)
    count = 0
    begun = 0
    while begun < len(order):
        number = tracks.identity[order[begun]]
        ended = begun
        while ended < len(order) and tracks.identity[order[ended]] == number:
            ended += 1
        twice = False
        for at in range(begun, ended):
            one = order[at]
            for after in range(at + 1, ended):
                other = order[after]
                if tracks.camera[one] != tracks.camera[other] or tracks.start_ns[one] > tracks.last_ns[other]:
                    continue
                twice = twice or tracks.start_ns[other] <= tracks.last_ns[one]
        if twice and number > 0:
            found[count] = number
            count += 1
        begun = ended
    return found[:count].copy()
