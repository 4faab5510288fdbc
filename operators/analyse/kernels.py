"""The hot path of the analysis: all tracks of a frame against all lines and zones, in one compiled pass.

Crossings and insides are decided by half-open rules: a point on a line belongs to the side that a tiny step to its
positive side would lead to. Two segments that share a point therefore never both count, nor both miss, a path through
it, and cutting a segment in two changes nothing.
"""

# mypy: disable-error-code="untyped-decorator, unused-ignore"

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Int8 = NDArray[np.int8]
Bool = NDArray[np.bool_]

# Who moves less than this part of his height stands still.
STILL = 0.25
# Memory of a track's speed in the picture, and on the ground, where a box's foot jitters by decimetres.
PICTURE_MEMORY_S = 0.5
GROUND_MEMORY_S = 1.0
NEVER = -(2**62)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _right_of(px: float, py: float, qx: float, qy: float, x: float, y: float) -> bool:
    """Whether (x, y) lies on the right-hand side (y downwards) of the line from p to q, or on it."""
    return (qx - px) * (y - py) - (qy - py) * (x - px) >= 0.0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _meets(edge: Float64, ax: float, ay: float, bx: float, by: float) -> int:
    """How the step from a to b crosses an edge (x1, y1, x2, y2): 1 to its right-hand side, -1 to its left, 0 not."""
    before = _right_of(edge[0], edge[1], edge[2], edge[3], ax, ay)
    after = _right_of(edge[0], edge[1], edge[2], edge[3], bx, by)
    if before == after:
        return 0
    if _right_of(ax, ay, bx, by, edge[0], edge[1]) == _right_of(ax, ay, bx, by, edge[2], edge[3]):
        return 0
    return 1 if after else -1


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _share(edge: Float64, ax: float, ay: float, bx: float, by: float) -> float:
    """Which part of the step from a to b lies before the edge's line, 0 to 1."""
    dx, dy = edge[2] - edge[0], edge[3] - edge[1]
    one = dx * (ay - edge[1]) - dy * (ax - edge[0])
    other = dx * (by - edge[1]) - dy * (bx - edge[0])
    return min(max(one / (one - other), 0.0), 1.0) if one != other else 1.0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _beyond(edges: Float64, low: int, high: int, x: float, y: float, reach: float) -> bool:
    """Whether (x, y) is farther than `reach` from every edge."""
    for e in range(low, high):
        px, py = edges[e, 0], edges[e, 1]
        dx, dy = edges[e, 2] - px, edges[e, 3] - py
        length = dx * dx + dy * dy
        along = min(max(((x - px) * dx + (y - py) * dy) / length, 0.0), 1.0) if length > 0 else 0.0
        rx, ry = x - (px + along * dx), y - (py + along * dy)
        if rx * rx + ry * ry <= reach * reach:
            return False
    return True


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _inside(edges: Float64, low: int, high: int, x: float, y: float) -> bool:
    """Whether (x, y) is inside the polygon of these edges: even-odd rule, edges half-open in y."""
    odd = False
    for e in range(low, high):
        y1, y2 = edges[e, 1], edges[e, 3]
        if (y1 > y) != (y2 > y):
            x1, x2 = edges[e, 0], edges[e, 2]
            if x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
                odd = not odd
    return odd


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _clears(
    edges: Float64,
    low: int,
    high: int,
    ax: float,
    ay: float,
    bx: float,
    by: float,
    one: float,
    other: float,
    reach: float,
) -> bool:
    """Whether the step from a to b, between these shares of it, has a place farther than `reach` from every edge.

    Its last place is looked at, then others half a reach apart, of which there are at most 64.
    """
    end_x = bx if other == 1.0 else ax + other * (bx - ax)
    end_y = by if other == 1.0 else ay + other * (by - ay)
    if _beyond(edges, low, high, end_x, end_y, reach):
        return True
    length = (other - one) * np.sqrt((bx - ax) ** 2 + (by - ay) ** 2)
    pieces = 64 if length > 32 * reach else int(2 * length / max(reach, 1e-9)) + 1
    for piece in range(1, pieces):
        share = one + (other - one) * piece / pieces
        if _beyond(edges, low, high, ax + share * (bx - ax), ay + share * (by - ay), reach):
            return True
    return False


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _sorted_in(met: Float64, signs: Int64, count: int, share: float, sign: int) -> int:
    """Put a crossing in among the `count` that are there, in order of their shares of the step; how many there are."""
    at = count
    while at > 0 and met[at - 1] > share:
        met[at], signs[at] = met[at - 1], signs[at - 1]
        at -= 1
    met[at], signs[at] = share, sign
    return count + 1


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _doubled(rows: Int64) -> Int64:
    """The same rows in an array with room for as many again."""
    n, width = rows.shape
    more = np.empty((2 * n, width), np.int64)
    for i in range(n):
        for k in range(width):
            more[i, k] = rows[i, k]
    return more


