# mypy: disable-error-code="no-untyped-def, no-untyped-call, no-any-return, unused-ignore"
# The bodies for compiled code carry no types: numba infers them.
"""What OC-SORT remembers of a track beside its filter: past boxes, its direction, and the filter as it was last seen.

Rows of `floats` from EXTRA on: FROZEN, 20 rows of motion state; FROZEN_STEP; DIRECTION, 2 rows; then a ring of
`span` + 1 boxes of 5 rows, the box and the age at which it was seen. `ints[FLAG]` is UNSEEN_YET, OBSERVED or
FROZEN_NOW.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from operators.track.core.assignment import assign, solve_dense
from operators.track.core.compilation import both_ways, loops_for
from operators.track.core.layout import AGE, DGROUP, DSCORE, EXTRA, FLAG, GROUP, POS, SEEN, UNSEEN
from operators.track.core.motion import correct, predict
from operators.track.core.types import Floats, Ints

FROZEN = EXTRA
FROZEN_STEP = EXTRA + 20
DIRECTION = EXTRA + 21
RING = EXTRA + 23
EXTRA_ROWS = 23  # and 5 (span + 1) of the ring

UNSEEN_YET = 0
OBSERVED = 1
FROZEN_NOW = 2


@both_ways
def earlier_boxes(floats: Floats, ints: Ints, n: int, span: int) -> Floats:
    """(5, n): the box that each track had `span` frames ago, or the nearest later one it has; row 4 is 1 if any."""
    boxes = np.zeros((5, n))
    for t in range(n):
        if ints[FLAG, t] == UNSEEN_YET:
            continue
        boxes[4, t] = 1.0
        found = -1
        for back in range(span, 0, -1):
            age = ints[AGE, t] - back
            slot = RING + 5 * (age % (span + 1))
            if age >= 1 and floats[slot + 4, t] == age:
                found = slot
                break
        first = found if found >= 0 else SEEN
        for i in range(4):
            boxes[i, t] = floats[first + i, t]
    return boxes


@both_ways
def remember(floats: Floats, ints: Ints, rows: Ints, dets: Floats, columns: Ints, earlier: Floats, span: int) -> None:
    """Takes the matched boxes into the rings, and the directions from where the tracks were `span` frames ago."""
    for k in range(len(rows)):
        t, d = rows[k], columns[k]
        if earlier[4, t] > 0:
            down = (dets[1, d] + dets[3, d]) / 2 - (earlier[1, t] + earlier[3, t]) / 2
            right = (dets[0, d] + dets[2, d]) / 2 - (earlier[0, t] + earlier[2, t]) / 2
            norm = np.sqrt(down * down + right * right) + 1e-6
            floats[DIRECTION, t], floats[DIRECTION + 1, t] = right / norm, down / norm
        slot = RING + 5 * (ints[AGE, t] % (span + 1))
        for i in range(4):
            floats[slot + i, t] = dets[i, d]
        floats[slot + 4, t] = ints[AGE, t]


def directed_gains(
    floats: Floats, rows: Ints, dets: Floats, columns: Ints, earlier: Floats, inertia: float
) -> tuple[Floats, Floats]:
    """IoU of all pairs, and with it the agreement of a track's direction with the way to each detection.

    Returns:
        (R, M) IoU, (R, M) gain: IoU plus `inertia` x score x (90 degrees - angle between the two) / 180 degrees.
    """
    tx1, ty1, tx2, ty2 = floats[20:24, rows][:, :, None]
    x1, y1, x2, y2 = dets[0:4, columns][:, None, :]
    width = np.maximum(np.minimum(tx2, x2) - np.maximum(tx1, x1), 0.0)
    height = np.maximum(np.minimum(ty2, y2) - np.maximum(ty1, y1), 0.0)
    common = width * height
    overlap = common / ((tx2 - tx1) * (ty2 - ty1) + (x2 - x1) * (y2 - y1) - common)
    ex1, ey1, ex2, ey2, valid = earlier[:, rows][:, :, None]
    right, down = (x1 + x2) / 2 - (ex1 + ex2) / 2, (y1 + y2) / 2 - (ey1 + ey2) / 2
    norm = np.sqrt(right * right + down * down) + 1e-6
    dx, dy = floats[DIRECTION : DIRECTION + 2, rows][:, :, None]
    cosine = np.minimum(np.maximum(dx * (right / norm) + dy * (down / norm), -1.0), 1.0)
    agreement = (np.pi / 2.0 - angle_of(cosine)) / np.pi
    return overlap, overlap + valid * agreement * inertia * dets[DSCORE, columns][None, :]


@loops_for(directed_gains)
def _directed_gains(floats, rows, dets, columns, earlier, inertia):
    n, m = len(rows), len(columns)
    overlaps, gains, box = np.empty((n, m)), np.empty((n, m)), np.empty((7, m))
    x1, y1, x2, y2, cx, cy, weight = box[0], box[1], box[2], box[3], box[4], box[5], box[6]
    for j in range(m):
        d = columns[j]
        x1[j], y1[j], x2[j], y2[j] = dets[0, d], dets[1, d], dets[2, d], dets[3, d]
        cx[j], cy[j], weight[j] = (x1[j] + x2[j]) / 2, (y1[j] + y2[j]) / 2, dets[DSCORE, d]
    for i in range(n):
        t = rows[i]
        tx1, ty1, tx2, ty2 = floats[20, t], floats[21, t], floats[22, t], floats[23, t]
        area = (tx2 - tx1) * (ty2 - ty1)
        ex, ey = (earlier[0, t] + earlier[2, t]) / 2, (earlier[1, t] + earlier[3, t]) / 2
        dx, dy, valid = floats[DIRECTION, t], floats[DIRECTION + 1, t], earlier[4, t]
        overlap, gain = overlaps[i], gains[i]
        for j in range(m):  # no branches: this loop runs in vector registers
            width = (tx2 if tx2 < x2[j] else x2[j]) - (tx1 if tx1 > x1[j] else x1[j])
            height = (ty2 if ty2 < y2[j] else y2[j]) - (ty1 if ty1 > y1[j] else y1[j])
            common = (width if width > 0.0 else 0.0) * (height if height > 0.0 else 0.0)
            overlap[j] = common / (area + (x2[j] - x1[j]) * (y2[j] - y1[j]) - common)
            right, down = cx[j] - ex, cy[j] - ey
            norm = np.sqrt(right * right + down * down) + 1e-6
            cosine = dx * (right / norm) + dy * (down / norm)
            cosine = -1.0 if cosine < -1.0 else cosine
            cosine = 1.0 if cosine > 1.0 else cosine
            agreement = (np.pi / 2.0 - angle_of(cosine)) / np.pi
            gain[j] = overlap[j] + valid * agreement * inertia * weight[j]
    return overlaps, gains


def angle_of(cosine: Any) -> Any:
    """arccos within 2e-8 (Abramowitz and Stegun 4.4.46): plain arithmetic is fast, and the same on both paths."""
    x = np.abs(cosine)
    angle = -0.0012624911 * x + 0.0066700901
    for factor in (-0.0170881256, 0.0308918810, -0.0501743046, 0.0889789874, -0.2145988016, 1.5707963050):
        angle = angle * x + factor
    angle = np.sqrt(1.0 - x) * angle
    return np.where(cosine < 0, np.pi - angle, angle)


@loops_for(angle_of)
def _angle_of(cosine):
    x = abs(cosine)
    angle = -0.0012624911 * x + 0.0066700901
    angle = angle * x + -0.0170881256
    angle = angle * x + 0.0308918810
    angle = angle * x + -0.0501743046
    angle = angle * x + 0.0889789874
    angle = angle * x + -0.2145988016
    angle = angle * x + 1.5707963050
    angle = np.sqrt(1.0 - x) * angle
    return np.pi - angle if cosine < 0 else angle


@both_ways
def assign_all(floats, ints, rows, dets, labels, columns, earlier, inertia, least):
    """OC-SORT's first association: as many pairs as there can be, for the greatest sum of gains, within each group.

    Pairs of less than `least` IoU are undone afterwards, as in the reference; where IoU above `least` is one to one
    already, that is the answer.

    Returns:
        (R,) int64: position in `columns` of each row's match, -1 for none.
    """
    match: Ints = np.full(len(rows), -1, np.int64)
    groups = np.unique(ints[GROUP][rows])
    for group in groups:
        mine = np.flatnonzero(ints[GROUP][rows] == group)
        theirs = np.flatnonzero(labels[DGROUP][columns] == group)
        n, m = len(mine), len(theirs)
        if m == 0:
            continue
        overlap, gain = directed_gains(floats, rows[mine], dets, columns[theirs], earlier, inertia)
        chosen = one_to_one(overlap, least)
        if len(chosen) == 0:
            if n <= m:
                chosen = solve_dense(-gain)
            else:
                chosen = np.full(n, -1, np.int64)
                taken = solve_dense(-np.ascontiguousarray(gain.T))
                for j in range(m):
                    chosen[taken[j]] = j
        for i in range(n):
            j = chosen[i]
            if j >= 0 and overlap[i, j] >= least:
                match[mine[i]] = theirs[j]
    return match


@both_ways
def one_to_one(overlap: Floats, least: float) -> Ints:
    """The column of each row above `least` (-1: none) if no row and no column has two and there is one; else empty."""
    n, m = overlap.shape
    chosen, used = np.full(n, -1, np.int64), np.zeros(m, np.bool_)
    count = 0
    for i in range(n):
        for j in range(m):
            if overlap[i, j] > least:
                if chosen[i] >= 0 or used[j]:
                    return np.empty(0, np.int64)
                chosen[i], used[j] = j, True
                count += 1
    return chosen if count > 0 else np.empty(0, np.int64)


@both_ways
def assign_overlaps(rows: int, columns: int, a: Ints, b: Ints, overlap: Floats, least: float) -> Ints:
    """SORT's association: the greatest sum of IoU over all pairs, then those below `least` undone.

    Where IoU above `least` is one to one already, that is the answer, as in the reference.
    """
    match: Ints = np.full(rows, -1, np.int64)
    used = np.zeros(columns, np.bool_)
    simple, count = True, 0
    for k in range(len(a)):
        if overlap[k] > least:
            if match[a[k]] >= 0 or used[b[k]]:
                simple = False
                break
            match[a[k]], used[b[k]] = b[k], True
            count += 1
    if simple and count > 0:
        return match
    match = assign(rows, columns, a, b, overlap)
    for k in range(len(a)):
        if match[a[k]] == b[k] and overlap[k] < least:
            match[a[k]] = -1
    return match


@both_ways
def freeze(floats: Floats, ints: Ints, rows: Ints, dt: float) -> None:
    """Keeps the motion state of tracks that were seen a frame ago and are not seen now."""
    for t in rows:
        if ints[FLAG, t] == OBSERVED:
            ints[FLAG, t] = FROZEN_NOW
            floats[FROZEN_STEP, t] = dt
            for i in range(20):
                floats[FROZEN + i, t] = floats[POS + i, t]


@both_ways
def replay(floats, ints, dets, rows, columns, ages_seen, noise, scales):
    """Observation-centred re-update (Cao et al. 2023): tracks found again relive their gap.

    The filter goes back to where it was when the track was lost, and is fed boxes on the straight way from the last
    box to the new one, frame by frame; so the velocity that it made up in the dark is gone. `ages_seen`: (n,) int64,
    the age at which each track was last seen.
    """
    virtual = np.zeros((9, 1))
    one, first = np.zeros(1, np.int64), np.zeros(1, np.int64)
    for k in range(len(rows)):
        t, d = rows[k], columns[k]
        if ints[FLAG, t] != FROZEN_NOW:
            continue
        for i in range(20):
            floats[POS + i, t] = floats[FROZEN + i, t]
        one[0] = t
        steps = ints[AGE, t] - ages_seen[t]
        whole, begun = floats[UNSEEN, t], floats[FROZEN_STEP, t]
        later = (whole - begun) / (steps - 1) if steps > 1 else 0.0
        w1, h1 = floats[SEEN + 2, t] - floats[SEEN, t], floats[SEEN + 3, t] - floats[SEEN + 1, t]
        w2, h2 = dets[2, d] - dets[0, d], dets[3, d] - dets[1, d]
        x1, y1 = floats[SEEN, t] + w1 / 2, floats[SEEN + 1, t] + h1 / 2
        x2, y2 = dets[0, d] + w2 / 2, dets[1, d] + h2 / 2
        for s in range(steps):
            share = (begun + s * later) / whole if whole > 0 else 1.0
            w, h = w1 + share * (w2 - w1), h1 + share * (h2 - h1)
            virtual[4, 0], virtual[5, 0] = x1 + share * (x2 - x1), y1 + share * (y2 - y1)
            virtual[6, 0], virtual[7, 0] = w * h, w / h
            correct(floats, one, virtual, first, noise, scales)
            if s < steps - 1:
                predict(floats, one, later, noise, scales)
