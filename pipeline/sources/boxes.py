"""From the fields of one row of a detections file to a box that can be trusted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from operators.records import Detections, Float32
from pipeline.class_numbers import numbers_of
from pipeline.sources.base import Crop

# Of a box cut by the edge of the crop, so much must be inside: what a detector would still find.
_LEAST_SHARE_INSIDE = 0.5
_MAX_PAYLOAD = 65_536
_SYNONYMS = {"pedestrian": "person", "person": "pedestrian"}


class RowError(Exception):
    """A row, or a part of it, cannot be used.

    Attributes:
        reason: a short code, the dead letter's.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Box:
    """One box of one frame.

    Attributes:
        id: local track id, -1 where not known.
        xyxy: pixels of the camera's own (cropped) picture.
        cls: index into the source's classes.
        embedding: (D,) float32, L2-normalised; None where not known.
    """

    id: int
    xyxy: tuple[float, float, float, float]
    score: float
    cls: int
    embedding: Float32 | None = None


class ClassTable:
    """Which class of a row is which of the source's classes.

    A row says its class by name or by number (`pipeline.class_numbers`); one that says nothing (missing, -1 or 0) is
    of the first class.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self._by_name = {name: index for index, name in enumerate(classes)}
        for name, index in list(self._by_name.items()):
            self._by_name.setdefault(_SYNONYMS.get(name, name), index)
        self._by_number = {number: self._by_name[name] for name, number in numbers_of(classes).items()}

    def index(self, cls: Any) -> int | None:
        """Index of the class; None if it is not one of those.

        Raises:
            RowError: this is neither a name nor a number.
        """
        if cls is None:
            return 0
        if isinstance(cls, str):
            return self._by_name.get(cls)
        number = whole(cls, "malformed", "its class")
        if number < -1:
            raise RowError("malformed", f"its class is {number}, but classes are numbered from 1 (-1: not known)")
        return 0 if number in {-1, 0} else self._by_number.get(number)


def whole(value: Any, reason: str, what: str) -> int:
    """`value` as an integer.

    Raises:
        RowError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        raise RowError(reason, f"{what} is {value!r}, not a whole number")
    return int(value)


def frame_number(value: Any) -> int:
    """A frame number, counted from 1.

    Raises:
        RowError: it is none.
    """
    number = whole(value, "malformed", "its frame")
    if not 1 <= number < 2**53:
        raise RowError("malformed", f"its frame is {number}, but frames are counted from 1")
    return number


def track_id(value: Any, *, wanted: bool) -> int:
    """The id of a row; -1 where it has none.

    Args:
        value: as written; None or -1 for none.
        wanted: the file is one of tracks.

    Raises:
        RowError: no id, or an id in a file that otherwise has none of them, or all of them.
    """
    number = -1 if value is None else whole(value, "bad_id", "its id")
    if number < -1 or number >= 2**53:
        raise RowError("bad_id", f"its id is {number}; ids are 0 or more, and -1 where not known")
    if wanted and number == -1:
        raise RowError("bad_id", "it has no id, but this is a file of tracks; track all of its boxes, or none")
    if not wanted and number != -1:
        raise RowError("bad_id", f"it has the id {number}, but this is a file of boxes without; use all ids, or none")
    return number


def corners(x1: Any, y1: Any, x2: Any, y2: Any) -> tuple[float, float, float, float]:
    """The box, if it is one.

    Raises:
        RowError: a coordinate is no number, or it has no area.
    """
    box = (x1, y1, x2, y2)
    if any(isinstance(v, bool) or not isinstance(v, int | float) or not math.isfinite(v) for v in box):
        raise RowError("bad_box", f"its box {list(box)} is not made of four numbers")
    if not (x2 > x1 and y2 > y1):
        raise RowError("bad_box", f"its box is {x2 - x1:g} wide and {y2 - y1:g} high; both must be more than 0")
    if max(map(abs, box)) > 1e7:
        raise RowError("bad_box", f"its box {list(box)} cannot be in pixels")
    return float(x1), float(y1), float(x2), float(y2)


def certainty(score: Any) -> float:
    """The score; 1 where it is not known (missing or -1).

    Raises:
        RowError: it is no number in [0, 1].
    """
    if score is None:
        return 1.0
    if isinstance(score, bool) or not isinstance(score, int | float) or not (score == -1 or 0 <= score <= 1):
        raise RowError("bad_score", f"its score is {score!r}; it must lie in [0, 1], or be -1 where not known")
    return 1.0 if score == -1 else float(score)


def appearance(values: Any, dim: int) -> Float32:
    """An embedding, L2-normalised.

    Raises:
        RowError: NaN in it, another size than the file's, or all zeros.
    """
    try:
        vector = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise RowError("bad_embedding", "its embedding is not a list of numbers") from None
    if vector.ndim != 1 or len(vector) != dim:
        raise RowError("bad_embedding", f"its embedding is of shape {vector.shape}, the file's are of {dim} numbers")
    if not np.isfinite(vector).all():
        raise RowError("bad_embedding", "there is a NaN or an infinity in its embedding")
    length = np.linalg.norm(vector)
    if length < 1e-12:
        raise RowError("bad_embedding", "its embedding is all zeros")
    return (vector / length).astype(np.float32)


def cut(box: tuple[float, float, float, float], crop: Crop | None) -> tuple[float, float, float, float] | None:
    """The box as the camera sees it through its crop, in pixels of the cropped picture; None if it hardly does."""
    if crop is None:
        return box
    x1, y1 = max(box[0], crop[0]), max(box[1], crop[1])
    x2, y2 = min(box[2], crop[2]), min(box[3], crop[3])
    area = (box[2] - box[0]) * (box[3] - box[1])
    if x2 <= x1 or y2 <= y1 or (x2 - x1) * (y2 - y1) < _LEAST_SHARE_INSIDE * area:
        return None
    return x1 - crop[0], y1 - crop[1], x2 - crop[0], y2 - crop[1]


def gather(boxes: Sequence[Box], *, ids: bool, dim: int | None) -> Detections:
    """The boxes of one frame as arrays.

    Args:
        boxes: in order.
        ids: they have ids.
        dim: size of their embeddings, of which one that is not known becomes a row of NaN; None if there are none.
    """
    embeddings = None
    if dim is not None:
        embeddings = np.full((len(boxes), dim), np.nan, np.float32)
        for row, box in enumerate(boxes):
            if box.embedding is not None:
                embeddings[row] = box.embedding
    return Detections(
        np.array([b.xyxy for b in boxes], np.float32).reshape(-1, 4),
        np.array([b.score for b in boxes], np.float32),
        np.array([b.cls for b in boxes], np.int32),
        embeddings,
        np.array([b.id for b in boxes], np.int64) if ids else None,
    )


def shortened(text: str) -> str:
    """A payload, cut off where it would not fit into a message."""
    return text if len(text) <= _MAX_PAYLOAD else text[: _MAX_PAYLOAD - 1] + "…"
