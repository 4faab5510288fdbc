"""Tracks in the stored state: those that go on with their camera, those that are over by themselves."""

from __future__ import annotations

import numpy as np
from fusion_scenes import camera, crowd, play, topology

from mtmct import state as stored
from mtmct.fusion import FusionEngine
from mtmct.stored_tracks import unpack_track
from mtmct.track_state import TrackState

STEPS = crowd({"b": 0.0, "c": 0.0})


def engine() -> FusionEngine:
    return FusionEngine("plaza", topology(camera("a"), camera("b"), camera("c", calibrated=False)))


def halfway() -> dict[str, bytes]:
    """A state in which some tracks are over and still remembered."""
    before = engine()
    play(before, STEPS[: len(STEPS) // 2])
    return before.snapshot()


def tracks(state: dict[str, bytes]) -> dict[str, TrackState]:
    return {key: unpack_track(key, data) for key, data in state.items() if key.startswith(stored.TRACK)}


def test_a_track_that_is_over_is_not_written_again_with_every_commit_of_its_camera():
    state = halfway()
    going_on = {uid for key in state if key.startswith(stored.CAMERA) for uid in uids_of(state, key)}
    over = {track.uid for track in tracks(state).values() if track.settled}
    assert over and going_on and not over & going_on
    assert over | going_on == {track.uid for track in tracks(state).values()}
    assert all(track.ended and track.points > 0 and track.votes for track in tracks(state).values() if track.settled)


def uids_of(state: dict[str, bytes], key: str) -> list[int]:
    return stored.unpacked(key, state[key])["uids"].tolist()


def as_it_was(state: dict[str, bytes]) -> dict[str, bytes]:
    """The same as a build wrote it that kept all tracks of a camera together."""
    old = dict(state)
    by_camera: dict[str, list[TrackState]] = {}
    for key, track in tracks(state).items():
        by_camera.setdefault(track.camera, [])
        if track.settled:
            by_camera[track.camera].append(track)
            value = stored.unpack(state[key])
            old[key] = stored.pack(value[:-6])
    for name, over in by_camera.items():
        key = stored.camera_key(name)
        known = stored.unpacked(key, state[key]) if key in state else None
        columns = {
            "uids": np.array([one.uid for one in over], np.int64),
            "times": np.array([one.last_ns for one in over], np.int64),
            "counts": np.array([(one.points, one.offered, 1) for one in over], np.int64).reshape(-1, 3),
            "sights": np.array([one.last for one in over]).reshape(-1, 8),
            "velocities": np.array([one.velocity for one in over]).reshape(-1, 4),
        }
        votes = [list(one.votes.items()) for one in over]
        if known is not None:
            counts = np.pad(known["counts"], ((0, 0), (0, 1)))
            columns = {
                part: np.concatenate([counts if part == "counts" else known[part], column])
                for part, column in columns.items()
            }
            votes = [*known["votes"], *votes]
        old[key] = stored.packed({**columns, "votes": votes})
    return old


def test_a_ledger_of_before_tracks_that_are_over_were_kept_by_themselves_goes_on():
    state = halfway()
    assert as_it_was(state) != state
    said = []
    for kept in (state, as_it_was(state)):
        after = engine()
        after.restore(kept)
        said.append([commit.records for commit in play(after, STEPS[len(STEPS) // 2 :])])
    assert said[0] == said[1] and any(said[0])
