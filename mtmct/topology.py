"""Where the cameras stand: from foot pixels to metres on the site's one ground plane, and how far to trust them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from operators.records import CrosscamError, Float32, Int64, homography_fault

Float64 = NDArray[np.float64]


class TopologyError(CrosscamError):
    """The cameras' geometry cannot be used as it is given."""


@dataclass(frozen=True, slots=True)
class CameraGeometry:
    """What is known of one camera.

    Attributes:
        id: camera id.
        homography: (3, 3) float64, from a pixel of the camera's own (cropped) picture to metres on the ground
            plane that all calibrated cameras of the site share; None if the camera is not calibrated.
        picture_size: width and height in pixels; None if unknown (then cut-off feet are not noticed).
    """

    id: str
    homography: Float64 | None = None
    picture_size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Noise:
    """How far a box's bottom centre lies from the true foot point, one standard deviation.

    Attributes:
        floor_px: error of a small box, pixels.
        of_height: vertical error as a part of the box height (detectors jitter with the size of the box).
        of_width: horizontal error as a part of the box width.
        cut_off: vertical error as a part of the box height where the picture's lower edge cuts the feet off.
        floor_m: error that no pixel explains (the homography, the stride, the width of a body), metres.
    """

    floor_px: float = 2.0
    of_height: float = 0.05
    of_width: float = 0.06
    cut_off: float = 0.5
    floor_m: float = 0.3


@dataclass(frozen=True, slots=True)
class Feet:
    """Foot points of boxes on the ground.

    Attributes:
        points: (N, 2) float64, metres; NaN where the camera is not calibrated or the pixel lies at or above
            the horizon.
        covariances: (N, 3) float64, square metres: xx, xy, yy; NaN likewise.
    """

    points: Float64
    covariances: Float64


