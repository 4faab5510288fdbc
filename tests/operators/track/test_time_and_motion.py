"""Real time steps, cameras that move, and what each strategy is for."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from operators.records import SECOND_NS, Detections, TrackState
from operators.track import TrackerError, create, names
from operators.track.camera_motion import CameraMotion
from operators.track.core.compilation import entry
from operators.track.core.motion import begin_motion, correct, predict
from operators.track.core.noise import fixed_noise, scaled_noise


def seen(boxes: list, scores: float = 0.9, looks: np.ndarray | None = None) -> Detections:
    table = np.array(boxes, np.float32).reshape(-1, 4)
    return Detections(table, np.full(len(table), scores, np.float32), np.zeros(len(table), np.int32), looks)


def walker(x: float, y: float = 100, w: float = 40, h: float = 100) -> list[float]:
    return [x, y, x + w, y + h]


@entry
def predict_often(floats, rows, dt, times, noise, scales):  # type: ignore[no-untyped-def]
    for _ in range(times):
        predict(floats, rows, dt, noise, scales)


@entry
def begin_and_correct(floats, rows, dets, noise, scales):  # type: ignore[no-untyped-def]
    begin_motion(floats, rows, dets, rows, noise, scales)
    predict(floats, rows, 1.0, noise, scales)
    correct(floats, rows, dets + 1.0, rows, noise, scales)


def test_one_long_step_is_what_many_short_ones_are() -> None:
    rows, scales = np.array([0]), np.full(4, 3)
    dets = np.array([[0, 0, 0, 0, 50.0, 60.0, 0.4, 90.0, 1.0]]).T.copy()
    once, often = np.zeros((30, 1)), np.zeros((30, 1))
    for floats in (once, often):
        begin_and_correct(floats, rows, dets, fixed_noise(), scales)
    predict_often(once, rows, 3.0, 1, fixed_noise(), scales)
    predict_often(often, rows, 1.0, 3, fixed_noise(), scales)
    assert np.allclose(once[:20], often[:20], rtol=1e-12)


def test_the_filter_is_the_dense_kalman_filter() -> None:
    # The textbook 8 x 8 form, against the four 2 x 2 blocks.
    noise, scales, h = scaled_noise(1 / 20, 1 / 160, aspect=True), np.full(4, 3), 90.0
    dets = np.array([[0, 0, 0, 0, 50.0, 60.0, 0.4, h, 1.0]]).T.copy()
    floats = np.zeros((30, 1))
    begin_and_correct(floats, np.array([0]), dets, noise, scales)
    x = np.array([50, 60, 0.4, h, 0, 0, 0, 0])
    wide = [2 * h / 20, 2 * h / 20, 1e-2, 2 * h / 20, h / 16, h / 16, 1e-5, h / 16]
    step = [h / 20, h / 20, 1e-2, h / 20, h / 160, h / 160, 1e-5, h / 160]
    f, hm = np.eye(8), np.eye(4, 8)
    f[:4, 4:] = np.eye(4)
    p = f @ np.diag(np.square(wide)) @ f.T + np.diag(np.square(step))
    x = f @ x
    r = np.diag(np.square([x[3] / 20, x[3] / 20, 1e-1, x[3] / 20]))
    gain = p @ hm.T @ np.linalg.inv(hm @ p @ hm.T + r)
    x = x + gain @ (np.array([51, 61, 1.4, h + 1]) - hm @ x)
    p = p - gain @ hm @ p
    assert np.allclose(floats[:8, 0], x, rtol=1e-10)
    assert np.allclose(floats[8:12, 0], np.diag(p)[:4], rtol=1e-10)
    assert np.allclose(floats[12:16, 0], np.diag(p[:4, 4:]), rtol=1e-10)
    assert np.allclose(floats[16:20, 0], np.diag(p)[4:], rtol=1e-9)


@pytest.mark.parametrize("fps", [5, 10, 12.5, 30, 60])
def test_a_lost_track_lives_for_seconds_not_frames(fps: float) -> None:
    for away, same in ((0.8, True), (1.4, False)):
        tracker = create("bytetrack", lost_seconds=1.0, rate_hz=fps)
        for k in range(10):
            before = tracker.update(seen([walker(100)]), round(k * SECOND_NS / fps))
        frames = round(away * fps)
        for k in range(10, 10 + frames):
            assert len(tracker.update(Detections.empty(), round(k * SECOND_NS / fps))) == 0
        for k in range(10 + frames, 12 + frames):
            after = tracker.update(seen([walker(100)]), round(k * SECOND_NS / fps))
        assert (after.ids.tolist() == before.ids.tolist()) is same, (fps, away)


@pytest.mark.parametrize("name", ["sort", "bytetrack", "ocsort", "botsort", "jde", "deepsort", "centertrack", "steady"])
def test_velocity_is_in_pixels_a_second_whatever_the_frames(name: str) -> None:
    rng = np.random.default_rng(1)
    tracker, now = create(name, lost_seconds=1.0), 0
    for _ in range(80):
        now += int(rng.integers(1, 4)) * 33_333_333  # frames drop at random
        tracks = tracker.update(seen([walker(100 + 60 * now / SECOND_NS)]), now)
    assert tracks.ids.tolist() == [1]
    assert tracks.velocities[0, 0] == pytest.approx(60, abs=6)
    assert tracks.velocities[0, 1] == pytest.approx(0, abs=2)
    assert tracks.ages[0] == 79


def test_constant_steps_give_the_same_at_every_frame_rate() -> None:
    rng = np.random.default_rng(0)
    frames = [seen([walker(100 + 3 * k + rng.normal()), walker(400 - 2 * k + rng.normal())]) for k in range(40)]
    results = []
    for fps in (7, 14, 30, 59.94):
        tracker = create("bytetrack", rate_hz=fps, lost_seconds=30 / fps)
        results.append([tracker.update(f, round(k * SECOND_NS / fps)).boxes for k, f in enumerate(frames)])
    assert all(np.array_equal(a, b) for other in results[1:] for a, b in zip(results[0], other, strict=True))


def crowd(shift: float) -> list[list[float]]:
    return [walker(100 + 90 * k + shift, 100 + 20 * (k % 3)) for k in range(8)]


def test_a_jerk_of_the_camera_is_read_from_the_boxes() -> None:
    held = {}
    for name, follow in (("steady", True), ("steady", False)):
        tracker = create(name, follow_camera=follow)
        for k in range(20):
            before = tracker.update(seen(crowd(0), 0.75), k * 33_333_333)
        after = tracker.update(seen(crowd(25), 0.75), 20 * 33_333_333)
        held[follow] = after.ids.tolist() == before.ids.tolist() and np.allclose(
            after.boxes, np.array(crowd(25)), atol=3
        )
    assert held == {True: True, False: False}


@pytest.mark.parametrize("name", [name for name in names() if name != "ucmctrack"])
def test_a_camera_motion_given_from_outside_carries_the_tracks(name: str) -> None:
    tracker = create(name)
    for k in range(12):
        before = tracker.update(seen(crowd(0)), k * 33_333_333)
    tracker.camera_moved(np.array([[1, 0, 300.0], [0, 1, -40.0]]))
    moved = [[x1 + 300, y1 - 40, x2 + 300, y2 - 40] for x1, y1, x2, y2 in crowd(0)]
    after = tracker.update(seen(moved), 12 * 33_333_333)
    assert after.ids.tolist() == before.ids.tolist()
    assert np.allclose(after.boxes, moved, atol=2)


def test_camera_motion_is_estimated_from_pictures_beside_the_boxes() -> None:
    rng = np.random.default_rng(0)
    wide = cv2.GaussianBlur(rng.integers(0, 255, (400, 600, 3), dtype=np.uint8), (0, 0), 3)
    wide = cv2.normalize(wide, None, 0, 255, cv2.NORM_MINMAX)
    camera = CameraMotion()
    assert np.array_equal(camera.update(wide[50:350, 50:450]), [[1, 0, 0], [0, 1, 0]])
    jerked = wide[44:344, 62:462].copy()
    jerked[100:200, 100:200] = 0  # something else came in front
    found = camera.update(jerked, np.array([[90, 90, 210, 210]], np.float32))
    assert np.allclose(found, [[1, 0, -12], [0, 1, 6]], atol=[[0.01, 0.01, 0.5], [0.01, 0.01, 0.5]])
    assert np.array_equal(camera.update(np.zeros((300, 400), np.uint8)), [[1, 0, 0], [0, 1, 0]])
    assert np.array_equal(camera.update(np.zeros((100, 100), np.uint8)), [[1, 0, 0], [0, 1, 0]])


def test_a_motion_that_is_none_is_refused() -> None:
    for affine in (np.eye(3), np.zeros((2, 3)), np.full((2, 3), np.nan)):
        with pytest.raises(TrackerError, match="affine"):
            create("botsort").camera_moved(affine)


@pytest.mark.parametrize("name", ["deepsort", "jde", "fairmot", "botsort"])
def test_embeddings_tell_apart_who_swaps_places(name: str) -> None:
    looks = np.eye(16, dtype=np.float32)[:2]
    tracker = create(name, lost_seconds=3.0)
    for k in range(15):
        before = tracker.update(seen([walker(100), walker(170)], looks=looks), k * 33_333_333)
    for k in range(15, 18):
        tracker.update(Detections.empty(), k * 33_333_333)
    # Both come back a little aside: the one on the left is now nearer to where the other one stood.
    for k in range(18, 21):
        after = tracker.update(seen([walker(112), walker(158)], looks=looks), k * 33_333_333)
    assert dict(zip(after.detections.tolist(), after.ids.tolist(), strict=True)) == dict(
        zip(before.detections.tolist(), before.ids.tolist(), strict=True)
    )


@pytest.mark.parametrize("name", names())
def test_what_a_tracker_remembers_of_looks_can_be_asked_for(name: str) -> None:
    looks, tracker = np.eye(8, dtype=np.float32)[:2], create(name)
    for k in range(6):
        tracks = tracker.update(seen([walker(100), walker(400)], looks=looks), k * 33_333_333)
    told = tracker.embeddings(tracks.ids)
    if told.shape[1]:
        assert np.allclose(told, looks[tracks.detections])
    assert (told.shape[1] > 0) is (name in ("deepsort", "jde", "fairmot", "botsort"))
    with pytest.raises(TrackerError, match="live tracks"):
        tracker.embeddings(np.array([99]))


def test_deepsort_keeps_a_bounded_gallery() -> None:
    tracker, rng = create("deepsort", budget=5), np.random.default_rng(0)
    for k in range(40):
        look = np.abs(rng.normal(size=(1, 4))).astype(np.float32)
        tracker.update(seen([walker(100)], looks=look / np.linalg.norm(look)), k * 33_333_333)
    small = len(tracker.snapshot())
    for k in range(40, 200):
        look = np.abs(rng.normal(size=(1, 4))).astype(np.float32)
        tracker.update(seen([walker(100)], looks=look / np.linalg.norm(look)), k * 33_333_333)
    assert abs(len(tracker.snapshot()) - small) < 16


def test_centertrack_follows_the_offsets_of_its_network() -> None:
    with_offsets = create("centertrack", offsets=True)
    for k in range(8):  # faster than its own size a frame: only the offsets can tell
        tracks = with_offsets.update(
            seen([walker(100 + 150 * k)], looks=np.array([[-150, 0]], np.float32)), k * 100_000_000
        )
    assert tracks.ids.tolist() == [1]


def test_ocsort_relives_a_gap_and_forgets_the_speed_it_made_up() -> None:
    tracker = create("ocsort", min_hits=0, lost_seconds=2.0)
    for k in range(20):
        tracker.update(seen([walker(100 + 6 * k)]), k * 33_333_333)
    for k in range(20, 28):
        tracker.update(Detections.empty(), k * 33_333_333)
    back = tracker.update(seen([walker(100 + 6 * 19 + 9)]), 28 * 33_333_333)  # it had nearly stopped
    assert back.ids.tolist() == [1]
    assert back.velocities[0, 0] < 0.6 * 180  # 6 pixels a frame were 180 a second


def test_lost_tracks_are_told_of_at_their_predicted_place() -> None:
    tracker = create("steady", report_lost=True)
    for k in range(30):
        tracker.update(seen([walker(100 + 3 * k)]), k * 33_333_333)
    lost = tracker.update(Detections.empty(), 32 * 33_333_333)
    assert lost.states.tolist() == [TrackState.LOST]
    assert lost.detections.tolist() == [-1]
    assert lost.boxes[0, 0] == pytest.approx(100 + 3 * 32, abs=4)
    assert np.array_equal(lost.boxes, lost.measured)
