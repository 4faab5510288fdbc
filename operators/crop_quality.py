"""How far a crop can be trusted to show its object, judged by the boxes of its frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from operators.records import Float32

WORTHLESS = 1e-3
"""The quality of a box that shows nothing: without area, outside the picture, or not finite. All others have more."""

_FULL_SIZE = 64.0  # pixels, the root of an area that needs no more detail
_CUT = 0.5  # at the picture's border: how much of the object lies beyond is not known
_BORDER = 1.0  # pixels
_LEAST_SEEN = 0.5  # pixels
_BEHIND = 0.5  # a box behind this one adds a stranger to the picture but hides nothing
_FULL_LIGHT = 50.0  # grey levels, as in PP-Human
_LIGHT_SHARE = 0.3


def crop_quality(image_shape: tuple[int, ...], boxes: Float32, brightness: Float32 | None = None) -> Float32:
    """The product of what is right with a crop: its size, its completeness, its freedom from others, its light.

    - size: the root of its area over 64 pixels, at most 1;
    - completeness: the share of it inside the picture, and half of that again where it touches the border, because
      detectors clip their boxes there;
    - freedom: for each other box of the frame, one minus the share of this crop that it covers. A box whose lower edge
      is higher stands behind, as on any ground seen from above it, and counts half;
    - light: 0.7 + 0.3 min(1, brightness / 50), the weight that PP-Human gives it, if the brightness is known.

    PP-Human's rule 0.7 min(1 - overlap, height / 2 width) + 0.3 min(1, brightness / 50) is the model; it knows neither
    borders nor who stands in front, and its aspect suits people only.

    Args:
        image_shape: (H, W, ...) of the picture.
        boxes: (N, 4) float32, xyxy, pixels: all boxes of the frame, as they hide each other.
        brightness: (N,) mean grey level of each crop, 0 to 255; None where it is not known.

    Returns:
        (N,) float32 in (0, 1]; exactly `WORTHLESS` for boxes that show nothing.
    """
    box = np.asarray(boxes, np.float64).reshape(-1, 4)
    shows = shows_something(image_shape, boxes)
    box = np.where(shows[:, None], box, 0.0)
    height, width = image_shape[:2]
    edge = np.array([width, height, width, height], np.float64)
    seen = np.clip(box, 0, edge)
    whole, area = _areas(box), _areas(seen)
    size = np.minimum(1.0, np.sqrt(area) / _FULL_SIZE)
    complete = area / np.where(shows, whole, 1.0)
    low, high = box[:, :2], box[:, 2:]
    touches = (low <= _BORDER).any(axis=1) | (high >= edge[2:] - _BORDER).any(axis=1)
    complete = np.where(touches, _CUT, 1.0) * complete
    quality = size * complete * _freedom(seen, area)
    if brightness is not None:
        light = np.minimum(1.0, np.asarray(brightness, np.float64) / _FULL_LIGHT)
        quality *= 1 - _LIGHT_SHARE + _LIGHT_SHARE * light
    floor = np.nextafter(np.float32(WORTHLESS), np.float32(1))
    return np.where(shows, np.clip(quality, floor, 1.0), WORTHLESS).astype(np.float32)


def shows_something(image_shape: tuple[int, ...], boxes: Float32) -> NDArray[np.bool_]:
    """(N,) which boxes are finite, have an area, and reach at least half a pixel into the picture both ways."""
    box = np.asarray(boxes, np.float64).reshape(-1, 4)
    finite: NDArray[np.bool_] = np.all(np.isfinite(box), axis=1)
    box = np.where(finite[:, None], box, 0.0)
    height, width = image_shape[:2]
    inside = np.minimum(box[:, 2:], (width, height)) - np.maximum(box[:, :2], 0.0)
    found: NDArray[np.bool_] = finite & (inside >= _LEAST_SEEN).all(axis=1)
    return found


def _areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    areas: NDArray[np.float64] = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return areas


def _freedom(boxes: NDArray[np.float64], areas: NDArray[np.float64]) -> NDArray[np.float64]:
    sides = np.minimum(boxes[:, None, 2:], boxes[:, 2:]) - np.maximum(boxes[:, None, :2], boxes[:, :2])
    covered = np.maximum(sides, 0).prod(2) / np.where(areas > 0, areas, 1.0)[:, None]
    before = boxes[:, 3] >= boxes[:, None, 3]
    left = 1 - covered * np.where(before, 1.0, _BEHIND)
    np.fill_diagonal(left, 1.0)
    free: NDArray[np.float64] = left.prod(1)
    return free
