"""Local tracks that go over to somebody else: their tracker took one for another, and the pictures show it."""

from __future__ import annotations

import numpy as np
from fusion_scenes import camera, look, play, records, script, straight, topology

from mtmct.corrections import IdentityResolver
from mtmct.fusion import END_OF_TIME, FusionEngine
from mtmct.settings import AppearanceCalibration, FusionSettings

ORIGINS = {"north": (0.0, 0.0)}
SETTINGS = FusionSettings(appearance=AppearanceCalibration(20.0, -10.0))
ONE, OTHER = np.eye(16, dtype=np.float32)[:2]


def exchanged(at: int, until: int = 30, one: np.ndarray = ONE, other: np.ndarray = OTHER) -> list[tuple[int, list]]:
    """Two people in one camera; from second `at` on each one's track shows the other."""
    walks = {
        ("north", 1): {
            "path": straight(2, 4, 0.3, 0),
            "start": 0,
            "end": 24,
            "look": lambda second: one if second < at else other,
        },
        ("north", 2): {
            "path": straight(9, 5, -0.3, 0),
            "start": 0,
            "end": 24,
            "look": lambda second: other if second < at else one,
        },
    }
    return script(walks, ORIGINS, until)


def owners(commits: list) -> IdentityResolver:
    return IdentityResolver.of(records(commits, "tracks"), records(commits, "identities"))


def test_two_tracks_that_exchange_their_people_are_cut_there_and_put_together_crosswise():
    commits = play(FusionEngine("plaza", topology(camera("north")), SETTINGS), exchanged(at=12))
    whose = owners(commits)
    first, second = 3 * 10**6, 20 * 10**6
    assert whose.identity_of("north", 1, first) == whose.identity_of("north", 2, second)
    assert whose.identity_of("north", 2, first) == whose.identity_of("north", 1, second)
    assert whose.identity_of("north", 1, first) != whose.identity_of("north", 2, first)
    split = [value for value in records(commits, "identities") if value["event"] == "split"]
    assert {value["since"] for value in split} == {12 * 10**6}
    assert all(value["evidence"]["terms"]["appearance"] for value in split)


def test_two_in_one_light_are_told_apart_though_they_look_more_alike_than_two_in_different_cameras():
    other = 0.55 * ONE + np.sqrt(1 - 0.55**2) * OTHER
    assert SETTINGS.appearance.llr(float(other @ ONE)) > 0
    steps = exchanged(at=12, one=ONE, other=other.astype(np.float32))
    whose = owners(play(FusionEngine("plaza", topology(camera("north")), SETTINGS), steps))
    first, second = 3 * 10**6, 20 * 10**6
    assert whose.identity_of("north", 1, first) == whose.identity_of("north", 2, second)
    assert whose.identity_of("north", 2, first) == whose.identity_of("north", 1, second)


def test_one_who_passes_in_front_for_a_moment_cuts_nothing():
    walks = {
        ("north", 1): {
            "path": straight(2, 4, 0.3, 0),
            "start": 0,
            "end": 24,
            "look": lambda second: OTHER if second in (10, 11) else ONE,
        }
    }
    commits = play(FusionEngine("plaza", topology(camera("north")), SETTINGS), script(walks, ORIGINS, 30))
    assert [value["event"] for value in records(commits, "identities")] == ["created", "closed"]


def test_looks_that_have_always_varied_cut_nothing():
    """Every picture is as unlike the one before as somebody else's is."""

    def unsteady(second: int) -> np.ndarray:
        vector = 0.8 * ONE + look(second)
        return vector / np.linalg.norm(vector)

    walks = {("north", 1): {"path": straight(2, 4, 0.3, 0), "start": 0, "end": 24, "look": unsteady}}
    commits = play(FusionEngine("plaza", topology(camera("north")), SETTINGS), script(walks, ORIGINS, 30))
    assert [value["event"] for value in records(commits, "identities")] == ["created", "closed"]


def test_a_restart_while_a_track_strays_changes_nothing():
    steps = exchanged(at=12)
    whole = FusionEngine("plaza", topology(camera("north")), SETTINGS)
    expected = play(whole, steps)
    for stop in (13, 14, 15):
        before = FusionEngine("plaza", topology(camera("north")), SETTINGS)
        told = play(before, steps[:stop])
        after = FusionEngine("plaza", topology(camera("north")), SETTINGS)
        after.restore(before.snapshot())
        told += play(after, steps[stop:])
        assert [commit.records for commit in told] == [commit.records for commit in expected]
        assert steps[-1][0] == END_OF_TIME
