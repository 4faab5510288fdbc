"""Scores of tracking results against ground truth, one camera or many.

HOTA (Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking", IJCV 2021), CLEAR MOT
(Bernardin and Stiefelhagen, 2008) and the identity measures (Ristani et al., "Performance Measures and a Data Set
for Multi-Target, Multi-Camera Tracking", 2016) are computed by TrackEval, the benchmarks' own program; this module
makes its input from arrays.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from mtmct.mot_text import Boxes, Float64
from operators.records import CrosscamError, Int64

Preset = Literal["mot16", "mot17", "mot20"]

_PEDESTRIAN = 1
# MOT Challenge: a box on a person on a vehicle, a non-MOT vehicle (MOT20 only), a static person, a "distractor" or a
# reflection is neither right nor wrong.
_NEITHER_RIGHT_NOR_WRONG: Mapping[str, tuple[int, ...]] = {
    "mot16": (2, 7, 8, 12),
    "mot17": (2, 7, 8, 12),
    "mot20": (2, 6, 7, 8, 12),
}
_EPS = float(np.finfo(float).eps)


class EvaluationError(CrosscamError):
    """The results cannot be scored."""


@dataclass(frozen=True, slots=True)
class Scores:
    """The usual measures. Shares are in percent; HOTA and its two parts are means over IoU 0.05 to 0.95."""

    hota: float
    deta: float
    assa: float
    mota: float
    idf1: float
    idp: float
    idr: float
    idsw: int
    fp: int
    fn: int
    frag: int
    gt: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores three ways.

    Attributes:
        cameras: each camera on its own: does it track well?
        combined: all cameras, each on its own, as benchmarks combine sequences. Ids need not be shared.
        across: all cameras as one problem: an identity must be the same in every camera. Needs ground truth whose
            ids are shared by the cameras. Cameras follow one another in order of name, so a person who is called
            something else in the next camera counts as one switch.
    """

    cameras: dict[str, Scores]
    combined: Scores
    across: Scores


def evaluate(
    ground_truth: Mapping[str, Boxes],
    results: Mapping[str, Boxes],
    *,
    iou: float = 0.5,
    preset: Preset | None = None,
) -> Evaluation:
    """Score `results` against `ground_truth`, both by camera.

    Ground truth with confidence 0 does not count. Results after a sequence's last frame do not count; where the
    length is not known that is the last frame with ground truth. Cameras without ground truth are left out.

    Args:
        ground_truth: boxes by camera.
        results: boxes by camera; ids are shared by the cameras if `across` is to mean anything.
        iou: overlap from which on a box is right, for all measures but HOTA.
        preset: the benchmark's own rules: only pedestrians (class 1) count, and boxes on what resembles one are
            taken out of the results. None: all classes count alike.

    Raises:
        EvaluationError: there is no ground truth, a camera has no results, an id stands twice in a frame, or
            TrackEval is missing.
    """
    _refuse_missing(ground_truth, results)
    metrics = _trackeval_metrics()
    problems = {
        camera: _problem(camera, ground_truth[camera], results[camera], preset) for camera in sorted(ground_truth)
    }
    measures = (
        metrics.HOTA(),
        metrics.CLEAR({"THRESHOLD": iou, "PRINT_CONFIG": False}),
        metrics.Identity({"THRESHOLD": iou, "PRINT_CONFIG": False}),
    )
    raw = {camera: _score([problem], measures) for camera, problem in problems.items()}
    return Evaluation(
        cameras={camera: _scores(results) for camera, results in raw.items()},
        combined=_scores(
            [
                measure.combine_sequences({camera: results[index] for camera, results in raw.items()})
                for index, measure in enumerate(measures)
            ]
        ),
        across=_scores(_score(list(problems.values()), measures)),
    )


@dataclass(frozen=True, slots=True)
class _Moment:
    """One frame of one camera: ids of truth (G,) and results (R,), and their overlap (G, R)."""

    truth: Int64
    found: Int64
    overlap: Float64


_Problem = list[_Moment]


def _problem(camera: str, truth: Boxes, found: Boxes, preset: Preset | None) -> _Problem:
    end = truth.last_frame if truth.last_frame is not None else truth.frames.max(initial=0)
    _refuse_repeated_ids(f"the results of camera '{camera}'", found)
    _refuse_repeated_ids(f"the ground truth of camera '{camera}'", truth)
    found = found[found.frames <= end]
    if preset:
        found = found[found.classes <= _PEDESTRIAN]  # -1, too, stands for "the only class there is"
    problem: _Problem = []
    for rows_t, rows_f in by_frame(truth, found):
        overlap = box_ious(truth.xywh[rows_t], found.xywh[rows_f])
        counts = truth.confidences[rows_t] != 0
        if preset:
            distracted = _on_distractors(overlap, truth.classes[rows_t], _NEITHER_RIGHT_NOR_WRONG[preset])
            rows_f, overlap = np.delete(rows_f, distracted), np.delete(overlap, distracted, axis=1)
            counts &= truth.classes[rows_t] == _PEDESTRIAN
        problem.append(_Moment(truth.ids[rows_t[counts]], found.ids[rows_f], overlap[counts]))
    return problem


