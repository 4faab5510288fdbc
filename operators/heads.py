"""What detectors say, and how to read boxes from it: one reader per layout of outputs.

A layout is recognised by the number and shapes of a network's outputs; names differ from exporter to exporter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from operators.records import Float32, Int32

Array = NDArray[Any]
Size = tuple[int, int]

CANDIDATES = 1000
"""Before suppression, at most so many boxes of a picture are looked at: the best."""


@dataclass(frozen=True, slots=True)
class Found:
    """Boxes of one picture as its network gave them.

    Attributes:
        boxes: (N, 4) float32, xyxy.
        scores: (N,) float32.
        classes: (N,) int32, the network's own numbers.
        finished: the boxes are suppressed and in pixels of the picture; else they overlap, in pixels of the input.
    """

    boxes: Float32
    scores: Float32
    classes: Int32
    finished: bool = False


class Head(Protocol):
    """Reads the outputs of one layout."""

    @property
    def classes(self) -> int:
        """How many classes it scores; 0 where the outputs do not tell."""
        ...

    def read(self, outputs: Sequence[Array], row: int, size: Size, floor: float) -> Found:
        """The boxes of picture `row` of the batch that score at least `floor`; `size`: the input's (height, width)."""
        ...


def recognise(outputs: Sequence[Array], size: Size) -> Head | None:
    """The reader for outputs like these, of one picture in an input of (height, width); None if none knows them."""
    shapes = [output.shape for output in outputs]
    return (
        Decoded.recognise(shapes, size)
        or Distributions.recognise(shapes, size)
        or Grid.recognise(shapes, size)
        or Suppressed.recognise(shapes, size)
    )


