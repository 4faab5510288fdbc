# mypy: disable-error-code="no-untyped-def, no-untyped-call, no-any-return, unused-ignore"
# The bodies for compiled code carry no types: numba infers them.
"""What the descendants of JDE share (JDE, FairMOT, ByteTrack, BoT-SORT): how a frame begins and how it ends."""

from __future__ import annotations

import numpy as np

from operators.track.core.assignment import assign, split
from operators.track.core.boxes import XYWH, place_boxes
from operators.track.core.compilation import both_ways
from operators.track.core.layout import (
    BOX,
    CONFIRMED,
    COUNT,
    DSCORE,
    FIRST,
    FRAME,
    LAST,
    LOST,
    STATE,
    TENTATIVE,
    UNSEEN,
    VEL,
)
from operators.track.core.life import begin_tracks, end_tracks, note_matches
from operators.track.core.lists import two_lists
from operators.track.core.motion import correct, predict
from operators.track.core.overlap import gains, overlapping_pairs, twins

TWIN_OVERLAP = 0.85
PIXEL = 1.0  # the official IoU of this family counts pixels inclusively


@both_ways
def match_boxes(floats, ints, rows, dets, labels, columns, fuse, most, plus):
    """Associates tracks `rows` with detections `columns` by IoU, by score if `fuse`, up to the cost `most`.

    Returns:
        Matched tracks, their detections, tracks left, detections left.
    """
    if len(rows) == 0 or len(columns) == 0:
        return rows[:0], columns[:0], rows, columns
    a, b, overlap = overlapping_pairs(floats, ints, rows, BOX, dets, labels, columns, plus)
    return split(rows, columns, assign(len(rows), len(columns), a, b, gains(overlap, dets, columns, b, fuse, most)))


@both_ways
def sort_by_state(state):
    """The tentative tracks, and the others."""
    tentative, known = two_lists(len(state))
    n = k = 0
    for t in range(len(state)):
        if state[t] == TENTATIVE:
            tentative[n] = t
            n += 1
        else:
            known[k] = t
            k += 1
    return tentative[:n], known[:k]


@both_ways
def still_seen(rows, state):
    """Those of the tracks `rows` that were seen in the frame before."""
    seen = np.empty(len(rows), np.int64)
    n = 0
    for t in rows:
        if state[t] == CONFIRMED:
            seen[n] = t
            n += 1
    return seen[:n]


@both_ways
def lose(ints, rows):
    """Marks tracks `rows` as lost."""
    for t in rows:
        ints[STATE, t] = LOST


@both_ways
def move_known(floats, state, known, dt, noise, scales, form):
    """Predicts the confirmed and lost tracks, `known`; lost ones stop growing, tentative ones wait."""
    for t in known:
        if state[t] == LOST:
            floats[VEL + 3, t] = 0.0
            if form == XYWH:
                floats[VEL + 2, t] = 0.0
    predict(floats, known, dt, noise, scales)
    place_boxes(floats, known, form)


@both_ways
def take_matches(floats, ints, votes, counters, rows, dets, labels, columns, noise, scales, form):
    """Corrects tracks `rows` by detections `columns` and confirms them."""
    if len(rows) == 0:
        return
    correct(floats, rows, dets, columns, noise, scales)
    place_boxes(floats, rows, form)
    note_matches(floats, ints, votes, counters, rows, dets, labels, columns)
    for t in rows:
        ints[STATE, t] = CONFIRMED


@both_ways
def begin_sure(floats, ints, votes, embeds, counters, dets, labels, unused, new, noise, scales, form):
    """Tracks from the unused detections with at least the score `new`; confirmed at once in the first frame only."""
    fresh = np.empty(len(unused), np.int64)
    n = 0
    for d in unused:
        if dets[DSCORE, d] >= new:
            fresh[n] = d
            n += 1
    fresh = fresh[:n]
    born = CONFIRMED if counters[FRAME] == 1 else TENTATIVE
    return begin_tracks(floats, ints, votes, embeds, counters, dets, labels, fresh, born, form, noise, scales)


@both_ways
def end_family(floats, ints, votes, embeds, counters, unseen, lifetime, over):
    """Ends tentative tracks not seen again (`unseen`), lost ones after their time, and the younger of two twins."""
    n = counters[COUNT]
    gone = np.zeros(n, np.bool_)
    for t in unseen:
        gone[t] = True
    seen, lost = two_lists(n)
    many = few = 0
    for t in range(n):
        if ints[STATE, t] == LOST:
            if floats[UNSEEN, t] > lifetime:
                gone[t] = True
            else:
                lost[few] = t
                few += 1
        elif not gone[t]:
            seen[many] = t
            many += 1
    if few > 0:
        p, q = twins(floats, ints, seen[:many], lost[:few], TWIN_OVERLAP, PIXEL)
        for k in range(len(p)):
            older = ints[LAST, p[k]] - ints[FIRST, p[k]] > ints[LAST, q[k]] - ints[FIRST, q[k]]
            gone[q[k] if older else p[k]] = True
    return end_tracks(floats, ints, votes, embeds, counters, gone, over)
