# mypy: disable-error-code="no-untyped-def, no-untyped-call, no-any-return, unused-ignore"
# The bodies for compiled code carry no types: numba infers them.
"""SORT (Bewley et al., ICIP 2016): a Kalman filter, IoU and one assignment."""

from __future__ import annotations

from typing import Any

import numpy as np

from operators.track.base import Tracker
from operators.track.core.arguments import open_setup, open_tracks
from operators.track.core.assignment import split
from operators.track.core.boxes import XYSR, place_boxes, read_detections
from operators.track.core.compilation import both_ways, entry
from operators.track.core.layout import (
    BOX,
    CONFIRMED,
    COUNT,
    FRAME,
    LOST,
    POS,
    ROW,
    STATE,
    STREAK,
    TENTATIVE,
    UNSEEN,
    VEL,
)
from operators.track.core.life import begin_tracks, end_tracks, note_matches, open_frame, report
from operators.track.core.motion import correct, predict
from operators.track.core.noise import fixed_noise
from operators.track.core.observations import assign_overlaps
from operators.track.core.overlap import from_score, overlapping_pairs


@both_ways
def predict_areas(floats, rows, dt, noise, scales):
    """Prediction of centre, area and aspect; a track whose area would vanish stops shrinking."""
    for t in rows:
        if floats[POS + 2, t] + dt * floats[VEL + 2, t] <= 0:
            floats[VEL + 2, t] = 0.0
    predict(floats, rows, dt, noise, scales)
    place_boxes(floats, rows, XYSR)


@both_ways
def settle_states(floats, ints, counters, min_hits, lifetime):
    """States by SORT's rule, confirmed after `min_hits` matches in a row; returns which tracks are past their life."""
    n = counters[COUNT]
    gone = np.zeros(n, np.bool_)
    for t in range(n):
        if ints[ROW, t] < 0:
            if ints[STATE, t] == CONFIRMED:
                ints[STATE, t] = LOST
            gone[t] = floats[UNSEEN, t] > lifetime or not np.isfinite(floats[BOX, t])
        elif ints[STREAK, t] >= min_hits or counters[FRAME] <= min_hits:
            ints[STATE, t] = CONFIRMED
        else:
            ints[STATE, t] = TENTATIVE
    return gone


@entry
def step(tracks, given, looks, settings, told):
    min_score, least, min_hits = settings
    floats, ints, votes, embeds, counters, scales, groups, over = open_tracks(tracks)
    noise, dt, lifetime, shown, rate = open_setup(tracks)
    n = open_frame(floats, ints, counters, dt)
    dets, labels = read_detections(tracks, given, groups, XYSR, counters)
    known, seen = np.arange(n), from_score(dets, min_score)
    predict_areas(floats, known, dt, noise, scales)

    a, b, overlap = overlapping_pairs(floats, ints, known, BOX, dets, labels, seen, 0.0)
    rows, columns, _, unused = split(known, seen, assign_overlaps(n, len(seen), a, b, overlap, least))
    correct(floats, rows, dets, columns, noise, scales)
    place_boxes(floats, rows, XYSR)
    note_matches(floats, ints, votes, counters, rows, dets, labels, columns)
    begin_tracks(floats, ints, votes, embeds, counters, dets, labels, unused, TENTATIVE, XYSR, noise, scales)
    gone = settle_states(floats, ints, counters, min_hits, lifetime)
    ended = end_tracks(floats, ints, votes, embeds, counters, gone, over)
    return report(floats, ints, counters, told, shown, rate), ended, counters[COUNT]


class Sort(Tracker):
    """SORT, as published.

    Args:
        iou: least IoU of a match. Reference 0.3.
        min_hits: matches in a row, after the first sight, until a track is reported. Reference 3.
        min_score: detections below it are left out. The reference takes all that the detector gives.
        lost_seconds: reference 1/30 (max_age 1, one frame of 30 a second).
        others: see `Tracker`.
    """

    name = "sort"
    _step = step
    _form = XYSR

    def __init__(
        self,
        *,
        iou: float = 0.3,
        min_hits: int = 3,
        min_score: float = 0.0,
        lost_seconds: float = 1 / 30,
        **common: Any,
    ) -> None:
        super().__init__(lost_seconds=lost_seconds, **common)
        self._configure(
            noise=fixed_noise(),
            scales=np.full(4, 3),
            settings=(
                self._score("min_score", min_score),
                self._within("iou", iou, 0.0, 1.0),
                self._within("min_hits", min_hits, 0, 1000),
            ),
        )
