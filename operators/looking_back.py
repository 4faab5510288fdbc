"""What CenterTrack sees beside a picture: the picture before it, and where objects were there (Zhou et al. 2020)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from operators.records import Detections, Float32, Image

SURE = 0.5
"""Score from which an object of the picture before is shown to the network. Reference 0.5."""

_OVERLAP = 0.7


@dataclass(frozen=True, slots=True)
class Before:
    """One camera's picture before, and what was found in it.

    Attributes:
        image: (H, W, 3) uint8 BGR, of the same size as the picture after it.
        detections: in its pixels.
    """

    image: Image
    detections: Detections


def heat_before(boxes: Float32, shape: tuple[int, int]) -> Float32:
    """Where objects were: a Gaussian bump of height 1 at each centre, the higher one where two meet.

    Args:
        boxes: (N, 4) xyxy, pixels of the input.
        shape: (height, width) of the input.

    Returns:
        (1, 1, height, width) float32 in [0, 1].
    """
    height, width = shape
    heat = np.zeros((1, 1, height, width), np.float32)
    for x1, y1, x2, y2 in np.asarray(boxes, np.float64).tolist():
        x, y = int((x1 + x2) / 2), int((y1 + y2) / 2)
        if not (x2 > x1 and y2 > y1 and 0 <= x < width and 0 <= y < height):
            continue
        reach = radius(math.ceil(y2 - y1), math.ceil(x2 - x1))
        ys, xs = np.ogrid[max(y - reach, 0) : min(y + reach + 1, height), max(x - reach, 0) : min(x + reach + 1, width)]
        deviation = (2 * reach + 1) / 6
        bump = np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (2 * deviation**2)).astype(np.float32)
        part = heat[0, 0, ys[0, 0] : ys[-1, 0] + 1, xs[0, 0] : xs[0, -1] + 1]
        np.maximum(part, bump, out=part)
    return heat


def radius(height: float, width: float) -> int:
    """How far a box's bump reaches, whole pixels: so far corners may be off and boxes still overlap by 0.7.

    CenterNet's networks were trained with the root of CornerNet's quadratic not divided by its leading coefficient.
    """
    half, product = 2 * _OVERLAP * (height + width), 16 * _OVERLAP * (1 - _OVERLAP) * height * width
    return max(0, int((math.sqrt(half * half + product) - half) / 2))