def _best(scores: Float32, floor: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Anchors and classes of the scores (A, C) of at least `floor`; of too many, the best."""
    anchors, classes = np.nonzero(scores >= floor)
    if len(anchors) > CANDIDATES:
        best = np.argsort(-scores[anchors, classes], kind="stable")[:CANDIDATES]
        best.sort()
        anchors, classes = anchors[best], classes[best]
    return anchors, classes


@dataclass(frozen=True)
class Decoded:
    """Exports without suppression: boxes (B, A, 4), scores (B, C, A). The bundled model is one."""

    classes: int

    @classmethod
    def recognise(cls, shapes: Sequence[tuple[int, ...]], size: Size) -> Decoded | None:
        """See `recognise`."""
        if len(shapes) == 2 and len(shapes[0]) == len(shapes[1]) == 3:
            (_, anchors, four), (_, classes, scored) = shapes
            if four == 4 and anchors == scored:
                return cls(classes)
        return None

    def read(self, outputs: Sequence[Array], row: int, size: Size, floor: float) -> Found:
        """See `Head`."""
        boxes, scores = outputs
        anchors, classes = _best(scores[row].T, floor)
        return Found(boxes[row][anchors], scores[row][classes, anchors], classes.astype(np.int32))


@dataclass(frozen=True)
class Distributions:
    """Raw heads of PicoDet and NanoDet: per level scores (B, HW, C), then per level side bins (B, HW, 4 x bins).

    A side's distance is the expectation of its softmax over the bins, in strides, from the cell's centre (Generalized
    Focal Loss, Li et al. 2020).
    """

    classes: int
    strides: tuple[int, ...]

    @classmethod
    def recognise(cls, shapes: Sequence[tuple[int, ...]], size: Size) -> Distributions | None:
        """See `recognise`."""
        levels = len(shapes) // 2
        if levels < 2 or len(shapes) % 2 or any(len(shape) != 3 for shape in shapes):
            return None
        scores, sides = shapes[:levels], shapes[levels:]
        if any(a[1] != b[1] or a[2] != scores[0][2] or b[2] % 4 for a, b in zip(scores, sides, strict=True)):
            return None
        strides = [_stride(shape[1], size) for shape in scores]
        return None if None in strides else cls(scores[0][2], tuple(s for s in strides if s))

    def read(self, outputs: Sequence[Array], row: int, size: Size, floor: float) -> Found:
        """See `Head`."""
        levels = len(self.strides)
        parts = [
            _level(outputs[level][row], outputs[levels + level][row], stride, size, floor)
            for level, stride in enumerate(self.strides)
        ]
        boxes, scores, classes = (np.concatenate(column) for column in zip(*parts, strict=True))
        return Found(boxes, scores, classes)


def _level(scores: Float32, bins: Float32, stride: int, size: Size, floor: float) -> tuple[Float32, Float32, Int32]:
    anchors, classes = _best(scores, floor)
    weights = bins[anchors].reshape(len(anchors), 4, bins.shape[1] // 4)
    weights = np.exp(weights - weights.max(axis=2, keepdims=True))
    places = np.arange(weights.shape[2], dtype=np.float32)
    sides = (weights @ places) / weights.sum(axis=2) * np.float32(stride)
    centres = _centres(anchors, stride, size)
    boxes = np.concatenate([centres - sides[:, :2], centres + sides[:, 2:]], axis=1).astype(np.float32)
    return boxes, scores[anchors, classes], classes.astype(np.int32)


def _stride(cells: int, size: Size) -> int | None:
    """The power of two that makes so many cells of an input, rounding up."""
    return next((s for s in (4, 8, 16, 32, 64, 128) if -(-size[0] // s) * -(-size[1] // s) == cells), None)


def _centres(anchors: NDArray[np.intp], stride: int, size: Size) -> Float32:
    rows, columns = np.divmod(anchors, -(-size[1] // stride))
    centres: Float32 = np.stack([columns, rows], axis=1).astype(np.float32)
    centres += 0.5
    centres *= stride
    return centres


@dataclass(frozen=True)
class Grid:
    """YOLOX's raw output (B, A, 5 + C): centre offset and log size in strides, objectness, classes (Ge et al. 2021)."""

    classes: int

    @classmethod
    def recognise(cls, shapes: Sequence[tuple[int, ...]], size: Size) -> Grid | None:
        """See `recognise`."""
        if len(shapes) == 1 and len(shapes[0]) == 3 and shapes[0][2] > 5 and shapes[0][1] == len(_grid(size)):
            return cls(shapes[0][2] - 5)
        return None

    def read(self, outputs: Sequence[Array], row: int, size: Size, floor: float) -> Found:
        """See `Head`."""
        raw = outputs[0][row]
        # No class can outscore its objectness: most anchors need no look at their classes.
        likely = np.nonzero(raw[:, 4] >= floor)[0]
        chosen, classes = _best(raw[likely, 5:] * raw[likely, 4:5], floor)
        anchors = likely[chosen]
        cells = _grid(size)[anchors]
        centres = (raw[anchors, :2] + cells[:, :2]) * cells[:, 2:]
        halves = np.exp(raw[anchors, 2:4]) * cells[:, 2:] / 2
        boxes = np.concatenate([centres - halves, centres + halves], axis=1).astype(np.float32)
        return Found(boxes, raw[anchors, 4] * raw[anchors, 5 + classes], classes.astype(np.int32))


def _grid(size: Size) -> Float32:
    """(A, 3): column, row and stride of YOLOX's anchors."""
    levels: list[NDArray[np.int64]] = []
    for stride in (8, 16, 32):
        rows, columns = np.mgrid[0 : size[0] // stride, 0 : size[1] // stride]
        levels.append(np.stack([columns.ravel(), rows.ravel(), np.full(rows.size, stride)], axis=1))
    return np.concatenate(levels).astype(np.float32)


@dataclass(frozen=True)
class Suppressed:
    """Exports with suppression inside: rows (N, 6) of class, score, xyxy in pixels of the picture; counts (B,)."""

    classes: int = 0

    @classmethod
    def recognise(cls, shapes: Sequence[tuple[int, ...]], size: Size) -> Suppressed | None:
        """See `recognise`."""
        if len(shapes) >= 2 and len(shapes[0]) == 2 and shapes[0][1] == 6 and shapes[1] == (1,):
            return cls()
        return None

    def read(self, outputs: Sequence[Array], row: int, size: Size, floor: float) -> Found:
        """See `Head`."""
        counts = outputs[1].astype(int)
        start = int(counts[:row].sum())
        rows = outputs[0][start : start + int(counts[row])]
        # A picture without objects may come as one row of class -1.
        rows = rows[(rows[:, 1] >= floor) & (rows[:, 0] >= 0)]
        return Found(rows[:, 2:6], rows[:, 1], rows[:, 0].astype(np.int32), finished=True)
