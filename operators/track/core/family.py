# mypy: disable-error-code="no-untyped-def, no-untyped-call, no-any-return, unused-ignore"
# The bodies for compiled code carry no types: numba infers them.
"""What the descendants of JDE share (JDE, FairMOT, ByteTrack, BoT-SORT): how a frame begins and how it ends."""

from __future__ import annotations

import numpy as np

from operators.track.core.boxes import XYWH, place_boxes
from operators.track.core.compilation import both_ways
from operators.track.core.layout import (
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
from operators.track.core.motion import correct, predict
from operators.track.core.overlap import twins

TWIN_OVERLAP = 0.85
PIXEL = 1.0  # the official IoU of this family counts pixels inclusively


@both_ways
def move_known(floats, state, dt, noise, scales, form):
    """Predicts the confirmed and lost tracks and returns them; lost ones stop growing, tentative ones wait."""
    known = np.flatnonzero(state != TENTATIVE)
    for t in known:
        if state[t] == LOST:
            floats[VEL + 3, t] = 0.0
            if form == XYWH:
                floats[VEL + 2, t] = 0.0
    predict(floats, known, dt, noise, scales)
    place_boxes(floats, known, form)
    return known


@both_ways
def take_matches(floats, ints, votes, counters, rows, dets, labels, columns, noise, scales, form):
    """Corrects tracks `rows` by detections `columns` and confirms them."""
    correct(floats, rows, dets, columns, noise, scales)
    place_boxes(floats, rows, form)
    note_matches(floats, ints, votes, counters, rows, dets, labels, columns)
    for t in rows:
        ints[STATE, t] = CONFIRMED


@both_ways
def begin_sure(floats, ints, votes, embeds, counters, dets, labels, unused, new, noise, scales, form):
    """Tracks from the unused detections with at least the score `new`; confirmed at once in the first frame only."""
    fresh = unused[dets[DSCORE][unused] >= new]
    born = CONFIRMED if counters[FRAME] == 1 else TENTATIVE
    return begin_tracks(floats, ints, votes, embeds, counters, dets, labels, fresh, born, form, noise, scales)


@both_ways
def end_family(floats, ints, votes, embeds, counters, unseen, lifetime, over):
    """Ends tentative tracks not seen again (`unseen`), lost ones after their time, and the younger of two twins."""
    n = counters[COUNT]
    gone = np.zeros(n, np.bool_)
    for t in unseen:
        gone[t] = True
    seen, lost = np.empty(n, np.int64), np.empty(n, np.int64)
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
    p, q = twins(floats, ints, seen[:many], lost[:few], TWIN_OVERLAP, PIXEL)
    for k in range(len(p)):
        older = ints[LAST, p[k]] - ints[FIRST, p[k]] > ints[LAST, q[k]] - ints[FIRST, q[k]]
        gone[q[k] if older else p[k]] = True
    return end_tracks(floats, ints, votes, embeds, counters, gone, over)
