# mypy: disable-error-code="no-untyped-def, no-untyped-call, no-any-return, unused-ignore"
# The bodies for compiled code carry no types: numba infers them.
"""CenterTrack's association (Zhou et al., ECCV 2020): the surest detection first takes the nearest track, greedily."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from operators.records import Detections, Tracks
from operators.track.base import Tracker
from operators.track.core.arguments import open_setup, open_tracks
from operators.track.core.boxes import XYWH, place_boxes, read_detections
from operators.track.core.compilation import both_ways, entry
from operators.track.core.layout import (
    BOX,
    CONFIRMED,
    COUNT,
    DGROUP,
    DPOS,
    DROW,
    DSCORE,
    GROUP,
    LOST,
    POS,
    ROW,
    STATE,
    UNSEEN,
    VEL,
)
from operators.track.core.life import begin_tracks, end_tracks, note_matches, open_frame, report
from operators.track.core.motion import correct, predict
from operators.track.core.noise import scaled_noise


@both_ways
def take_nearest(floats, ints, rows, dets, labels, columns, offsets):
    """Position in `columns` of each track's detection or -1: by falling score, each detection takes the nearest track.

    The distance is between the track's centre and the detection's, moved by its offset if there are any; squared, it
    must not exceed the area of either box.
    """
    match, free = np.full(len(rows), -1, np.int64), np.ones(len(rows), np.bool_)
    for j in np.argsort(-dets[DSCORE][columns], kind="mergesort"):
        d = columns[j]
        x, y = dets[DPOS, d], dets[DPOS + 1, d]
        if len(offsets) > 0:
            x += offsets[labels[DROW, d], 0]
            y += offsets[labels[DROW, d], 1]
        most = (dets[2, d] - dets[0, d]) * (dets[3, d] - dets[1, d])
        best = -1
        for i in range(len(rows)):
            t = rows[i]
            if not free[i] or ints[GROUP, t] != labels[DGROUP, d]:
                continue
            distance = (x - floats[POS, t]) ** 2 + (y - floats[POS + 1, t]) ** 2
            area = (floats[BOX + 2, t] - floats[BOX, t]) * (floats[BOX + 3, t] - floats[BOX + 1, t])
            if distance <= area and distance <= most:
                best, most = i, distance
        if best >= 0:
            match[best] = j
            free[best] = False
    return match


@entry
def step(tracks, given, looks, settings, told):
    min_score, new, own_motion = settings
    floats, ints, votes, embeds, counters, scales, groups, over = open_tracks(tracks)
    noise, dt, lifetime, shown, rate = open_setup(tracks)
    n = open_frame(floats, ints, counters, dt)
    dets, labels = read_detections(tracks, given, groups, XYWH, counters)
    usable, known = np.flatnonzero(dets[DSCORE] > min_score), np.arange(n)
    if own_motion > 0:
        predict(floats, known, dt, noise, scales)
        place_boxes(floats, known, XYWH)

    match = take_nearest(floats, ints, known, dets, labels, usable, looks[:0] if own_motion > 0 else looks)
    rows, columns = known[match >= 0], usable[match[match >= 0]]
    free = np.ones(len(usable), np.bool_)
    free[match[match >= 0]] = False
    if own_motion > 0:
        correct(floats, rows, dets, columns, noise, scales)
    else:
        for k in range(len(rows)):
            t, d = rows[k], columns[k]
            for i in range(4):
                if floats[UNSEEN, t] > 0:
                    floats[VEL + i, t] = (dets[DPOS + i, d] - floats[POS + i, t]) / floats[UNSEEN, t]
                floats[POS + i, t] = dets[DPOS + i, d]
    place_boxes(floats, rows, XYWH)
    note_matches(floats, ints, votes, counters, rows, dets, labels, columns)
    ints[STATE, rows] = CONFIRMED

    unused = usable[free]
    fresh = unused[dets[DSCORE][unused] > new]
    begin_tracks(floats, ints, votes, embeds, counters, dets, labels, fresh, CONFIRMED, XYWH, noise, scales)
    gone = np.zeros(counters[COUNT], np.bool_)
    for t in range(n):
        if ints[ROW, t] < 0:
            ints[STATE, t] = LOST
            gone[t] = floats[UNSEEN, t] > lifetime
    ended = end_tracks(floats, ints, votes, embeds, counters, gone, over)
    return report(floats, ints, counters, told, shown, rate), ended, counters[COUNT]


class CenterTrack(Tracker):
    """CenterTrack's greedy matching of centres.

    The network's offsets come with the detections (`Detections.offsets`, or as their embeddings): (N, 2) pixels, from
    a centre now to the same object's centre in the frame before. Without them a Kalman filter predicts where the
    tracks have gone.

    Args:
        min_score: detections must be above it. Reference 0.4.
        new: a detection above it begins a track. Reference 0.4.
        offsets: take motion from the network's offsets (the reference) instead of the filter.
        position_noise, velocity_noise: the filter's standard deviations as shares of width and height, 1/20 and 1/160.
        lost_seconds: reference 0, a track not seen is over; with the filter, a second is a good choice.
        others: see `Tracker`.
    """

    name = "centertrack"
    _step = step
    _form = XYWH

    def __init__(
        self,
        *,
        min_score: float = 0.4,
        new: float = 0.4,
        offsets: bool = False,
        position_noise: float = 1 / 20,
        velocity_noise: float = 1 / 160,
        lost_seconds: float = 0.0,
        **common: Any,
    ) -> None:
        self._offsets = bool(offsets)
        self._only_dim = 2
        super().__init__(lost_seconds=lost_seconds, **common)
        self._configure(
            noise=scaled_noise(
                self._within("position_noise", position_noise, 1e-6, 10.0),
                self._within("velocity_noise", velocity_noise, 1e-6, 10.0),
                aspect=False,
            ),
            scales=np.array([2, 3, 2, 3]),
            settings=(
                self._score("min_score", min_score),
                self._score("new", new),
                float(not self._offsets),
            ),
        )

    def update(self, detections: Detections, time_ns: int) -> Tracks:
        """See `Tracker.update`."""
        if self._offsets and detections.offsets is not None:
            detections = replace(detections, embeddings=detections.offsets)
        return super().update(detections, time_ns)

    def _embedding_width(self, dim: int) -> int:
        return dim if self._offsets else 0
