# mypy: disable-error-code="no-untyped-def, no-untyped-call, no-any-return, unused-ignore"
# The bodies for compiled code carry no types: numba infers them.
"""OC-SORT (Cao et al., CVPR 2023): SORT that trusts observations: their momentum, recovery and re-update."""

from __future__ import annotations

from typing import Any

import numpy as np

from operators.track.base import Tracker
from operators.track.core.arguments import open_setup, open_tracks
from operators.track.core.boxes import XYSR, place_boxes, read_detections
from operators.track.core.compilation import entry
from operators.track.core.layout import AGE, COUNT, DSCORE, FLAG, FRAME, LAST, ROW, SEEN, TENTATIVE
from operators.track.core.life import begin_tracks, end_tracks, note_matches, open_frame, report
from operators.track.core.motion import correct
from operators.track.core.noise import fixed_noise
from operators.track.core.observations import (
    EXTRA_ROWS,
    OBSERVED,
    UNSEEN_YET,
    assign_all,
    assign_overlaps,
    earlier_boxes,
    freeze,
    remember,
    replay,
)
from operators.track.core.overlap import overlapping_pairs
from operators.track.sort import predict_areas, settle_states


@entry
def step(tracks, given, looks, settings, told):
    min_score, least, min_hits, inertia, span = settings
    floats, ints, votes, embeds, counters, scales, groups, over = open_tracks(tracks)
    noise, dt, lifetime, shown, rate = open_setup(tracks)
    n = open_frame(floats, ints, counters, dt)
    dets, labels = read_detections(tracks, given, groups, XYSR, counters)
    known, seen = np.arange(n), np.flatnonzero(dets[DSCORE] > min_score)
    predict_areas(floats, known, dt, noise, scales)
    earlier = earlier_boxes(floats, ints, n, int(span))
    ages_seen = ints[AGE, :n] - (counters[FRAME] - ints[LAST, :n])

    # 1. Overlap and momentum.
    match = assign_all(floats, ints, known, dets, labels, seen, earlier, inertia, least)
    rows, columns = known[match >= 0], seen[match[match >= 0]]
    free = np.ones(len(seen), np.bool_)
    free[match[match >= 0]] = False

    # 2. Recovery: what is left, by the boxes last seen.
    left, unused = known[match < 0], seen[free]
    left = left[ints[FLAG][left] != UNSEEN_YET]
    a, b, overlap = overlapping_pairs(floats, ints, left, SEEN, dets, labels, unused, 0.0)
    match = assign_overlaps(len(left), len(unused), a, b, overlap, least)
    rows = np.concatenate((rows, left[match >= 0]))
    columns = np.concatenate((columns, unused[match[match >= 0]]))
    free = np.ones(len(unused), np.bool_)
    free[match[match >= 0]] = False

    remember(floats, ints, rows, dets, columns, earlier, int(span))
    replay(floats, ints, dets, rows, columns, ages_seen, noise, scales)
    correct(floats, rows, dets, columns, noise, scales)
    place_boxes(floats, rows, XYSR)
    note_matches(floats, ints, votes, counters, rows, dets, labels, columns)
    ints[FLAG, rows] = OBSERVED
    freeze(floats, ints, known[ints[ROW, :n] < 0], dt)
    begin_tracks(floats, ints, votes, embeds, counters, dets, labels, unused[free], TENTATIVE, XYSR, noise, scales)
    gone = settle_states(floats, ints, counters, min_hits, lifetime)
    ended = end_tracks(floats, ints, votes, embeds, counters, gone, over)
    return report(floats, ints, counters, told, shown, rate), ended, counters[COUNT]


class OcSort(Tracker):
    """OC-SORT with all three of its parts; the reference reports the measured boxes.

    Args:
        min_score: detections must be above it. Reference 0.6 (PP-Tracking 0.4 to 0.6).
        iou: least IoU of a match. Reference 0.3.
        min_hits: matches in a row, after the first sight, until a track is reported. Reference 3.
        inertia: weight of the agreement of direction. Reference 0.2.
        delta_t: frames over which a direction is measured. Reference 3.
        lost_seconds: reference 1 (max_age 30 frames of 30 a second).
        others: see `Tracker`.
    """

    name = "ocsort"
    _step = step
    _form = XYSR

    def __init__(
        self,
        *,
        min_score: float = 0.6,
        iou: float = 0.3,
        min_hits: int = 3,
        inertia: float = 0.2,
        delta_t: int = 3,
        lost_seconds: float = 1.0,
        **common: Any,
    ) -> None:
        span = int(self._within("delta_t", delta_t, 1, 100))
        self._extra_floats = EXTRA_ROWS + 5 * (span + 1)
        super().__init__(lost_seconds=lost_seconds, **common)
        self._configure(
            noise=fixed_noise(),
            scales=np.full(4, 3),
            settings=(
                self._score("min_score", min_score),
                self._within("iou", iou, 0.0, 1.0),
                self._within("min_hits", min_hits, 0, 1000),
                self._within("inertia", inertia, 0.0, 10.0),
                float(span),
            ),
        )