def _refuse_missing(ground_truth: Mapping[str, Boxes], results: Mapping[str, Boxes]) -> None:
    if not ground_truth:
        raise EvaluationError("there is no ground truth to score against")
    for camera in sorted(set(ground_truth) - set(results)):
        raise EvaluationError(f"there is ground truth of camera '{camera}' but no results: export that camera as well")


def _refuse_repeated_ids(what: str, boxes: Boxes) -> None:
    order = np.lexsort((boxes.ids, boxes.frames))
    frames, ids = boxes.frames[order], boxes.ids[order]
    repeated = np.flatnonzero((frames[1:] == frames[:-1]) & (ids[1:] == ids[:-1]))
    if len(repeated):
        raise EvaluationError(
            f"{what}: id {ids[repeated[0]]} stands twice in frame {frames[repeated[0]]:g}; an id must be one object"
        )


def by_frame(truth: Boxes, found: Boxes) -> Iterator[tuple[Int64, Int64]]:
    """For each frame in which there is anything, in order: the rows of both."""
    frames = np.union1d(truth.frames, found.frames)
    pieces = []
    for boxes in (truth, found):
        order = np.argsort(boxes.frames, kind="stable")
        pieces.append(np.split(order, np.searchsorted(boxes.frames[order], frames[1:])))
    return zip(*pieces, strict=True)


def box_ious(a: Float64, b: Float64) -> Float64:
    """Intersection over union of every box of `a` (N, 4) with every one of `b` (M, 4), xywh: (N, M)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum((a[:, :2] + a[:, 2:])[:, None], (b[:, :2] + b[:, 2:])[None])
    width, height = np.moveaxis(np.maximum(high - low, 0), -1, 0)
    shared: Float64 = width * height
    # Sides are taken as differences of corners, as TrackEval does: a box then overlaps itself by exactly 1.
    area_a, area_b = (np.prod((boxes[:, :2] + boxes[:, 2:]) - boxes[:, :2], axis=1) for boxes in (a, b))
    union = area_a[:, None] + area_b[None] - shared
    overlap: Float64 = np.divide(shared, union, out=np.zeros_like(shared), where=(union > _EPS) & (shared > 0))
    return overlap


def _on_distractors(overlap: Float64, classes: Int64, distractors: Sequence[int]) -> Int64:
    """Columns (results) that are best matched with ground truth of a class that is neither right nor wrong."""
    score = np.where(overlap >= 0.5 - _EPS, overlap, 0.0)
    rows, columns = linear_sum_assignment(score, maximize=True)
    matched = score[rows, columns] > _EPS
    unwanted: Int64 = columns[matched & np.isin(classes[rows], distractors)]
    return unwanted


def _score(problems: Iterable[_Problem], measures: Sequence[Any]) -> list[dict[str, Any]]:
    """TrackEval's results for problems that follow one another and share their ids."""
    moments = [moment for problem in problems for moment in problem]
    truth, truth_ids = _renumbered([moment.truth for moment in moments])
    found, found_ids = _renumbered([moment.found for moment in moments])
    data = {
        "num_timesteps": len(moments),
        "num_gt_dets": sum(map(len, truth)),
        "num_tracker_dets": sum(map(len, found)),
        "num_gt_ids": truth_ids,
        "num_tracker_ids": found_ids,
        "gt_ids": truth,
        "tracker_ids": found,
        "similarity_scores": [moment.overlap for moment in moments],
    }
    return [measure.eval_sequence(data) for measure in measures]


def _renumbered(ids: Sequence[Int64]) -> tuple[list[NDArray[np.intp]], int]:
    """The same ids as 0, 1, 2, ... without gaps, and how many there are."""
    if not ids:
        return [], 0
    distinct, compact = np.unique(np.concatenate(ids), return_inverse=True)
    return np.split(compact, np.cumsum([len(some) for some in ids])[:-1]), len(distinct)


