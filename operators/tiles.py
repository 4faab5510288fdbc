"""Small objects in large pictures: look at overlapping tiles as well as at the whole, and put the boxes together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from operators.records import Detections, Float32, Image, Int32

TILE = 640
"""Side of a tile, pixels: about what detectors' inputs are, so that nothing is made smaller."""

OVERLAP = 0.2
_EDGE = 2.0  # pixels: a box so near to a cut is cut
_SAME_IOU = 0.5
_SAME_SHARE = 0.75


class Detector(Protocol):
    """What tiling needs of a detector."""

    classes: tuple[str, ...]

    def detect(self, images: Sequence[Image]) -> list[Detections]: ...


class TiledDetector:
    """A detector that looks closer.

    A picture of at most 1.5 tiles a side is looked at as a whole. Of a larger one every part lies in a tile, and tiles
    share `overlap` of their side with their neighbours: what is no larger is whole in one of them. Boxes that a tile
    has cut are left out; objects larger than that are found in the whole picture, which is looked at, too.

    Embeddings are passed on from one-shot networks.

    Args:
        detector: looks at the tiles, all of a call's pictures together.
        tile: side of a tile, pixels.
        overlap: share of a side in [0, 0.9).
    """

    def __init__(self, detector: Detector, *, tile: int = TILE, overlap: float = OVERLAP) -> None:
        if tile < 32 or not 0 <= overlap < 0.9:
            raise ValueError("tiles have at least 32 pixels a side and an overlap of 0 to 0.9")
        self._detector = detector
        self._tile, self._overlap = tile, overlap
        self.classes = detector.classes
        self.looks_back = False  # what moved from one tile into another has been in neither's picture before

    def detect(self, images: Sequence[Image], before: object = None) -> list[Detections]:
        """See `operators.detect.Detector`; `before` is not looked at."""
        cuts = [cut(image.shape[0], image.shape[1], self._tile, self._overlap) for image in images]
        views: list[Image] = []
        for image, tiles in zip(images, cuts, strict=True):
            views.append(image)
            views += [image[y1:y2, x1:x2] for x1, y1, x2, y2 in tiles.tolist()]
        found = iter(self._detector.detect(views))
        results = []
        for image, tiles in zip(images, cuts, strict=True):
            whole = next(found)
            parts = [_inside(next(found), tile, image.shape) for tile in tiles]
            results.append(merge([whole, *parts]) if parts else whole)
        return results


def cut(height: int, width: int, tile: int, overlap: float) -> Int32:
    """(N, 4) int32 tiles, xyxy, evenly spread, all of one size; none for a picture that is small enough."""
    if max(height, width) <= 1.5 * tile:
        return np.zeros((0, 4), np.int32)
    rows, columns = _starts(height, tile, overlap), _starts(width, tile, overlap)
    side_y, side_x = min(tile, height), min(tile, width)
    return np.array([[x, y, x + side_x, y + side_y] for y in rows for x in columns], np.int32)


def _starts(length: int, tile: int, overlap: float) -> list[int]:
    if length <= tile:
        return [0]
    steps = int(np.ceil((length - tile) / (tile * (1 - overlap))))
    return [round(k * (length - tile) / steps) for k in range(steps + 1)]


def _inside(found: Detections, tile: Int32, shape: tuple[int, ...]) -> Detections:
    """A tile's detections in the picture's pixels, without those that its inner edges cut."""
    left, top, right, bottom = (float(side) for side in tile)
    boxes = found.boxes + np.array([left, top, left, top], np.float32)
    whole = (
        ((boxes[:, 0] > left + _EDGE) | (left <= 0))
        & ((boxes[:, 1] > top + _EDGE) | (top <= 0))
        & ((boxes[:, 2] < right - _EDGE) | (right >= shape[1]))
        & ((boxes[:, 3] < bottom - _EDGE) | (bottom >= shape[0]))
    )
    return Detections(boxes, found.scores, found.classes, found.embeddings)[whole]


def merge(parts: Sequence[Detections]) -> Detections:
    """Detections of one picture from several looks at it: of boxes for one object the surest stays, best first.

    Two boxes of one class are one object if they overlap by half, or if three quarters of the smaller lie in the larger
    and they come from different looks: a torso in one tile is a part of the person in another.
    """
    looks = np.concatenate([np.full(len(part), number) for number, part in enumerate(parts)])
    boxes, scores, classes = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("boxes", "scores", "classes")
    )
    with_looks = all(part.embeddings is not None for part in parts if len(part))
    embeddings = [part.embeddings for part in parts if part.embeddings is not None and (with_looks and len(part))]
    everything = Detections(boxes, scores, classes, np.concatenate(embeddings) if embeddings else None)
    return everything[_distinct(boxes, scores, classes, looks)]


def _distinct(boxes: Float32, scores: Float32, classes: Int32, looks: NDArray[np.int64]) -> NDArray[np.intp]:
    order = np.argsort(-scores, kind="stable")
    areas = np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(axis=1)
    alive = np.ones(len(boxes), bool)
    kept = []
    for row in order.tolist():
        if not alive[row]:
            continue
        kept.append(row)
        sides = np.minimum(boxes[row, 2:], boxes[:, 2:]) - np.maximum(boxes[row, :2], boxes[:, :2])
        inner = np.maximum(sides, 0).prod(axis=1)
        same = inner > _SAME_IOU * (areas + areas[row] - inner)
        same |= (inner > _SAME_SHARE * np.minimum(areas, areas[row])) & (looks != looks[row])
        alive &= ~(same & (classes == classes[row]))
    return np.array(kept, np.intp)
