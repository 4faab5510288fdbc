# mypy: disable-error-code="no-untyped-def, no-untyped-call, no-any-return, unused-ignore"
# The bodies for compiled code carry no types: numba infers them.
"""DeepSORT (Wojke et al., ICIP 2017): galleries of embeddings, the freshest tracks first, then IoU."""

from __future__ import annotations

from typing import Any

import numpy as np

from operators.records import Float32
from operators.track.base import Tracker
from operators.track.core.appearance import GATE, all_pairs, gate_distances, keep_looks, nearest_costs
from operators.track.core.arguments import open_setup, open_tracks
from operators.track.core.assignment import assign, split
from operators.track.core.boxes import XYAH, place_boxes, read_detections
from operators.track.core.compilation import both_ways, entry
from operators.track.core.layout import (
    BOX,
    CONFIRMED,
    COUNT,
    DROW,
    DSCORE,
    FLAG,
    FRAME,
    HITS,
    LAST,
    LOST,
    ROW,
    STATE,
    TENTATIVE,
    UNSEEN,
)
from operators.track.core.life import begin_tracks, end_tracks, note_matches, open_frame, report
from operators.track.core.motion import correct, predict
from operators.track.core.noise import scaled_noise
from operators.track.core.overlap import overlapping_pairs
from operators.track.core.types import Ints

# A pair at the limit is a match. The reference sets costs above its limit to the limit and this before it assigns, so
# that is what leaving a pair out costs.
_EDGE = 1e-5


@both_ways
def take(floats, ints, votes, embeds, counters, rows, dets, labels, columns, looks, noise, scales, n_init, budget):
    """Corrects tracks `rows` by detections `columns`; those matched often enough are confirmed."""
    correct(floats, rows, dets, columns, noise, scales)
    place_boxes(floats, rows, XYAH)
    note_matches(floats, ints, votes, counters, rows, dets, labels, columns)
    keep_looks(embeds, ints, rows, looks, labels, columns, budget)
    for t in rows:
        if ints[STATE, t] != TENTATIVE or ints[HITS, t] >= n_init:
            ints[STATE, t] = CONFIRMED


@entry
def step(tracks, given, looks, settings, told):
    min_score, look_match, iou_match, n_init, budget_ = settings
    floats, ints, votes, embeds, counters, scales, groups, over = open_tracks(tracks)
    noise, dt, lifetime, shown, rate = open_setup(tracks)
    budget = int(budget_)
    n = open_frame(floats, ints, counters, dt)
    dets, labels = read_detections(tracks, given, groups, XYAH, counters)
    unused: Ints = np.flatnonzero(dets[DSCORE] >= min_score)
    state, missed = ints[STATE, :n].copy(), counters[FRAME] - ints[LAST, :n]
    everyone = np.arange(n)
    predict(floats, everyone, dt, noise, scales)
    place_boxes(floats, everyone, XYAH)

    # 1. The cascade: confirmed tracks by embedding, inside the filter's gate, those seen last first.
    old = np.flatnonzero(state != TENTATIVE)
    if len(looks) > 0:
        for level in np.unique(missed[old]):
            rows = old[(missed[old] == level) & (ints[ROW][old] < 0)]
            a, b = all_pairs(ints, rows, labels, unused)
            near = gate_distances(floats, rows, dets, unused, a, b, noise, scales) <= GATE
            a, b = a[near], b[near]
            cost = nearest_costs(embeds, ints, rows[a], looks, labels[DROW][unused[b]], budget)
            alike = cost <= look_match
            pairs = assign(len(rows), len(unused), a[alike], b[alike], look_match + _EDGE - cost[alike])
            rows, columns, _, unused = split(rows, unused, pairs)
            take(
                floats, ints, votes, embeds, counters, rows, dets, labels, columns, looks, noise, scales, n_init, budget
            )

    # 2. IoU: tentative tracks, and confirmed ones seen in the frame before; without embeddings, all.
    fresh = (state == TENTATIVE) | (missed == 1) | (len(looks) == 0)
    rows = np.flatnonzero((ints[ROW, :n] < 0) & fresh)
    a, b, overlap = overlapping_pairs(floats, ints, rows, BOX, dets, labels, unused, 0.0)
    close = 1.0 - overlap <= iou_match
    gain = iou_match + _EDGE - (1.0 - overlap[close])
    pairs = assign(len(rows), len(unused), a[close], b[close], gain)
    rows, columns, _, unused = split(rows, unused, pairs)
    take(floats, ints, votes, embeds, counters, rows, dets, labels, columns, looks, noise, scales, n_init, budget)

    born = CONFIRMED if n_init <= 1 else TENTATIVE
    begun = begin_tracks(floats, ints, votes, embeds, counters, dets, labels, unused, born, XYAH, noise, scales)
    keep_looks(embeds, ints, begun, looks, labels, unused, budget)
    gone = np.zeros(counters[COUNT], np.bool_)
    for t in range(n):
        if ints[ROW, t] < 0:
            gone[t] = ints[STATE, t] == TENTATIVE or floats[UNSEEN, t] > lifetime
            ints[STATE, t] = LOST
    ended = end_tracks(floats, ints, votes, embeds, counters, gone, over)
    return report(floats, ints, counters, told, shown, rate), ended, counters[COUNT]


class DeepSort(Tracker):
    """DeepSORT. Without embeddings only its IoU stage is left, for all tracks.

    Args:
        min_score: detections below it are left out. Reference 0.3.
        look_match: largest cosine distance to the nearest embedding of a gallery. Reference 0.2.
        iou_match: largest 1 - IoU of the second association. Reference 0.7 (PP-Tracking 0.9).
        n_init: sights until a track is confirmed. Reference 3.
        budget: embeddings in a track's gallery. Reference 100; a snapshot holds them all.
        position_noise, velocity_noise: the filter's standard deviations as shares of the height. Reference 1/20, 1/160.
        lost_seconds: reference 7/3 (max_age 70 frames of 30 a second).
        others: see `Tracker`.
    """

    name = "deepsort"
    uses_appearance = True
    _step = step
    _form = XYAH

    def __init__(
        self,
        *,
        min_score: float = 0.3,
        look_match: float = 0.2,
        iou_match: float = 0.7,
        n_init: int = 3,
        budget: int = 100,
        position_noise: float = 1 / 20,
        velocity_noise: float = 1 / 160,
        lost_seconds: float = 7 / 3,
        **common: Any,
    ) -> None:
        self._budget = int(self._within("budget", budget, 1, 10_000))
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
                self._within("look_match", look_match, 0.0, 2.0),
                self._within("iou_match", iou_match, 0.0, 1.0),
                self._within("n_init", n_init, 1, 1000),
                float(self._budget),
            ),
        )

    def _embedding_width(self, dim: int) -> int:
        return dim * self._budget

    def _looks_of(self, columns: Ints) -> Float32:
        newest = (self._ints[FLAG, columns] - 1) % self._budget
        galleries = self._embeddings[columns].reshape(len(columns), self._budget, self._embedding_dim)
        return galleries[np.arange(len(columns)), newest]
