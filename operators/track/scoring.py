"""How well tracks agree with ground truth in one camera: HOTA, IDF1, MOTA, as TrackEval counts them.

For tuning a tracker, which asks for a score hundreds of times. Ground truth is MOT text, rows of
`frame,id,x,y,w,h,conf,class,..`; where a file has MOT17's classes, tracks on its distractors (people on vehicles,
statues, reflections) are left out of the score, and entries with conf 0 are no objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from operators.track.errors import TrackerError

Array = NDArray[Any]
ALPHAS = np.arange(0.05, 0.99, 0.05)
_PEDESTRIAN = 1
_DISTRACTORS = (2, 7, 8, 12)


@dataclass(frozen=True, slots=True)
class Truth:
    """Ground truth of a sequence, frame by frame: (N,) ids from 0, (N, 4) xyxy boxes, (N,) True for distractors."""

    ids: list[Array]
    boxes: list[Array]
    distractor: list[Array]

    @property
    def frames(self) -> int:
        """Frames of the sequence."""
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Counts:
    """What is counted in one sequence or several; counts of sequences add up.

    Attributes:
        found, false, missed, switches: MOTA's true positives, false positives, false negatives, identity switches.
        id_found, id_false, id_missed: IDF1's.
        located: (19,) HOTA's true positives at each IoU threshold; the rest follow from `found` + `missed` and so on.
        associated: (19,) sum over true positives of their association accuracy.
    """

    found: float
    false: float
    missed: float
    switches: float
    id_found: float
    id_false: float
    id_missed: float
    located: Array
    associated: Array

    def __add__(self, other: Self) -> Self:
        return type(self)(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def mota(self) -> float:
        """Multi-object tracking accuracy, percent (Bernardin and Stiefelhagen 2008)."""
        return 100 * (self.found - self.false - self.switches) / max(self.found + self.missed, 1)

    @property
    def idf1(self) -> float:
        """F1 of identities, percent (Ristani et al. 2016)."""
        return 100 * self.id_found / max(self.id_found + (self.id_false + self.id_missed) / 2, 1)

    @property
    def hota(self) -> float:
        """Higher-order tracking accuracy, percent, mean over IoU 0.05 to 0.95 (Luiten et al. 2021)."""
        truth, told = self.found + self.missed, self.found + self.false
        detection = self.located / np.maximum(truth + told - self.located, 1)
        association = self.associated / np.maximum(self.located, 1)
        return 100 * float(np.sqrt(detection * association).mean())


def read_truth(path: Path, frames: int | None = None) -> Truth:
    """Ground truth from MOT text; `frames`: length of the sequence, else up to the last one that has an entry.

    Raises:
        TrackerError: the file cannot be read as such.
    """
    try:
        rows = np.loadtxt(path, delimiter=",", ndmin=2)
    except (OSError, ValueError) as error:
        raise TrackerError(f"{path} cannot be read as MOT ground truth: {error}") from error
    if rows.shape[1] < 7:
        raise TrackerError(
            f"{path}: ground truth rows are frame,id,x,y,w,h,conf[,class,..], not {rows.shape[1]} numbers"
        )
    # MOT15 has world coordinates or -1 where MOT16 and later have a class.
    classed = rows.shape[1] >= 9 and bool(np.isin(rows[:, 7], np.arange(1, 14)).all())
    kinds = rows[:, 7].astype(int) if classed else np.full(len(rows), _PEDESTRIAN)
    distractor = np.isin(kinds, _DISTRACTORS)
    used = distractor | ((rows[:, 6] != 0) & (kinds == _PEDESTRIAN))
    rows, distractor = rows[used], distractor[used]
    ids = np.unique(rows[:, 1], return_inverse=True)[1]
    boxes = np.hstack([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]])
    length = int(frames or rows[:, 0].max(initial=0))
    parts = [np.flatnonzero(rows[:, 0] == number) for number in range(1, length + 1)]
    return Truth([ids[p] for p in parts], [boxes[p] for p in parts], [distractor[p] for p in parts])


def iou(a: Array, b: Array) -> Array:
    """(N, M) intersection over union of (N, 4) and (M, 4) xyxy boxes."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    common = np.prod(np.maximum(high - low, 0), axis=2)
    areas = np.prod(a[:, 2:] - a[:, :2], axis=1)[:, None] + np.prod(b[:, 2:] - b[:, :2], axis=1)[None, :]
    return np.asarray(common / np.maximum(areas - common, np.finfo(float).eps))


