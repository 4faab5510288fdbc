"""How well a one-shot tracker finds and follows: AP, MOTA, IDF1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from operators.networks.training.scenes import Shots
from operators.records import SECOND_NS, Detections, Float32
from operators.track import create
from operators.track.scoring import Counts, Truth, count, iou

_IOU = 0.5


@dataclass(frozen=True, slots=True)
class TrackingScore:
    """AP at an overlap of a half, mean over the classes; MOTA and IDF1, all up to 1; and identity switches."""

    ap50: float
    mota: float
    idf1: float
    switches: int

    @property
    def mean(self) -> float:
        """Of AP and IDF1: what the best epoch is chosen by."""
        return (self.ap50 + self.idf1) / 2


def score(found: Sequence[Detections], data: Shots, tracker: str, fps: float) -> TrackingScore:
    """Scores of detections with embeddings, one a picture, followed by a tracker scene by scene."""
    kinds = range(len(data.classes))
    precisions = [average_precision(found, data, kind) for kind in kinds if any(kind in s.classes for s in data.shots)]
    counts: list[Counts] = []
    for scene in sorted({shot.scene for shot in data.shots}):
        rows = [row for row, shot in enumerate(data.shots) if shot.scene == scene]
        follower = create(tracker, rate_hz=fps, compiled=False)  # compiling takes longer than some thousand frames
        tracks = [follower.update(found[row], round(k * SECOND_NS / fps)) for k, row in enumerate(rows)]
        for kind in kinds:
            masks = [data.shots[row].classes == kind for row in rows]
            truth = Truth(
                [data.shots[row].identities[mask] for row, mask in zip(rows, masks, strict=True)],
                [data.shots[row].boxes[mask] for row, mask in zip(rows, masks, strict=True)],
                [np.zeros(int(mask.sum()), bool) for mask in masks],
            )
            own = [one.classes == kind for one in tracks]
            counts.append(
                count(
                    truth,
                    [one.ids[mask] for one, mask in zip(tracks, own, strict=True)],
                    [one.boxes[mask] for one, mask in zip(tracks, own, strict=True)],
                )
            )
    total = counts[0]
    for other in counts[1:]:
        total = total + other
    mean = float(np.mean(precisions)) if precisions else 0.0
    return TrackingScore(mean, total.mota / 100, total.idf1 / 100, int(total.switches))


def average_precision(found: Sequence[Detections], data: Shots, kind: int) -> float:
    """The area under a class's precision and recall, precision made falling; each object is found once."""
    scores: list[Float32] = []
    right: list[bool] = []
    objects = 0
    for one, shot in zip(found, data.shots, strict=True):
        own, wanted = one[one.classes == kind], shot.boxes[shot.classes == kind]
        objects += len(wanted)
        free = np.ones(len(wanted), bool)
        overlaps = iou(own.boxes, wanted)
        for row in np.argsort(-own.scores, kind="stable"):
            open_ = np.flatnonzero(free & (overlaps[row] >= _IOU))
            scores.append(own.scores[row])
            right.append(len(open_) > 0)
            if len(open_):
                free[open_[overlaps[row, open_].argmax()]] = False
    if not scores or not objects:
        return 0.0
    hits = np.cumsum(np.array(right)[np.argsort(-np.array(scores), kind="stable")])
    precision, recall = hits / np.arange(1, len(hits) + 1), hits / objects
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0) * falling))
