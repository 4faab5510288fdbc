"""Whole pictures with boxes, classes and identities, as one-shot trackers learn from them.

Two kinds of labels: MOT text (`frame,id,x,y,w,h,counts[,class..]`, classes from 1), and PaddleDetection's folder of
one file a picture, rows `class id cx cy w h`, the box as shares of the picture, id -1 where unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from operators.networks.training.errors import TrainingError
from operators.networks.training.identities import read_pictures, read_rows, read_same
from operators.picture_bytes import decoded, jpeg
from operators.preprocess import Placement, Preprocessing, Resizing
from operators.records import Float32, Image, Int64

_GREY = 127
_ALL = 10**9


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture.

    Attributes:
        scene, frame: which; frames as the labels number them.
        jpeg: the picture as it lies in the network's input, compressed.
        placement: where it lies there.
        boxes: (K, 4) xyxy, pixels of the picture itself.
        classes: (K,).
        identities: (K,) from 0 within the class; -1 where unknown.
    """

    scene: int
    frame: int
    jpeg: bytes
    placement: Placement
    boxes: Float32
    classes: Int64
    identities: Int64

    def canvas(self) -> tuple[Image, Float32]:
        """The input (H, W, 3) uint8 BGR, and the boxes in it."""
        image = decoded(self.jpeg)
        y, x = self.placement.scale
        top, left = self.placement.offset
        return image, (self.boxes * [x, y, x, y] + [left, top, left, top]).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Shots:
    """All pictures, the classes' names, and how many identities each class has."""

    shots: tuple[Shot, ...]
    classes: tuple[str, ...]
    people: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Scene:
    """Where the labels and pictures of one camera are; fields as `read_crops`'s arguments."""

    labels: Path
    pictures: Path
    first: int = 1
    last: int | None = None
    every: int = 1
    same: Path | None = None


def read_shots(scenes: Sequence[Scene], classes: Sequence[str], *, height: int, width: int) -> Shots:
    """Read scenes; nobody is taken to be in two of them.

    Args:
        scenes: at least one.
        classes: names; where there is one, every object that counts is of it.
        height, width: of the network's input; pictures lie in its middle, their ratio kept.

    Raises:
        TrainingError: a file is missing or cannot be read, a class has no name, or there is nothing to train on.
    """
    aim = Preprocessing(Resizing(height, width, keep_ratio=True, fill=True, centred=True, interpolation=cv2.INTER_AREA))
    shots: list[Shot] = []
    known: list[dict[tuple[int, int], int]] = [{} for _ in classes]
    for number, scene in enumerate(scenes):
        same = {} if scene.same is None else read_same(scene.same)
        rows = _table(scene, len(classes))
        by_frame: dict[int, list[NDArray[np.float64]]] = {}
        for row in rows:
            by_frame.setdefault(int(row[0]), []).append(row)
        wanted = [f for f in by_frame if f >= scene.first and (f - scene.first) % scene.every == 0]
        wanted = [f for f in wanted if scene.last is None or f <= scene.last]
        if not wanted:
            raise TrainingError(f"{scene.labels}: no labels that count from frame {scene.first} on")
        last = max(wanted)
        seen = 0
        for frame, image in read_pictures(scene.pictures, last):
            seen = frame
            if frame < scene.first or (frame - scene.first) % scene.every:
                continue
            here = np.array(by_frame.get(frame, [])).reshape(-1, 7)
            boxes = here[:, 2:6] if not scene.labels.is_dir() else here[:, 2:6] * np.tile(image.shape[1::-1], 2)
            kinds = here[:, 6].astype(np.int64)
            found = []
            for identity, kind in zip(here[:, 1].astype(int), kinds, strict=True):
                own = known[kind]
                key = (number, same.get(int(identity), int(identity)))
                found.append(-1 if identity < 0 else own.setdefault(key, len(own)))
            placement = aim.placement(*image.shape[:2])
            shots.append(
                Shot(
                    number,
                    frame,
                    _compressed(image, placement),
                    placement,
                    boxes.astype(np.float32),
                    kinds,
                    np.array(found, np.int64),
                )
            )
        if seen < last:
            raise TrainingError(f"{scene.pictures} ends at frame {seen}, but {scene.labels} goes on to frame {last}")
    return Shots(tuple(shots), tuple(classes), tuple(len(own) for own in known))


def _table(scene: Scene, classes: int) -> NDArray[np.float64]:
    """(N, 7): frame, id, xyxy (of a folder: shares of the picture), class from 0."""
    labels = scene.labels
    if labels.is_dir():
        return _folder(labels, classes)
    rows = read_rows(labels, 8 if classes > 1 else 7)
    kinds = rows[:, 7] - 1 if classes > 1 else np.zeros(len(rows))
    _check(labels, kinds + 1, 1, classes)
    return np.column_stack([rows[:, :2], rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6], kinds])


def _folder(labels: Path, classes: int) -> NDArray[np.float64]:
    rows = []
    for number, file in enumerate(sorted(labels.glob("*.txt")), 1):
        for line in file.read_text(encoding="utf-8").splitlines():
            try:
                kind, identity, x, y, w, h = (float(word) for word in line.split())
            except ValueError:
                raise TrainingError(f"{file}: {line!r} is no row class id cx cy w h") from None
            rows.append([number, identity, x - w / 2, y - h / 2, x + w / 2, y + h / 2, kind])
    if not rows:
        raise TrainingError(f"{labels}: no file with a row class id cx cy w h; there is nothing to train on")
    table = np.array(rows)
    _check(labels, table[:, 6], 0, classes)
    return table


def _check(labels: Path, kinds: NDArray[np.float64], first: int, classes: int) -> None:
    strange = (kinds < first) | (kinds >= first + classes) | (kinds % 1 != 0)
    if strange.any():
        raise TrainingError(
            f"{labels}: class {kinds[strange][0]:g}, but the {classes} named ones are {first} to {first + classes - 1}"
        )


def _compressed(image: Image, placement: Placement) -> bytes:
    (height, width), (top, left) = placement.size, (int(side) for side in placement.offset)
    canvas = np.full((*placement.shape, 3), _GREY, np.uint8)
    canvas[top : top + height, left : left + width] = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return jpeg(canvas, 95)


def changed(image: Image, boxes: Float32, random: np.random.Generator) -> tuple[Image, Float32]:
    """Half of them mirrored, scaled by 0.8 to 1.25, moved by up to a tenth of its size, its light changed by a fifth.

    Boxes move along; those whose middle leaves the input are still given, and are the caller's to leave out.
    """
    height, width = image.shape[:2]
    zoom = float(np.exp(random.uniform(-0.223, 0.223)))
    right, down = random.uniform(-0.1, 0.1) * width, random.uniform(-0.1, 0.1) * height
    across = -zoom if random.random() < 0.5 else zoom
    matrix = np.array(
        [[across, 0, (1 - across) * width / 2 + right], [0, zoom, (1 - zoom) * height / 2 + down]], np.float64
    )
    moved = cv2.warpAffine(image, matrix, (width, height), borderValue=(_GREY,) * 3)
    lit = np.clip(moved * random.uniform(0.8, 1.2), 0, 255).astype(np.uint8)
    xs, ys = boxes[:, 0::2] * across + matrix[0, 2], boxes[:, 1::2] * zoom + matrix[1, 2]
    placed = np.stack([xs.min(axis=1), ys[:, 0], xs.max(axis=1), ys[:, 1]], axis=1) if len(boxes) else boxes
    return lit, placed.astype(np.float32)
