"""Pairs of tracks that stood near each other in one commit's positions, compiled."""

# mypy: disable-error-code="untyped-decorator, unused-ignore, no-any-return"

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from mtmct.topology import Float64
from operators.records import Int64

_compiled = numba.njit(cache=True, nogil=True)
# What is beyond adds nothing to a surprise that a double could hold.
_FAR_OFF, _MOST_GAIN, _LEAST_SURPRISE = 150.0, 1e6, 1e-9
_FEW = 48
_MOST_KEYS = 2.0**62
_FAR = 2.5e5  # metres: positions beyond any site (a foot just under the horizon) are near nobody


class Stood(NamedTuple):
    """Positions sorted by track, then slot.

    Attributes:
        heads: (T + 1,) int64: the positions of track t are `heads[t]` to `heads[t + 1]`.
        cameras: (T,) int64, of the tracks.
        slots: (S,) int64. points: (S, 2) float64, metres. covariances: (S, 3) float64, square metres.
        fresh: (S,) pairs of positions neither of which is fresh are left out.
    """

    heads: Int64
    cameras: Int64
    slots: Int64
    points: Float64
    covariances: Float64
    fresh: NDArray[np.bool_]


class Density(NamedTuple):
    """How near is near, and what it says: see `mtmct.settings`."""

    near_m: float
    surprise: float
    area: float


@_compiled
def beside(stood: Stood, bound: Int64, density: Density) -> tuple[Int64, Int64, Float64, Float64]:
    """Compare the positions of tracks of different cameras, slot by slot.

    Args:
        stood: positions.
        bound: (B, 2) int64, places of tracks in `stood`, ascending, the lower first: compared however far apart.
        density: what it says.

    Returns:
        Of each pair, ascending: (R, 2) places of the tracks, the lower first; slots in which both were seen; the sum of
        the log-likelihood ratios over these, nats; the sum of the distances, metres.
    """
    tracks = len(stood.cameras)
    # Each by itself: what is handed on as a whole is counted as held, array by array, for every pair of positions.
    heads, cameras, slots, points, covariances, fresh = stood
    by_cell, cells, cell_of = _cells(stood, density.near_m)
    around = _around(cells)
    room = 1024
    pairs = np.empty((room, 2), np.int64)
    counts, said, metres = np.empty(room, np.int64), np.empty(room), np.empty(room)
    found = 0
    begun = 0
    track_of = np.empty(len(slots), np.int64)
    for track in range(tracks):
        track_of[heads[track] : heads[track + 1]] = track
    # Those of one cell side by side: they are gone through for each position in it and around it.
    whose, places, seen_by = track_of[by_cell], np.empty((len(by_cell), 2)), np.empty(len(by_cell), np.int64)
    for at in range(len(by_cell)):
        places[at, 0], places[at, 1] = points[by_cell[at], 0], points[by_cell[at], 1]
        seen_by[at] = cameras[whose[at]]
    # Where the positions of tracks that are still to come begin in each cell.
    begin = cells[:, 3].copy()
    radius = density.near_m * density.near_m
    unlike = math.log(density.surprise)
    hits = np.empty(len(slots) + len(bound), np.int64)
    # What one track has beside each other track: where it stands in the lists below. The first of what is said is kept
    # apart, so that the sum is that of `numpy.add.reduceat` over the slots.
    place = np.full(tracks, -1, np.int64)
    others = np.empty(tracks, np.int64)
    number = np.empty(tracks, np.int64)
    first, rest, far = np.empty(tracks), np.empty(tracks), np.empty(tracks)
    first_far = np.empty(tracks)
    for track in range(tracks):
        count = 0
        ends = begun
        while ends < len(bound) and bound[ends, 0] == track:
            ends += 1
        camera = cameras[track]
        for own in range(heads[track], heads[track + 1]):
            x, y = points[own, 0], points[own, 1]
            hit = 0
            for neighbour in range(9 if cell_of[own] >= 0 else 0):
                cell = around[cell_of[own], neighbour]
                if cell < 0:
                    continue
                while begin[cell] < cells[cell, 4] and whose[begin[cell]] <= track:
                    begin[cell] += 1
                for at in range(begin[cell], cells[cell, 4]):
                    dx, dy = x - places[at, 0], y - places[at, 1]
                    if dx * dx + dy * dy <= radius and seen_by[at] != camera:
                        hits[hit] = by_cell[at]
                        hit += 1
            for row in range(begun, ends):
                other = _at_slot(heads, slots, bound[row, 1], slots[own])
                if other >= 0 and not _near(points, own, other, density.near_m):
                    hits[hit] = other
                    hit += 1
            for other in hits[:hit]:
                if not (fresh[own] or fresh[other]):
                    continue
                dx, dy = x - points[other, 0], y - points[other, 1]
                xx = covariances[own, 0] + covariances[other, 0]
                xy = covariances[own, 1] + covariances[other, 1]
                yy = covariances[own, 2] + covariances[other, 2]
                determinant = max(xx * yy - xy**2, 1e-9)
                mahalanobis = (yy * dx**2 - 2 * xy * dx * dy + xx * dy**2) / determinant
                extent = 2 * np.pi * math.sqrt(determinant)
                # Where the uncertainty exceeds a person's ground, a hit must say nothing rather than speak against.
                gain = max(density.area, extent) / extent
                if mahalanobis > _FAR_OFF and gain < _MOST_GAIN and density.surprise > _LEAST_SURPRISE:
                    llr = unlike
                else:
                    llr = math.log((1 - density.surprise) * gain * math.exp(-mahalanobis / 2) + density.surprise)
                distance = math.hypot(dx, dy)
                partner = track_of[other]
                at = place[partner]
                if at < 0:
                    place[partner] = count
                    others[count] = partner
                    number[count], first[count], rest[count] = 1, llr, 0.0
                    first_far[count], far[count] = distance, 0.0
                    count += 1
                else:
                    number[at] += 1
                    rest[at] += llr
                    far[at] += distance
        begun = ends
        _sort(others[:count])
        for partner in others[:count]:
            at = place[partner]
            if found == room:
                room *= 2
                pairs, counts = np.concatenate((pairs, pairs)), np.concatenate((counts, counts))
                said, metres = np.concatenate((said, said)), np.concatenate((metres, metres))
            pairs[found, 0], pairs[found, 1] = track, partner
            counts[found] = number[at]
            said[found], metres[found] = first[at] + rest[at], first_far[at] + far[at]
            found += 1
            place[partner] = -1
    return pairs[:found].copy(), counts[:found].copy(), said[:found].copy(), metres[:found].copy()


