# mypy: disable-error-code="no-untyped-def, no-untyped-call, no-any-return, unused-ignore"
# The bodies for compiled code carry no types: numba infers them.
"""The default: ByteTrack's order of business, on a picture that holds still.

What it adds, each with its ablation in tests/benchmarks/track_accuracy.py:

* The camera's motion is read from the boxes themselves. Confirmed tracks are first matched as they are predicted; the
  median of what the predictions miss by is how far the camera jerked, since objects do not all err the same way at
  once. It moves all tracks, the lost ones most usefully, before anything is decided. No picture is needed.
* A filter of width and height instead of aspect and height, as in BoT-SORT.
* Lost tracks coast: their speed decays, for what was last measured was half an occlusion; and they live longer.

Tried and left out, as they did not help on all benchmarks: overlap in height, agreement of direction, similarity of
score and shape, Mahalanobis distance, noise scaled by score, re-update, cascaded expansion, zoom of the camera.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from operators.track.base import Tracker
from operators.track.core.arguments import open_setup, open_tracks
from operators.track.core.assignment import assign
from operators.track.core.boxes import XYWH, place_boxes, read_detections
from operators.track.core.compilation import both_ways, entry, loops_for
from operators.track.core.family import (
    begin_sure,
    end_family,
    lose,
    match_boxes,
    sort_by_state,
    still_seen,
    take_matches,
)
from operators.track.core.layout import BOX, CONFIRMED, COUNT, DPOS, HITS, LOST, POS, STATE, VEL
from operators.track.core.life import open_frame, report
from operators.track.core.motion import predict
from operators.track.core.noise import scaled_noise
from operators.track.core.overlap import by_score, overlapping_pairs

_CLEAR_OVERLAP = 0.2  # IoU from which a pair can witness the camera's motion
_KNOWN_HITS = 3  # sights from which a track's own speed is known well enough for it
_DOUBT = 2.0  # the camera is taken to stand still with the weight of so many witnesses


@both_ways
def coast(floats, state, dt, noise, scales, decay):
    """Predicts all tracks; lost ones stop growing and slow down by `decay` a reference frame."""
    share = decay**dt
    for t in range(len(state)):
        if state[t] == LOST:
            floats[VEL, t] *= share
            floats[VEL + 1, t] *= share
            floats[VEL + 2, t] = 0.0
            floats[VEL + 3, t] = 0.0
    everyone = np.arange(len(state))
    predict(floats, everyone, dt, noise, scales)
    place_boxes(floats, everyone, XYWH)


def median(values):
    """The median of (N,) `values`, which may be put in order."""
    return np.median(values)


@loops_for(median)
def _median(values):
    n = len(values)
    if n > 48:
        return np.median(values)
    for j in range(1, n):
        value, k = values[j], j
        while k > 0 and values[k - 1] > value:
            values[k] = values[k - 1]
            k -= 1
        values[k] = value
    return values[n // 2] if n % 2 else (values[n // 2 - 1] + values[n // 2]) / 2


@both_ways
def follow_boxes(floats, ints, state, known, dets, labels, sure):
    """Moves all tracks by the median of what clear matches say the predictions miss by."""
    a, b, overlap = overlapping_pairs(floats, ints, known, BOX, dets, labels, sure, 0.0)
    match = assign(len(known), len(sure), a, b, overlap - _CLEAR_OVERLAP)
    missed = np.empty((2, len(known)))  # by how much each witness's prediction misses, to the right and down
    count = 0
    for i in range(len(known)):
        t = known[i]
        if match[i] >= 0 and state[t] == CONFIRMED and ints[HITS, t] >= _KNOWN_HITS:
            d = sure[match[i]]
            missed[0, count], missed[1, count] = dets[DPOS, d] - floats[POS, t], dets[DPOS + 1, d] - floats[POS + 1, t]
            count += 1
    if count < 2:
        return
    weight = count / (count + _DOUBT)
    x, y = weight * median(missed[0, :count]), weight * median(missed[1, :count])
    for t in range(len(state)):
        floats[POS, t] += x
        floats[POS + 1, t] += y
        floats[BOX, t] += x
        floats[BOX + 1, t] += y
        floats[BOX + 2, t] += x
        floats[BOX + 3, t] += y


@entry
def step(tracks, given, looks, settings, told):
    high, low, new, match, second_match, tentative_match, decay, follow = settings
    floats, ints, votes, embeds, counters, scales, groups, over = open_tracks(tracks)
    noise, dt, lifetime, shown, rate = open_setup(tracks)
    n = open_frame(floats, ints, counters, dt)
    dets, labels = read_detections(tracks, given, groups, XYWH, counters)
    sure, doubtful = by_score(dets, high, low)
    state = ints[STATE, :n].copy()
    tentative, known = sort_by_state(state)
    coast(floats, state, dt, noise, scales, decay)
    if follow > 0:
        follow_boxes(floats, ints, state, known, dets, labels, sure)

    # 1. Known tracks and sure detections.
    rows, columns, left, unused = match_boxes(floats, ints, known, dets, labels, sure, 1.0, match, 0.0)
    take_matches(floats, ints, votes, counters, rows, dets, labels, columns, noise, scales, XYWH)

    # 2. What is left of the tracks seen last time, and doubtful detections.
    left = still_seen(left, state)
    rows, columns, left, _ = match_boxes(floats, ints, left, dets, labels, doubtful, 0.0, second_match, 0.0)
    take_matches(floats, ints, votes, counters, rows, dets, labels, columns, noise, scales, XYWH)
    lose(ints, left)

    # 3. Tentative tracks and what is left of the sure detections.
    rows, columns, left, unused = match_boxes(floats, ints, tentative, dets, labels, unused, 1.0, tentative_match, 0.0)
    take_matches(floats, ints, votes, counters, rows, dets, labels, columns, noise, scales, XYWH)

    begin_sure(floats, ints, votes, embeds, counters, dets, labels, unused, new, noise, scales, XYWH)
    ended = end_family(floats, ints, votes, embeds, counters, left, lifetime, over)
    return report(floats, ints, counters, told, shown, rate), ended, counters[COUNT]


class Steady(Tracker):
    """The project's own tracker, and its default.

    Args:
        high, low, new, match, second_match, tentative_match: as in ByteTrack, with its values.
        coast_seconds: time in which a lost track's speed falls to 1/e.
        follow_camera: read the camera's motion from the boxes.
        position_noise, velocity_noise: the filter's standard deviations as shares of width and height; BoT-SORT's.
        lost_seconds: how long a lost track may be found again.
        others: see `Tracker`.
    """

    name = "steady"
    _step = step
    _form = XYWH

    def __init__(
        self,
        *,
        high: float = 0.6,
        low: float = 0.1,
        new: float = 0.7,
        match: float = 0.9,
        second_match: float = 0.5,
        tentative_match: float = 0.7,
        coast_seconds: float = 1.5,
        follow_camera: bool = True,
        position_noise: float = 1 / 20,
        velocity_noise: float = 1 / 160,
        lost_seconds: float = 1.5,
        **common: Any,
    ) -> None:
        super().__init__(lost_seconds=lost_seconds, **common)
        self._configure(
            noise=scaled_noise(
                self._within("position_noise", position_noise, 1e-6, 10.0),
                self._within("velocity_noise", velocity_noise, 1e-6, 10.0),
                aspect=False,
            ),
            scales=np.array([2, 3, 2, 3]),
            settings=(
                self._score("high", high),
                self._score("low", low),
                self._score("new", new),
                self._within("match", match, 0.0, 1.0),
                self._within("second_match", second_match, 0.0, 1.0),
                self._within("tentative_match", tentative_match, 0.0, 1.0),
                float(np.exp(-1 / (self._within("coast_seconds", coast_seconds, 1e-3, 1e6) * self.rate_hz))),
                float(bool(follow_camera)),
            ),
        )
