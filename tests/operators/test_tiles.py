"""Looking at tiles: everything once, nothing cut, whatever the picture's size."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from operators.records import Detections
from operators.tiles import TiledDetector, cut, merge


class Bright:
    """Finds bright rectangles, unless they are tiny beside the picture: a stand-in for a detector's input size."""

    classes = ("rectangle",)

    def __init__(self) -> None:
        self.calls: list[int] = []

    def detect(self, images: Sequence[np.ndarray]) -> list[Detections]:
        self.calls.append(len(images))
        return [self._one(image) for image in images]

    def _one(self, image: np.ndarray) -> Detections:
        contours, _ = cv2.findContours((image[:, :, 0] > 128).astype(np.uint8), cv2.RETR_EXTERNAL, 2)
        found = np.float32([cv2.boundingRect(c) for c in contours]).reshape(-1, 4)
        found[:, 2:] += found[:, :2]
        found = found[(found[:, 2:] - found[:, :2]).min(axis=1) > max(image.shape) / 64]
        return Detections(found, np.full(len(found), 0.9, np.float32), np.zeros(len(found), np.int32))


def picture(height: int, width: int, boxes: np.ndarray) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    for x1, y1, x2, y2 in boxes:
        image[y1:y2, x1:x2] = 255
    return image


def scattered(height: int, width: int, seed: int) -> np.ndarray:
    """Twenty rectangles of 12 to 30 pixels that do not touch, and a large one."""
    rng = np.random.default_rng(seed)
    boxes = [[width // 3, height // 3, width // 3 + 700, height // 3 + 500]]
    while len(boxes) < 21:
        x, y = rng.integers(0, width - 30), rng.integers(0, height - 30)
        box = [x, y, x + rng.integers(12, 30), y + rng.integers(12, 30)]
        if all(box[0] > b[2] + 3 or b[0] > box[2] + 3 or box[1] > b[3] + 3 or b[1] > box[3] + 3 for b in boxes):
            boxes.append(box)
    return np.array(boxes)


def in_order(boxes: np.ndarray) -> np.ndarray:
    return boxes[np.lexsort(boxes.T)].astype(int)


def test_a_picture_of_one_pixel_is_a_picture() -> None:
    (found,) = TiledDetector(Bright()).detect([np.full((1, 1, 3), 255, np.uint8)])
    assert found.boxes.tolist() == [[0, 0, 1, 1]]


@pytest.mark.parametrize(("height", "width"), [(1080, 1920), (2160, 3840), (1500, 5000)])
@pytest.mark.parametrize("seed", [0, 1])
def test_small_and_large_objects_are_found_once(height: int, width: int, seed: int) -> None:
    boxes = scattered(height, width, seed)
    detector = Bright()
    (found,) = TiledDetector(detector, tile=640).detect([picture(height, width, boxes)])
    np.testing.assert_array_equal(in_order(found.boxes), in_order(boxes))
    assert len(detector.calls) == 1, "all tiles go in one call"


def test_a_small_picture_is_looked_at_once() -> None:
    detector = Bright()
    TiledDetector(detector).detect([np.zeros((576, 768, 3), np.uint8)])
    assert detector.calls == [1]


@pytest.mark.parametrize(("height", "width"), [(100, 1000), (1081, 1919), (4000, 4001)])
def test_tiles_cover_the_picture_and_overlap(height: int, width: int) -> None:
    tiles = cut(height, width, 640, 0.2)
    covered = np.zeros((height, width), bool)
    for x1, y1, x2, y2 in tiles:
        covered[y1:y2, x1:x2] = True
    assert covered.all()
    columns = np.unique(tiles[:, 0])
    assert (np.diff(columns) <= 640 * 0.8 + 1).all()


def test_parts_of_one_object_from_two_looks_are_one_object() -> None:
    whole = Detections(np.float32([[0, 0, 100, 200]]), np.float32([0.9]), np.int32([0]))
    torso = Detections(np.float32([[10, 20, 90, 90]]), np.float32([0.8]), np.int32([0]))
    other = Detections(np.float32([[10, 20, 90, 90]]), np.float32([0.7]), np.int32([1]))
    merged = merge([whole, torso, other])
    assert merged.scores.tolist() == pytest.approx([0.9, 0.7])


def test_looks_stay_with_their_boxes() -> None:
    one = Detections(np.float32([[0, 0, 9, 9]]), np.float32([0.5]), np.int32([0]), np.float32([[1, 0]]))
    two = Detections(np.float32([[50, 0, 59, 9]]), np.float32([0.9]), np.int32([0]), np.float32([[0, 1]]))
    merged = merge([one, two, Detections.empty()])
    assert merged.embeddings is not None
    assert merged.embeddings.tolist() == [[0, 1], [1, 0]]


def test_impossible_tiles_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 32 pixels"):
        TiledDetector(Bright(), tile=8)
