"""Which cell of a detector learns which object: by where the cells are (ATSS), or by what the network finds (TAL)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from operators.records import Float32, Int64

_NOTHING = 1e-9


@dataclass(frozen=True, slots=True)
class Lattice:
    """The cells of all levels, one level after the other, row by row.

    Attributes:
        centres: (A, 2) x, y in pixels of the input.
        strides: (A,) pixels.
        counts: cells of each level.
    """

    centres: Float32
    strides: Float32
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Assigned:
    """Attributes: `rows` (A,) the object that a cell learns, -1 for none; `quality` (A,) what its score is to be."""

    rows: Int64
    quality: Float32


def lattice(height: int, width: int, strides: Sequence[int]) -> Lattice:
    """The cells of an input of that size, at levels of these strides."""
    centres, sizes, counts = [], [], []
    for stride in strides:
        rows, columns = -(-height // stride), -(-width // stride)
        y, x = np.mgrid[:rows, :columns]
        centres.append((np.stack([x, y], axis=2).reshape(-1, 2) + 0.5) * stride)
        sizes.append(np.full(rows * columns, stride))
        counts.append(rows * columns)
    return Lattice(np.concatenate(centres).astype(np.float32), np.concatenate(sizes).astype(np.float32), tuple(counts))


def atss(cells: Lattice, truth: Float32, found: Float32, nearest: int = 9, size: float = 5.0) -> Assigned:
    """Adaptive training sample selection (Zhang et al. 2020).

    Of every level the cells nearest to an object's centre are its candidates. Those learn it that lie within it and
    whose own box, a square of `size` strides, overlaps it by the mean and one standard deviation of all candidates'.

    Args:
        cells: A of them.
        truth: (G, 4) xyxy, pixels of the input.
        found: (A, 4) what the network finds there now; its overlap is the quality.
        nearest: candidates a level.
        size: of a cell's own box, strides.
    """
    if not len(truth):
        return _nothing(cells)
    half = (cells.strides * size / 2)[:, None]
    own = np.concatenate([cells.centres - half, cells.centres + half], axis=1)
    overlaps = overlap(truth, own)
    middles = (truth[:, :2] + truth[:, 2:]) / 2
    distances = ((middles[:, None] - cells.centres[None]) ** 2).sum(axis=2)
    candidates = np.zeros_like(overlaps, bool)
    start = 0
    for count in cells.counts:
        near = np.argsort(distances[:, start : start + count], axis=1, kind="stable")[:, :nearest] + start
        np.put_along_axis(candidates, near, True, axis=1)
        start += count
    kept = np.where(candidates, overlaps, np.nan)
    limits = np.nanmean(kept, axis=1) + np.nanstd(kept, axis=1, ddof=1 if candidates[0].sum() > 1 else 0)
    chosen = candidates & (overlaps >= limits[:, None]) & _within(cells, truth)
    rows = np.where(chosen.any(axis=0), np.where(chosen, overlaps, -1).argmax(axis=0), -1)
    fit = overlap(truth, found)[rows, np.arange(len(rows))]
    return Assigned(rows.astype(np.int64), np.where(rows >= 0, fit, 0).astype(np.float32))


def task_aligned(
    cells: Lattice,
    truth: Float32,
    classes: Int64,
    scores: Float32,
    found: Float32,
    top: int = 13,
    alpha: float = 1.0,
    beta: float = 6.0,
) -> Assigned:
    """Task-aligned learning (Feng et al. 2021).

    Those cells within an object learn it that do best at it, by score ** alpha * overlap ** beta. The best one's
    quality is the highest overlap that any of them has, the others' are in proportion.

    Args:
        cells: A of them.
        truth: (G, 4) xyxy, pixels of the input.
        classes: (G,).
        scores: (A, C) in [0, 1], what the network finds now.
        found: (A, 4) the same, boxes.
        top: most cells an object.
    """
    if not len(truth):
        return _nothing(cells)
    overlaps = overlap(truth, found)
    metric = scores.T[classes].astype(np.float64) ** alpha * overlaps**beta
    inside = np.where(_within(cells, truth), metric, -1.0)
    best = np.argsort(-inside, axis=1, kind="stable")[:, :top]
    chosen = np.zeros_like(overlaps, bool)
    np.put_along_axis(chosen, best, True, axis=1)
    # An object that nothing overlaps would choose at random.
    chosen &= (inside >= 0) & (inside.max(axis=1, keepdims=True) > _NOTHING)
    rows = np.where(chosen.any(axis=0), np.where(chosen, overlaps, -1).argmax(axis=0), -1)
    owned = rows[None] == np.arange(len(truth))[:, None]
    metric, overlaps = np.where(owned, metric, 0), np.where(owned, overlaps, 0)
    share = metric / np.maximum(metric.max(axis=1, keepdims=True), _NOTHING)
    quality = (share * overlaps.max(axis=1, keepdims=True)).max(axis=0)
    return Assigned(rows.astype(np.int64), quality.astype(np.float32))


def overlap(a: Float32, b: Float32) -> NDArray[np.float64]:
    """(N, M) intersection over union of (N, 4) and (M, 4) boxes, xyxy; of a box without extent, 0."""
    one, other = a.astype(np.float64), b.astype(np.float64)
    sides = np.minimum(one[:, None, 2:], other[None, :, 2:]) - np.maximum(one[:, None, :2], other[None, :, :2])
    common = np.maximum(sides, 0).prod(axis=2)
    areas = [np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(axis=1) for boxes in (one, other)]
    return np.asarray(common / np.maximum(areas[0][:, None] + areas[1][None] - common, _NOTHING))


def _within(cells: Lattice, truth: Float32) -> NDArray[np.bool_]:
    x, y = cells.centres.T
    left, top, right, bottom = (side[:, None] for side in truth.T)
    return np.asarray((x > left) & (x < right) & (y > top) & (y < bottom))


def _nothing(cells: Lattice) -> Assigned:
    return Assigned(np.full(len(cells.strides), -1, np.int64), np.zeros(len(cells.strides), np.float32))
