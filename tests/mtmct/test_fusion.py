from __future__ import annotations

import json
import random

import fusion_scenes as scenes
import numpy as np
import pytest
from fusion_scenes import camera, events, look, play, records, script, straight, topology

from mtmct.corrections import IdentityResolver
from mtmct.fusion import END_OF_TIME, FusionEngine
from mtmct.records import CameraBatch, Record
from mtmct.settings import FusionSettings
from operators.records import StateError

ORIGINS = {"a": (0.0, 0.0), "b": (10.0, 0.0), "far": (500.0, 0.0)}


def overlapping() -> FusionEngine:
    """Cameras a and b share x from 10 to 20 m; `far` stands elsewhere."""
    return FusionEngine("plaza", topology(camera("a"), camera("b", 10), camera("far", 500)))


def blind() -> FusionEngine:
    return FusionEngine("plaza", topology(*(camera(name, calibrated=False) for name in ("a", "b"))))


def who(commits) -> dict[tuple[str, int], int]:
    resolver = IdentityResolver()
    names = set()
    for value in records(commits, "identities"):
        resolver.apply(value)
    for value in records(commits, "tracks"):
        resolver.published(value)
        names.add((value["camera"], value["track"]))
    return {name: resolver.identity_of(*name) for name in sorted(names)}


def two_walk_through() -> dict:
    one, other = straight(2, 3, 1.2), straight(18, 7, -1.2)
    return {
        ("a", 1): {"path": one, "start": 0, "end": 14.5, "look": look(1)},
        ("b", 1): {"path": one, "start": 7, "end": 20, "look": look(1)},
        ("a", 2): {"path": other, "start": 0, "end": 12, "look": look(2)},
        ("b", 2): {"path": other, "start": 0, "end": 6.2, "look": look(2)},
    }


def test_people_keep_their_identity_through_overlapping_views_by_geometry_alone():
    walks = {name: {**walk, "look": None} for name, walk in two_walk_through().items()}
    commits = play(overlapping(), script(walks, ORIGINS, 21))
    assert who(commits) == {("a", 1): 1, ("a", 2): 2, ("b", 1): 1, ("b", 2): 2}
    assert [event for event, _ in events(commits)] == ["created", "created", "closed", "closed"]


def test_two_cameras_without_calibration_are_joined_by_appearance():
    commits = play(blind(), script(two_walk_through(), {"a": (0, 0), "b": (0, 0)}, 21))
    assert who(commits) == {("a", 1): 1, ("a", 2): 2, ("b", 1): 1, ("b", 2): 2}


def test_with_neither_pictures_nor_calibration_every_track_is_somebody():
    walks = {name: {**walk, "look": None} for name, walk in two_walk_through().items()}
    commits = play(blind(), script(walks, ORIGINS, 21))
    assert len(set(who(commits).values())) == 4


def test_one_camera_never_shows_an_identity_twice_at_once_however_alike():
    walks = {
        ("a", 1): {"path": straight(3, 3), "start": 0, "end": 8, "look": look(1)},
        ("a", 2): {"path": straight(4, 3), "start": 2, "end": 8, "look": look(1)},
    }
    identities = who(play(overlapping(), script(walks, ORIGINS, 9)))
    assert identities["a", 1] != identities["a", 2]


def test_simultaneous_tracks_metres_apart_are_never_one_however_alike():
    walks = {
        ("a", 1): {"path": straight(12, 2), "start": 0, "end": 8, "look": look(1)},
        ("b", 1): {"path": straight(18, 8), "start": 0, "end": 8, "look": look(1)},
    }
    identities = who(play(overlapping(), script(walks, ORIGINS, 9)))
    assert identities["a", 1] != identities["b", 1]


