"""The part of the ground on which somebody counts: who stands outside of it is nobody's business."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mtmct.topology import Float64, Topology, TopologyError
from operators.records import Float32


class Floor:
    """A polygon on the site's ground plane.

    Seats behind a counter, a street behind a window, a mirror: detectors find people there, too. A floor leaves out
    the boxes whose feet stand elsewhere, before anything is tracked.

    Args:
        corners: (N, 2), metres, in either direction of turn; the last corner is joined to the first.

    Raises:
        TopologyError: fewer than three corners, or corners that enclose nothing.
    """

    def __init__(self, corners: Sequence[Sequence[float]]) -> None:
        polygon = np.asarray(corners, np.float64).reshape(-1, 2)
        following = np.roll(polygon, -1, axis=0)
        doubled = float((polygon[:, 0] * following[:, 1] - following[:, 0] * polygon[:, 1]).sum())
        if len(polygon) < 3 or not np.isfinite(doubled) or abs(doubled) < 1e-6:
            raise TopologyError("the floor encloses nothing: give at least three corners, X and Y in metres")
        self._corners, self._following = polygon, following

    def holds(self, points: Float64) -> NDArray[np.bool_]:
        """Which of (N, 2) points, metres, lie inside: a ray to the right crosses the border an odd number of times.

        NaN lies outside.
        """
        x, y = points[:, :1], points[:, 1:]
        (x1, y1), (x2, y2) = self._corners.T, self._following.T
        between = (y1 <= y) != (y2 <= y)
        with np.errstate(divide="ignore", invalid="ignore"):
            crossing = x1 + (y - y1) / (y2 - y1) * (x2 - x1)
        inside: NDArray[np.bool_] = np.count_nonzero(between & (x < crossing), axis=1) % 2 == 1
        return inside


class FloorMask:
    """The floor as one calibrated camera sees it.

    Args:
        floor: where people count.
        topology: where the cameras look.
        camera: the camera's id; it has a homography.
    """

    def __init__(self, floor: Floor, topology: Topology, camera: str) -> None:
        self._floor = floor
        self._topology = topology
        self._camera = camera

    def keeps(self, boxes: Float32) -> NDArray[np.bool_]:
        """Which of (N, 4) boxes, xyxy, pixels, stand on the floor."""
        return self._floor.holds(self._topology.feet(self._camera, boxes).points)
