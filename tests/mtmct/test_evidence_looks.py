"""What several looks of somebody say together, and what is remembered of who stood apart."""

from __future__ import annotations

import numpy as np
import pytest
from fusion_scenes import camera, events, look, play, script, straight, topology

from mtmct import state
from mtmct.exemplars import Exemplars, Impression, alike, repeated
from mtmct.fusion import FusionEngine
from mtmct.identity import Identity
from mtmct.settings import AppearanceCalibration, FusionSettings

DIM = 256
RANDOM = np.random.default_rng(0)


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def seen(person: np.ndarray, noise: float) -> np.ndarray:
    """What somebody looks like on an occasion."""
    return unit(person + noise * unit(RANDOM.normal(size=DIM))).astype(np.float32)


def impression(*occasions: np.ndarray, pictures: int = 5) -> Impression:
    """Of occasions, with so many equal pictures each."""
    seen = [(np.tile(vector, (pictures, 1)), np.ones(pictures, np.float32)) for vector in occasions]
    return Impression().with_looks([Exemplars().with_more(*pictured, 3) for pictured in seen])


def somebody() -> np.ndarray:
    return unit(RANDOM.normal(size=DIM))


def test_of_whom_much_has_been_seen_is_no_more_like_a_stranger_than_of_whom_little_has():
    strangers = [impression(seen(somebody(), 2.0)) for _ in range(300)]
    known = [impression(*(seen(person, 2.0) for _ in range(20))) for person in [somebody()]]
    glimpsed = [impression(seen(somebody(), 2.0))]
    much = [alike(stranger, known)[0][0] for stranger in strangers]
    little = [alike(stranger, glimpsed)[0][0] for stranger in strangers]
    assert abs(np.mean(much)) < 0.02 and abs(np.mean(little)) < 0.02
    assert np.std(much) < 0.7 * np.std(little)


def test_occasions_that_differ_say_more_together_and_repeated_ones_do_not():
    me = somebody()
    different, repeated = [seen(me, 2.0) for _ in range(10)], [seen(me, 2.0)] * 10
    cosines, gains = alike(impression(seen(me, 2.0)), [impression(*different), impression(*repeated)])
    assert gains[0] > 2.5 and gains[1] == pytest.approx(1.0, abs=1e-3)
    assert cosines[0] == pytest.approx(0.2, abs=0.1), "the cosine to be expected is that of one pair"


def test_one_occasion_that_repeats_another_says_more_than_all_that_differ_and_none_says_nothing():
    me, other = somebody(), somebody()
    often = np.stack([seen(me, 2.0) for _ in range(8)])
    calibration = AppearanceCalibration(slope=20.0, offset=-2.0)
    again, stranger = often[:1], seen(other, 2.0)[None]
    assert repeated(again, [often], calibration)[0] > 8.0
    assert repeated(stranger, [often], calibration)[0] == -np.inf
    assert np.isnan(repeated(again, [often[:0]], calibration)[0])


def test_a_glimpse_counts_less_than_what_was_seen_for_long():
    me, mistaken = np.eye(DIM, dtype=np.float32)[:2]
    clear, glimpse = impression(me, pictures=9), impression(mistaken, pictures=1)
    cosines, _ = alike(impression(me), [clear + glimpse])
    assert cosines[0] == pytest.approx(0.9 / 1.4, abs=1e-3)


def test_the_sum_of_impressions_is_that_of_all_occasions_together():
    me = somebody()
    occasions = [seen(me, 1.0) for _ in range(6)]
    whole, parts = impression(*occasions), impression(*occasions[:2]) + impression(*occasions[2:])
    assert np.allclose(whole.total, parts.total, atol=1e-5) and whole.weight == pytest.approx(parts.weight)


def test_whose_looks_nobody_kept_is_not_comparable():
    cosines, gains = alike(impression(somebody()), [Impression(), impression(somebody())])
    assert np.isnan(cosines[0]) and np.isfinite(cosines[1]) and (gains >= 1).all()
    assert np.isnan(alike(Impression(), [impression(somebody())])[0]).all()


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


def test_an_identity_stored_before_impressions_were_kept_is_read_with_its_looks():
    kept = Exemplars().with_more(seen(somebody(), 1.0)[None], np.ones(1, np.float32), 3)
    value = state.unpacked("key", state.pack_identity(Identity(7, 0, 0, looks=kept)))
    del value["impression"], value["told"], value["version"]
    read = state.unpack_identity("key", state.packed(value))
    assert alike(read.impression, [Impression().with_looks([kept])])[0][0] == pytest.approx(1.0, abs=1e-5)
