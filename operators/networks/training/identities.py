"""Crops of objects with identities, from MOT labels and the pictures that they belong to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from operators.networks.training.errors import TrainingError
from operators.records import Image, Int64

_PICTURES = (".jpg", ".jpeg", ".png", ".bmp")
_SMALLEST = 8  # pixels; less shows nobody


@dataclass(frozen=True, slots=True)
class Crops:
    """Attributes: `images` (N, H, W, 3) uint8 BGR; `identities` (N,) from 0; `frames` (N,), as the labels number
    them; `people`: number of identities."""

    images: NDArray[np.uint8]
    identities: Int64
    frames: Int64
    people: int


def read_crops(
    labels: Path,
    pictures: Path,
    *,
    height: int,
    width: int,
    first: int = 1,
    last: int | None = None,
    every: int = 1,
    same: Path | None = None,
) -> Crops:
    """Cut every labelled object out.

    Args:
        labels: MOT text, rows `frame,id,x,y,w,h,counts[,...]`, frames from 1; a row that counts 0 is left out.
        pictures: a video, or a folder of pictures in the order of their names.
        height, width: of the crops, pixels.
        first, last: frames to use, both included; None for the last one there is.
        every: use every so many of them.
        same: a file that says which ids of the labels are one object, see `read_same`.

    Raises:
        TrainingError: a file is missing or cannot be read, or nothing is left to train on.
    """
    rows = read_rows(labels)
    if same is not None:
        one = read_same(same)
        rows[:, 1] = [one.get(int(identity), identity) for identity in rows[:, 1]]
    wanted = (rows[:, 0] >= first) & ((rows[:, 0] - first) % every == 0)
    if last is not None:
        wanted &= rows[:, 0] <= last
    rows = rows[wanted]
    if not len(rows):
        raise TrainingError(f"{labels}: no labels that count from frame {first} to {last or 'the end'}")
    images, ids, frames = [], [], []
    seen = 0
    for number, image in read_pictures(pictures, int(rows[:, 0].max())):
        seen = number
        for _, identity, x, y, w, h in rows[rows[:, 0] == number, :6]:
            left, top = max(int(x), 0), max(int(y), 0)
            crop = image[top : max(int(y + h), 0), left : max(int(x + w), 0)]
            if min(crop.shape[:2]) >= _SMALLEST:
                images.append(cv2.resize(crop, (width, height)))
                ids.append(int(identity))
                frames.append(number)
    if seen < rows[:, 0].max():
        raise TrainingError(f"{pictures} ends at frame {seen}, but {labels} goes on to frame {int(rows[:, 0].max())}")
    if not images:
        raise TrainingError(f"{labels}: no box is at least {_SMALLEST} pixels wide and high")
    known, identities = np.unique(np.array(ids), return_inverse=True)
    return Crops(np.stack(images), identities.astype(np.int64).ravel(), np.array(frames, np.int64), len(known))


def joined(parts: Sequence[Crops]) -> Crops:
    """Crops of several scenes; nobody is taken to be in two of them, and frames of two are far apart."""
    offsets = np.cumsum([0, *(part.people for part in parts)])
    far = np.cumsum([0, *(int(part.frames.max()) + 1_000_000 for part in parts)])
    return Crops(
        np.concatenate([part.images for part in parts]),
        np.concatenate([part.identities + offset for part, offset in zip(parts, offsets, strict=False)]),
        np.concatenate([part.frames + offset for part, offset in zip(parts, far, strict=False)]),
        int(offsets[-1]),
    )


def read_same(path: Path) -> dict[int, int]:
    """The one id for every id of a file with the ids of one object a line, in any order; `#` begins a remark.

    Tracks are often labelled anew when somebody comes back. A network taught that the two are different people is
    taught to tell apart what looks the same.

    Raises:
        TrainingError: the file cannot be read, or names an id twice.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path}: the ids that are one object cannot be read ({error})") from None
    same: dict[int, int] = {}
    for number, line in enumerate(lines, 1):
        try:
            ids = [int(word) for word in line.partition("#")[0].split()]
        except ValueError:
            raise TrainingError(f"{path}, line {number}: {line!r} is no list of ids with spaces between") from None
        if len(set(ids)) < len(ids) or same.keys() & ids:
            raise TrainingError(f"{path}, line {number}: an id of {line!r} was named before")
        same |= dict.fromkeys(ids, ids[0]) if ids else {}
    return same


def read_rows(labels: Path, columns: int = 7) -> NDArray[np.float64]:
    """(N, `columns`) rows frame, id, x, y, w, h, counts[, class] of MOT text; those that count 0 are left out.

    Raises:
        TrainingError: no such file, a line that is no row, or nothing that counts.
    """
    try:
        lines = [line for line in labels.read_text(encoding="utf-8").splitlines() if line.strip()]
    except FileNotFoundError:
        raise TrainingError(f"{labels}: there is no such file of labels") from None
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"{labels}: the labels cannot be read ({error})") from None
    rows = []
    rest = ",class" if columns > 7 else ""
    for number, line in enumerate(lines, 1):
        try:
            row = [float(value) for value in line.split(",")[:columns]]
        except ValueError:
            row = []
        if len(row) < columns or not np.isfinite(row).all():
            raise TrainingError(f"{labels}, line {number}: {line!r} is no row frame,id,x,y,w,h,counts{rest}")
        if row[6]:
            rows.append(row)
    if not rows:
        raise TrainingError(f"{labels}: no row that counts; there is nothing to train on")
    return np.array(rows)


def read_pictures(pictures: Path, last: int) -> Iterator[tuple[int, Image]]:
    """Numbers from 1 and BGR pictures of a video or a folder (in the order of names), up to `last` of them."""
    if not pictures.exists():
        raise TrainingError(f"{pictures}: there is no such video or folder of pictures")
    if pictures.is_dir():
        files = sorted(file for file in pictures.iterdir() if file.suffix.lower() in _PICTURES)[:last]
        for number, file in enumerate(files, 1):
            image = cv2.imread(str(file))
            if image is None:
                raise TrainingError(f"{file}: the picture cannot be read")
            yield number, image
        return
    video = cv2.VideoCapture(str(pictures))
    try:
        for number in range(1, last + 1):
            there, image = video.read()
            if not there:
                return
            yield number, image
    finally:
        video.release()
