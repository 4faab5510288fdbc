"""Who could have come here from where he was seen last, compiled: asked for every track that is to be linked."""

# mypy: disable-error-code="untyped-decorator, unused-ignore"

from __future__ import annotations

import math

import numba
import numpy as np

from mtmct.topology import Float64
from operators.records import Int64


@numba.njit(cache=True, nogil=True)
def nearest_within_reach(
    rows: Int64,
    x: Float64,
    y: Float64,
    last_ns: Float64,
    at: tuple[float, float],
    start_ns: float,
    speed: float,
    near_m: float,
    before_s: float,
    limit: int,
) -> Int64:
    """Those of `rows` from whose last place somebody at `speed` gets here in time, nearest first.

    Args:
        rows: (R,) int64, ascending; rows of the next three to be looked at.
        x, y: (N,) float64, metres, NaN where unknown: as near as can be. last_ns: (N,) event time, as floats.
        at: place of the track's beginning, metres, NaN where unknown. start_ns: when it was.
        speed: metres a second. near_m: metres that are within reach at any time.
        before_s: seconds by which the track may have begun before the other was seen last.
        limit: rows to return at the most.

    Returns:
        (K,) int64, some of `rows`; of equals the lower first.
    """
    found = np.empty(len(rows), np.int64)
    metres = np.empty(len(rows), np.float64)
    count = 0
    for row in rows:
        seconds = (start_ns - last_ns[row]) / 1e9
        far = math.hypot(x[row] - at[0], y[row] - at[1])
        if math.isnan(far):
            far = 0.0  # no metres, but one picture: its pixels will do
        if far <= speed * max(seconds, 0.0) + near_m and seconds > -before_s:
            found[count], metres[count] = row, far
            count += 1
    order = np.argsort(metres[:count], kind="mergesort")
    return found[:count][order[:limit]]