def count(truth: Truth, ids: Sequence[Array], boxes: Sequence[Array]) -> Counts:
    """The counts of one sequence: `ids` (M,) and `boxes` (M, 4) xyxy of the tracks in each of its frames."""
    names = {name: k for k, name in enumerate(sorted({int(i) for frame in ids for i in frame}))}
    frames: list[tuple[Array, Array, Array]] = []
    for t in range(truth.frames):
        told = np.array([names[int(i)] for i in ids[t]], int) if t < len(ids) else np.zeros(0, int)
        overlap = iou(truth.boxes[t], np.asarray(boxes[t], float).reshape(-1, 4) if t < len(ids) else np.zeros((0, 4)))
        overlap, told = _without_distractors(overlap, told, truth.distractor[t])
        frames.append((truth.ids[t][~truth.distractor[t]], told, overlap))
    size = (max((int(i.max()) + 1 for i in truth.ids if len(i)), default=0), len(names))
    return Counts(*_clear(frames), *_identity(frames, size), *_hota(frames, size))


def _without_distractors(overlap: Array, told: Array, distractor: Array) -> tuple[Array, Array]:
    if distractor.any() and len(told):
        worth = np.where(overlap < 0.5 - np.finfo(float).eps, 0, overlap)
        a, b = linear_sum_assignment(-worth)
        real = worth[a, b] > 0
        keep = np.ones(len(told), bool)
        keep[b[real & distractor[a]]] = False
        overlap, told = overlap[:, keep], told[keep]
    return overlap[~distractor], told


def _clear(frames: list[tuple[Array, Array, Array]]) -> tuple[float, float, float, float]:
    last: dict[int, int] = {}
    before: dict[int, int] = {}
    found = false = missed = switches = 0
    for real, told, overlap in frames:
        now: dict[int, int] = {}
        if len(real) and len(told):
            kept = np.array([before.get(int(i), -1) for i in real])[:, None] == told[None, :]
            worth = np.where(overlap < 0.5 - np.finfo(float).eps, 0, 1000.0 * kept + overlap)
            a, b = linear_sum_assignment(-worth)
            for i, j in zip(a, b, strict=True):
                if worth[i, j] > 0:
                    person, track = int(real[i]), int(told[j])
                    switches += last.get(person, track) != track
                    last[person] = now[person] = track
        found += len(now)
        false += len(told) - len(now)
        missed += len(real) - len(now)
        before = now
    return found, false, missed, switches


def _identity(frames: list[tuple[Array, Array, Array]], size: tuple[int, int]) -> tuple[float, float, float]:
    together = np.zeros(size)
    reals, tolds = np.zeros(size[0]), np.zeros(size[1])
    for real, told, overlap in frames:
        a, b = np.nonzero(overlap >= 0.5)
        together[real[a], told[b]] += 1
        reals[real] += 1
        tolds[told] += 1
    a, b = linear_sum_assignment(-together)
    found = float(together[a, b].sum())
    return found, float(tolds.sum()) - found, float(reals.sum()) - found


def _hota(frames: list[tuple[Array, Array, Array]], size: tuple[int, int]) -> tuple[Array, Array]:
    potential = np.zeros(size)
    reals, tolds = np.zeros((size[0], 1)), np.zeros((1, size[1]))
    for real, told, overlap in frames:
        reals[real] += 1
        tolds[0, told] += 1
        if len(real) and len(told):
            whole = overlap.sum(0)[None, :] + overlap.sum(1)[:, None] - overlap
            share = np.divide(overlap, whole, out=np.zeros_like(overlap), where=whole > np.finfo(float).eps)
            potential[np.ix_(real, told)] += share
    alignment = potential / np.maximum(reals + tolds - potential, np.finfo(float).eps)
    matched = np.zeros((len(ALPHAS), *size))
    for real, told, overlap in frames:
        if len(real) and len(told):
            a, b = linear_sum_assignment(-alignment[np.ix_(real, told)] * overlap)
            good = overlap[a, b][None, :] >= ALPHAS[:, None] - np.finfo(float).eps
            matched[:, real[a], told[b]] += good
    accuracy = matched / np.maximum(1, reals + tolds - matched)
    return matched.sum(axis=(1, 2)), (matched * accuracy).sum(axis=(1, 2))
