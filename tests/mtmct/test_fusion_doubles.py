"""What keeps two identities apart by mistake, and what it must not cost whoever comes next."""

from __future__ import annotations

import numpy as np
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


def two_alike_and_who_comes_after(look: np.ndarray) -> IdentityResolver:
    """North shows two who look like one, side by side; later somebody comes into the view of south."""
    walks = {
        ("north", 1): {"path": straight(2, 4, 0.3), "start": 0, "end": 24, "look": ONE},
        ("north", 2): {"path": straight(2, 6, 0.3), "start": 1, "end": 25, "look": ONE},
        ("south", 1): {"path": straight(32, 5, 0.3), "start": 40, "end": 50, "look": look},
    }
    cameras = (camera("north", calibrated=False), camera("south", 30, calibrated=False))
    engine = FusionEngine("plaza", topology(*cameras), SETTINGS)
    return owners(play(engine, script(walks, {"north": (0.0, 0.0), "south": (30.0, 0.0)}, 54)))


def test_who_looks_like_both_of_two_that_look_alike_is_one_of_them_and_nobody_new():
    whose = two_alike_and_who_comes_after(look=ONE)
    two = {whose.identity_of("north", 1), whose.identity_of("north", 2)}
    assert len(two) == 2
    assert whose.identity_of("south", 1) in two


def test_who_looks_like_neither_is_somebody_new():
    whose = two_alike_and_who_comes_after(look=OTHER)
    assert whose.identity_of("south", 1) not in {whose.identity_of("north", 1), whose.identity_of("north", 2)}


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
