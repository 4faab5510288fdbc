from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
from fusion_scenes import camera, straight, topology, tracklet

from mtmct.assignment import answers, assign
from mtmct.coincidence import PairWindow, compare, position_llr
from mtmct.evidence import Judge
from mtmct.exemplars import Exemplars
from mtmct.identities import IdentityBook
from mtmct.movement import NEVER
from mtmct.scores import Scored, nothing_scored
from mtmct.settings import AppearanceCalibration, FusionSettings
from mtmct.subjects import Subject
from mtmct.terms import SCORED, TERMS
from mtmct.tracks import TrackMemory
from operators.records import SECOND_NS

SETTINGS = FusionSettings()


class Apart:
    """A judge to whom everybody is somebody else."""

    def rivalry(self, best: int, rivals: Mapping[int, float], without=frozenset()) -> float:
        """The sum of the ratios of all rivals."""
        return sum(math.exp(score) for score in rivals.values())


def people(count: int) -> tuple[TrackMemory, IdentityBook, list]:
    """Tracks 1 to `count` of camera a, each an identity, and as many new ones in camera b."""
    memory = TrackMemory()
    book = IdentityBook("plaza", memory, SETTINGS)
    where = topology(camera("a"), camera("b", 10))
    old = [tracklet("a", n, straight(3, n), 0, 1) for n in range(1, count + 1)]
    new = [tracklet("b", n, straight(12, n), 2, 3, origin=(10, 0)) for n in range(1, count + 1)]
    memory.take(old + new, where, SETTINGS)
    for track in list(memory.tracks.values()):
        if track.camera == "a":
            book.create(track, SECOND_NS)
    return memory, book, [track for track in memory.tracks.values() if track.camera == "b"]


def decide(count: int, scores: dict[tuple[int, int], float]):
    """Verdicts on tracks 1 to `count`, each of which could be any of as many identities; as the scores say."""
    everybody = range(1, count + 1)
    totals = np.array([scores.get((track, number), NEVER) for track in everybody for number in everybody])
    scored = Scored(totals, np.full(count**2, SCORED), np.zeros((count**2, len(TERMS))), np.zeros((count**2, 6)))
    return assign(answers(np.arange(count + 1) * count, np.array([*everybody] * count), scored), Apart())


def test_the_best_sum_wins_over_the_best_single_score():
    one, other = decide(2, {(1, 1): 5.0, (1, 2): 4.5, (2, 1): 4.8, (2, 2): -3.0})
    assert (one.identity, other.identity) == (2, 1)


def test_what_scores_below_a_new_arrival_is_one():
    (verdict,) = decide(1, {(1, 1): -0.1})
    assert verdict.identity is None and verdict.promise == -0.1 and verdict.runner_up == (1, -0.1)


def test_odds_are_against_all_others_and_the_new_arrival_together():
    verdict, _ = decide(2, {(1, 1): 3.0, (1, 2): 2.0})
    assert verdict.odds == pytest.approx(3.0 - math.log(1 + math.exp(2.0)), abs=1e-6)
    assert verdict.runner_up == (2, 2.0)


def test_an_identity_that_another_track_takes_does_not_count_against():
    verdict, _ = decide(2, {(1, 1): 3.0, (1, 2): 2.9, (2, 2): 6.0})
    assert verdict.odds == 3.0


def test_nobody_to_choose_from():
    (verdict,) = assign(answers(np.zeros(2, np.int64), np.zeros(0, np.int64), nothing_scored()), Apart())
    assert verdict.identity is None and verdict.promise == NEVER and verdict.runner_up is None


def judge(book: IdentityBook, window: PairWindow | None = None, settings: FusionSettings = SETTINGS) -> Judge:
    where = topology(camera("a"), camera("b", 10))
    return Judge(book, window or PairWindow(settings), where, settings, 3 * SECOND_NS)


def test_different_kinds_of_things_are_never_one_and_kinds_mistaken_for_each_other_may_be():
    def score(cls: str) -> float:
        _, book, tracks = people(1)
        tracks[0].votes = {cls: 10}
        book.tracks_of(book[1])[0].votes = {"car": 10}
        return judge(book).scores(Subject.of_track(tracks[0]), [book[1]])[0].total

    assert score("person") == NEVER
    assert score("truck") == pytest.approx(score("car") + SETTINGS.class_mismatch)


def test_who_could_not_have_come_so_far_is_somebody_else():
    _, book, tracks = people(1)
    tracks[0].first[0] += 40.0
    assert judge(book).scores(Subject.of_track(tracks[0]), [book[1]])[0].total == NEVER


def test_looks_speak_for_and_against_within_their_limit():
    def appearance(look: np.ndarray) -> float:
        _, book, tracks = people(1)
        known = book.tracks_of(book[1])[0]
        for track, vector in ((known, np.eye(4)[0]), (tracks[0], look)):
            track.looks = Exemplars(vector[None].astype(np.float32), np.ones(1, np.float32))
        settings = FusionSettings(appearance=AppearanceCalibration(20.0, -12.0, 5.0))
        score = judge(book, settings=settings).scores(Subject.of_track(tracks[0]), [book[1]])[0]
        return score.terms["appearance"]

    assert appearance(np.array([1.0, 0, 0, 0])) == 5
    assert appearance(np.array([0.6, 0.8, 0, 0])) == pytest.approx(0, abs=1e-5)
    assert appearance(np.array([0.0, 1, 0, 0])) == -5


def test_one_position_says_more_the_nearer_and_the_more_certain_it_is():
    sharp, vague = np.array([[0.1, 0, 0.1]]), np.array([[2.0, 0, 2.0]])

    def llr(metres: float, covariance: np.ndarray) -> float:
        return float(position_llr(np.array([[metres, 0.0]]), covariance, SETTINGS)[0])

    assert llr(0, sharp) > llr(0.5, sharp) > 0 > llr(2, sharp)
    assert llr(20, sharp) == pytest.approx(math.log(SETTINGS.surprise), abs=1e-6)
    assert 0 <= llr(0, np.array([[100.0, 0, 100.0]])) < llr(0, vague) < llr(0, sharp)


def test_bound_pairs_are_compared_however_far_apart():
    memory = TrackMemory()
    where = topology(camera("a"), camera("b", 10))
    pair = [tracklet("a", 1, straight(2, 2), 0, 1), tracklet("b", 1, straight(28, 8), 0, 1, origin=(10, 0))]
    _, samples = memory.take(pair, where, SETTINGS)
    cameras = samples.uids.copy()
    nothing = np.zeros((0, 2), np.int64)
    assert len(compare(samples, cameras, nothing, SETTINGS)) == 0
    rows = compare(samples, cameras, np.array([[1, 2]]), SETTINGS)
    assert rows.pairs.tolist() == [[1, 2]] and rows.slots.tolist() == [4]
    assert rows.distance[0] / 4 == pytest.approx(math.hypot(26, 6), rel=1e-3)
