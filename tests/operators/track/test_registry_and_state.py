"""Choosing a tracker, stopping and going on, and two paths that agree to the bit."""

from __future__ import annotations

import copy
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from operators.records import Detections, StateError, Tracks, TrackState
from operators.track import Tracker, TrackerError, create, find, names, parameters_of

FRAME_NS = 33_333_333
ROOT = Path(__file__).resolve().parents[3]


def crowd(frames: int, people: int = 12, seed: int = 3, dim: int = 0) -> list[Detections]:
    """A small crowd that walks, is missed now and then, and is doubtful now and then."""
    rng = np.random.default_rng(seed)
    place, speed = rng.uniform(100, 900, (people, 2)), rng.normal(0, 3, (people, 2))
    looks = rng.normal(size=(people, max(dim, 1)))
    found = []
    for _ in range(frames):
        place += speed
        seen = rng.random(people) > 0.1
        corner = place[seen] + rng.normal(0, 1, (seen.sum(), 2))
        boxes = np.hstack([corner, corner + np.array([40, 100])]).astype(np.float32)
        scores = rng.choice([0.3, 0.9], seen.sum(), p=[0.2, 0.8]).astype(np.float32)
        look = looks[seen] + rng.normal(0, 0.3, (seen.sum(), max(dim, 1)))
        embeddings = (look / np.linalg.norm(look, axis=1, keepdims=True)).astype(np.float32) if dim else None
        found.append(Detections(boxes, scores, (np.flatnonzero(seen) % 2).astype(np.int32), embeddings))
    return found


def equal(one: Tracks, other: Tracks) -> bool:
    return all(np.array_equal(getattr(one, field), getattr(other, field)) for field in Tracks.__slots__)


@pytest.mark.parametrize("name", names())
def test_numpy_path_gives_the_bits_of_the_compiled_one(name: str) -> None:
    fast, plain = create(name), create(name, compiled=False)
    for k, detections in enumerate(crowd(40, dim=8)):
        assert equal(fast.update(detections, k * FRAME_NS), plain.update(detections, k * FRAME_NS)), f"frame {k}"


@pytest.mark.parametrize("name", names())
def test_a_restored_tracker_goes_on_as_if_never_stopped(name: str) -> None:
    frames = crowd(40, dim=8)
    whole, stopped = create(name), create(name)
    for k, detections in enumerate(frames):
        if k == 20:
            state = stopped.snapshot()
            stopped = create(name)
            stopped.restore(state)
            assert stopped.snapshot() == state
        assert equal(whole.update(detections, k * FRAME_NS), stopped.update(detections, k * FRAME_NS)), f"frame {k}"


@pytest.mark.parametrize("name", names())
def test_classes_never_meet_and_ids_are_unique(name: str) -> None:
    tracker = create(name)
    class_of: dict[int, int] = {}
    for k, detections in enumerate(crowd(40)):
        tracks = tracker.update(detections, k * FRAME_NS)
        matched = tracks.detections >= 0
        assert np.array_equal(tracks.classes[matched], detections.classes[tracks.detections[matched]])
        assert len(set(tracks.ids.tolist())) == len(tracks)
        for identity, label in zip(tracks.ids.tolist(), tracks.classes.tolist(), strict=True):
            assert class_of.setdefault(identity, label) == label


@pytest.mark.parametrize("name", names())
def test_many_trackers_in_one_process_do_not_know_of_each_other(name: str) -> None:
    frames = crowd(20)
    alone = create(name)
    expected = [alone.update(d, k * FRAME_NS) for k, d in enumerate(frames)]
    cameras = [create(name) for _ in range(3)]
    for k, detections in enumerate(frames):
        for camera in cameras:
            assert equal(camera.update(detections, k * FRAME_NS), expected[k])


def test_unknown_names_and_parameters_are_answered_with_the_known_ones() -> None:
    with pytest.raises(TrackerError, match="bytetrack"):
        create("nonesuch")
    with pytest.raises(TrackerError, match="lost_seconds"):
        create("bytetrack", nonesuch=1)
    with pytest.raises(TrackerError, match="between"):
        create("bytetrack", match=2.0)
    with pytest.raises(TrackerError, match="no tracker"):
        create("operators.records:Detections")


def test_a_users_own_tracker_is_named_by_its_path() -> None:
    assert isinstance(create("operators.track.bytetrack:ByteTrack", high=0.5), find("bytetrack"))
    assert {"high", "rate_hz", "same_object"} <= set(parameters_of(find("bytetrack")))
    assert all(issubclass(find(name), Tracker) for name in names())


