"""Births, matches, deaths and the report of a frame: what every strategy does alike."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, no-any-return, unused-ignore"
# The bodies for compiled code carry no types: numba infers them.

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from operators.records import (
    TOLD_AGE,
    TOLD_BOX,
    TOLD_CLASS,
    TOLD_ID,
    TOLD_ROW,
    TOLD_SCORE,
    TOLD_SEEN,
    TOLD_STATE,
    TOLD_VELOCITY,
)
from operators.track.core.boxes import place_boxes
from operators.track.core.compilation import both_ways, loops_for
from operators.track.core.layout import (
    AGE,
    BOX,
    CLASS,
    CONFIRMED,
    COUNT,
    DCLASS,
    DGROUP,
    DROW,
    DSCORE,
    FIRST,
    FRAME,
    GROUP,
    HITS,
    ID,
    LAST,
    LOST,
    NEXT_ID,
    ROW,
    SCORE,
    SEEN,
    STATE,
    STREAK,
    TENTATIVE,
    UNSEEN,
    VEL,
)
from operators.track.core.motion import begin_motion
from operators.track.core.types import Floats, Ints

# Bits of `shown`: which tracks a frame reports beside the confirmed and matched ones.
SHOW_TENTATIVE = 1
SHOW_LOST = 2


def open_frame(floats: Floats, ints: Ints, counters: Ints, dt: float) -> int:
    """Ages every track by one frame of `dt` and forgets the last frame's matches; returns the number of tracks."""
    n = counters[COUNT]
    counters[FRAME] += 1
    ints[AGE, :n] += 1
    ints[STREAK, :n][ints[ROW, :n] < 0] = 0
    ints[ROW, :n] = -1
    floats[UNSEEN, :n] += dt
    return n


@loops_for(open_frame)
def _open_frame(floats, ints, counters, dt):
    n = counters[COUNT]
    counters[FRAME] += 1
    for t in range(n):
        ints[AGE, t] += 1
        if ints[ROW, t] < 0:
            ints[STREAK, t] = 0
        ints[ROW, t] = -1
        floats[UNSEEN, t] += dt
    return n


def note_matches(
    floats: Floats, ints: Ints, votes: Floats, counters: Ints, rows: Ints, dets: Floats, labels: Ints, columns: Ints
) -> None:
    """Writes down that tracks `rows` were seen as the detections `columns`: box, score, class vote, counters."""
    floats[SEEN : SEEN + 4, rows] = dets[0:4, columns]
    floats[SCORE, rows] = dets[DSCORE, columns]
    floats[UNSEEN, rows] = 0.0
    ints[STREAK, rows] += 1
    ints[HITS, rows] += 1
    ints[ROW, rows] = labels[DROW, columns]
    ints[LAST, rows] = counters[FRAME]
    for t, d in zip(rows, columns, strict=True):
        _vote(ints, votes, t, labels[DCLASS, d], dets[DSCORE, d])


@loops_for(note_matches)
def _note_matches(floats, ints, votes, counters, rows, dets, labels, columns):
    for k in range(len(rows)):
        t, d = rows[k], columns[k]
        for i in range(4):
            floats[SEEN + i, t] = dets[i, d]
        floats[SCORE, t] = dets[DSCORE, d]
        floats[UNSEEN, t] = 0.0
        ints[STREAK, t] += 1
        ints[HITS, t] += 1
        ints[ROW, t] = labels[DROW, d]
        ints[LAST, t] = counters[FRAME]
        if votes.shape[1] > 0:
            _vote(ints, votes, t, labels[DCLASS, d], dets[DSCORE, d])


@both_ways
def _vote(ints, votes, t, label, score):
    # A track's class is the one with the greatest sum of scores; the class it has wins a draw.
    if label >= votes.shape[1]:
        return
    votes[t, label] += score
    if label != ints[CLASS, t] and votes[t, label] > votes[t, ints[CLASS, t]]:
        ints[CLASS, t] = label


@both_ways
def begin_tracks(
    floats: Floats,
    ints: Ints,
    votes: Floats,
    embeds: Floats,
    counters: Ints,
    dets: Floats,
    labels: Ints,
    columns: Ints,
    state: int,
    form: int,
    noise: Floats,
    scales: Ints,
) -> Ints:
    """New tracks from the detections `columns`, in `state`, with the next ids; returns their columns."""
    n = counters[COUNT]
    if len(columns) == 0:
        return columns
    rows = np.arange(n, n + len(columns))
    floats[:, n : n + len(columns)] = 0.0
    ints[:, n : n + len(columns)] = 0
    votes[n : n + len(columns)] = 0.0
    embeds[n : n + len(columns)] = np.float32(0.0)
    begin_motion(floats, rows, dets, columns, noise, scales)
    place_boxes(floats, rows, form)
    for k in range(len(columns)):
        t, d = n + k, columns[k]
        ints[ID, t] = counters[NEXT_ID]
        counters[NEXT_ID] += 1
        ints[STATE, t] = state
        ints[CLASS, t] = labels[DCLASS, d]
        ints[GROUP, t] = labels[DGROUP, d]
        ints[HITS, t] = 1
        ints[ROW, t] = labels[DROW, d]
        ints[FIRST, t] = counters[FRAME]
        ints[LAST, t] = counters[FRAME]
        for i in range(4):
            floats[SEEN + i, t] = dets[i, d]
        floats[SCORE, t] = dets[DSCORE, d]
        _vote(ints, votes, t, labels[DCLASS, d], dets[DSCORE, d])
    counters[COUNT] = n + len(columns)
    return rows


