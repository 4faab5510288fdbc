"""Who stands outside of the floor is left out."""

from __future__ import annotations

import numpy as np
import pytest

from mtmct.floor import Floor, FloorMask
from mtmct.topology import CameraGeometry, Topology, TopologyError

AN_L = [(0, 0), (4, 0), (4, 2), (2, 2), (2, 4), (0, 4)]


@pytest.mark.parametrize("corners", [AN_L, AN_L[::-1]], ids=["to the left", "to the right"])
def test_a_floor_may_have_a_corner_that_points_inwards(corners):
    places = np.array([(1, 1), (3, 1), (1, 3), (3, 3), (-1, 1), (5, 1), (1, 5), (np.nan, 1)])
    assert Floor(corners).holds(places).tolist() == [True, True, True, False, False, False, False, False]


def test_two_rooms_that_share_a_wall_share_nobody():
    left, right = Floor([(0, 0), (1, 0), (1, 2), (0, 2)]), Floor([(1, 0), (2, 0), (2, 2), (1, 2)])
    places = np.random.default_rng(0).uniform((0, 0), (2, 2), (500, 2))
    places[:100, 0] = 1.0
    assert (left.holds(places) ^ right.holds(places)).all()


@pytest.mark.parametrize("corners", [[(0, 0), (1, 1)], [(0, 0), (1, 1), (2, 2)], [(0, 0), (1, 0), (0, float("nan"))]])
def test_a_floor_that_encloses_nothing_is_refused(corners):
    with pytest.raises(TopologyError, match="at least three corners"):
        Floor(corners)


def test_boxes_count_by_where_their_feet_stand_and_not_above_the_horizon():
    tilted = np.array([[0.05, 0.0, -16.0], [0.0, 0.02, 4.0], [0.0, 0.002, -0.1]])  # horizon at v = 50
    topology = Topology([CameraGeometry("north", tilted, (640, 480))])
    feet = [(320, 400), (320, 300), (320, 45)]
    boxes = np.array([[u - 10, v - 40, u + 10, v] for u, v in feet], np.float32)
    nearest, _, _ = topology.feet("north", boxes).points
    around = [nearest + corner for corner in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    assert FloorMask(Floor(around), topology, "north").keeps(boxes).tolist() == [True, False, False]
