"""What keeps two identities apart by mistake, and what it must not cost whoever comes next."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fusion_scenes import camera, play, records, script, straight, topology, tracklet

from mtmct.corrections import IdentityResolver
from mtmct.fusion import FusionEngine
from mtmct.records import CameraBatch
from mtmct.settings import AppearanceCalibration, FusionSettings
from operators.records import SECOND_NS

SETTINGS = FusionSettings(appearance=AppearanceCalibration(20.0, -10.0))
ONE, OTHER = np.eye(16, dtype=np.float32)[:2]


def owners(commits: list) -> IdentityResolver:
    return IdentityResolver.of(records(commits, "tracks"), records(commits, "identities"))


def as_published(look: np.ndarray, *, calibrated: bool) -> dict[tuple[str, int], set[int]]:
    """North shows three who look like one, side by side; later somebody comes into the view of south.

    The identities that each track was published with.
    """
    walks = {
        ("north", 1): {"path": straight(2, 4, 0.3), "start": 0, "end": 24, "look": ONE},
        ("north", 2): {"path": straight(2, 6, 0.3), "start": 1, "end": 25, "look": ONE},
        ("north", 3): {"path": straight(2, 8, 0.3), "start": 1, "end": 25, "look": ONE},
        ("south", 1): {"path": straight(32, 5, 0.3), "start": 40, "end": 50, "look": look},
    }
    cameras = (camera("north", calibrated=calibrated), camera("south", 30, calibrated=calibrated))
    engine = FusionEngine("plaza", topology(*cameras), SETTINGS)
    commits = play(engine, script(walks, {"north": (0.0, 0.0), "south": (30.0, 0.0)}, 54))
    published: dict[tuple[str, int], set[int]] = {}
    for value in records(commits, "tracks"):
        published.setdefault((value["camera"], value["track"]), set()).add(value["number"])
    return published


@pytest.mark.parametrize("calibrated", [True, False])
def test_who_looks_like_each_of_three_that_look_alike_is_one_of_them_and_nobody_new(calibrated: bool):
    published = as_published(look=ONE, calibrated=calibrated)
    three = published["north", 1] | published["north", 2] | published["north", 3]
    assert len(three) == 3
    assert published["south", 1] < three


@pytest.mark.parametrize("calibrated", [True, False])
def test_who_looks_like_none_of_them_is_somebody_new(calibrated: bool):
    published = as_published(look=OTHER, calibrated=calibrated)
    assert published["south", 1].isdisjoint(published["north", 1] | published["north", 2] | published["north", 3])


def test_a_track_that_goes_unmeasured_while_another_camera_sees_the_person_is_the_person_all_the_same():
    path, origins = straight(2, 4, 0.3), {"east": (0.0, 0.0), "west": (0.0, 0.0)}
    walks = {
        ("west", 1): {"path": path, "start": 0, "end": 9.4, "look": ONE},
        ("east", 1): {"path": path, "start": 9.4, "end": 10.4, "look": ONE},
    }
    steps = []
    for watermark, batches in script(walks, origins, 20):
        second = watermark // SECOND_NS - 1
        seen = []
        # Measured for a moment, and again when east has lost him.
        if second == 9:
            seen = [tracklet("north", 1, path, 9.0, 9.2, look=ONE)]
        elif 10 <= second < 16:
            seen = [tracklet("north", 1, path, 10.6 if second == 10 else second, second + 1, look=ONE)]
        north = [CameraBatch("north", 1, second, second, watermark, tuple(seen))] if second < 20 else []
        steps.append((watermark, [*batches, *north]))
    cameras = topology(camera("north"), camera("east"), camera("west"))
    whose = owners(play(FusionEngine("plaza", cameras, SETTINGS), steps))
    assert len({whose.identity_of(name, 1) for name in ("west", "east", "north")}) == 1


def test_a_glimpse_in_the_wrong_place_of_somebody_in_view_elsewhere_is_his_once_it_is_over():
    """Feet hidden for a moment put him metres away; too short a moment to say that he was not there."""
    walks = {
        # Seen from behind later on, so that nothing has him looked at again.
        ("west", 1): {"path": straight(2, 4, 0.2), "start": 0, "end": 60, "look": lambda t: ONE if t < 18 else None},
        ("east", 1): {"path": straight(14, 4, 0.3), "start": 16.0, "end": 16.5, "look": ONE},
    }
    steps = script(walks, {"west": (0.0, 0.0), "east": (0.0, 0.0)}, 50)[:50]
    whose = owners(play(FusionEngine("plaza", topology(camera("west"), camera("east")), SETTINGS), steps))
    assert whose.identity_of("east", 1) == whose.identity_of("west", 1)


def test_who_has_long_been_two_is_compared_once_more_when_a_track_is_over():
    """Half hidden at first, and too long known to be looked at again while he is in view."""

    walks = {
        ("north", 1): {"path": straight(2, 4, 0.3), "start": 0, "end": 24, "look": ONE},
        ("south", 1): {
            "path": straight(32, 5, 0.3),
            "start": 30,
            "end": 50,
            "look": lambda t: OTHER if t < 31 else ONE,
        },
    }
    cameras = topology(camera("north", calibrated=False), camera("south", 30, calibrated=False))
    engine = FusionEngine("plaza", cameras, replace(SETTINGS, second_look_s=2.0))
    whose = owners(play(engine, script(walks, {"north": (0.0, 0.0), "south": (30.0, 0.0)}, 54)))
    assert whose.identity_of("south", 1) == whose.identity_of("north", 1)
