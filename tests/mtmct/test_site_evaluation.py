"""Scores of a site worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mtmct.evaluation import EvaluationError
from mtmct.mot_text import Boxes
from mtmct.site_evaluation import CameraResults, evaluate_boxes, evaluate_site

SECOND = 1_000_000


def boxes(frames: list[int], ids: list[int]) -> Boxes:
    """One box a row; somebody's box stands where their id says, apart from all others."""
    count = len(frames)
    people = np.array(ids)
    xywh = np.column_stack([100.0 * people, np.zeros(count), np.full(count, 40.0), np.full(count, 80.0)])
    return Boxes(np.array(frames, float), people, xywh, np.ones(count), np.full(count, -1))


def said(
    truth: Boxes, corrected: list[int], published: list[int], *, late: float = 1.0, guess: int = 0
) -> CameraResults:
    """The true boxes under other ids, one frame a second, each published `late` seconds after it was seen."""
    times = (truth.frames * SECOND).astype(np.int64)
    named = Boxes(truth.frames, np.array(corrected), truth.xywh, truth.confidences, truth.classes)
    provisional = np.arange(len(truth)) < guess
    return CameraResults(named, np.array(published), times, times + round(late * SECOND), provisional)


def test_a_perfect_site() -> None:
    truth = {"a": boxes([1, 2, 3], [1, 1, 1]), "b": boxes([4, 5], [1, 1])}
    results = {"a": said(truth["a"], [7] * 3, [7] * 3), "b": said(truth["b"], [7] * 2, [7] * 2)}
    found = evaluate_site(truth, results, {"created": 1, "closed": 1})
    assert found.corrected.idf1 == 100 and found.published is not None and found.published.idf1 == 100
    assert (found.people, found.identities, found.visits, found.never_right) == (1, 1, 2, 0)
    assert (found.seconds_median, found.corrections_per_identity, found.provisional) == (1.0, 0.0, 0.0)


def test_a_visit_that_was_called_right_late_or_never() -> None:
    truth = {"a": boxes([1, 2, 3, 4], [1] * 4), "b": boxes([11, 12, 13, 14], [1] * 4), "c": boxes([1, 2], [2, 2])}
    results = {
        "a": said(truth["a"], [7] * 4, [7] * 4, guess=2),
        # published as 8 for two seconds, then as 7, with which 8 was merged
        "b": said(truth["b"], [7] * 4, [8, 8, 7, 7], late=0.5),
        # published as 7 throughout, and split off afterwards
        "c": said(truth["c"], [9, 9], [7, 7]),
    }
    found = evaluate_site(truth, results, {"merged": 1, "split": 1, "created": 2})
    assert (found.visits, found.never_right, found.identities) == (3, 1, 2)
    assert found.seconds_median == pytest.approx((1.0 + 2.5) / 2)
    assert found.corrections == {"merged": 1, "split": 1, "retracted": 0} and found.corrections_per_identity == 1.0
    assert found.provisional == pytest.approx(100 * 2 / 10)
    assert found.corrected.idf1 == 100 and found.published is not None and found.published.idf1 < 100


def test_who_comes_back_after_a_while_visits_anew() -> None:
    truth = {"a": boxes([1, 2, 20, 21], [1] * 4)}
    found = evaluate_site(truth, {"a": said(truth["a"], [7] * 4, [7, 7, 8, 8])}, {"merged": 1})
    assert (found.visits, found.never_right) == (2, 1)


def test_a_camera_that_said_nothing_counts_as_missed_and_one_without_truth_does_not_count() -> None:
    truth = {"a": boxes([1, 2], [1, 1]), "b": boxes([1, 2], [1, 1])}
    other = boxes([1], [1])
    found = evaluate_site(truth, {"a": said(truth["a"], [7, 7], [7, 7]), "c": said(other, [9], [9])}, {})
    assert found.corrected.idf1 == pytest.approx(100 * 2 * 2 / (4 + 2))
    assert found.identities == 1


def test_an_export_is_scored_without_what_it_does_not_say() -> None:
    truth = {"a": boxes([1, 2], [1, 1])}
    found = evaluate_boxes(truth, {"a": boxes([1, 1, 2], [1, 1, 1])})
    assert found.corrected.idf1 == 100, "an id that stands twice in a frame counts once"
    assert found.published is None and found.seconds_median is None


def test_without_ground_truth_there_is_nothing_to_say() -> None:
    with pytest.raises(EvaluationError, match="no ground truth"):
        evaluate_site({}, {}, {})
