"""Ids given by a tracker that is kept elsewhere may come back after long: who reads the topics reads them right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from fusion_scenes import camera, play, records, script, straight, topology

from mtmct.corrections import IdentityResolver
from mtmct.fusion import FusionEngine
from mtmct.records import CameraBatch
from mtmct.settings import AppearanceCalibration, FusionSettings

Steps = list[tuple[int, list[CameraBatch]]]

SETTINGS = FusionSettings(appearance=AppearanceCalibration(20.0, -10.0))
ONE, OTHER = np.eye(16, dtype=np.float32)[:2]
US = 10**6


def walk(start: float, end: float, look, x: float = 2, y: float = 4) -> dict:
    return {"path": straight(x, y, 0.3, 0, start), "start": start, "end": end, "look": look}


def given(*visits: Mapping[int, dict], until: int, ends_are_said: bool) -> Steps:
    """What one camera says, second by second: visit after visit, of the same ids."""
    scripts = [
        script({("north", track): one for track, one in visit.items()}, {"north": (0.0, 0.0)}, until)
        for visit in visits
    ]
    steps = []
    for together in zip(*scripts, strict=True):
        batches = []
        for each in zip(*(batches for _, batches in together), strict=True):
            said = [tracklet for batch in each for tracklet in batch.tracklets]
            said = said if ends_are_said else [replace(one, ended=False) for one in said]
            batches.append(replace(each[0], tracklets=tuple(said)))
        steps.append((together[0][0], batches))
    return steps


def engine(*, calibrated: bool) -> FusionEngine:
    return FusionEngine("plaza", topology(camera("north", calibrated=calibrated)), SETTINGS)


def owners(commits: list) -> IdentityResolver:
    return IdentityResolver.of(records(commits, "tracks"), records(commits, "identities"))


@pytest.mark.parametrize("calibrated", [False, True])
@pytest.mark.parametrize("look", [ONE, OTHER, None], ids=["the same", "another", "no looks"])
@pytest.mark.parametrize("away", [45, 400])
def test_who_comes_back_when_nobody_remembers_him_is_who_he_is_published_as(away: int, look, calibrated: bool):
    back = 10 + away
    steps = given({7: walk(0, 10, ONE)}, {7: walk(back, back + 10, look)}, until=back + 12, ends_are_said=False)
    commits = play(engine(calibrated=calibrated), steps)
    whose = owners(commits)
    assert not [value for value in records(commits, "identities") if value["event"] in ("split", "merged")]
    for value in records(commits, "tracks"):
        assert whose.identity_of("north", 7, value["start"]) == value["number"]
    assert (whose.identity_of("north", 7) == whose.identity_of("north", 7, 0)) == (look is ONE and away < 300)


def lost_to_another(back: int, ends_are_said: bool) -> Steps:
    """Track 1 goes over from one person to another, whom it soon loses, and much later finds; track 2 has the one."""
    first = {1: walk(0, 12.6, lambda second: ONE if second < 12 else OTHER), 2: walk(11.4, 24, ONE, 5.4, 4.5)}
    return given(first, {1: walk(back, back + 10, OTHER, 9)}, until=back + 50, ends_are_said=ends_are_said)


SCENES = [(16, True, False), (30, True, True), (60, True, False), (45, False, True), (100, False, True)]


@pytest.mark.parametrize(("back", "ends_are_said", "calibrated"), SCENES)
def test_a_track_whose_end_was_given_up_goes_on_as_who_it_had_gone_over_to(
    back: int, ends_are_said: bool, calibrated: bool
):
    """Whether it is given up while the track is in memory or after, and before or after it comes back."""
    commits = play(engine(calibrated=calibrated), lost_to_another(back, ends_are_said))
    whose = owners(commits)
    one, came_back = whose.identity_of("north", 1, 3 * US), whose.identity_of("north", 1, back * US)
    assert one == whose.identity_of("north", 2, 20 * US)
    assert whose.identity_of("north", 1, 12 * US) is None
    assert came_back is not None and came_back not in (one, whose.identity_of("north", 2))
    shown = [
        (frame, whose.identity_of("north", value["track"], value["start"]))
        for value in records(commits, "tracks")
        for frame in value["frames"]
    ]
    assert len(shown) == len(set(shown)), "nobody is twice in one picture"


def test_a_correction_of_who_came_back_leaves_what_the_track_was_before():
    """It goes over to a third: what is said of that does not reach back beyond the track's own new beginning."""
    third = np.eye(16, dtype=np.float32)[2]
    changing = walk(60, 80, lambda second: OTHER if second < 70 else third, 9)
    steps = given({7: walk(0, 10, ONE)}, {7: changing}, until=100, ends_are_said=False)
    commits = play(engine(calibrated=False), steps)
    whose = owners(commits)
    assert [value["event"] for value in records(commits, "identities")].count("split") == 1
    assert len({whose.identity_of("north", 7, second * US) for second in (3, 63, 75)}) == 3


@pytest.mark.parametrize(("back", "ends_are_said", "calibrated"), [SCENES[1], SCENES[3]])
def test_a_restart_at_any_moment_changes_nothing(back: int, ends_are_said: bool, calibrated: bool):
    steps = lost_to_another(back, ends_are_said)
    expected = play(engine(calibrated=calibrated), steps)
    for stop in (14, 26, back, back + 1, back + 8):
        before = engine(calibrated=calibrated)
        told = play(before, steps[:stop])
        after = engine(calibrated=calibrated)
        after.restore(before.snapshot())
        assert told + play(after, steps[stop:]) == expected
