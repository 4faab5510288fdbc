"""Tracks that were linked by their first pictures, and look like somebody else in the later ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from fusion_scenes import camera, play, records, script, straight, topology

from mtmct.fusion import FusionEngine
from mtmct.settings import AppearanceCalibration, FusionSettings

ORIGINS = {"north": (0.0, 0.0)}
SETTINGS = FusionSettings(appearance=AppearanceCalibration(20.0, -10.0))
ONE, OTHER = np.eye(16, dtype=np.float32)[:2]
BETWEEN = (ONE + OTHER) / np.linalg.norm(ONE + OTHER)


def gone_astray(seen: int) -> list[dict]:
    """Somebody leaves; half a minute later another one comes, who looks like both in the first second."""
    walks = {
        ("north", 1): {"path": straight(9, 5, 0.2, 0), "start": 0, "end": 6, "look": ONE},
        ("north", 2): {
            "path": straight(0.8, 2, 0.2, 0, start=36),
            "start": 36,
            "end": 36 + seen,
            "look": lambda second: BETWEEN if second == 36 else OTHER,
        },
    }
    engine = FusionEngine("plaza", topology(camera("north")), SETTINGS)
    return records(play(engine, script(walks, ORIGINS, 60)), "identities")


def test_a_track_that_turns_out_to_look_like_nobody_known_leaves_its_identity():
    said = gone_astray(seen=12)
    split = [value for value in said if value["event"] == "split"]
    assert [value["tracks"] for value in split] == [[["north", 2]]]
    assert split[0]["into"] != split[0]["identity"] and split[0]["evidence"]["terms"]["appearance"] < 0
    assert sum(value["event"] == "closed" for value in said) == 2


def test_as_long_as_it_may_be_the_same_it_stays():
    said = gone_astray(seen=1)
    assert [value["event"] for value in said] == ["created", "closed"]


def test_a_track_goes_to_whom_it_looks_like_once_more_of_it_is_seen():
    """`OTHER` has been seen before, and left; what comes out where `ONE` vanished is him."""
    walks = {
        ("north", 1): {"path": straight(9, 5, 0.2, 0), "start": 20, "end": 26, "look": ONE},
        ("north", 2): {"path": straight(1, 1, 0, 0), "start": 0, "end": 12, "look": OTHER},
        ("north", 3): {
            "path": straight(10.4, 5, 0.2, 0, start=27),
            "start": 27,
            "end": 40,
            "look": lambda second: (ONE + 0.8 * OTHER) / np.linalg.norm(ONE + 0.8 * OTHER) if second == 27 else OTHER,
        },
    }
    hasty = replace(SETTINGS, first_link_odds=SETTINGS.link_odds)
    commits = play(FusionEngine("plaza", topology(camera("north")), hasty), script(walks, ORIGINS, 45))
    first = {(v["camera"], v["track"]): v["number"] for v in reversed(records(commits, "tracks"))}
    moved = [v for v in records(commits, "identities") if v["event"] in ("split", "merged")]
    assert first["north", 3] == first["north", 1], "taken for the one who vanished there"
    assert moved[-1]["tracks"] == [["north", 3]] and moved[-1]["into"].endswith(f"{first['north', 2]:06d}")
    waited = play(FusionEngine("plaza", topology(camera("north")), SETTINGS), script(walks, ORIGINS, 45))
    assert next(v["number"] for v in records(waited, "tracks") if v["track"] == 3) == first["north", 2]


def test_before_a_track_is_forgotten_it_is_compared_once_more_with_those_it_looks_like():
    """Its first picture is poor, the second is good; then its camera falls silent and never says that it has ended."""
    poor = (ONE + 2.3 * OTHER) / np.linalg.norm(ONE + 2.3 * OTHER)
    walks = {
        ("north", 1): {"path": straight(9, 5, 0.2, 0), "start": 0, "end": 6, "look": ONE},
        ("north", 2): {
            "path": straight(0.8, 2, 0.2, 0, start=36),
            "start": 36,
            "end": 38,
            "look": lambda second: poor if second == 36 else ONE,
        },
    }
    engine = FusionEngine("plaza", topology(camera("north")), SETTINGS)
    unfinished = [
        (
            watermark,
            [
                replace(batch, tracklets=tuple(replace(tracklet, ended=False) for tracklet in batch.tracklets))
                for batch in batches
            ],
        )
        for watermark, batches in script(walks, ORIGINS, 110)
    ]
    said = records(play(engine, unfinished), "identities")
    assert [value["event"] for value in said] == ["created", "created", "merged", "closed"]
    assert said[2]["time"] < 100 * 10**6, "not only as the site ends"
