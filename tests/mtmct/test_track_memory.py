"""Tracks in memory are rows of columns, that others take once a track is forgotten."""

from __future__ import annotations

import numpy as np
import pytest

from mtmct.exemplars import Exemplars
from mtmct.track_state import TrackState
from mtmct.tracks import TrackMemory

WHERE, STILL = np.arange(8.0), np.arange(4.0)


def a_track(uid: int, **known: object) -> TrackState:
    votes = {"person": uid}
    return TrackState(
        uid, "ab"[uid % 2], uid, votes, 10 * uid, 10 * uid + 5, uid, WHERE, WHERE + 1, STILL, True, **known
    )


def look(seed: int) -> Exemplars:
    vectors = np.random.default_rng(seed).normal(size=(1 + seed % 3, 4)).astype(np.float32)
    return Exemplars(vectors, np.arange(1, len(vectors) + 1, dtype=np.float32))


def remembers(memory: TrackMemory, uids: list[int]) -> bool:
    """Whether of these tracks, and of no others, everything is known."""
    assert list(memory.tracks) == memory.columns.by_uid()[0].tolist() == uids
    assert memory.columns.by_uid()[1].tolist() == memory.columns.rows_of(uids).tolist()
    for uid in uids:
        track = memory[uid]
        assert memory.find(track.camera, uid) is track
        assert (track.start_ns, track.last_ns, track.ahead_ns, track.points) == (10 * uid, 10 * uid + 5, 3, uid)
        assert track.votes == {"person": uid} and track.attributes == {"bag": {"none": float(uid)}}
        assert np.array_equal(track.looks.sums, look(uid).sums) and track.look_count == len(look(uid))
        assert np.array_equal(track.last, WHERE + 1) and np.array_equal(track.velocity, STILL)
    return True


def test_rows_of_tracks_that_are_forgotten_are_taken_by_others_and_of_none_is_anything_mixed_up():
    memory, known = TrackMemory(), []
    dice = np.random.default_rng(3)
    for uid in range(1, 900):
        memory.put(a_track(uid, ahead_ns=3, looks=look(uid), attributes={"bag": {"none": float(uid)}}))
        known.append(uid)
        while len(known) > 500 or (len(known) > 1 and dice.random() < 0.3):
            memory.forget(known.pop(int(dice.integers(len(known)))))
        if uid % 100 == 0:
            assert remembers(memory, known)
    assert len(memory.columns.uid) <= 1024, "rows come back into use"


def test_a_track_that_is_forgotten_cannot_be_taken_for_the_one_that_has_its_row():
    memory = TrackMemory()
    memory.put(a_track(1))
    gone = memory[1]
    memory.forget(1)
    memory.put(a_track(2))
    assert memory[2].row == gone.row
    with pytest.raises(AttributeError):
        _ = gone.last_ns


def test_classes_are_counted_where_there_are_several():
    memory = TrackMemory()
    memory.put(a_track(4))
    rows, car = memory.columns.rows_of([4]), memory.columns.number_of("car")
    memory.columns.vote(rows, np.zeros(1, np.int64), np.array([2]))
    assert memory[4].votes == {"person": 6} and memory[4].cls == "person"
    memory.columns.vote(rows, np.array([car]), np.array([6]))
    assert memory[4].votes == {"person": 6, "car": 6} and memory[4].cls == "car", "the alphabet decides"
    memory.columns.vote(rows, np.zeros(1, np.int64), np.array([1]))
    assert memory[4].votes == {"person": 7, "car": 6} and memory[4].cls == "person"


def test_a_clock_that_is_put_right_moves_the_tracks_of_its_camera_alone():
    memory = TrackMemory()
    memory.put(a_track(1, strayed_ns=12), a_track(2, strayed_ns=22), a_track(3))
    memory.retime("b", 4)
    one, other, third = memory[1], memory[2], memory[3]
    assert (one.start_ns, one.last_ns, one.heard_ns, one.ahead_ns, one.strayed_ns) == (6, 11, 15, 4, 8)
    assert (other.start_ns, other.ahead_ns, other.strayed_ns) == (20, 0, 22) and third.strayed_ns == 0
    assert memory.columns.changed[[one.row, other.row]].tolist() == [True, False]


def test_a_track_that_is_cut_twice_goes_on_as_its_last_part_after_a_restart_too():
    memory = TrackMemory()
    memory.put(TrackState(1, "a", 7, {"person": 9}, 10, 1000, 9, WHERE, WHERE, STILL, False, identity=1))
    memory.next_uid = 2
    last = memory.cut(memory[1], 600)
    middle = memory.cut(memory[1], 300)
    assert (middle.start_ns, middle.last_ns, last.start_ns, last.last_ns) == (300, 599, 600, 1000)
    again = TrackMemory()
    again.put(*(memory[uid].state() for uid in (1, last.uid, middle.uid)))
    for remembered in (memory, again):
        found = remembered.find("a", 7)
        assert found is not None and found.uid == last.uid
        remembered.forget(middle.uid)
        assert remembered.find("a", 7) is found


def test_each_row_is_asked_about_once_where_it_comes_first():
    memory = TrackMemory()
    memory.put(*map(a_track, range(1, 6)))
    assert memory.columns.each_once(np.array([3, 1, 3, 0, 1, 4])).tolist() == [3, 1, 0, 4]
