# mypy: disable-error-code="no-untyped-def, no-untyped-call, no-any-return, unused-ignore"
# The bodies for compiled code carry no types: numba infers them.
"""The association of JDE (Wang et al., ECCV 2020) and FairMOT (Zhang et al., IJCV 2021): embeddings first, then IoU."""

from __future__ import annotations

from typing import Any

import numpy as np

from operators.track.base import Tracker
from operators.track.core.appearance import GATE, all_pairs, blend_looks, cosine_costs, gate_distances
from operators.track.core.arguments import open_setup, open_tracks
from operators.track.core.assignment import assign, split
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
from operators.track.core.layout import BOX, COUNT, DROW, DSCORE, STATE
from operators.track.core.life import open_frame, report
from operators.track.core.noise import scaled_noise
from operators.track.core.overlap import by_score, gains, overlapping_pairs


@entry
def step(tracks, given, looks, settings, told):
    min_score, new, look_match, bare_match, iou_match, tentative_match, look_share, keep = settings
    floats, ints, votes, embeds, counters, scales, groups, over = open_tracks(tracks)
    noise, dt, lifetime, shown, rate = open_setup(tracks)
    n = open_frame(floats, ints, counters, dt)
    dets, labels = read_detections(tracks, given, groups, XYAH, counters)
    usable, _ = by_score(dets, min_score, 2.0)
    state = ints[STATE, :n].copy()
    tentative, known = sort_by_state(state)
    move_known(floats, state, known, dt, noise, scales, XYAH)

    # 1. Embeddings, inside the filter's gate; IoU where there are none.
    if len(looks) > 0:
        a, b = all_pairs(ints, known, labels, usable)
        distance = gate_distances(floats, known, dets, usable, a, b, noise, scales)
        near = distance <= GATE
        a, b, distance = a[near], b[near], distance[near]
        cost = (
            look_share * cosine_costs(embeds, known[a], looks, labels[DROW][usable[b]]) + (1.0 - look_share) * distance
        )
        gain = look_match - cost
    else:
        a, b, overlap = overlapping_pairs(floats, ints, known, BOX, dets, labels, usable, PIXEL)
        gain = gains(overlap, dets, usable, b, 0.0, bare_match)
    rows, columns, left, unused = split(known, usable, assign(len(known), len(usable), a, b, gain))
    take_matches(floats, ints, votes, counters, rows, dets, labels, columns, noise, scales, XYAH)
    blend_looks(embeds, rows, looks, labels, columns, keep)

    # 2. What is left of the tracks seen last time, by IoU.
    left = still_seen(left, state)
    rows, columns, left, unused = match_boxes(floats, ints, left, dets, labels, unused, 0.0, iou_match, PIXEL)
    take_matches(floats, ints, votes, counters, rows, dets, labels, columns, noise, scales, XYAH)
    blend_looks(embeds, rows, looks, labels, columns, keep)
    lose(ints, left)

    # 3. Tentative tracks, by IoU.
    rows, columns, left, unused = match_boxes(
        floats, ints, tentative, dets, labels, unused, 0.0, tentative_match, PIXEL
    )
    take_matches(floats, ints, votes, counters, rows, dets, labels, columns, noise, scales, XYAH)
    blend_looks(embeds, rows, looks, labels, columns, keep)

    begun = begin_sure(floats, ints, votes, embeds, counters, dets, labels, unused, new, noise, scales, XYAH)
    blend_looks(embeds, begun, looks, labels, unused[dets[DSCORE][unused] >= new], 0.0)
    ended = end_family(floats, ints, votes, embeds, counters, left, lifetime, over)
    return report(floats, ints, counters, told, shown, rate), ended, counters[COUNT]


class Jde(Tracker):
    """JDE's and FairMOT's tracker; give it detections with embeddings.

    Args:
        min_score: detections must be above it. Reference 0.4 (FairMOT), 0.5 (JDE).
        new: a detection begins a track from here. Reference: the same as `min_score`.
        look_match: largest cost of the first association with embeddings. Reference 0.7 (FairMOT 0.4: see `FairMot`).
        bare_match: largest 1 - IoU of the first association without embeddings. Reference 0.8 (PP-Tracking).
        iou_match: largest 1 - IoU of the second association. Reference 0.5.
        tentative_match: largest 1 - IoU for tracks seen once. Reference 0.7.
        look_share: weight of the embedding's cosine distance; the rest is the squared Mahalanobis distance's.
            Reference 0.98.
        keep: share of the old embedding in the running mean. Reference 0.9.
        position_noise, velocity_noise: the filter's standard deviations as shares of the height. Reference 1/20, 1/160.
        lost_seconds: reference 1 (30 frames of 30 a second).
        others: see `Tracker`.
    """

    name = "jde"
    uses_appearance = True
    _step = step
    _form = XYAH

    def __init__(
        self,
        *,
        min_score: float = 0.4,
        new: float = 0.4,
        look_match: float = 0.7,
        bare_match: float = 0.8,
        iou_match: float = 0.5,
        tentative_match: float = 0.7,
        look_share: float = 0.98,
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
                aspect=True,
            ),
            scales=np.full(4, 3),
            settings=(
                self._score("min_score", min_score),
                self._score("new", new),
                self._within("look_match", look_match, 0.0, 2.0),
                self._within("bare_match", bare_match, 0.0, 1.0),
                self._within("iou_match", iou_match, 0.0, 1.0),
                self._within("tentative_match", tentative_match, 0.0, 1.0),
                self._within("look_share", look_share, 0.0, 1.0),
                self._within("keep", keep, 0.0, 1.0),
            ),
        )

    def _embedding_width(self, dim: int) -> int:
        return dim


class FairMot(Jde):
    """JDE's tracker as FairMOT sets it.

    Args:
        look_match: largest cost of the first association with embeddings. Reference 0.4.
        others: see `Jde`.
    """

    name = "fairmot"

    def __init__(self, *, look_match: float = 0.4, **others: Any) -> None:
        super().__init__(look_match=look_match, **others)
