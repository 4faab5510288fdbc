"""Who has looked ahead says the same as who is asked afresh, whatever was decided in between."""

from __future__ import annotations

import numpy as np
import pytest
from fusion_scenes import camera, straight, topology, tracklet

from mtmct.association import Candidates
from mtmct.coincidence import CommitPairs, PairRows, PairWindow
from mtmct.evidence import Judge
from mtmct.foresight import Foresight
from mtmct.gallery import Gallery
from mtmct.identities import IdentityBook
from mtmct.identity import Why
from mtmct.questions import Questions
from mtmct.settings import AppearanceCalibration, FusionSettings
from mtmct.tracks import LocalTrack, TrackMemory
from operators.records import SECOND_NS

SETTINGS = FusionSettings(appearance=AppearanceCalibration(12.0, -6.0, 5.0))
WHERE = topology(camera("a"), camera("b", 10), camera("c", calibrated=False))


class Site:
    """Eight identities that were seen a while ago, and twelve tracks that wait, a few of them for each."""

    def __init__(self, seed: int, attributes: bool) -> None:
        dice = np.random.default_rng(seed)
        looks = dice.normal(size=(8, 16))
        self.memory = TrackMemory()
        self.book = IdentityBook("plaza", self.memory, SETTINGS)
        self.window = PairWindow(SETTINGS)
        for number in range(1, 21):
            begun = number if number <= 8 else 12 + number % 3
            path = straight(*dice.uniform(1, 9, 2), *dice.uniform(-1, 1, 2))
            piece = tracklet("abc"[int(dice.integers(3))], number, path, begun, begun + 0.9)
            if attributes:
                piece.attributes["bag"] = {"backpack" if number % 3 else "none": 1.0}
            self.memory.take([piece], WHERE, SETTINGS)
            track = self.memory[number]
            vectors = looks[number % 8] + 0.3 * dice.normal(size=(3, 16))
            vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
            track.looks = track.looks.with_more(vectors, np.ones(3, np.float32), 3)
        for number in range(1, 9):
            self.book.create(self.memory[number], 9 * SECOND_NS)
        self.book.changed.clear()
        self.book.touched.clear()

    def judge(self, kind: type[Judge] = Judge) -> Judge:
        memory = (self.book, self.window, WHERE, SETTINGS)
        return kind(*memory, 16 * SECOND_NS, population=self.memory.population)

    def asked(self, track: LocalTrack) -> Questions:
        numbers = np.array(sorted(self.book.identities), np.int64)
        row = np.array([self.memory.columns.rows[track.uid]])
        return Questions.of_tracks(row, np.array([0, len(numbers)]), numbers, self.book.slots(numbers))


class Everybody:
    """Any track could be anybody; those that somebody has begun with are added."""

    def __init__(self, site: Site) -> None:
        self._book = site.book
        self._known = len(site.book)

    def all_of(self, tracks: list[LocalTrack]) -> tuple[np.ndarray, np.ndarray]:
        numbers = sorted(self._book.identities)
        return np.arange(len(tracks) + 1) * len(numbers), np.array(numbers * len(tracks), np.int64)

    def beside(self, tracks: list[LocalTrack]) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros(len(tracks) + 1, np.int64), np.zeros(0, np.int64)

    def added(self, track: LocalTrack) -> bool:
        return len(self._book) != self._known


@pytest.mark.parametrize("attributes", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_the_same_is_said_of_every_track_after_each_decision(seed, attributes):
    site = Site(seed, attributes)
    waiting = [site.memory[number] for number in range(9, 21)]
    reviewed = [site.memory[1], site.memory[2]]
    without = frozenset(track.uid for track in reviewed)
    ahead = site.judge(Foresight)
    present = site.judge()
    present.scored(site.asked(waiting[0]))  # who is in view counts as it was when the decisions began
    ahead.look_ahead([*reviewed, *waiting], Everybody(site), without)
    differed = 0
    for step, track in enumerate([*reviewed, *waiting]):
        questions = site.asked(track)
        numbers, wanted = questions.numbers.tolist(), present.scored(questions, without)
        (said,) = ahead.answers(step, step + 1, without)
        assert said.numbers == numbers
        assert said.totals == wanted.totals.tolist()
        for place, pair in enumerate(said.pairs):
            assert said.scored[pair].terms == wanted[place].terms
        best = int(wanted.totals.argmax())
        rivals = {number: wanted.totals[at].item() for at, number in enumerate(numbers) if at != best}
        asked = (numbers[best], rivals, without)
        assert ahead.rivalry(*asked) == present.rivalry(*asked)
        differed += len(set(wanted.totals.tolist())) > 1
        # Decide: join, begin somebody new, move, in turns.
        if track in reviewed:
            without -= {track.uid}
            if step:
                site.book.move(track, site.book[5], Why(1.0, {}), 16 * SECOND_NS)
        elif step % 3:
            site.book.join(track, site.book[numbers[best]], 16 * SECOND_NS)
        else:
            site.book.create(track, 16 * SECOND_NS)
    assert differed > 10


@pytest.mark.parametrize("seed", range(4))
def test_whom_a_track_could_be_is_found_as_it_is_after_each_decision(seed):
    site = Site(seed, attributes=False)
    dice = np.random.default_rng(seed)
    pairs = np.unique(np.sort(dice.integers(1, 21, (25, 2)), axis=1), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    rows = PairRows(pairs, np.ones(len(pairs), np.int64), dice.normal(size=len(pairs)), np.ones(len(pairs)))
    site.window.add(CommitPairs(1, 15 * SECOND_NS, 16 * SECOND_NS, rows))
    gallery = Gallery(60 * SECOND_NS, 60 * SECOND_NS)
    reviewed, waiting = [site.memory[1], site.memory[2]], [site.memory[number] for number in range(9, 21)]
    candidates = Candidates(site.memory, site.book, site.window, gallery, WHERE, SETTINGS, 16 * SECOND_NS)
    ahead, tracks = site.judge(Foresight), [*reviewed, *waiting]
    ahead.look_ahead(tracks, candidates, frozenset())
    begun, differed = candidates.all_of(tracks), 0
    for step, track in enumerate(tracks):
        (said,), found = ahead.answers(step, step + 1), candidates.all_of([track])[1].tolist()
        assert said.numbers == found
        differed += found != begun[1][begun[0][step] : begun[0][step + 1]].tolist()
        if track in reviewed:
            site.book.move(track, None, Why(1.0, {}), 16 * SECOND_NS)
            candidates.add(track)
        elif step % 3 and found:
            site.book.join(track, site.book[found[step % len(found)]], 16 * SECOND_NS)
        else:
            site.book.create(track, 16 * SECOND_NS)
            candidates.add(track)
        if step == 6 and len(site.book) > 1:
            gone, survivor = (site.book[number] for number in (max(site.book.identities), min(site.book.identities)))
            site.book.merge(gone, survivor, Why(1.0, {}), 16 * SECOND_NS)
    assert differed