def _scores(raw: Sequence[Mapping[str, Any]]) -> Scores:
    hota, clear, identity = raw
    return Scores(
        hota=100 * float(np.mean(hota["HOTA"])),
        deta=100 * float(np.mean(hota["DetA"])),
        assa=100 * float(np.mean(hota["AssA"])),
        mota=100 * float(clear["MOTA"]),
        idf1=100 * float(identity["IDF1"]),
        idp=100 * float(identity["IDP"]),
        idr=100 * float(identity["IDR"]),
        idsw=int(clear["IDSW"]),
        fp=int(clear["CLR_FP"]),
        fn=int(clear["CLR_FN"]),
        frag=int(clear["Frag"]),
        gt=int(clear["CLR_TP"] + clear["CLR_FN"]),
    )


@dataclass(frozen=True, slots=True)
class Settling:
    """How soon the identities that were published were the right ones.

    A visit is one true object in one camera, from the first box of the results that is on it. Its right identity is
    the one that the corrected results give it for longest, no identity being right for two objects.

    Attributes:
        visits: how many there were.
        at_once: visits published under the right identity from the first box on.
        never: visits that were never published under it; only corrections tell, or nothing does.
        median_frames: until the first box under the right identity, over the visits that got there; None if none did.
        corrected: percent of the published boxes whose identity was changed or retracted afterwards.
    """

    visits: int
    at_once: int
    never: int
    median_frames: float | None
    corrected: float


def settling(
    ground_truth: Mapping[str, Boxes],
    as_published: Mapping[str, Boxes],
    corrected: Mapping[str, Boxes],
    *,
    iou: float = 0.5,
) -> Settling:
    """Compare what consumers saw at the time with what corrections led to; ids are shared by the cameras.

    Raises:
        EvaluationError: there is no ground truth, or a camera has no results.
    """
    _refuse_missing(ground_truth, as_published)
    _refuse_missing(ground_truth, corrected)
    cameras = sorted(ground_truth)
    right = right_identities(
        np.concatenate([on_truth(ground_truth[camera], corrected[camera], iou) for camera in cameras])
    )
    waits: list[float] = []
    never = 0
    for camera in cameras:
        seen = on_truth(ground_truth[camera], as_published[camera], iou)
        for person in np.unique(seen[:, 1]):
            visit = seen[seen[:, 1] == person]
            frames = visit[visit[:, 2] == right.get(person), 0]
            never += not len(frames)
            waits += [frames.min() - visit[:, 0].min()] if len(frames) else []
    same = sum(len(_as_set(as_published[camera]) & _as_set(corrected[camera])) for camera in cameras)
    published = sum(len(as_published[camera]) for camera in cameras)
    return Settling(
        visits=len(waits) + never,
        at_once=waits.count(0),
        never=never,
        median_frames=float(np.median(waits)) if waits else None,
        corrected=100 * (1 - same / published) if published else 0.0,
    )


def on_truth(truth: Boxes, found: Boxes, iou: float) -> Float64:
    """Every found box that is on a true one: (K, 3) of frame, true id and found id, by frame."""
    pieces = [np.zeros((0, 3))]
    truth = truth[truth.confidences != 0]
    for rows_t, rows_f in by_frame(truth, found):
        overlap = box_ious(truth.xywh[rows_t], found.xywh[rows_f])
        overlap[overlap < iou] = 0
        rows, columns = linear_sum_assignment(overlap, maximize=True)
        on = overlap[rows, columns] > 0
        t, f = rows_t[rows[on]], rows_f[columns[on]]
        pieces.append(np.column_stack([truth.frames[t], truth.ids[t], found.ids[f]]))
    return np.concatenate(pieces)


def right_identities(pairs: Float64) -> dict[float, float]:
    """For each true id the found one that is on it most often, one to one. `pairs`: see `on_truth`."""
    truth, rows = np.unique(pairs[:, 1], return_inverse=True)
    found, columns = np.unique(pairs[:, 2], return_inverse=True)
    together = np.zeros((len(truth), len(found)))
    np.add.at(together, (rows, columns), 1)
    best = zip(*linear_sum_assignment(together, maximize=True), strict=True)
    return {truth[row]: found[column] for row, column in best if together[row, column] > 0}


def _as_set(boxes: Boxes) -> set[tuple[float, ...]]:
    return set(map(tuple, np.column_stack([boxes.frames, boxes.ids, boxes.xywh]).tolist()))


def _trackeval_metrics() -> ModuleType:
    try:
        # On import it tells standard output which optional data sets it cannot read.
        with contextlib.redirect_stdout(io.StringIO()):
            from trackeval import metrics
    except ImportError as error:
        raise EvaluationError(f"scores need TrackEval ({error}): pip install --no-deps trackeval==1.3.0") from error
    module: ModuleType = metrics
    return module
