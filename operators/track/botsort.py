# mypy: disable-error-code="no-untyped-def, no-untyped-call, no-any-return, unused-ignore"
# The bodies for compiled code carry no types: numba infers them.
"""BoT-SORT (Aharon et al. 2022): ByteTrack with a filter of width and height, camera motion, and ReID if there is one.

Camera motion comes from outside: estimate it from the pictures (`camera_motion.CameraMotion`) and give it to
`Tracker.camera_moved` before each frame.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from operators.track.base import Tracker
from operators.track.core.appearance import blend_looks, cosine_costs
from operators.track.core.arguments import open_setup, open_tracks
from operators.track.core.assignment import assign, split
from operators.track.core.boxes import XYWH, read_detections
from operators.track.core.compilation import both_ways, entry
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
from operators.track.core.layout import BOX, COUNT, DROW, DSCORE, STATE
from operators.track.core.life import open_frame, report
from operators.track.core.noise import scaled_noise
from operators.track.core.overlap import by_score, gains, overlapping_pairs


@both_ways
def look_gains(gain, overlap, embeds, tracks, looks, found, most, proximity, appearance):
    """The better of motion and appearance, where boxes overlap enough and the embeddings are near enough to count."""
    if len(looks) == 0:
        return gain
    cost = cosine_costs(embeds, tracks, looks, found) / 2.0
    for k in range(len(gain)):
        if 1.0 - overlap[k] <= proximity and cost[k] <= appearance:
            gain[k] = max(gain[k], most - cost[k])
    return gain


@entry
def step(tracks, given, looks, settings, told):
    high, low, new, match, second_match, tentative_match, fuse, proximity, appearance, keep = settings
    floats, ints, votes, embeds, counters, scales, groups, over = open_tracks(tracks)
    noise, dt, lifetime, shown, rate = open_setup(tracks)
    n = open_frame(floats, ints, counters, dt)
    dets, labels = read_detections(tracks, given, groups, XYWH, counters)
    sure, doubtful = by_score(dets, high, low)
    state = ints[STATE, :n].copy()
    tentative, known = sort_by_state(state)
    move_known(floats, state, known, dt, noise, scales, XYWH)

    # 1. Known tracks and sure detections.
    a, b, overlap = overlapping_pairs(floats, ints, known, BOX, dets, labels, sure, PIXEL)
    gain = gains(overlap, dets, sure, b, fuse, match)
    gain = look_gains(gain, overlap, embeds, known[a], looks, labels[DROW][sure[b]], match, proximity, appearance)
    rows, columns, left, unused = split(known, sure, assign(len(known), len(sure), a, b, gain))
    take_matches(floats, ints, votes, counters, rows, dets, labels, columns, noise, scales, XYWH)
    blend_looks(embeds, rows, looks, labels, columns, keep)

    # 2. What is left of the tracks seen last time, and doubtful detections; their crops say little.
    left = still_seen(left, state)
    rows, columns, left, _ = match_boxes(floats, ints, left, dets, labels, doubtful, 0.0, second_match, PIXEL)
    take_matches(floats, ints, votes, counters, rows, dets, labels, columns, noise, scales, XYWH)
    lose(ints, left)

    # 3. Tentative tracks and what is left of the sure detections.
    a, b, overlap = overlapping_pairs(floats, ints, tentative, BOX, dets, labels, unused, PIXEL)
    gain = gains(overlap, dets, unused, b, fuse, tentative_match)
    found = labels[DROW][unused[b]]
    gain = look_gains(gain, overlap, embeds, tentative[a], looks, found, tentative_match, proximity, appearance)
    rows, columns, left, unused = split(tentative, unused, assign(len(tentative), len(unused), a, b, gain))
    take_matches(floats, ints, votes, counters, rows, dets, labels, columns, noise, scales, XYWH)
    blend_looks(embeds, rows, looks, labels, columns, keep)

    begun = begin_sure(floats, ints, votes, embeds, counters, dets, labels, unused, new, noise, scales, XYWH)
    blend_looks(embeds, begun, looks, labels, unused[dets[DSCORE][unused] >= new], 0.0)
    ended = end_family(floats, ints, votes, embeds, counters, left, lifetime, over)
    return report(floats, ints, counters, told, shown, rate), ended, counters[COUNT]


class BotSort(Tracker):
    """BoT-SORT; with detections that have embeddings, BoT-SORT-ReID.

    Args:
        high, low, new: as in ByteTrack. Reference 0.6, 0.1, 0.7 (PP-Tracking 0.3, 0.2, 0.4).
        match: largest cost of the first association. Reference 0.8 (PP-Tracking 0.7).
        second_match, tentative_match: largest costs of the others. Reference 0.5, 0.7.
        fuse_score: multiply IoU by the detection's score. The reference does, except on MOT20.
        proximity: embeddings count up to this 1 - IoU. Reference 0.5.
        appearance: and up to this half cosine distance. Reference 0.25.
        keep: share of the old embedding in the running mean. Reference 0.9.
        position_noise, velocity_noise: the filter's standard deviations as shares of width and height.
            Reference 1/20, 1/160.
        lost_seconds: reference 1 (30 frames of 30 a second).
        others: see `Tracker`.
    """

    name = "botsort"
    uses_appearance = True
    _step = step
    _form = XYWH

    def __init__(
        self,
        *,
        high: float = 0.6,
        low: float = 0.1,
        new: float = 0.7,
        match: float = 0.8,
        second_match: float = 0.5,
        tentative_match: float = 0.7,
        fuse_score: bool = True,
        proximity: float = 0.5,
        appearance: float = 0.25,
        keep: float = 0.9,
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
                float(bool(fuse_score)),
                self._within("proximity", proximity, 0.0, 1.0),
                self._within("appearance", appearance, 0.0, 1.0),
                self._within("keep", keep, 0.0, 1.0),
            ),
        )

    def _embedding_width(self, dim: int) -> int:
        return dim