def test_a_track_lost_and_found_in_one_camera_is_one_identity():
    path = straight(3, 3, 1.0)
    walks = {
        ("a", 1): {"path": path, "start": 0, "end": 5, "look": look(1)},
        ("a", 2): {"path": path, "start": 7, "end": 12, "look": look(1)},
    }
    commits = play(overlapping(), script(walks, ORIGINS, 13))
    assert who(commits) == {("a", 1): 1, ("a", 2): 1}
    first = next(value for value in records(commits, "tracks") if value["track"] == 2)
    assert first["link"]["previous"] == {"camera": "a", "track": 1}
    assert first["link"]["terms"].keys() >= {"appearance", "motion", "arrival"}
    assert first["link"]["score"] == pytest.approx(sum(first["link"]["terms"].values()), abs=1e-3)


def test_a_person_is_found_again_after_minutes_but_not_after_the_longest_gap():
    def back_after(seconds: int) -> int:
        walks = {
            ("a", 1): {"path": straight(0.2, 3), "start": 0, "end": 5, "look": look(1)},
            ("far", 1): {"path": straight(500.2, 3), "start": 5 + seconds, "end": 10 + seconds, "look": look(1)},
        }
        return who(play(overlapping(), script(walks, ORIGINS, 12 + seconds)))["far", 1]

    assert back_after(120) == 1
    assert back_after(310) == 2


def test_a_wrong_link_is_split_when_positions_drift_apart():
    walks = {
        ("a", 1): {"path": straight(12, 3), "start": 0, "end": 15},
        ("b", 1): {"path": lambda t: (12 + 0.8 * max(0, t - 4), 3), "start": 0, "end": 15},
    }
    commits = play(overlapping(), script(walks, ORIGINS, 16))
    assert records(commits, "tracks")[1]["number"] == 1, "they began as one"
    identities = who(commits)
    assert identities["a", 1] != identities["b", 1]
    split = next(value for value in records(commits, "identities") if value["event"] == "split")
    assert split["revision"] == 1 and split["into"] == "plaza-000002"
    assert split["evidence"]["terms"]["ground"] < -5


def test_identities_that_turn_out_to_be_one_are_merged_into_the_older():
    # Both are seen apart first; then the views overlap and they stand on one spot for seconds.
    path = straight(8, 3, 0.5)
    walks = {
        ("a", 1): {"path": path, "start": 0, "end": 16},
        ("b", 1): {"path": lambda t: (path(t)[0] + max(0.0, 4.0 - t), 3), "start": 0, "end": 16},
    }
    commits = play(overlapping(), script(walks, ORIGINS, 17))
    assert ("merged", 2) in events(commits)
    assert who(commits) == {("a", 1): 1, ("b", 1): 1}


def test_the_order_of_arrival_leaves_no_mark():
    steps = script(two_walk_through(), ORIGINS, 21)
    shuffled = [(watermark, random.Random(7).sample(batches, len(batches))) for watermark, batches in steps]
    assert play(overlapping(), steps) == play(overlapping(), shuffled)


def busy() -> list[tuple[int, list[CameraBatch]]]:
    """Ten people, three cameras, breaks, drifts, looks that come late; some of everything."""
    dice = np.random.default_rng(3)
    walks = {}
    for person in range(10):
        x, y, vx, start = dice.uniform(0, 28), dice.uniform(1, 9), dice.uniform(-1, 1), dice.uniform(0, 10)
        path = straight(x, y, vx, dice.uniform(-0.2, 0.2), start)
        for part in range(3):
            where = ("a", "b", "far")[dice.integers(3)]
            begin = start + 6 * part + dice.uniform(0, 3)
            walk = {"path": path, "start": round(begin, 1), "end": round(begin + dice.uniform(0.2, 5), 1)}
            walks[where, 10 * person + part + 1] = {**walk, "look": look(person) if dice.random() < 0.7 else None}
    return script(walks, ORIGINS, 40)


