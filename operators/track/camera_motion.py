"""How the camera moved between two pictures, by sparse optical flow (as BoT-SORT does it)."""

from __future__ import annotations

import cv2
import numpy as np

from operators.records import Float32, Image
from operators.track.core.types import Floats

_STILL = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
_FEWEST_POINTS = 8


class CameraMotion:
    """Estimates, picture after picture, the affine map from the last one to the present one.

    Corners of the last picture outside the boxes of moving objects are followed by pyramidal Lucas-Kanade flow; a
    similarity (shift, rotation, scale) is fitted with RANSAC. Where too few corners agree, the camera counts as still.

    Args:
        downscale: factor by which pictures are made smaller first. Reference 2.
        corners: most corners to follow. Reference 1000.
    """

    def __init__(self, *, downscale: int = 2, corners: int = 1000) -> None:
        self._downscale = max(int(downscale), 1)
        self._corners = max(int(corners), _FEWEST_POINTS)
        self._last: Image | None = None

    def update(self, image: Image, boxes: Float32 | None = None) -> Floats:
        """(2, 3) float64 map from the last picture's pixels to those of `image`; the identity for the first one.

        Args:
            image: (H, W, 3) or (H, W) uint8. boxes: (N, 4) xyxy pixels of objects whose corners are not trusted.
        """
        gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        gray = cv2.resize(gray, None, fx=1 / self._downscale, fy=1 / self._downscale, interpolation=cv2.INTER_AREA)
        last, self._last = self._last, gray
        if last is None or last.shape != gray.shape:
            return _STILL.copy()
        mask = np.full(last.shape, 255, np.uint8)
        for x1, y1, x2, y2 in np.zeros((0, 4)) if boxes is None else np.nan_to_num(boxes) / self._downscale:
            mask[max(int(y1), 0) : max(int(y2), 0), max(int(x1), 0) : max(int(x2), 0)] = 0
        points = cv2.goodFeaturesToTrack(last, self._corners, 0.01, 1, mask=mask, blockSize=3)
        if points is None or len(points) < _FEWEST_POINTS:
            return _STILL.copy()
        moved, found, _ = cv2.calcOpticalFlowPyrLK(last, gray, points, None)
        kept = found.ravel() == 1
        if kept.sum() < _FEWEST_POINTS:
            return _STILL.copy()
        cv2.setRNGSeed(0)  # the same pictures give the same motion
        affine, agreeing = cv2.estimateAffinePartial2D(points[kept], moved[kept], method=cv2.RANSAC)
        if affine is None or agreeing.sum() < _FEWEST_POINTS:
            return _STILL.copy()
        affine[:, 2] *= self._downscale
        return np.asarray(affine, np.float64)
