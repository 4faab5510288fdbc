from __future__ import annotations

import numpy as np
import pytest

from mtmct.topology import CameraGeometry, Noise, Topology, TopologyError

TILTED = np.array([[0.05, 0.0, -16.0], [0.0, 0.02, 4.0], [0.0, 0.002, -0.1]])  # horizon at v = 50


def foot(u: float, v: float, height: float = 80, width: float = 30) -> np.ndarray:
    return np.array([[u - width / 2, v - height, u + width / 2, v]], np.float32)


def test_the_foot_is_the_bottom_centre_of_the_box():
    topology = Topology([CameraGeometry("a", np.array([[0.02, 0, 5], [0, 0.02, 0], [0, 0, 1]]), (1000, 500))])
    feet = topology.feet("a", foot(100, 200))
    assert feet.points == pytest.approx(np.array([[7.0, 4.0]]))


def test_a_camera_without_homography_or_unknown_has_no_ground():
    topology = Topology([CameraGeometry("a")])
    assert not topology.calibrated("a") and not topology.calibrated("b") and not topology.knows("b")
    assert np.isnan(topology.feet("a", foot(1, 2)).points).all()
    assert np.isnan(topology.feet("b", foot(1, 2)).covariances).all()


def test_far_feet_are_less_certain_than_near_ones():
    topology = Topology([CameraGeometry("a", TILTED, (640, 480))])
    near, far = (topology.feet("a", foot(320, v, 60)).covariances[0] for v in (400, 120))
    assert far[2] > 10 * near[2] and far[0] > near[0]


def test_covariances_are_those_of_moved_foot_pixels():
    noise = Noise(floor_px=1.5, of_height=0, of_width=0, floor_m=0)
    topology = Topology([CameraGeometry("a", TILTED, (640, 480))], noise)
    moved = np.random.default_rng(0).normal(300, 1.5, (20_000, 2))
    boxes = np.concatenate([foot(u, v) for u, v in moved])
    points = topology.feet("a", boxes).points
    xx, xy, yy = topology.feet("a", foot(300, 300)).covariances[0]
    assert np.cov(points.T) == pytest.approx(np.array([[xx, xy], [xy, yy]]), rel=0.05, abs=2e-4)


def test_feet_above_the_horizon_stand_nowhere():
    feet = Topology([CameraGeometry("a", TILTED, (640, 480))]).feet("a", foot(320, 40))
    assert np.isnan(feet.points).all()


def test_the_sign_of_a_homography_does_not_matter():
    one = Topology([CameraGeometry("a", TILTED, (640, 480))]).feet("a", foot(320, 300)).points
    assert Topology([CameraGeometry("a", -TILTED, (640, 480))]).feet("a", foot(320, 300)).points == pytest.approx(one)


def test_feet_cut_off_by_the_picture_are_hardly_known():
    topology = Topology([CameraGeometry("a", TILTED, (640, 480))])
    whole, cut = (topology.feet("a", foot(320, v)).covariances[0] for v in (470, 480))
    assert cut[2] > 3 * whole[2]


@pytest.mark.parametrize(
    ("homography", "sentence"),
    [
        (np.zeros((3, 3)), "degenerate"),
        (np.array([[1.0, 2, 3], [2, 4, 6], [0, 0, 1]]), "degenerate"),
        (np.array([[1.0, 2, 3], [2, 4 + 1e-10, 6], [0, 0, 1]]), "degenerate"),
        (np.array([[0.0, 0, 3], [0, 0, 6], [0, 0, 1]]), "degenerate"),
        (np.eye(4), "3x3"),
        (np.full((3, 3), np.nan), "finite"),
    ],
)
def test_an_unusable_homography_is_refused_with_the_camera_and_the_remedy(homography, sentence):
    with pytest.raises(TopologyError, match=f"'north'.*{sentence}"):
        Topology([CameraGeometry("north", homography)])


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_units_and_a_far_origin_are_no_fault_of_a_homography(scale: float):
    far = np.array([[1.0, 0, 500_000], [0, 1, 5_000_000], [0, 0, 1]]) @ TILTED
    assert Topology([CameraGeometry("a", far * scale)]).calibrated("a")


def test_two_cameras_of_one_id_are_refused():
    with pytest.raises(TopologyError, match="'a'"):
        Topology([CameraGeometry("a"), CameraGeometry("a")])


def test_the_border_is_where_people_arrive():
    topology = Topology([CameraGeometry("a", None, (1000, 500)), CameraGeometry("b")])
    assert topology.at_border("a", foot(20, 300)[0], 0.04)
    assert not topology.at_border("a", foot(500, 300)[0], 0.04)
    assert topology.at_border("b", foot(500, 300)[0], 0.04), "unknown size: anybody may arrive anywhere"


def test_boxes_of_many_cameras_at_once_are_placed_as_those_of_each_alone():
    plan = np.array([[0.02, 0, 5], [0, 0.02, 0], [0, 0, 1]])
    cameras = [CameraGeometry("a", TILTED, (640, 480)), CameraGeometry("b"), CameraGeometry("c", plan)]
    topology = Topology(cameras)
    dice = np.random.default_rng(0)
    boxes = np.concatenate([foot(*dice.uniform(-20, 700, 2)) for _ in range(12)])
    names, counts = ["c", "a", "b", "a", "stranger"], [2, 3, 4, 1, 2]
    together = topology.feet_of(names, counts, boxes)
    alone = [
        topology.feet(name, part) for name, part in zip(names, np.split(boxes, np.cumsum(counts)[:-1]), strict=True)
    ]
    assert np.array_equal(together.points, np.concatenate([feet.points for feet in alone]), equal_nan=True)
    assert np.array_equal(together.covariances, np.concatenate([feet.covariances for feet in alone]), equal_nan=True)
    assert np.isfinite(together.points[:2]).all() and np.isnan(together.points[5:9]).all()