@_compiled
def _sort(numbers: Int64) -> None:
    """Sort in place; most have a few partners, for which a sort of the library takes longer to begin than to end."""
    if len(numbers) > _FEW:
        numbers.sort()
        return
    for at in range(1, len(numbers)):
        number = numbers[at]
        while at > 0 and numbers[at - 1] > number:
            numbers[at] = numbers[at - 1]
            at -= 1
        numbers[at] = number


@_compiled
def _near(points: Float64, one: int, other: int, radius: float) -> bool:
    for side in range(2):
        # So that a NaN is near nobody.
        if not (abs(points[one, side]) < _FAR and abs(points[other, side]) < _FAR):
            return False
    dx = points[one, 0] - points[other, 0]
    dy = points[one, 1] - points[other, 1]
    return dx * dx + dy * dy <= radius * radius


@_compiled
def _at_slot(heads: Int64, slots: Int64, track: int, slot: int) -> int:
    """Where a track stood in a slot; -1 if it was not seen."""
    low, high = heads[track], heads[track + 1]
    while low < high:
        middle = (low + high) >> 1
        if slots[middle] < slot:
            low = middle + 1
        else:
            high = middle
    return low if low < heads[track + 1] and slots[low] == slot else -1


@_compiled
def _cells(stood: Stood, size: float) -> tuple[Int64, Int64, Int64]:
    """Positions by slot and square of the ground.

    Returns:
        (N,) positions, those of one cell together, ascending within it; (C, 5) the cells, ascending: slot, column, row,
        and where their positions begin and end; (S,) the cell of each position, -1 for those beyond any site.
    """
    count = len(stood.slots)
    keys = np.empty((count, 3), np.int64)
    inside = np.empty(count, np.int64)
    kept = 0
    for row in range(count):
        x, y = stood.points[row, 0], stood.points[row, 1]
        if abs(x) < _FAR and abs(y) < _FAR:
            keys[row, 0], keys[row, 1], keys[row, 2] = stood.slots[row], math.floor(x / size), math.floor(y / size)
            inside[kept] = row
            kept += 1
    by_cell = inside[:kept]
    if kept:
        # One number that sorts as the three do, where they are not spread too far for it; else least significant first.
        low, spread = np.empty(3, np.int64), np.empty(3, np.int64)
        for column in range(3):
            low[column] = keys[by_cell, column].min()
            spread[column] = keys[by_cell, column].max() - low[column] + 1
        if float(spread[0]) * spread[1] * spread[2] < _MOST_KEYS:
            key = np.empty(kept, np.int64)
            for at in range(kept):
                row = by_cell[at]
                key[at] = (
                    ((keys[row, 0] - low[0]) * spread[1] + keys[row, 1] - low[1]) * spread[2] + keys[row, 2] - low[2]
                )
            by_cell = by_cell[np.argsort(key, kind="mergesort")]
        else:
            for column in (2, 1, 0):
                by_cell = by_cell[np.argsort(keys[by_cell, column], kind="mergesort")]
    cells = np.empty((kept, 5), np.int64)
    cell_of = np.full(count, -1, np.int64)
    cell = -1
    for at, row in enumerate(by_cell):
        if (
            cell < 0
            or keys[row, 0] != cells[cell, 0]
            or keys[row, 1] != cells[cell, 1]
            or keys[row, 2] != cells[cell, 2]
        ):
            cell += 1
            cells[cell, :3], cells[cell, 3] = keys[row], at
        cells[cell, 4] = at + 1
        cell_of[row] = cell
    return by_cell, cells[: cell + 1], cell_of