def test_restored_while_only_people_are_in_view_it_still_knows_that_somebody_was_a_car():
    def engine() -> FusionEngine:
        return FusionEngine("plaza", topology(camera("a"), camera("b", 40)), FusionSettings(memory_s=2.0))

    walks = {
        ("a", 1): {"path": straight(15, 5), "start": 0, "end": 3, "cls": "car"},
        ("b", 1): {"path": straight(50, 5), "start": 0, "end": 20},
    }
    steps = script(walks, {"a": (0.0, 0.0), "b": (40.0, 0.0)}, 20)
    running, restored = engine(), engine()
    play(running, steps[:15])
    restored.restore(running.snapshot())
    rest = play(running, steps[15:])
    assert {value["class"] for value in records(rest, "identities")} == {"car", "person"}
    assert play(restored, steps[15:]) == rest


def test_restored_after_any_commit_the_rest_is_byte_for_byte_the_same():
    steps = busy()
    straight_through = overlapping()
    expected, snapshots, kept = [], [], {}
    for watermark, batches in steps:
        commit = straight_through.advance(batches, watermark)
        expected.append(commit)
        kept = {key: data for key, data in {**kept, **commit.state}.items() if data is not None}
        snapshots.append(kept)
        assert straight_through.snapshot() == kept
    for at, state in enumerate(snapshots):
        restored = overlapping()
        restored.restore({"site": b"not fusion's", **state})
        for (watermark, batches), commit in zip(steps[at + 1 : at + 6], expected[at + 1 : at + 6], strict=True):
            again = restored.advance(batches, watermark)
            assert json.dumps([r.value for r in again.records]) == json.dumps([r.value for r in commit.records])
            assert again == commit


def test_a_commit_writes_only_what_it_changed():
    walks = {name: {**walk, "look": None} for name, walk in two_walk_through().items()}
    commits = play(overlapping(), script(walks, ORIGINS, 21))
    late = [key for key in commits[10].state if key.startswith(("fusion/identity", "fusion/track"))]
    assert late == []
    assert all(key.startswith("fusion/") for commit in commits for key in commit.state)


def test_at_the_end_nothing_is_held_and_nothing_is_left_but_the_counters():
    engine = overlapping()
    steps = script({("a", 1): {"path": straight(3, 3), "start": 0.8, "end": 1.0}}, ORIGINS, 1)
    commits = play(engine, steps)
    assert len(records(commits[:1], "tracks")) + len(records(commits[1:], "tracks")) == 1
    assert events(commits) == [("created", 1), ("closed", 1)]
    assert list(engine.snapshot()) == ["fusion/meta"]


def test_a_new_track_is_held_until_there_is_enough_of_it_and_then_published_whole():
    walks = {("a", 1): {"path": straight(3, 3), "start": 0.8, "end": 5}}
    steps = script(walks, ORIGINS, 6)
    engine = overlapping()
    assert records([engine.advance(steps[0][1], steps[0][0])], "tracks") == []
    published = records([engine.advance(steps[1][1], steps[1][0])], "tracks")
    assert [len(value["frames"]) for value in published] == [2, 10]
    assert published[0]["link"] is not None and published[1]["link"] is None


def test_events_and_dead_letters_pass_through_in_the_order_of_cameras():
    def batch(name: str) -> CameraBatch:
        record = Record("events", name, {"camera": name}, 0)
        return CameraBatch(name, 1, 0, 0, 10**9, events=(record,), deadletters=(Record("deadletter", name, {}, 0),))

    commit = overlapping().advance([batch("b"), batch("a")], 10**9)
    assert [(record.topic, record.key) for record in commit.records] == [
        ("events", "a"),
        ("events", "b"),
        ("deadletter", "a"),
        ("deadletter", "b"),
    ]


