"""Heat maps: where people have been, newer times counting more."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from operators.records import Image, Int64

Float64 = NDArray[np.float64]


def heat_map(
    points: Float64, times_ns: Int64, bounds: tuple[float, float, float, float], width: int, half_life_s: float | None
) -> Image:
    """A picture of where points lie, (H, W, 3) uint8 BGR, black where there were none.

    Args:
        points: (N, 2), in any plane. times_ns: (N,) event times.
        bounds: x1, y1, x2, y2 of the plane that the picture shows, y downwards.
        width: of the picture, pixels.
        half_life_s: a point this much older than the newest counts half; None: all count alike.
    """
    x1, y1, x2, y2 = bounds
    scale = width / (x2 - x1)
    height = max(1, round((y2 - y1) * scale))
    heat = np.zeros((height, width), np.float32)
    good = np.isfinite(points).all(axis=1)
    places = ((points[good] - (x1, y1)) * scale).astype(np.int64)
    inside = ((places >= 0) & (places < (width, height))).all(axis=1)
    ages = (times_ns.max(initial=0) - times_ns[good][inside]) / 1e9
    weights = np.ones(len(ages)) if half_life_s is None else 0.5 ** (ages / half_life_s)
    np.add.at(heat, (places[inside, 1], places[inside, 0]), weights.astype(np.float32))
    heat = np.asarray(cv2.GaussianBlur(heat, (0, 0), max(1.0, width / 80)), np.float32)
    most = float(heat.max())
    # The root brings out where few have been, beside where somebody stood.
    levels = np.zeros(heat.shape, np.uint8) if most <= 0 else (255 * np.sqrt(heat / most)).astype(np.uint8)
    picture = np.asarray(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), np.uint8)
    picture[levels == 0] = 0
    return picture