def end_tracks(
    floats: Floats, ints: Ints, votes: Floats, embeds: Floats, counters: Ints, gone: NDArray[np.bool_], over: Ints
) -> int:
    """Lets go of the tracks whose `gone` is true, in order; their ids go to `over`, returns how many."""
    n = counters[COUNT]
    ended = ints[ID, :n][gone[:n]]
    over[: len(ended)] = ended
    if len(ended):
        keep = np.flatnonzero(~gone[:n])
        k = len(keep)
        floats[:, :k] = floats[:, keep]
        ints[:, :k] = ints[:, keep]
        votes[:k] = votes[keep]
        embeds[:k] = embeds[keep]
        counters[COUNT] = k
    return len(ended)


@loops_for(end_tracks)
def _end_tracks(floats, ints, votes, embeds, counters, gone, over):
    n = counters[COUNT]
    first = 0
    while first < n and not gone[first]:
        first += 1
    to, e = first, 0
    for t in range(first, n):
        if gone[t]:
            over[e] = ints[ID, t]
            e += 1
            continue
        for p in range(len(floats)):
            floats[p, to] = floats[p, t]
        for p in range(len(ints)):
            ints[p, to] = ints[p, t]
        for p in range(votes.shape[1]):
            votes[to, p] = votes[t, p]
        for p in range(embeds.shape[1]):
            embeds[to, p] = embeds[t, p]
        to += 1
    counters[COUNT] = to
    return e


def report(floats: Floats, ints: Ints, counters: Ints, told: Floats, shown: int, rate: float) -> int:
    """Writes what a frame tells of its tracks into the rows of `told`, and returns how many they are.

    A track is told of when it is confirmed and matched in this frame; `shown` adds tentative and lost ones.

    Args:
        told: (at least as many as tracks, TOLD) float64, the table of `records.Tracks`.
        rate: turns velocities a reference frame into velocities a second.
    """
    n = counters[COUNT]
    state, row = ints[STATE, :n], ints[ROW, :n]
    chosen = (state == CONFIRMED) & (row >= 0)
    if shown & SHOW_TENTATIVE:
        chosen |= (state == TENTATIVE) & (row >= 0)
    if shown & SHOW_LOST:
        chosen |= row < 0
    rows = np.flatnonzero(chosen)
    k = len(rows)
    matched = row[rows] >= 0
    told[:k, TOLD_BOX : TOLD_BOX + 4] = floats[BOX : BOX + 4, rows].T
    told[:k, TOLD_SEEN : TOLD_SEEN + 4] = np.where(
        matched, floats[SEEN : SEEN + 4, rows], floats[BOX : BOX + 4, rows]
    ).T
    told[:k, TOLD_ID], told[:k, TOLD_SCORE] = ints[ID, rows], floats[SCORE, rows]
    told[:k, TOLD_CLASS], told[:k, TOLD_ROW] = ints[CLASS, rows], row[rows]
    told[:k, TOLD_VELOCITY : TOLD_VELOCITY + 2] = (floats[VEL : VEL + 2, rows] * rate).T
    told[:k, TOLD_AGE] = ints[AGE, rows]
    told[:k, TOLD_STATE] = np.where(~matched & (state[rows] == CONFIRMED), LOST, state[rows])
    return k


@loops_for(report)
def _report(floats, ints, counters, told, shown, rate):
    k = 0
    for t in range(counters[COUNT]):
        matched = ints[ROW, t] >= 0
        if matched:
            chosen = ints[STATE, t] == CONFIRMED or (ints[STATE, t] == TENTATIVE and (shown & SHOW_TENTATIVE) != 0)
        else:
            chosen = (shown & SHOW_LOST) != 0
        if not chosen:
            continue
        for i in range(4):
            told[k, TOLD_BOX + i] = floats[BOX + i, t]
            told[k, TOLD_SEEN + i] = floats[SEEN + i, t] if matched else floats[BOX + i, t]
        told[k, TOLD_ID], told[k, TOLD_SCORE] = ints[ID, t], floats[SCORE, t]
        told[k, TOLD_CLASS], told[k, TOLD_ROW] = ints[CLASS, t], ints[ROW, t]
        told[k, TOLD_VELOCITY], told[k, TOLD_VELOCITY + 1] = floats[VEL, t] * rate, floats[VEL + 1, t] * rate
        told[k, TOLD_AGE] = ints[AGE, t]
        told[k, TOLD_STATE] = LOST if not matched and ints[STATE, t] == CONFIRMED else ints[STATE, t]
        k += 1
    return k