@pytest.mark.parametrize(
    ("embedding", "reason"),
    [
        (np.full((1, 16), np.nan, np.float32), "nan_embedding"),
        (np.zeros((1, 16), np.float32), "nan_embedding"),
        (np.ones((1, 5), np.float32), "wrong_embedding"),
    ],
)
def test_useless_embeddings_become_dead_letters_and_the_track_is_fused_by_geometry(embedding, reason):
    engine = overlapping()
    walks = {("a", 1): {"path": straight(12, 3), "start": 0, "end": 9, "look": look(1)}}
    steps = script(walks, ORIGINS, 10)
    bad = scenes.tracklet("b", 1, straight(12, 3), 2, 3, origin=ORIGINS["b"])
    bad = type(bad)(*(getattr(bad, name) for name in bad.__slots__[:7]), embedding, np.ones(1, np.float32), False)
    steps[2][1].append(CameraBatch("b", 1, 0, 2, 3 * 10**9, (bad,)))
    commits = play(engine, steps)
    letters = records(commits, "deadletter")
    assert [letter["reason"] for letter in letters] == [reason]
    assert letters[0]["camera"] == "b" and "track 1 of camera b" in letters[0]["detail"]
    assert who(commits)["b", 1] == 1


def test_a_batch_that_comes_twice_counts_once():
    steps = script(two_walk_through(), ORIGINS, 21)
    doubled = [(watermark, [*batches, *batches]) for watermark, batches in steps]
    assert play(overlapping(), steps) == play(overlapping(), doubled)


def test_a_state_of_another_version_is_refused():
    with pytest.raises(StateError):
        overlapping().restore({"fusion/meta": b"\x81\xa7version\x63"})


def test_a_state_without_a_camera_s_points_is_refused_naming_the_key():
    engine = overlapping()
    for watermark, batches in script({("a", 1): {"path": straight(3, 3), "start": 0, "end": 5}}, ORIGINS, 5)[:3]:
        engine.advance(batches, watermark)
    state = {key: data for key, data in engine.snapshot().items() if key != "fusion/camera/a"}
    with pytest.raises(StateError, match="fusion/camera/a says nothing of track 1"):
        overlapping().restore(state)


def test_what_ends_without_another_point_is_ended():
    engine = overlapping()
    steps = script({("a", 1): {"path": straight(3, 3), "start": 0, "end": 5}}, ORIGINS, 2)
    engine.advance(*reversed(steps[0]))
    nothing = scenes.tracklet("a", 1, straight(3, 3), 1, 1, ended=True)
    commit = engine.advance([CameraBatch("a", 1, 1, 1, 2 * 10**9, (nothing,))], 2 * 10**9)
    assert records([commit], "tracks") == []
    assert "fusion/camera/a" in commit.state


def test_settings_bound_how_long_an_identity_is_kept():
    engine = FusionEngine("plaza", topology(camera("a")), FusionSettings(max_gap_s=5, memory_s=2, silence_s=2))
    steps = script({("a", 1): {"path": straight(3, 3), "start": 0, "end": 2, "look": look(1)}}, ORIGINS, 12)
    commits = [engine.advance(batches, watermark) for watermark, batches in steps if watermark != END_OF_TIME]
    assert ("closed", 1) in events(commits)


def test_a_quality_without_an_embedding_is_harmless():
    walk = scenes.tracklet("a", 1, straight(3, 3), 0, 1)
    odd = type(walk)(*(getattr(walk, name) for name in walk.__slots__[:7]), np.zeros((0, 16), np.float32), np.ones(1))
    commit = overlapping().advance([CameraBatch("a", 1, 0, 0, 10**9, (odd,))], 10**9)
    assert len(records([commit], "tracks")) == 1


def test_everything_in_one_commit_is_the_same_people_and_restarts_as_well():
    steps = script(two_walk_through(), ORIGINS, 21)
    everything = [batch for _, batches in steps for batch in batches]
    once = overlapping()
    commits = [once.advance(everything[::-1], steps[-2][0]), once.advance([], END_OF_TIME)]
    assert who(commits) == who(play(overlapping(), steps))
    assert records(commits, "tracks") == records(play(overlapping(), steps), "tracks")
    restored = overlapping()
    restored.restore({key: data for key, data in commits[0].state.items() if data is not None})
    assert restored.advance([], END_OF_TIME) == commits[1], "the one commit carries the whole state"
