"""Tracking on the ground plane: the filter is the textbook's, and feet decide who is who."""

from __future__ import annotations

import numpy as np
import pytest

from operators.records import SECOND_NS, Detections
from operators.track import TrackerError, create
from operators.track.core.ground import GROUND, feet_on_ground, place_on_ground, settle_on_ground, walk_on
from operators.track.core.layout import COUNTERS, EXTRA

# A camera 4 m above the ground looking down at it: straight ahead is y, metres.
FOCAL, HEIGHT, TILT, CX, CY = 800.0, 4.0, np.radians(20), 480.0, 270.0


def homography() -> np.ndarray:
    sin, cos = np.sin(TILT), np.cos(TILT)
    to_picture = np.array(
        [
            [FOCAL, CX * cos, CX * HEIGHT * sin],
            [0, -FOCAL * sin + CY * cos, HEIGHT * (FOCAL * cos + CY * sin)],
            [0, cos, HEIGHT * sin],
        ]
    )
    return np.linalg.inv(to_picture)


def person(x: float, y: float, tall: float = 1.7) -> list[float]:
    """The box of a person on the ground at x, y metres."""
    u, v, w = np.linalg.inv(homography()) @ [x, y, 1]
    u, v, h = u / w, v / w, FOCAL * tall / w
    return [u - 0.2 * h, v - h, u + 0.2 * h, v]


def seen(boxes: list[list[float]]) -> Detections:
    table = np.array(boxes, np.float32).reshape(-1, 4)
    return Detections(table, np.full(len(table), 0.9, np.float32), np.zeros(len(table), np.int32))


def measured(x: float, y: float) -> np.ndarray:
    return np.array([[*person(x, y), 0, 0, 0, 0, 0.9]]).T.copy()


def feet_at(dets: np.ndarray, h: tuple[float, ...]) -> np.ndarray:
    return np.asarray(feet_on_ground(dets, h, 0.05, np.zeros(COUNTERS, np.int64)))


def test_the_ground_filter_is_the_dense_kalman_filter() -> None:
    h, rate, push, rows = tuple(homography().ravel()), 10.0, 0.7, np.array([0])
    floats = np.zeros((EXTRA + GROUND, 1))
    feet, later = feet_at(measured(1, 9), h), feet_at(measured(1.2, 9.3), h)
    place_on_ground(floats, rows, feet, rows, 2.0)
    walk_on(floats, rows, 2.0, rate, push)
    settle_on_ground(floats, rows, later, rows, 2.0)

    def spread(foot: np.ndarray) -> np.ndarray:
        return np.array([[foot[2, 0], foot[3, 0]], [foot[3, 0], foot[4, 0]]])

    x, p = np.array([*feet[:2, 0], 0, 0]), np.zeros((4, 4))
    p[:2, :2], p[2:, 2:] = spread(feet), np.eye(2) * 4 / 3
    move = np.eye(4)
    move[0, 2] = move[1, 3] = 1 / rate
    force = np.vstack([np.eye(2) / rate**2 / 2, np.eye(2) / rate])
    for _ in range(2):  # one step of two frames is what two of one frame are
        x, p = move @ x, move @ p @ move.T + push * force @ force.T
    gain = p[:, :2] @ np.linalg.inv(p[:2, :2] + spread(later))
    x, p = x + gain @ (later[:2, 0] - x[:2]), p - gain @ p[:2]
    assert np.allclose(floats[EXTRA : EXTRA + 4, 0], x, rtol=1e-9)
    upper = [(0, 0), (0, 1), (1, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 2), (2, 3), (3, 3)]
    assert np.allclose(floats[EXTRA + 4 :, 0], [p[i, j] for i, j in upper], rtol=1e-9)


def test_a_foot_far_away_is_less_certain_and_one_above_the_horizon_is_nowhere() -> None:
    h = tuple(homography().ravel())
    near, far = feet_at(measured(0, 6), h)[:, 0], feet_at(measured(0, 40), h)[:, 0]
    assert np.allclose(near[:2], [0, 6], atol=1e-6)
    assert np.allclose(far[:2], [0, 40], atol=1e-6)
    assert far[4] > 20 * near[4]
    sky = np.array([[100, -300, 140, -200, 0, 0, 0, 0, 0.9]]).T.astype(float)
    assert np.isnan(feet_at(sky, h)[:, 0]).all()


def test_boxes_above_the_horizon_are_counted_and_begin_nothing_that_lasts() -> None:
    tracker = create("ucmctrack", rate_hz=10, homography=homography().tolist())
    sky = [100.0, -300.0, 140.0, -200.0]
    for k in range(5):
        tracks = tracker.update(seen([person(0, 6), sky]), round(k * SECOND_NS / 10))
    assert len(tracks.ids) == 1
    assert tracker.rejected == {"foot above the horizon": 5}


def test_feet_tell_apart_whose_boxes_overlap() -> None:
    # One walks left to right in front of another who stands behind, for some frames hidden: boxes nearly coincide.
    tracker = create("ucmctrack", rate_hz=10, homography=homography().tolist())
    for k in range(40):
        walking, standing = person(-2 + 0.1 * k, 8), person(0, 10)
        hidden = 17 <= k <= 23
        tracks = tracker.update(seen([walking] if hidden else [walking, standing]), round(k * SECOND_NS / 10))
        if k == 5:
            before = tracks.ids.tolist()
        if hidden:
            assert tracks.ids.tolist() == before[:1]
    assert tracks.ids.tolist() == before


def test_the_picture_is_the_ground_where_no_homography_is_given() -> None:
    tracker = create("ucmctrack")
    for k in range(10):
        tracks = tracker.update(seen([[100 + 3 * k, 50, 140 + 3 * k, 150]]), k * 33_333_333)
    assert tracks.ids.tolist() == [1]


def test_both_paths_agree_and_a_restored_tracker_goes_on() -> None:
    make = {"rate_hz": 10, "homography": homography().tolist(), "report_lost": True}
    rng = np.random.default_rng(2)
    fast, plain, restored = (create("ucmctrack", **make, compiled=c) for c in (None, False, None))
    for k in range(30):
        boxes = [person(-2 + 0.1 * k, 8), person(1 - 0.05 * k, 12), [0, -300, 40, -200]]
        frame = seen([b for b in boxes if rng.random() > 0.2])
        told = fast.update(frame, k * 100_000_000).table
        assert np.array_equal(told, plain.update(frame, k * 100_000_000).table)
        restored.restore(fast.snapshot())
    assert restored.snapshot() == fast.snapshot()


@pytest.mark.parametrize("wrong", [[[1, 0], [0, 1]], np.zeros((3, 3)).tolist(), [[1, 0, 0], [0, 1, 0], [0, 0]], "x"])
def test_a_homography_that_is_none_is_refused(wrong: object) -> None:
    with pytest.raises(TrackerError, match="homography"):
        create("ucmctrack", homography=wrong)


def test_a_camera_that_moves_has_no_ground() -> None:
    with pytest.raises(TrackerError, match="stand still"):
        create("ucmctrack").camera_moved(np.eye(2, 3))
