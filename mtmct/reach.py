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
_SLACK = 1e-6  # metres: edges of strips are rounded


class Left(NamedTuple):
    """Where identities were seen last, by number.

    Attributes:
        numbers: (N,) int64, ascending. cameras: (N,) int64, numbers of the cameras.
        x, y: (N,) metres, NaN where unknown. last_ns: (N,) event time, as floats.
        by_camera: (N,) rows by camera, then number.
        ordered, ordered_x, ordered_y, ordered_ns: rows of those whose place is known, by strip of the ground, then X;
            and their X, Y and time.
        strips: where those of each strip begin in these, and all end. lowest_y, width: of the strips, metres.
        earliest_ns: the least of `last_ns`.
    """

    numbers: Int64
    cameras: Int64
    x: Float64
    y: Float64
    last_ns: Float64
    by_camera: Int64
    ordered: Int64
    ordered_x: Float64
    ordered_y: Float64
    ordered_ns: Float64
    strips: Int64
    lowest_y: float
    width: float
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
    known = np.flatnonzero(~np.isnan(x))
    # As many strips as people in each of them, were they spread evenly.
    count = max(math.isqrt(len(known)), 1)
    lowest = float(y[known].min()) if len(known) else 0.0
    width = max(float(np.ptp(y[known])) / count if len(known) else 0.0, 1.0)
    strip = np.minimum((y[known] - lowest) // width, count - 1)
    order = np.lexsort((x[known], strip))
    ordered = known[order]
    last, cameras = tracks.last_ns[rows], tracks.camera[rows]
    last_ns = last.astype(np.float64)
    return Left(
        tracks.identity[rows], cameras, x, y, last_ns, np.argsort(cameras, kind="stable"), ordered, x[ordered],
        y[ordered], last_ns[ordered], strip[order].searchsorted(np.arange(count + 1)), lowest, width,
        int(last.min()) if len(last) else 0,
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
            strips = len(left.strips) - 1
            own = min(max(int((y[track] - left.lowest_y) // left.width), 0), strips - 1)
            # From the nearest outwards, both ways, so that there are soon enough who are nearer than all the rest.
            for side in (1, -1):
                strip = own if side > 0 else own - 1
                while 0 <= strip < strips:
                    edge = left.lowest_y + (strip if side > 0 else strip + 1) * left.width
                    beyond = (edge - y[track]) * side - _SLACK if strip != own else 0.0
                    if beyond > farthest or (count == limit and beyond > metres[limit - 1]):
                        break
                    count = _along(
                        left, strip, x[track], y[track], start_ns[track], speeds[track], near_m, before_s, farthest,
                        best, metres, count, limit,
                    )  # fmt: skip
                    strip += side
        numbers[track, :count] = left.numbers[best[:count]]
    return numbers


@_compiled
def _along(
    left: Left,
    strip: int,
    x: float,
    y: float,
    start_ns: int,
    speed: float,
    near_m: float,
    before_s: float,
    farthest: float,
    best: Int64,
    metres: Float64,
    count: int,
    limit: int,
) -> int:
    """Look at those in one strip, from the nearest by X outwards."""
    low, high = left.strips[strip], left.strips[strip + 1]
    middle = low + np.searchsorted(left.ordered_x[low:high], x)
    for step in (1, -1):
        at = middle if step > 0 else middle - 1
        while low <= at < high:
            aside = abs(left.ordered_x[at] - x)
            if aside > farthest or (count == limit and aside > metres[limit - 1]):
                break
            seconds = (np.float64(start_ns) - left.ordered_ns[at]) / 1e9
            if aside <= speed * max(seconds, 0.0) + near_m:
                far = math.hypot(aside, left.ordered_y[at] - y)
                if count < limit or far <= metres[limit - 1]:
                    row = left.ordered[at]
                    count = _consider(left, row, far, start_ns, speed, near_m, before_s, best, metres, count, limit)
            at += step
    return count


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
