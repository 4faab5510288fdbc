"""Who could have come here from where he was seen last: for many tracks at once, compiled."""

# mypy: disable-error-code="untyped-decorator, unused-ignore, no-any-return"

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np

from mtmct.columns import TrackTable
from mtmct.settings import FusionSettings
from mtmct.topology import Float64
from mtmct.tracks import X, Y
from operators.records import SECOND_NS, Int64

_compiled = numba.njit(cache=True, nogil=True)


class Left(NamedTuple):
    """Where identities were seen last, by number.

    Attributes:
        numbers: (N,) int64, ascending. cameras: (N,) int64, numbers of the cameras.
        x, y: (N,) metres, NaN where unknown. last_ns: (N,) event time, as floats.
        by_camera: (N,) rows by camera, then number.
        by_x, sorted_x, sorted_y, sorted_ns: rows of those whose place is known, by X; and that X, Y and time.
        earliest_ns: the least of `last_ns`.
    """

    numbers: Int64
    cameras: Int64
    x: Float64
    y: Float64
    last_ns: Float64
    by_camera: Int64
    by_x: Int64
    sorted_x: Float64
    sorted_y: Float64
    sorted_ns: Float64
    earliest_ns: int


def latest_of_each(tracks: TrackTable, rows: Int64) -> Int64:
    """Of some rows of tracks that of each identity which was seen last, of equals the younger; by identity."""
    rows = rows[tracks.identity[rows] > 0]
    order = rows[np.lexsort((tracks.uid[rows], tracks.last_ns[rows], tracks.identity[rows]))]
    return order[np.flatnonzero(np.diff(tracks.identity[order], append=-1))]


def recently_left(tracks: TrackTable, latest: Int64, since_ns: int) -> Left:
    """Those of `latest_of_each` who were seen after an event time."""
    rows = latest[tracks.last_ns[latest] > since_ns]
    x, y = np.ascontiguousarray(tracks.last[rows, X]), np.ascontiguousarray(tracks.last[rows, Y])
    by_x = np.argsort(x, kind="stable")[: np.count_nonzero(~np.isnan(x))]
    last, cameras = tracks.last_ns[rows], tracks.camera[rows]
    last_ns = last.astype(np.float64)
    return Left(
        tracks.identity[rows], cameras, x, y, last_ns, np.argsort(cameras, kind="stable"), by_x, x[by_x], y[by_x],
        last_ns[by_x], int(last.min()) if len(last) else 0,
    )  # fmt: skip


def within_reach(left: Left, tracks: TrackTable, rows: Int64, speeds: Float64, settings: FusionSettings) -> Int64:
    """For each of some tracks the numbers of the nearest who could have come to where it began, nearest first.

    Args:
        left: who was seen where.
        tracks, rows: the tracks. speeds: (R,) metres a second, the most of their classes.
        settings: bounds.

    Returns:
        (R, shortlist) int64, 0 where there are fewer.
    """
    if not len(left.numbers) or not len(rows):
        return np.zeros((len(rows), settings.shortlist), np.int64)
    first = tracks.first[rows]
    numbers: Int64 = _nearest(
        left, tracks.camera[rows], np.ascontiguousarray(first[:, X]), np.ascontiguousarray(first[:, Y]),
        tracks.start_ns[rows], speeds, settings.near_m, settings.window_s, settings.shortlist,
    )  # fmt: skip
    return numbers


@_compiled
def _nearest(
    left: Left,
    cameras: Int64,
    x: Float64,
    y: Float64,
    start_ns: Int64,
    speeds: Float64,
    near_m: float,
    before_s: float,
    limit: int,
) -> Int64:
    """See `within_reach`; `before_s`: by so much a track may have begun before the other was seen last."""
    numbers = np.zeros((len(x), limit), np.int64)
    best, metres = np.empty(limit + 1, np.int64), np.empty(limit + 1)
    of_camera = left.cameras[left.by_camera]
    for track in range(len(x)):
        count = 0
        low, high = np.searchsorted(of_camera, cameras[track]), np.searchsorted(of_camera, cameras[track], side="right")
        placed = not math.isnan(x[track])
        for at in range(low, high):
            row = left.by_camera[at]
            # No metres, but one picture: its pixels will do.
            if not placed or math.isnan(left.x[row]):
                count = _consider(
                    left, row, 0.0, start_ns[track], speeds[track], near_m, before_s, best, metres, count, limit
                )
        if placed:
            longest = max(start_ns[track] - left.earliest_ns, 0) / SECOND_NS
            farthest = speeds[track] * longest + near_m + 1.0
            middle = np.searchsorted(left.sorted_x, x[track])
            # From the nearest outwards, both ways, so that there are soon enough who are nearer than all the rest.
            for step in (1, -1):
                at = middle if step > 0 else middle - 1
                while 0 <= at < len(left.sorted_x):
                    aside = abs(left.sorted_x[at] - x[track])
                    if aside > farthest or (count == limit and aside > metres[limit - 1]):
                        break
                    seconds = (np.float64(start_ns[track]) - left.sorted_ns[at]) / 1e9
                    if aside <= speeds[track] * max(seconds, 0.0) + near_m:
                        far = math.hypot(aside, left.sorted_y[at] - y[track])
                        if count < limit or far <= metres[limit - 1]:
                            count = _consider(
                                left, left.by_x[at], far, start_ns[track], speeds[track], near_m, before_s, best,
                                metres, count, limit,
                            )  # fmt: skip
                    at += step
        numbers[track, :count] = left.numbers[best[:count]]
    return numbers


@_compiled
def _consider(
    left: Left,
    row: int,
    far: float,
    start_ns: int,
    speed: float,
    near_m: float,
    before_s: float,
    best: Int64,
    metres: Float64,
    count: int,
    limit: int,
) -> int:
    """Put somebody among the nearest, if he gets here in time: by distance, of equals the lower row first."""
    seconds = (np.float64(start_ns) - left.last_ns[row]) / 1e9
    if not (far <= speed * max(seconds, 0.0) + near_m and seconds > -before_s):
        return count
    place = count
    while place > 0 and (metres[place - 1] > far or (metres[place - 1] == far and best[place - 1] > row)):
        best[place], metres[place] = best[place - 1], metres[place - 1]
        place -= 1
    best[place], metres[place] = row, far
    return min(count + 1, limit)
