"""ByteTrack (Zhang et al., ECCV 2022): every detection is associated, the doubtful ones second."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, no-any-return, unused-ignore"
# The bodies for compiled code carry no types: numba infers them.

from __future__ import annotations

from typing import Any

import numpy as np

from operators.track.base import Tracker
from operators.track.core.arguments import open_setup, open_tracks
from operators.track.core.boxes import XYAH, read_detections
from operators.track.core.compilation import entry
from operators.track.core.family import (
    PIXEL,
    begin_sure,
    end_family,
    lose,
    match_boxes,
    move_known,
    sort_by_state,
    still_seen,
    take_matches,
)
from operators.track.core.layout import COUNT, STATE
from operators.track.core.life import open_frame, report
from operators.track.core.noise import scaled_noise
from operators.track.core.overlap import by_score


@entry
def step(tracks, given, looks, settings, told):
    high, low, new, match, second_match, tentative_match, fuse = settings
    floats, ints, votes, embeds, counters, scales, groups, over = open_tracks(tracks)
    noise, dt, lifetime, shown, rate = open_setup(tracks)
    n = open_frame(floats, ints, counters, dt)
    dets, labels = read_detections(tracks, given, groups, XYAH, counters)
    sure, doubtful = by_score(dets, high, low)
    state = ints[STATE, :n].copy()
    tentative, known = sort_by_state(state)
    move_known(floats, state, known, dt, noise, scales, XYAH)

    # 1. Known tracks and sure detections.
    rows, columns, left, unused = match_boxes(floats, ints, known, dets, labels, sure, fuse, match, PIXEL)
    take_matches(floats, ints, votes, counters, rows, dets, labels, columns, noise, scales, XYAH)

    # 2. What is left of the tracks seen last time, and doubtful detections.
    left = still_seen(left, state)
    rows, columns, left, _ = match_boxes(floats, ints, left, dets, labels, doubtful, 0.0, second_match, PIXEL)
    take_matches(floats, ints, votes, counters, rows, dets, labels, columns, noise, scales, XYAH)
    lose(ints, left)

    # 3. Tentative tracks and what is left of the sure detections.
    rows, columns, left, unused = match_boxes(
        floats, ints, tentative, dets, labels, unused, fuse, tentative_match, PIXEL
    )
    take_matches(floats, ints, votes, counters, rows, dets, labels, columns, noise, scales, XYAH)

    begin_sure(floats, ints, votes, embeds, counters, dets, labels, unused, new, noise, scales, XYAH)
    ended = end_family(floats, ints, votes, embeds, counters, left, lifetime, over)
    return report(floats, ints, counters, told, shown, rate), ended, counters[COUNT]


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
    _form = XYAH

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
        self._configure(
            noise=scaled_noise(
                self._within("position_noise", position_noise, 1e-6, 10.0),
                self._within("velocity_noise", velocity_noise, 1e-6, 10.0),
                aspect=True,
            ),
            scales=np.full(4, 3),
            settings=(
                self._score("high", high),
                self._score("low", low),
                self._score("new", new),
                self._within("match", match, 0.0, 1.0),
                self._within("second_match", second_match, 0.0, 1.0),
                self._within("tentative_match", tentative_match, 0.0, 1.0),
                float(bool(fuse_score)),
            ),
        )