def test_state_of_another_tracker_or_of_other_parameters_is_refused() -> None:
    tracker = create("bytetrack")
    tracker.update(crowd(1)[0], 0)
    with pytest.raises(StateError):
        tracker.restore(b"damaged")
    with pytest.raises(StateError, match="other parameters"):
        create("bytetrack", same_object=[[0, 1]]).restore(tracker.snapshot())


def test_a_tracker_is_not_copied_behind_its_back() -> None:
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(StateError, match="restore a snapshot"):
            attempt(create("sort"))


def test_confusable_classes_share_a_track_whose_class_is_voted() -> None:
    box = np.array([[100, 100, 140, 200]], np.float32)
    apart, together = create("bytetrack"), create("bytetrack", same_object=[[2, 7]])
    for k, label in enumerate([2, 2, 2, 7, 7, 2]):
        detections = Detections(box + k, np.array([0.9], np.float32), np.array([label], np.int32))
        apart.update(detections, k * FRAME_NS)
        tracks = together.update(detections, k * FRAME_NS)
    assert tracks.ids.tolist() == [1]
    assert tracks.classes.tolist() == [2]
    assert len(apart) == 2


def test_tentative_and_lost_tracks_are_reported_on_request() -> None:
    shy, open_ = create("bytetrack"), create("bytetrack", report_tentative=True, report_lost=True)
    frames = [Detections.empty(), crowd(1, people=1, seed=1)[0], Detections.empty()]
    frames[1] = Detections(frames[1].boxes, np.full(1, 0.9, np.float32), frames[1].classes)
    frames += [frames[1], frames[1], Detections.empty()]
    told = [(len(shy.update(d, k * FRAME_NS)), open_.update(d, k * FRAME_NS)) for k, d in enumerate(frames)]
    assert [quiet for quiet, _ in told] == [0, 0, 0, 0, 1, 0]
    assert [tracks.states.tolist() for _, tracks in told] == [
        [],
        [TrackState.TENTATIVE],
        [],
        [TrackState.TENTATIVE],
        [TrackState.CONFIRMED],
        [TrackState.LOST],
    ]
    assert told[2][1].ended.tolist() == [1]


def test_a_machine_without_numba_tracks_the_same() -> None:
    script = (
        "import sys; sys.modules['numba'] = None\n"
        "import numpy as np\n"
        "from operators.track import TrackerError, create\n"
        "tracker = create('steady')\n"
        "for k in range(5):\n"
        "    rows = tracker.update_rows(np.array([[5 + k, 5, 45 + k, 95, 0.9]]), k * 33_333_333)\n"
        "print(rows.tobytes().hex())\n"
        "try:\n    create('steady', compiled=True)\nexcept TrackerError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    tracker = create("steady")
    for k in range(5):
        rows = tracker.update_rows(np.array([[5 + k, 5, 45 + k, 95, 0.9]]), k * FRAME_NS)
    told, refused = done.stdout.splitlines()
    assert told == rows.tobytes().hex()
    assert "needs numba" in refused


def test_a_package_folder_that_cannot_be_written_leaves_the_cache_to_the_user(tmp_path: Path) -> None:
    copied = tmp_path / "package" / "operators"
    shutil.copytree(ROOT / "operators" / "track", copied / "track", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("__init__.py", "records.py"):
        shutil.copy(ROOT / "operators" / name, copied / name)
    for folder in (copied / "track", copied / "track" / "core"):
        (folder / "__pycache__").write_text("in the way of a cache folder, even for root")
    script = "from operators.track.core.camera import warp_tracks; print(warp_tracks._cache.cache_path)"
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=copied.parent, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(str(tmp_path / ".cache"))


def test_a_crowd_larger_than_any_before_is_taken_in() -> None:
    tracker, plain = create("bytetrack"), create("bytetrack", compiled=False)
    for k, side in enumerate([3, 30, 30, 5, 30]):
        corner = np.stack(np.meshgrid(np.arange(side) * 50.0, np.arange(side) * 110.0), axis=2).reshape(-1, 2)
        rows = np.hstack([corner, corner + np.array([40, 100]), np.full((side * side, 1), 0.9)])
        told = tracker.update_rows(rows, k * FRAME_NS)
        assert np.array_equal(told, plain.update_rows(rows, k * FRAME_NS))
    assert len(told) == 900
