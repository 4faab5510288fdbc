"""ByteTrack (Zhang et al., ECCV 2022): every detection is associated, the doubtful ones second."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, no-any-return, unused-ignore"
# The bodies for compiled code carry no types: numba infers them.

from __future__ import annotations

from typing import Any

import numpy as np

from operators.track.base import Tracker
from operators.track.core.assignment import assign
from operators.track.core.boxes import XYAH, place_boxes, read_detections
from operators.track.core.compilation import entry
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
from operators.track.core.life import begin_tracks, end_tracks, note_matches, open_frame, report
from operators.track.core.motion import correct, predict
from operators.track.core.noise import scaled_noise
from operators.track.core.overlap import overlapping_pairs, twins, worth

_PIXEL = 1.0  # the official IoU counts pixels inclusively
_TWIN_OVERLAP = 0.85


@entry
def step(
    floats,
    ints,
    votes,
    embeds,
    counters,
    given,
    looks,
    groups,
    noise,
    scales,
    settings,
    dt,
    lifetime,
    shown,
    rate,
    told,
    over,
):
    high, low, new, match, second_match, tentative_match, fuse = settings
    n = open_frame(floats, ints, counters, dt)
    dets, labels = read_detections(given, groups, XYAH, counters)
    sure = np.flatnonzero(dets[DSCORE] > high)
    doubtful = np.flatnonzero((dets[DSCORE] > low) & (dets[DSCORE] < high))

    # Lost tracks stop growing; tentative ones wait where they are.
    state = ints[STATE, :n].copy()
    known = np.flatnonzero(state != TENTATIVE)
    floats[VEL + 3, np.flatnonzero(state == LOST)] = 0.0
    predict(floats, known, dt, noise, scales)
    place_boxes(floats, known, XYAH)

    # 1. Known tracks and sure detections.
    a, b, overlap = overlapping_pairs(floats, ints, known, BOX, dets, labels, sure, _PIXEL)
    match1 = assign(len(known), len(sure), a, b, worth(overlap, dets, sure, b, fuse) - (1.0 - match))
    free = np.ones(len(sure), np.bool_)
    free[match1[match1 >= 0]] = False
    rows, columns = known[match1 >= 0], sure[match1[match1 >= 0]]

    # 2. What is left of the tracks seen last time, and doubtful detections.
    left = known[(match1 < 0) & (state[known] == CONFIRMED)]
    a, b, overlap = overlapping_pairs(floats, ints, left, BOX, dets, labels, doubtful, _PIXEL)
    match2 = assign(len(left), len(doubtful), a, b, overlap - (1.0 - second_match))
    rows = np.concatenate((rows, left[match2 >= 0]))
    columns = np.concatenate((columns, doubtful[match2[match2 >= 0]]))
    ints[STATE, left[match2 < 0]] = LOST

    # 3. Tentative tracks and what is left of the sure detections.
    tentative, unused = np.flatnonzero(state == TENTATIVE), sure[free]
    a, b, overlap = overlapping_pairs(floats, ints, tentative, BOX, dets, labels, unused, _PIXEL)
    match3 = assign(len(tentative), len(unused), a, b, worth(overlap, dets, unused, b, fuse) - (1.0 - tentative_match))
    rows = np.concatenate((rows, tentative[match3 >= 0]))
    columns = np.concatenate((columns, unused[match3[match3 >= 0]]))
    free = np.ones(len(unused), np.bool_)
    free[match3[match3 >= 0]] = False

    correct(floats, rows, dets, columns, noise, scales)
    place_boxes(floats, rows, XYAH)
    note_matches(floats, ints, votes, counters, rows, dets, labels, columns)
    ints[STATE, rows] = CONFIRMED

    # Births, and deaths: tentative tracks not seen again, lost ones after their time, the younger of twins.
    fresh = unused[free]
    born = CONFIRMED if counters[FRAME] == 1 else TENTATIVE
    begin_tracks(
        floats, ints, votes, counters, dets, labels, fresh[dets[DSCORE][fresh] >= new], born, XYAH, noise, scales
    )
    n = counters[COUNT]
    gone = (ints[STATE, :n] == LOST) & (floats[UNSEEN, :n] > lifetime)
    gone[tentative[match3 < 0]] = True
    seen, lost = np.flatnonzero((ints[STATE, :n] != LOST) & ~gone), np.flatnonzero((ints[STATE, :n] == LOST) & ~gone)
    p, q = twins(floats, ints, seen, lost, _TWIN_OVERLAP, _PIXEL)
    for k in range(len(p)):
        older = ints[LAST, p[k]] - ints[FIRST, p[k]] > ints[LAST, q[k]] - ints[FIRST, q[k]]
        gone[q[k] if older else p[k]] = True
    ended = end_tracks(floats, ints, votes, embeds, counters, gone, over)
    return report(floats, ints, counters, told, shown, rate), ended


class ByteTrack(Tracker):
    """ByteTrack, with the official association: inclusive-pixel IoU, scores fused into it.

    Args:
        high: detections above it are associated first and may begin tracks. Reference 0.6 (PP-Tracking: 0.6).
        low: detections above it, up to `high`, may continue a track only. Reference 0.1.
        new: a detection begins a track from here. Reference `high` + 0.1.
        match: largest cost 1 - IoU x score of the first association. Reference 0.9 (PP-Tracking: 0.9).
        second_match: largest 1 - IoU of the second one. Reference 0.5.
        tentative_match: largest cost for tracks seen once. Reference 0.7.
        fuse_score: multiply IoU by the detection's score (the reference does, except on MOT20).
        position_noise, velocity_noise: the filter's standard deviations as shares of the height. Reference 1/20, 1/160.
        lost_seconds: reference 1 (30 frames of 30 a second).
        others: see `Tracker`.
    """

    name = "bytetrack"
    _step = step

    def __init__(
        self,
        *,
        high: float = 0.6,
        low: float = 0.1,
        new: float = 0.7,
        match: float = 0.9,
        second_match: float = 0.5,
        tentative_match: float = 0.7,
        fuse_score: bool = True,
        position_noise: float = 1 / 20,
        velocity_noise: float = 1 / 160,
        lost_seconds: float = 1.0,
        **common: Any,
    ) -> None:
        super().__init__(lost_seconds=lost_seconds, **common)
        self._settings = (
            self._score("high", high),
            self._score("low", low),
            self._score("new", new),
            self._within("match", match, 0.0, 1.0),
            self._within("second_match", second_match, 0.0, 1.0),
            self._within("tentative_match", tentative_match, 0.0, 1.0),
            float(bool(fuse_score)),
        )
        self._noise = scaled_noise(
            self._within("position_noise", position_noise, 1e-6, 10.0),
            self._within("velocity_noise", velocity_noise, 1e-6, 10.0),
            aspect=True,
        )
        self._scales = np.full(4, 3)
