"""What zones forbid single tracks: all tracks of a frame against all limits, in one compiled pass."""

# mypy: disable-error-code="untyped-decorator, unused-ignore"

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from operators.analyse.kernels import NEVER

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

# Kinds of limits: what has to be so of a track, in a zone, for how long.
RESTRICTED, CONFINED, LOITERING, STOPPED, WRONG_WAY, SPEEDING = range(6)

# Slower than this part of his height a second, nobody goes anywhere.
UNDER_WAY = 0.25
# More than 120 degrees off the direction is against it.
AGAINST = -0.5
# An incident is over once it has not been so for this long: a limit that is touched again and again is one incident.
LAPSE_NS = 1_000_000_000


@numba.njit(cache=True, nogil=True, error_model="numpy")
def limit(
    rows: Int64,
    now: int,
    heights: Float64,
    velocity: Float64,
    pace: Float64,
    still_since: Int64,
    inside: Bool,
    been: Bool,
    since: Int64,
    zone_of: Int64,
    kind: Int64,
    hold: Int64,
    value: Float64,
    begun: Int64,
    last_so: Int64,
    active: Bool,
) -> tuple[Int64, Int64]:
    """All tracks of a frame against all R limits.

    Args:
        rows to still_since: see `kernels.move`.
        inside, been, since: (C, Z) see `kernels.occupy`; been: inside at some time.
        zone_of, kind, hold: (R,) the zone, what has to be so, and for how long (ns).
        value: (R, 2) unit vector of the direction (WRONG_WAY), or the most metres a second (SPEEDING).
        begun, last_so, active: (C, R) since when it is so, when it last was, and whether it is an incident.

    Returns:
        (M, 3) slot, limit, and 1 where an incident starts or 0 where it ends; (M,) when it began or ended.
    """
    n, limits = len(rows), len(zone_of)
    found = np.empty((n * limits, 3), np.int64)
    times = np.empty(n * limits, np.int64)
    m = 0
    for i in range(n):
        s = rows[i]
        for r in range(limits):
            zone = zone_of[r]
            here = inside[s, zone]
            start = since[s, zone]
            by_zone = True
            if kind[r] == CONFINED:
                so = been[s, zone] and not here
            elif kind[r] == STOPPED:
                so, start, by_zone = here, max(start, still_since[s]), False
            elif kind[r] == WRONG_WAY:
                vx, vy = velocity[s, 0], velocity[s, 1]
                speed = np.sqrt(vx * vx + vy * vy)
                so = here and speed > UNDER_WAY * heights[i]
                so = so and vx * value[r, 0] + vy * value[r, 1] < AGAINST * speed
                start, by_zone = now, False
            elif kind[r] == SPEEDING:
                so = here and pace[s, 0] ** 2 + pace[s, 1] ** 2 > value[r, 0] ** 2
                start, by_zone = now, False
            else:
                so = here
            if so:
                # A limit of no zone's own time begins when it first is so; one that has stood still, when it stopped.
                if begun[s, r] == NEVER or (kind[r] == STOPPED and not active[s, r]):
                    begun[s, r] = start
                if kind[r] == STOPPED and active[s, r] and start > begun[s, r]:
                    so = False
            if so:
                last_so[s, r] = now
                if not active[s, r] and now - begun[s, r] >= hold[r]:
                    active[s, r] = True
                    found[m, 0], found[m, 1], found[m, 2] = s, r, 1
                    times[m] = begun[s, r]
                    m += 1
            elif not active[s, r]:
                begun[s, r] = NEVER
            elif by_zone or now - last_so[s, r] >= LAPSE_NS or not here:
                active[s, r] = False
                begun[s, r] = NEVER
                found[m, 0], found[m, 1], found[m, 2] = s, r, 0
                times[m] = since[s, zone] if by_zone else last_so[s, r]
                m += 1
    return found[:m], times[:m]