@numba.njit(cache=True, nogil=True, error_model="numpy")
def move(
    rows: Int64,
    fresh: Bool,
    now: int,
    anchors: Float64,
    heights: Float64,
    ground: Float64,
    last: Int64,
    at: Float64,
    velocity: Float64,
    place: Float64,
    pace: Float64,
    still: Float64,
    still_since: Int64,
    before: Int64,
    whence: Float64,
) -> None:
    """Take the tracks of a frame to where they are now.

    Args:
        rows: (N,) slots of the tracks. fresh: (N,) those that are new.
        now: event time. anchors: (N, 3, 2) foot, centre and head. heights: (N,) of the boxes.
        ground: (N, 2) metres, NaN where unknown.
        last, at: (C,) and (C, 3, 2) of all slots, when and where they were last; brought up to date.
        velocity: (C, 2) of the foot, pixels a second. place, pace: (C, 2) metres and metres a second.
        still, still_since: (C, 2) and (C,) where and since when a track has not moved.
        before, whence: (N,) when and (N, 3, 2) where they were before; filled in.
    """
    for i in range(len(rows)):
        s = rows[i]
        if fresh[i]:
            last[s], velocity[s], pace[s] = now, 0.0, 0.0
            at[s], place[s] = anchors[i], ground[i]
            still[s], still_since[s] = anchors[i, 0], now
        before[i] = last[s]
        whence[i] = at[s]
        seconds = (now - last[s]) / 1e9
        if seconds > 0:
            keep = np.exp(-seconds / PICTURE_MEMORY_S)
            keep_ground = np.exp(-seconds / GROUND_MEMORY_S)
            for k in range(2):
                step = (anchors[i, 0, k] - at[s, 0, k]) / seconds
                velocity[s, k] = keep * velocity[s, k] + (1 - keep) * step
                on_ground = (ground[i, k] - place[s, k]) / seconds
                if np.isfinite(on_ground):
                    pace[s, k] = keep_ground * pace[s, k] + (1 - keep_ground) * on_ground
        dx, dy = anchors[i, 0, 0] - still[s, 0], anchors[i, 0, 1] - still[s, 1]
        if dx * dx + dy * dy > (STILL * heights[i]) ** 2:
            still[s], still_since[s] = anchors[i, 0], now
        last[s] = now
        at[s], place[s] = anchors[i], ground[i]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def cross(
    rows: Int64,
    classes: Int64,
    before: Int64,
    now: int,
    whence: Float64,
    anchors: Float64,
    heights: Float64,
    edges: Float64,
    ends: Int64,
    bounds: Float64,
    anchor: Int64,
    counts: Bool,
    band: Float64,
    settle: Int64,
    net: Int8,
    crossed: Int64,
    touched: Int64,
    spot: Float64,
) -> Int64:
    """All tracks of a frame against all L lines.

    What a track has crossed is summed up with its sign while it is near the line, and told once it is clear of it. As
    in `occupy`, it may be clear of it between two frames.

    Args:
        rows, classes, before, now, whence, anchors, heights: see `move`; classes (N,).
        edges: (E, 4) segments, those of line l being [ends[l], ends[l + 1]). bounds: (L, 4) around each line.
        anchor: (L,) which of the three anchors. counts: (L, K) which classes. band, settle: (L,) see `Line`.
        net, crossed, touched, spot: (C, L), the last with 2 more: crossings in hand, the time of the one that counts,
            of the last one, and the place.

    Returns:
        (M, 6) slot, line, 1 for forward or -1, when, and where: x and y in hundredths of a pixel; those of one track
        and line in order of time.
    """
    n, lines = len(rows), len(anchor)
    found = np.empty((16, 6), np.int64)
    met, signs = np.empty(len(edges)), np.empty(len(edges), np.int64)
    m = 0
    for i in range(n):
        s = rows[i]
        for line in range(lines):
            k = anchor[line]
            ax, ay, bx, by = whence[i, k, 0], whence[i, k, 1], anchors[i, k, 0], anchors[i, k, 1]
            beside = (
                max(ax, bx) < bounds[line, 0]
                or min(ax, bx) > bounds[line, 2]
                or max(ay, by) < bounds[line, 1]
                or min(ay, by) > bounds[line, 3]
            )
            if (beside and net[s, line] == 0) or not counts[line, classes[i]]:
                continue
            low, high = ends[line], ends[line + 1]
            pieces, start = 0, 0.0
            if not beside:
                for e in range(low, high):
                    sign = _meets(edges[e], ax, ay, bx, by)
                    if sign != 0:
                        pieces = _sorted_in(met, signs, pieces, _share(edges[e], ax, ay, bx, by), sign)
            for piece in range(pieces + 1):
                end = met[piece] if piece < pieces else 1.0
                until = before[i] + np.int64(np.rint(end * (now - before[i])))
                if net[s, line] != 0 and (
                    until - touched[s, line] >= settle[line]
                    or _clears(edges, low, high, ax, ay, bx, by, start, end, band[line] * heights[i])
                ):
                    if m == len(found):
                        found = _doubled(found)
                    found[m, 0], found[m, 1], found[m, 2] = s, line, 1 if net[s, line] > 0 else -1
                    found[m, 3] = crossed[s, line]
                    for axis in range(2):
                        found[m, 4 + axis] = np.int64(np.rint(100 * spot[s, line, axis]))
                    net[s, line] = 0
                    m += 1
                if piece < pieces:
                    was = net[s, line]
                    net[s, line] = was + signs[piece]
                    touched[s, line], start = until, end
                    if net[s, line] != 0 and (was == 0 or (was > 0) != (net[s, line] > 0)):
                        crossed[s, line] = until
                        spot[s, line, 0], spot[s, line, 1] = ax + end * (bx - ax), ay + end * (by - ay)
    return found[:m]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def occupy(
    rows: Int64,
    fresh: Bool,
    classes: Int64,
    before: Int64,
    now: int,
    whence: Float64,
    anchors: Float64,
    heights: Float64,
    edges: Float64,
    ends: Int64,
    bounds: Float64,
    anchor: Int64,
    counts: Bool,
    band: Float64,
    settle: Int64,
    raw: Bool,
    changed: Int64,
    inside: Bool,
    since: Int64,
) -> Int64:
    """All tracks of a frame against all Z zones.

    Between two frames everyone goes straight: who has come in and left again meanwhile has been inside, if that led
    him far enough from the edge, just as if there had been frames between.

    Args:
        rows to heights: see `move`. edges to settle: see `cross`.
        raw, changed: (C, Z) whether the anchor is inside by geometry alone, and since when.
        inside, since: (C, Z) whether the track counts as inside, and since when.

    Returns:
        (M, 5) slot, zone, 1 for in or 0 for out, when, and since when it had been the other way; those of one track
        and zone in order of time.
    """
    n, zones = len(rows), len(anchor)
    found = np.empty((16, 5), np.int64)
    met, turns = np.empty(len(edges)), np.empty(len(edges), np.int64)
    way = np.empty((3, 4))
    m = 0
    for i in range(n):
        s = rows[i]
        for k in range(3):
            for axis in range(2):
                way[k, axis] = min(whence[i, k, axis], anchors[i, k, axis])
                way[k, 2 + axis] = max(whence[i, k, axis], anchors[i, k, axis])
        for zone in range(zones):
            k = anchor[zone]
            beside = (
                way[k, 2] < bounds[zone, 0]
                or way[k, 0] > bounds[zone, 2]
                or way[k, 3] < bounds[zone, 1]
                or way[k, 1] > bounds[zone, 3]
            )
            if beside and not fresh[i] and not raw[s, zone] and not inside[s, zone]:
                continue  # as nearly everybody is of nearly every zone
            if not counts[zone, classes[i]]:
                continue
            x, y = anchors[i, k, 0], anchors[i, k, 1]
            low, high = ends[zone], ends[zone + 1]
            within = bounds[zone, 0] <= x <= bounds[zone, 2] and bounds[zone, 1] <= y <= bounds[zone, 3]
            now_inside = within and _inside(edges, low, high, x, y)
            reach = band[zone] * heights[i]
            pieces, start = 0, 0.0
            if fresh[i]:
                raw[s, zone], changed[s, zone] = now_inside, now
                inside[s, zone], since[s, zone] = False, now
            else:
                ax, ay = whence[i, k, 0], whence[i, k, 1]
                if not beside:
                    for e in range(low, high):
                        if _meets(edges[e], ax, ay, x, y) != 0:
                            pieces = _sorted_in(met, turns, pieces, _share(edges[e], ax, ay, x, y), 0)
                if (pieces % 2 == 1) != (now_inside != raw[s, zone]):
                    # A foot on the very edge: what the rules for points and for steps say differs.
                    met[0] = met[pieces - 1] if pieces else 1.0
                    pieces = 1 if now_inside != raw[s, zone] else 0
            for piece in range(pieces + 1):
                end = met[piece] if piece < pieces else 1.0
                until = before[i] + np.int64(np.rint(end * (now - before[i])))
                if raw[s, zone] != inside[s, zone] and (
                    fresh[i]
                    or until - changed[s, zone] >= settle[zone]
                    or _clears(edges, low, high, whence[i, k, 0], whence[i, k, 1], x, y, start, end, reach)
                ):
                    if m == len(found):
                        found = _doubled(found)
                    found[m, 0], found[m, 1], found[m, 2] = s, zone, 1 if raw[s, zone] else 0
                    found[m, 3], found[m, 4] = changed[s, zone], since[s, zone]
                    inside[s, zone], since[s, zone] = raw[s, zone], changed[s, zone]
                    m += 1
                if piece < pieces:
                    raw[s, zone] = not raw[s, zone]
                    changed[s, zone] = until
                    start = end
    return found[:m]
