"""Heat maps: where people have been, newer times counting more; alone, or laid over a picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from operators.records import Image, Int64

Float64 = NDArray[np.float64]
_COLORS = cv2.COLORMAP_INFERNO


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
    height = max(1, round((bounds[3] - bounds[1]) * width / (bounds[2] - bounds[0])))
    levels = heat_levels(points, times_ns, bounds, (width, height), half_life_s)
    picture = np.asarray(cv2.applyColorMap(levels, _COLORS), np.uint8)
    picture[levels == 0] = 0
    return picture


def lay_heat(image: Image, levels: NDArray[np.uint8]) -> None:
    """Lay heat over a picture, in place: what is hot shines, what is cold loses its colour and keeps its shapes.

    Args:
        image: (H, W, 3) uint8 BGR, writable. levels: (H, W), see `heat_levels`.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    ground = 0.62 * cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR).astype(np.float32)
    color = cv2.applyColorMap(np.maximum(levels, 64), _COLORS).astype(np.float32)  # lower ones drown in the ground
    share = np.clip(levels.astype(np.float32) / 110, 0, 0.85)[..., None]
    image[:] = (ground + (color - ground) * share).astype(np.uint8)


def heat_levels(
    points: Float64,
    times_ns: Int64,
    bounds: tuple[float, float, float, float],
    size: tuple[int, int],
    half_life_s: float | None,
) -> NDArray[np.uint8]:
    """How much people have been where, (H, W), 255 where they have been most; see `heat_map`.

    Args:
        size: width and height, pixels.
    """
    x1, y1, x2, y2 = bounds
    width, height = size
    heat = np.zeros((height, width), np.float32)
    good = np.isfinite(points).all(axis=1)
    places = np.floor((points[good] - (x1, y1)) * (width / (x2 - x1), height / (y2 - y1))).astype(np.int64)
    inside = ((places >= 0) & (places < (width, height))).all(axis=1)
    ages = (times_ns.max(initial=0) - times_ns[good][inside]) / 1e9
    weights = np.ones(len(ages)) if half_life_s is None else 0.5 ** (ages / half_life_s)
    np.add.at(heat, (places[inside, 1], places[inside, 0]), weights.astype(np.float32))
    heat = np.asarray(cv2.GaussianBlur(heat, (0, 0), max(1.0, width / 80)), np.float32)
    most = float(heat.max())
    # The root brings out where few have been, beside where somebody stood.
    return np.zeros(heat.shape, np.uint8) if most <= 0 else (255 * np.sqrt(heat / most)).astype(np.uint8)
