"""A tracker that lets two people swap their local ids in mid-track: fusion cuts the tracks where they went over."""

from __future__ import annotations

import pytest
from fusion_scenes import camera, play, records, script, straight, topology

from mtmct import state as stored
from mtmct.corrections import IdentityResolver
from mtmct.fusion import FusionEngine
from mtmct.stored_tracks import unpack_track
from operators.records import SECOND_NS

ORIGINS = {"a": (0.0, 0.0), "b": (0.0, 0.0), "c": (0.0, 0.0)}
NORTH, SOUTH = straight(4, 2, 0.5), straight(4, 7, 0.5)
SWAP = 8


def swapping(cameras: str = "abc") -> dict:
    """Two people walk side by side, five metres apart; from second 8 camera a confuses their ids."""
    walks = {}
    for name in cameras:
        for track, own, other in ((1, NORTH, SOUTH), (2, SOUTH, NORTH)):
            swaps = name == "a"
            walks[name, track] = {
                "path": lambda t, own=own, other=other, swaps=swaps: (other if swaps and t >= SWAP else own)(t),
                "start": 0,
                "end": 20,
            }
    return walks


@pytest.fixture
def commits():
    engine = FusionEngine("plaza", topology(*(camera(name) for name in "abc")))
    return play(engine, script(swapping(), ORIGINS, 21))


def resolved(commits) -> IdentityResolver:
    resolver = IdentityResolver()
    for value in records(commits, "identities"):
        resolver.apply(value)
    for value in records(commits, "tracks"):
        resolver.published(value)
    return resolver


def test_before_and_after_the_swap_everybody_is_who_they_are(commits):
    resolver = resolved(commits)
    for value in records(commits, "tracks"):
        row = value["points"][0]
        person = 1 if row[7] < 4.5 else 2
        assert resolver.identity_of(value["camera"], value["track"], value["start"]) == person, value["start"]


def test_the_split_says_from_when_and_leaves_what_was_before(commits):
    splits = [value for value in records(commits, "identities") if value["event"] == "split"]
    assert [(value["tracks"], value["since"], value["until"]) for value in splits] == [
        ([["a", 1]], SWAP * 10**6, None),
        ([["a", 2]], SWAP * 10**6, None),
    ]
    assert {(value["identity"], value["into"]) for value in splits} == {
        ("plaza-000001", "plaza-000002"),
        ("plaza-000002", "plaza-000001"),
    }


def test_what_goes_over_says_so_on_its_next_tracklet(commits):
    links = [value for value in records(commits, "tracks") if value["link"] and value["start"] > SWAP * 10**6]
    assert [(value["camera"], value["track"], value["number"]) for value in links] == [("a", 1, 2), ("a", 2, 1)]


def test_nobody_stands_twice_in_a_frame_as_corrected(commits):
    resolver = resolved(commits)
    seen = set()
    for value in records(commits, "tracks"):
        number = resolver.identity_of(value["camera"], value["track"], value["start"])
        for frame in value["frames"]:
            assert (value["camera"], frame, number) not in seen
            seen.add((value["camera"], frame, number))


def test_an_engine_restored_in_the_middle_of_a_swap_cuts_alike(commits):
    steps = script(swapping(), ORIGINS, 21)
    for at in range(SWAP - 1, SWAP + 6):
        engine = FusionEngine("plaza", topology(*(camera(name) for name in "abc")))
        for watermark, batches in steps[:at]:
            engine.advance(batches, watermark)
        again = FusionEngine("plaza", topology(*(camera(name) for name in "abc")))
        again.restore(engine.snapshot())
        assert [again.advance(batches, watermark) for watermark, batches in steps[at:]] == commits[at:]


def test_who_is_erased_after_a_cut_leaves_no_positions_and_no_cut():
    engine = FusionEngine("plaza", topology(*(camera(name) for name in "abc")))
    steps = script(swapping(), ORIGINS, 21)
    at = SWAP + 6
    commits = play(engine, steps[:at])
    assert any(value["event"] == "split" for value in records(commits, "identities"))
    before = engine.snapshot()
    assert any(key.startswith(stored.CUTS) for key in before), "the cut is younger than the window"
    engine.erase(2, at * SECOND_NS)
    after = engine.snapshot()
    assert not any(key.startswith(stored.CUTS) for key in after)
    left = {unpack_track(key, data).uid for key, data in after.items() if key.startswith(stored.TRACK)}
    pairs = stored.unpack_pairs([(key, data) for key, data in after.items() if key.startswith(stored.PAIRS)])
    assert len(pairs) > 3
    assert {uid for commit in pairs for uid in commit.rows.pairs.ravel().tolist()} <= left
    again = FusionEngine("plaza", topology(*(camera(name) for name in "abc")))
    again.restore(after)
    for watermark, batches in steps[at:]:
        assert engine.advance(batches, watermark) == again.advance(batches, watermark)
