"""Who has looked ahead says the same as who is asked afresh, whatever was decided in between."""

from __future__ import annotations

import numpy as np
import pytest
from fusion_scenes import camera, straight, topology, tracklet

from mtmct.coincidence import PairWindow
from mtmct.evidence import Judge
from mtmct.foresight import Foresight
from mtmct.identities import IdentityBook, Why
from mtmct.settings import AppearanceCalibration, FusionSettings
from mtmct.subjects import Subject
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

    def asked(self, track: LocalTrack) -> tuple[Subject, list]:
        return Subject.of_track(track), [one for _, one in sorted(self.book.identities.items())]


@pytest.mark.parametrize("attributes", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_the_same_is_said_of_every_track_after_each_decision(seed, attributes):
    site = Site(seed, attributes)
    waiting = [site.memory[number] for number in range(9, 21)]
    reviewed = [site.memory[1], site.memory[2]]
    without = frozenset(track.uid for track in reviewed)
    ahead = site.judge(Foresight)
    present = site.judge()
    present.scores(*site.asked(waiting[0]))  # who is in view counts as it was when the decisions began
    ahead.look_ahead([site.asked(track) for track in [*reviewed, *waiting]], without)
    differed = 0
    for step, track in enumerate([*reviewed, *waiting]):
        subject, candidates = site.asked(track)
        said, wanted = (judge.scored([(subject, candidates)], without)[0] for judge in (ahead, present))
        assert said.totals.tolist() == wanted.totals.tolist()
        for place in range(len(candidates)):
            assert said[place].terms == wanted[place].terms
        best = int(wanted.totals.argmax())
        rivals = {one.number: wanted.totals[at].item() for at, one in enumerate(candidates) if at != best}
        asked = (candidates[best].number, rivals, without)
        assert ahead.rivalry(*asked) == present.rivalry(*asked)
        differed += len(set(wanted.totals.tolist())) > 1
        # Decide: join, begin somebody new, move, in turns.
        if track in reviewed:
            without -= {track.uid}
            if step:
                site.book.move(track, site.book[5], Why(1.0, {}), 16 * SECOND_NS)
        elif step % 3:
            site.book.join(track, candidates[best], 16 * SECOND_NS)
        else:
            site.book.create(track, 16 * SECOND_NS)
    assert differed > 10
