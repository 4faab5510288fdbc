"""What several looks of somebody say together, and what is remembered of who stood apart."""

from __future__ import annotations

import numpy as np
import pytest
from fusion_scenes import camera, events, look, play, script, straight, topology

from mtmct.exemplars import likeness
from mtmct.fusion import FusionEngine
from mtmct.settings import AppearanceCalibration, FusionSettings

SLOPE = 20.0
ME = np.eye(8, dtype=np.float32)[:1]


def at(cosine: float, axis: int) -> np.ndarray:
    """A unit vector with this cosine to `ME`."""
    vector = np.zeros((1, 8), np.float32)
    vector[0, 0], vector[0, axis] = cosine, np.sqrt(1 - cosine**2)
    return vector


def compared(looks: np.ndarray, weights: list[float], occasions: list[int]) -> float:
    given = (looks, np.array(weights, np.float32), ME, np.zeros(1), 1)
    return float(likeness(*given, np.array(occasions), SLOPE)[0])


def test_a_track_half_hidden_hardly_speaks_against_a_clear_one():
    together = compared(np.concatenate([at(0.95, 1), at(0.6, 2)]), [1, 1], [0, 1])
    assert together == pytest.approx(0.95 - np.log(2) / SLOPE, abs=1e-3)


def test_looks_of_one_track_are_averaged():
    looks = np.concatenate([at(0.95, 1), at(0.6, 2)])
    assert compared(looks, [1, 1], [0, 0]) == pytest.approx(0.775, abs=1e-6)
    plain = likeness(looks, np.ones(2, np.float32), ME, np.zeros(1), 1)
    assert plain[0] == pytest.approx(0.775, abs=1e-6)


def test_a_glimpse_that_agrees_weighs_as_little_as_it_was_seen():
    together = compared(np.concatenate([at(0.95, 1), at(0.6, 2)]), [0.01, 0.99], [3, 5])
    assert 0.6 < together < 0.95 - np.log(100) / SLOPE + 0.01


def test_tracks_that_agree_say_what_each_of_them_says():
    looks = np.concatenate([at(0.9, 1), at(0.9, 2), at(0.9, 3)])
    assert compared(looks, [1, 2, 3], [0, 1, 2]) == pytest.approx(0.9, abs=1e-6)


def test_of_different_objects_the_mean_ratio_stays_one_however_many_looks_there_are():
    random = np.random.default_rng(0)
    cosines = random.normal(0.5, 0.1, 200_000)
    # A calibration for which same and different have one spread: the mean ratio over different ones is 1.
    slope = 0.2 / 0.1**2
    ratios = np.exp(slope * cosines - slope * 0.6)
    assert ratios.mean() == pytest.approx(1.0, abs=0.05)
    triples = ratios[:199_998].reshape(-1, 3)
    assert np.log(triples.mean(axis=1)).mean() < 0
    assert triples.mean() == pytest.approx(1.0, abs=0.05)


NORTH, SOUTH = camera("north"), camera("south", 30)
ORIGINS = {"north": (0.0, 0.0), "south": (30.0, 0.0)}
TWINS = look(1)


def test_two_who_were_in_view_at_once_are_not_one_when_their_positions_are_forgotten():
    """They look the same, and one of them is still looked at when the positions of then have left the window."""
    calibration = AppearanceCalibration(20.0, -10.0)
    walks = {
        ("north", 1): {"path": straight(5, 5, 0.1, 0), "start": 0, "end": 8, "look": TWINS},
        ("south", 1): {"path": straight(45, 5, 0.1, 0), "start": 0, "end": 60, "look": TWINS},
    }
    engine = FusionEngine("plaza", topology(NORTH, SOUTH), FusionSettings(appearance=calibration))
    said = events(play(engine, script(walks, ORIGINS, 61)))
    assert [event for event, _ in said] == ["created", "created", "closed", "closed"]


def test_the_only_one_who_is_away_is_not_taken_for_the_next_who_comes():
    """With a look that says nothing either way, somebody new is likelier than the only one that is away."""
    undecided = AppearanceCalibration(0.1, 0.0)
    walks = {
        ("north", 1): {"path": straight(1, 5, 0, 0), "start": 0, "end": 4, "look": look(1)},
        ("north", 2): {"path": straight(19.9, 9.9, -0.2, 0, start=90), "start": 90, "end": 99, "look": look(2)},
    }
    engine = FusionEngine("plaza", topology(NORTH, SOUTH), FusionSettings(appearance=undecided))
    created = [event for event, _ in events(play(engine, script(walks, ORIGINS, 100))) if event == "created"]
    assert len(created) == 2
