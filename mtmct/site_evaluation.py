"""Scores of a whole site: who is who over all cameras, how soon that was said, and how often it was taken back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mtmct.evaluation import Scores, evaluate, on_truth, right_identities
from mtmct.mot_text import Boxes, Float64
from operators.records import Int64

_NEW_VISIT_US = 5_000_000  # who is not seen by a camera for so long visits it anew
CORRECTIONS = ("merged", "split", "retracted")


@dataclass(frozen=True, slots=True)
class CameraResults:
    """What a site said of one camera, a row a point, in the order in which it was published.

    Attributes:
        boxes: ids are those that all corrections led to; without the points of retracted identities.
        published: (N,) int64, the ids they were published with.
        times_us: (N,) int64, event time of the point.
        said_us: (N,) int64, event time that the site had reached when it was published.
        provisional: (N,) bool, published as a guess.
    """

    boxes: Boxes
    published: Int64
    times_us: Int64
    said_us: Int64
    provisional: NDArray[np.bool_]

    def as_published(self) -> Boxes:
        """The boxes under the ids they were published with; of an id that stands twice in a frame the first counts."""
        return once(replace(self.boxes, ids=self.published))


@dataclass(frozen=True, slots=True)
class SiteEvaluation:
    """How well a site knows who is who.

    Attributes:
        corrected: all cameras as one problem, with all corrections; `published`: without any; None if not known.
        people: true objects; `identities`: how many the site found.
        corrections: records of each kind; `corrections_per_identity`: their sum over `identities`.
        visits: times that a true object was seen by a camera; `never_right`: those published under the right identity
            at no time.
        seconds_median, seconds_p90: of event time from a visit's first box until it was published under the right
            identity; None if that is not known or never happened.
        provisional: percent of the points that were published as a guess.
    """

    corrected: Scores
    published: Scores | None
    people: int
    identities: int
    corrections: Mapping[str, int] | None
    corrections_per_identity: float | None
    visits: int | None
    never_right: int | None
    seconds_median: float | None
    seconds_p90: float | None
    provisional: float | None


def evaluate_boxes(truth: Mapping[str, Boxes], results: Mapping[str, Boxes]) -> SiteEvaluation:
    """Scores of boxes alone, such as an export: of corrections and of time nothing is known.

    Raises:
        EvaluationError: there is no ground truth.
    """
    known = {camera: once(results[camera]) if camera in results else no_boxes() for camera in truth}
    corrected = evaluate(truth, known).across
    counts = (_count(truth), _count(known))
    return SiteEvaluation(corrected, None, *counts, None, None, None, None, None, None, None)


def evaluate_site(
    truth: Mapping[str, Boxes], results: Mapping[str, CameraResults], corrections: Mapping[str, int]
) -> SiteEvaluation:
    """Scores of what a site has published.

    Args:
        truth: boxes by camera, ids shared by the cameras. Cameras without ground truth do not count.
        results: by camera; a camera may be missing.
        corrections: `identities` records by event.

    Raises:
        EvaluationError: there is no ground truth.
    """
    seen = {camera: results[camera] for camera in truth if camera in results}
    simple = evaluate_boxes(truth, {camera: one.boxes for camera, one in seen.items()})
    published = {camera: one.as_published() for camera, one in seen.items()}
    delays, never = _delays(truth, seen)
    points = sum(len(one.provisional) for one in seen.values())
    guesses = sum(int(one.provisional.sum()) for one in seen.values())
    counted = {event: corrections.get(event, 0) for event in CORRECTIONS}
    return SiteEvaluation(
        corrected=simple.corrected,
        published=evaluate(truth, {camera: published.get(camera, no_boxes()) for camera in truth}).across,
        people=simple.people,
        identities=simple.identities,
        corrections=counted,
        corrections_per_identity=sum(counted.values()) / simple.identities if simple.identities else 0.0,
        visits=len(delays) + never,
        never_right=never,
        seconds_median=float(np.median(delays)) if delays else None,
        seconds_p90=float(np.percentile(delays, 90)) if delays else None,
        provisional=100 * guesses / points if points else 0.0,
    )


def _delays(truth: Mapping[str, Boxes], results: Mapping[str, CameraResults]) -> tuple[list[float], int]:
    """Seconds until each visit was published under the right identity, and how many visits never were."""
    on: dict[str, Float64] = {}
    for camera, one in results.items():
        rows = replace(one.boxes, ids=np.arange(len(one.boxes)))
        on[camera] = on_truth(truth[camera], rows, 0.5)
    pairs = [
        np.column_stack([each[:, :2], results[camera].boxes.ids[each[:, 2].astype(np.int64)]])
        for camera, each in on.items()
    ]
    right = right_identities(np.concatenate(pairs)) if pairs else {}
    delays, never = [], 0
    for camera, each in on.items():
        one = results[camera]
        for person in np.unique(each[:, 1]):
            rows = each[each[:, 1] == person, 2].astype(np.int64)
            rows = rows[np.argsort(one.times_us[rows], kind="stable")]
            breaks = np.flatnonzero(np.diff(one.times_us[rows]) > _NEW_VISIT_US) + 1
            for visit in np.split(rows, breaks):
                good = visit[one.published[visit] == right.get(person)]
                never += not len(good)
                if len(good):
                    delays.append((one.said_us[good].min() - one.times_us[visit[0]]) / 1e6)
    return delays, never


def once(boxes: Boxes) -> Boxes:
    """Of an id that stands twice in a frame (until a correction is out, or after a late merge) the first row counts."""
    _, first = np.unique(np.stack([boxes.frames, boxes.ids], axis=1), axis=0, return_index=True)
    return boxes[np.sort(first)]


def no_boxes() -> Boxes:
    """A camera that said nothing."""
    nothing = np.zeros(0)
    return Boxes(nothing, np.zeros(0, np.int64), np.zeros((0, 4)), nothing, np.zeros(0, np.int64))


def _count(boxes: Mapping[str, Boxes]) -> int:
    ids = [each.ids[each.confidences != 0] for each in boxes.values()]
    return len(np.unique(np.concatenate(ids))) if ids else 0
