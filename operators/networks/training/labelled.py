"""Pictures with boxes, whatever format the labels came in; pictures are read when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from operators.networks.training.errors import TrainingError
from operators.records import Float32, Image, Int32, Int64


@dataclass(frozen=True, slots=True)
class Labelled:
    """A data set of P pictures with N boxes.

    Attributes:
        files: P pictures; a video where `frames` says which of its frames.
        frames: (P,) int64, a frame's place in the video from 0; -1 where the file is a picture.
        starts: (P + 1,) int64; picture p has the boxes `starts[p]:starts[p + 1]`.
        boxes: (N, 4) float32, xyxy in pixels.
        classes: (N,) int32, rows of `names`.
        identities: (N,) int64, -1 where nobody says who it is.
        names: of the classes.
    """

    files: tuple[Path, ...]
    frames: Int64
    starts: Int64
    boxes: Float32
    classes: Int32
    identities: Int64
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.files)

    def rows(self, picture: int) -> slice:
        """The boxes of a picture."""
        return slice(int(self.starts[picture]), int(self.starts[picture + 1]))

    def read(self, picture: int) -> Image:
        """(H, W, 3) uint8 BGR.

        Raises:
            TrainingError: the picture is missing or cannot be read.
        """
        file, frame = self.files[picture], int(self.frames[picture])
        if not file.is_file():
            raise TrainingError(f"{file}: the labels name this picture, but it is not there")
        if frame < 0:
            image = cv2.imread(str(file))
        else:
            video = cv2.VideoCapture(str(file))
            try:
                video.set(cv2.CAP_PROP_POS_FRAMES, frame)
                _, image = video.read()
            finally:
                video.release()
        if image is None:
            where = str(file) if frame < 0 else f"frame {frame + 1} of {file}"
            raise TrainingError(f"{where} cannot be read as a picture; export it again or take it out of the labels")
        return np.asarray(image, np.uint8)


def joined(parts: Sequence[Labelled], names: Sequence[str]) -> Labelled:
    """Several data sets as one, with the classes in the order of `names`, which has all of theirs."""
    place = {name: row for row, name in enumerate(names)}
    kinds = [np.array([place[name] for name in part.names], np.int32)[part.classes] for part in parts]
    counts = np.concatenate([np.diff(part.starts) for part in parts])
    return Labelled(
        tuple(file for part in parts for file in part.files),
        np.concatenate([part.frames for part in parts]),
        np.cumsum([0, *counts]).astype(np.int64),
        np.concatenate([part.boxes for part in parts]),
        np.concatenate(kinds),
        np.concatenate([part.identities for part in parts]),
        tuple(names),
    )


def gathered(
    pictures: Sequence[tuple[Path, int, Sequence[Sequence[float]]]], names: Sequence[str], source: Path
) -> Labelled:
    """A data set from pictures, each with file, frame (-1 for none) and rows `x1, y1, x2, y2, class, identity`.

    Raises:
        TrainingError: there is no picture, or not one box.
    """
    if not pictures:
        raise TrainingError(f"{source}: the data set is empty; there is no picture in it")
    table = np.array([row for _, _, rows in pictures for row in rows], np.float64).reshape(-1, 6)
    if not len(table):
        raise TrainingError(f"{source}: no picture has a box that counts; there is nothing to learn")
    return Labelled(
        tuple(file for file, _, _ in pictures),
        np.array([frame for _, frame, _ in pictures], np.int64),
        np.cumsum([0, *(len(rows) for _, _, rows in pictures)]).astype(np.int64),
        table[:, :4].astype(np.float32),
        table[:, 4].astype(np.int32),
        table[:, 5].astype(np.int64),
        tuple(names),
    )


def clipped(box: Sequence[float], width: float, height: float, where: str) -> list[float]:
    """A box (xyxy) cut to its picture.

    Raises:
        TrainingError: it is no box, or lies outside altogether.
    """
    x1, y1, x2, y2 = (float(value) for value in box)
    if not np.isfinite([x1, y1, x2, y2]).all() or x2 <= x1 or y2 <= y1:
        raise TrainingError(f"{where}: {x1:g}, {y1:g} to {x2:g}, {y2:g} is no box; it needs a width and a height")
    inside = [max(x1, 0.0), max(y1, 0.0), min(x2, width), min(y2, height)]
    if inside[2] <= inside[0] or inside[3] <= inside[1]:
        raise TrainingError(
            f"{where}: the box {x1:g}, {y1:g} to {x2:g}, {y2:g} lies outside of its picture of {width:g} x {height:g}"
        )
    return inside