@_compiled
def _around(cells: Int64) -> Int64:
    """(C, 9) int64: each cell and the eight around it, -1 where nobody stood."""
    around = np.full((len(cells), 9), -1, np.int64)
    for own in range(len(cells)):
        for neighbour in range(9):
            column, line = cells[own, 1] + neighbour // 3 - 1, cells[own, 2] + neighbour % 3 - 1
            low, high = 0, len(cells)
            while low < high:
                middle = (low + high) // 2
                if (
                    cells[middle, 0] < cells[own, 0]
                    or (cells[middle, 0] == cells[own, 0] and cells[middle, 1] < column)
                    or (cells[middle, 0] == cells[own, 0] and cells[middle, 1] == column and cells[middle, 2] < line)
                ):
                    low = middle + 1
                else:
                    high = middle
            if low == len(cells) or cells[low, 0] != cells[own, 0]:
                continue
            if cells[low, 1] == column and cells[low, 2] == line:
                around[own, neighbour] = low
    return around


@_compiled
def same_owner(owners: Int64, cameras: Int64) -> Int64:
    """(B, 2) int64, ascending: places of two tracks of different cameras that one identity has.

    Args:
        owners: (T,) the identities, 0 for none. cameras: (T,).
    """
    order = np.argsort(owners, kind="mergesort")
    following = np.full(len(owners), -1, np.int64)
    for at in range(len(order) - 1):
        if owners[order[at]] > 0 and owners[order[at]] == owners[order[at + 1]]:
            following[order[at]] = order[at + 1]
    count = 0
    pairs = np.empty((64, 2), np.int64)
    for one in range(len(owners)):
        other = following[one]
        while other >= 0:
            if cameras[other] != cameras[one]:
                if count == len(pairs):
                    pairs = np.concatenate((pairs, pairs))
                pairs[count, 0], pairs[count, 1] = one, other
                count += 1
            other = following[other]
    return pairs[:count].copy()
