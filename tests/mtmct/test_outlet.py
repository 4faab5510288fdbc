"""What is held back until it is known who it is comes out in its place, and keeps nothing alive meanwhile."""

from __future__ import annotations

from fusion_scenes import camera, look, play, script, straight, topology

from mtmct.fusion import FusionEngine
from mtmct.settings import FusionSettings

ORIGINS = {"a": (0.0, 0.0), "b": (0.0, 0.0)}
# So many points that nobody is decided at once: the first two seconds are held back.
SLOW = FusionSettings(min_evidence=25, max_wait_s=60.0)


def steps() -> list:
    walks = {
        ("a", 1): {"path": straight(4, 5), "start": 0, "end": 6, "look": look(1)},
        ("b", 1): {"path": straight(4, 5), "start": 1, "end": 6, "look": look(1)},
        ("a", 2): {"path": straight(15, 5), "start": 0, "end": 6, "look": look(2)},
        ("b", 7): {"path": straight(9, 5), "start": 0, "end": 2, "look": look(3)},
        ("a", 9): {"path": straight(12, 2), "start": 2, "end": 6, "look": look(4)},
    }
    return script(walks, ORIGINS, 7)


def published(commit) -> list[tuple[str, int, int]]:
    return [
        (record.value["camera"], record.value["track"], record.value["start"])
        for record in commit.records
        if record.topic == "tracks"
    ]


def test_what_was_held_back_is_published_by_camera_track_and_time_among_the_others():
    commits = play(FusionEngine("plaza", topology(camera("a"), camera("b")), SLOW), steps())
    told = [published(commit) for commit in commits]
    assert all(each == sorted(each) for each in told)
    assert [len(each) for each in told[:2]] == [0, 1 + 1], "one has ended, and is decided with what was held of it"
    assert ("a", 2, 0) in told[2] and ("a", 2, 2_000_000) in told[2], "held and new, in one commit"
    everything = [one for each in told for one in each]
    assert len(everything) == len(set(everything)) == 6 + 5 + 6 + 2 + 4


def test_what_one_points_to_is_published_once_with_the_first_of_its_tracklets():
    commits = play(FusionEngine("plaza", topology(camera("a"), camera("b")), SLOW), steps())
    said = [record.value for commit in commits for record in commit.records if record.topic == "tracks"]
    with_why = [(value["camera"], value["track"], value["start"]) for value in said if value["link"] is not None]
    firsts = {(value["camera"], value["track"]): value["start"] for value in reversed(said)}
    assert sorted(with_why) == sorted((*name, start) for name, start in firsts.items())


def test_a_held_tracklet_keeps_no_commit_alive_and_is_the_same_after_a_restart():
    whole = FusionEngine("plaza", topology(camera("a"), camera("b")), SLOW)
    again = FusionEngine("plaza", topology(camera("a"), camera("b")), SLOW)
    play(whole, steps()[:2])
    tracks = whole._memory.tracks
    held = [piece for uid in tracks.holding for piece in tracks[uid].held]
    assert len(held) == 2 + 2 + 1 and all(piece.embeddings is None for piece in held)
    assert all(len(piece.boxes.base) <= 3 * 10 for piece in held), "no more than what is held of one second"
    again.restore(whole.snapshot())
    rest, other = play(whole, steps()[2:]), play(again, steps()[2:])
    assert [commit.records for commit in rest] == [commit.records for commit in other]