class Topology:
    """The cameras of a site.

    Raises:
        TopologyError: two cameras of one id, or a homography that is not an invertible (3, 3) matrix.
    """

    def __init__(self, cameras: Sequence[CameraGeometry] = (), noise: Noise | None = None) -> None:
        self.noise = noise or Noise()
        self._cameras: dict[str, CameraGeometry] = {}
        self._homographies: dict[str, Float64] = {}
        signs: list[float] = []
        sizes: list[tuple[float, float]] = []
        for camera in cameras:
            if camera.id in self._cameras:
                raise TopologyError(f"two cameras are called {camera.id!r}: give each camera an id of its own")
            self._cameras[camera.id] = camera
            if camera.homography is not None:
                matrix = _checked(camera.id, camera.homography)
                self._homographies[camera.id] = matrix
                signs.append(_sign_of_the_ground(matrix, camera.picture_size))
                sizes.append(camera.picture_size or (math.inf, math.inf))
        # Of the calibrated cameras, in the order given: their rows, and one array of each parameter.
        self._rows = {camera: row for row, camera in enumerate(self._homographies)}
        self._matrices = np.array(list(self._homographies.values())).reshape(-1, 3, 3)
        self._signs, self._sizes = np.array(signs), np.array(sizes).reshape(-1, 2)

    @property
    def cameras(self) -> tuple[str, ...]:
        """The ids of the cameras, in the order given."""
        return tuple(self._cameras)

    def knows(self, camera: str) -> bool:
        """Whether the camera is one of the site's."""
        return camera in self._cameras

    def picture_size(self, camera: str) -> tuple[int, int] | None:
        """Width and height of a camera's picture, pixels; None if unknown."""
        known = self._cameras.get(camera)
        return None if known is None else known.picture_size

    @property
    def picture_sizes(self) -> dict[str, tuple[int, int]]:
        """Width and height of the cameras' pictures, pixels, as far as they are known."""
        return {name: one.picture_size for name, one in self._cameras.items() if one.picture_size is not None}

    def calibrated(self, camera: str) -> bool:
        """Whether the camera's pixels can be placed on the ground."""
        return camera in self._homographies

    def feet(self, camera: str, boxes: Float32) -> Feet:
        """The bottom centres of `boxes` ((N, 4), xyxy, pixels) on the ground, with their uncertainty.

        The covariance of the foot pixel is pushed through the homography's Jacobian, so a person far away,
        where a pixel spans metres, counts as less certain than one close by.
        """
        return self.feet_of([camera], [len(boxes)], boxes)

    def feet_of(self, cameras: Sequence[str], counts: Sequence[int], boxes: Float32) -> Feet:
        """The same for boxes of many cameras at once: the first `counts[0]` are of `cameras[0]`, and so on."""
        of_camera = np.array([self._rows.get(camera, -1) for camera in cameras], np.int64)
        of_box = np.repeat(of_camera, counts)
        known = of_box >= 0
        if not known.all():
            feet = Feet(np.full((len(boxes), 2), np.nan), np.full((len(boxes), 3), np.nan))
            if known.any():
                points, covariances = self._placed(of_box[known], boxes[known])
                feet.points[known], feet.covariances[known] = points, covariances
            return feet
        return Feet(*self._placed(of_box, boxes))

    def _placed(self, rows: Int64, boxes: Float32) -> tuple[Float64, Float64]:
        """Points and covariances of boxes of calibrated cameras, given by their rows."""
        corners = boxes.astype(np.float64)
        u = (corners[:, 0] + corners[:, 2]) / 2
        v = corners[:, 3]
        sigma_u, sigma_v = self._pixel_noise(self._sizes[rows], corners)
        matrix = self._matrices.transpose(1, 2, 0)[:, :, rows]
        x, y, w = (row[0] * u + row[1] * v + row[2] for row in matrix)
        seen = w * self._signs[rows] > 1e-9
        w = np.where(seen, w, np.nan)
        x, y = x / w, y / w
        dx_du, dx_dv = (matrix[0, 0] - x * matrix[2, 0]) / w, (matrix[0, 1] - x * matrix[2, 1]) / w
        dy_du, dy_dv = (matrix[1, 0] - y * matrix[2, 0]) / w, (matrix[1, 1] - y * matrix[2, 1]) / w
        uu, vv, floor = sigma_u**2, sigma_v**2, self.noise.floor_m**2
        covariances = np.stack(
            [
                dx_du**2 * uu + dx_dv**2 * vv + floor,
                dx_du * dy_du * uu + dx_dv * dy_dv * vv,
                dy_du**2 * uu + dy_dv**2 * vv + floor,
            ],
            axis=1,
        )
        return np.stack([x, y], axis=1), covariances

    def _pixel_noise(self, sizes: Float64, boxes: Float64) -> tuple[Float64, Float64]:
        """Standard deviations of the foot pixels, u and v; `sizes` of the boxes' pictures, infinite where unknown."""
        noise = self.noise
        heights = np.maximum(boxes[:, 3] - boxes[:, 1], 1.0)
        widths = np.maximum(boxes[:, 2] - boxes[:, 0], 1.0)
        sigma_u = np.hypot(noise.floor_px, noise.of_width * widths)
        sigma_v = np.hypot(noise.floor_px, noise.of_height * heights)
        width, height = sizes.T
        sigma_v = np.where(boxes[:, 3] >= height - 2, np.maximum(sigma_v, noise.cut_off * heights), sigma_v)
        cut_at_the_side = ((boxes[:, 0] <= 1) & np.isfinite(width)) | (boxes[:, 2] >= width - 1)
        sigma_u = np.where(cut_at_the_side, np.maximum(sigma_u, 0.3 * widths), sigma_u)
        return sigma_u, sigma_v

    def at_border(self, camera: str, box: Sequence[float] | Float32, margin: float) -> bool:
        """Whether a box lies within `margin` (a part of the picture's size) of an edge; True if the size is unknown."""
        geometry = self._cameras.get(camera)
        if geometry is None or geometry.picture_size is None:
            return True
        width, height = geometry.picture_size
        x1, y1, x2, y2 = (float(side) for side in box)
        across, down = margin * width, margin * height
        return x1 <= across or y1 <= down or x2 >= width - across or y2 >= height - down


def _checked(camera: str, homography: Float64) -> Float64:
    fault = homography_fault(homography)
    if fault is not None:
        raise TopologyError(f"the homography of camera {camera!r} {fault}")
    return np.asarray(homography, np.float64)


def _sign_of_the_ground(matrix: Float64, size: tuple[int, int] | None) -> float:
    """The sign of the projective depth below the horizon, where feet are: that of the picture's lower edge.

    Without a picture size a point far down stands for it.
    """
    u, v = (size[0] / 2, float(size[1])) if size is not None else (0.0, 1e4)
    depth = float(matrix[2, 0] * u + matrix[2, 1] * v + matrix[2, 2])
    return 1.0 if depth >= 0 else -1.0
