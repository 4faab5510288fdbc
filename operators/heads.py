"""What detectors say, and how to read boxes from it: one reader per layout of outputs.

A layout is recognised by the number and shapes of a network's outputs; names differ from exporter to exporter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
        embeddings: (N, D) float32, how the objects look; None from networks that only detect.
        offsets: (N, 2) float32, input pixels, from each centre to where it was one picture earlier; None from networks
            that look at one picture.
        suppressed: nothing overlaps any more; else non-maximum suppression is left to do.
        in_picture: the boxes are in pixels of the picture; else of the input.
    """

    boxes: Float32
    scores: Float32
    classes: Int32
    embeddings: Float32 | None = None
    offsets: Float32 | None = None
    suppressed: bool = False
    in_picture: bool = False


class Head(Protocol):
    """Reads the outputs of one layout."""

    @property
    def classes(self) -> int:
        """How many classes it scores; 0 where the outputs do not tell."""
        ...

    @property
    def one_by_one(self) -> bool:
        """Its outputs do not say which picture of a batch a row belongs to."""
        ...

    def read(self, outputs: Sequence[Array], row: int, size: Size, floor: float) -> Found:
        """The boxes of picture `row` of the batch that score at least `floor`; `size`: the input's (height, width)."""
        ...


def recognise(outputs: Sequence[Array], size: Size, *, labels: int = 0, scaled: bool = False) -> Head | None:
    """The reader for outputs like these.

    Args:
        outputs: for one picture.
        size: (height, width) of the input.
        labels: how many classes the configuration names, 0 if it does not say.
        scaled: the network was told the pictures' scale, so its boxes are in pixels of the picture.

    Returns:
        None if no reader knows them.
    """
    shapes = [output.shape for output in outputs]
    found = (
        Decoded.recognise(shapes, size)
        or Distributions.recognise(shapes, size)
        or Joined.recognise(shapes, size, labels)
        or Grid.recognise(shapes, size)
        or Moving.recognise(shapes, size)
        or OneShot.recognise(shapes, size)
        or Suppressed.recognise(shapes, size)
    )
    return replace(found, in_picture=True) if scaled and isinstance(found, Decoded) else found


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
    in_picture: bool = False
    one_by_one = False

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
        return Found(
            boxes[row][anchors], scores[row][classes, anchors], classes.astype(np.int32), in_picture=self.in_picture
        )


@dataclass(frozen=True)
class Joined:
    """PP-YOLOE exported without post-processing (B, A, 4 + C): boxes in pixels of the input beside their scores.

    A column fewer than YOLOX's output of the same shape: only the number of classes tells them apart.
    """

    classes: int
    one_by_one = False

    @classmethod
    def recognise(cls, shapes: Sequence[tuple[int, ...]], size: Size, labels: int) -> Joined | None:
        """See `recognise`. Without labels, 84 columns are taken for COCO's eighty classes."""
        if len(shapes) == 1 and len(shapes[0]) == 3 and shapes[0][2] == 4 + (labels or 80):
            return cls(shapes[0][2] - 4)
        return None

    def read(self, outputs: Sequence[Array], row: int, size: Size, floor: float) -> Found:
        """See `Head`."""
        raw = outputs[0][row]
        anchors, classes = _best(raw[:, 4:], floor)
        return Found(raw[anchors, :4], raw[anchors, 4 + classes], classes.astype(np.int32))


@dataclass(frozen=True)
class Distributions:
    """Raw heads of PicoDet and NanoDet: per level scores (B, HW, C), then per level side bins (B, HW, 4 x bins).

    A side's distance is the expectation of its softmax over the bins, in strides, from the cell's centre (Generalized
    Focal Loss, Li et al. 2020).
    """

    classes: int
    strides: tuple[int, ...]
    one_by_one = False

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
    one_by_one = False

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
    one_by_one = False

    @classmethod
    def recognise(cls, shapes: Sequence[tuple[int, ...]], size: Size) -> Suppressed | None:
        """See `recognise`."""
        if len(shapes) >= 2 and len(shapes[0]) == 2 and shapes[0][1] == 6 and len(shapes[1]) == 1:
            return cls()
        return None

    def read(self, outputs: Sequence[Array], row: int, size: Size, floor: float) -> Found:
        """See `Head`."""
        counts = outputs[1].astype(int)
        start = int(counts[:row].sum())
        rows = outputs[0][start : start + int(counts[row])]
        boxes, scores, classes, _ = _rows(rows, floor)
        return Found(boxes, scores, classes, suppressed=True, in_picture=True)


@dataclass(frozen=True)
class OneShot:
    """JDE, FairMOT and MCFairMOT: rows (N, 6) as `Suppressed` has them, and an embedding (N, D) for each."""

    classes: int = 0
    one_by_one = True

    @classmethod
    def recognise(cls, shapes: Sequence[tuple[int, ...]], size: Size) -> OneShot | None:
        """See `recognise`."""
        if len(shapes) == 2 and all(len(shape) == 2 for shape in shapes):
            (rows, six), (others, width) = shapes
            # JDE says "nothing" by one row, with or without an embedding beside it.
            if six == 6 and width > 2 and (rows == others or min(rows, others) <= 1):
                return cls()
        return None

    def read(self, outputs: Sequence[Array], row: int, size: Size, floor: float) -> Found:
        """See `Head`."""
        boxes, scores, classes, kept = _rows(outputs[0], floor)
        embeddings = outputs[1][kept] if len(kept) else outputs[1][:0]
        embeddings = embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)
        return Found(boxes, scores, classes, embeddings.astype(np.float32), suppressed=True, in_picture=True)


@dataclass(frozen=True)
class Moving:
    """CenterTrack: rows (N, 6) of class, score, xyxy, then centres (N, 2) and where they were before (N, 2).

    All in cells of the output map, a quarter of the input; what was before is relative to the centre.
    """

    classes: int = 0
    one_by_one = True
    stride = 4

    @classmethod
    def recognise(cls, shapes: Sequence[tuple[int, ...]], size: Size) -> Moving | None:
        """See `recognise`."""
        widths = [shape[1] if len(shape) == 2 else 0 for shape in shapes]
        return cls() if widths == [6, 2, 2] and len({shape[0] for shape in shapes}) == 1 else None

    def read(self, outputs: Sequence[Array], row: int, size: Size, floor: float) -> Found:
        """See `Head`."""
        boxes, scores, classes, kept = _rows(outputs[0], floor)
        offsets = (outputs[2][kept] * self.stride).astype(np.float32)
        # Peaks of a heat map are suppressed already.
        return Found(boxes * np.float32(self.stride), scores, classes, offsets=offsets, suppressed=True)


def _rows(rows: Array, floor: float) -> tuple[Float32, Float32, Int32, NDArray[np.intp]]:
    """Boxes, scores and classes of rows (N, 6), and which were kept. A row of class -1 says that nothing was seen."""
    kept = np.flatnonzero((rows[:, 1] >= floor) & (rows[:, 0] >= 0))
    rows = rows[kept]
    return rows[:, 2:6].astype(np.float32), rows[:, 1].astype(np.float32), rows[:, 0].astype(np.int32), kept
