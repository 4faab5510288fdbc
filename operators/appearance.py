"""An appearance descriptor without weights: how the colours of six body stripes are distributed.

A crop is read on a fixed grid, together with a margin to its left and right. Colours that are as common in the margin
as in the box are taken for background and count little. The box is cut into six soft, overlapping horizontal stripes,
and the colours of each are described by a Gaussian, that is by their mean and covariance: what the clothes look like
and how patterned they are. Gaussians do not live in a flat space, so each is embedded as a positive definite matrix
(Lovrić, Min-Oo and Ruh, 2000) and brought to the plane where Euclidean geometry holds by the matrix logarithm (Arsigny
et al., "Log-Euclidean metrics", 2006), as in the GOG descriptor (Matsukawa et al., "Hierarchical Gaussian descriptor
for person re-identification", CVPR 2016), of which this is one level, with other colours and without patches. The
weighting by the margin is the background-weighted histogram of mean-shift tracking (Comaniciu, Ramesh and Meer, 2003).

There are no learned weights. The handful of constants below were chosen by hand on the two scenes of
tests/benchmarks/reid_accuracy.py, where moving any one of them by a third changes the mean average precision by less
than 0.01. It needs no texture finer than the grid, so blur and distance do little harm, and it takes light and exposure
mostly as a shift, so it survives another camera better than a histogram does.
"""

from __future__ import annotations

from typing import Any

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from operators.records import Float32, Image, Int32

ROWS, COLUMNS, MARGIN = 72, 32, 8
"""The grid: ROWS x COLUMNS over the box, and MARGIN more columns on either side of it."""

STRIPES = 6
_FEATURES = 5
_SIDE = _FEATURES + 1
BLOCK = _SIDE * (_SIDE + 1) // 2
DIM = STRIPES * BLOCK
"""Length of the descriptor: the upper triangle of one 6x6 matrix a stripe."""

# Centre and spread of each colour feature over clothes under usual light: they only set what counts as a large
# difference. Feature 0 is lightness, 1-2 hue as a vector as long as saturation, 3-4 logarithmic red-green and
# blue-yellow contrast, which tells the many kinds of "nearly black" from each other.
_LIGHT_CENTRE, _LIGHT_SPREAD = -1.0, 0.55
_HUE_SPREAD, _CONTRAST_SPREAD = 0.30, 0.35
_LIGHT_FLOOR = 0.03  # of full scale: noise below it is not stretched by the logarithm
_CONTRAST_FLOOR = 8.0  # grey levels, likewise
_SATURATION_POWER = 0.7

_VARIANCE_FLOOR = 0.2  # added to every variance, in squared spreads
_MEAN_WEIGHT = 0.5  # of the mean's share in a stripe's matrix, against the covariance
_REACH = 1.3  # how far a stripe fades out, in distances between stripes
_CENTRE_SPREAD = 0.3  # of the weight that favours the box's middle, in box widths
_BANDS = 4  # the background is told from the object in each of so many bands of rows
_LEVELS = 6  # per channel, of the colours counted for that
_BACKGROUND = 2.5  # how much commoner in the box a colour must be to count by more than half
_LEAST_SEEN = 0.05  # a stripe of which less than this share is in the picture says nothing

_WIDTH = COLUMNS + 2 * MARGIN


def _tables() -> tuple[Float32, Float32, Float32, NDArray[np.uint8]]:
    value = np.arange(256)
    light = (np.log(value / 255 + _LIGHT_FLOOR) - _LIGHT_CENTRE) / _LIGHT_SPREAD
    contrast = np.log(value + _CONTRAST_FLOOR) / _CONTRAST_SPREAD
    saturation = (value / 255) ** _SATURATION_POWER / _HUE_SPREAD
    level = np.minimum(np.sqrt(value / 256) * _LEVELS, _LEVELS - 1)
    return light.astype(np.float32), contrast.astype(np.float32), saturation.astype(np.float32), level.astype(np.uint8)


def _weights() -> tuple[Float32, Float32]:
    across = (np.arange(COLUMNS) + 0.5) / COLUMNS - 0.5
    middle = np.exp(-0.5 * (across / _CENTRE_SPREAD) ** 2)
    rows = (np.arange(ROWS) + 0.5) / ROWS * STRIPES
    centres = np.arange(STRIPES) + 0.5
    stripes = np.maximum(0.0, 1 - np.abs(rows[:, None] - centres) / _REACH)
    return (middle / middle.sum()).astype(np.float32), (stripes / stripes.sum(0)).astype(np.float32)


_LIGHT, _CONTRAST, _SATURATION, _LEVEL = _tables()
_ACROSS, _DOWN = _weights()
_UPPER = np.triu_indices(_SIDE)
# A symmetric matrix has every value off its diagonal twice; so weighted, distances are those of the whole matrices.
_TWICE = np.where(_UPPER[0] == _UPPER[1], 1.0, np.sqrt(2.0))


def sample(image: Image, boxes: Float32) -> tuple[NDArray[np.uint8], Int32]:
    """Read every box with its margins on the grid.

    Args:
        image: (H, W, 3) uint8 BGR.
        boxes: (N, 4) xyxy, pixels, finite, x1 < x2 and y1 < y2; may lie partly or wholly outside the picture.

    Returns:
        (N, ROWS, COLUMNS + 2 MARGIN, 3) uint8, and (N, 4) int32: the rows [r0, r1) and columns [c0, c1) of the grid
        that are inside the picture; r0 == r1 where nothing is. The rest is black and means nothing.
    """
    grid = np.zeros((len(boxes), ROWS, _WIDTH, 3), np.uint8)
    seen = np.zeros((len(boxes), 4), np.int32)
    height, width = image.shape[:2]
    for index, (x1, y1, x2, y2) in enumerate(np.asarray(boxes, np.float64).tolist()):
        cell = (x2 - x1) / COLUMNS
        top, bottom, first, last = _inside(y1, (y2 - y1) / ROWS, ROWS, height)
        left, right, start, stop = _inside(x1 - MARGIN * cell, cell, _WIDTH, width)
        if first == last or start == stop:
            continue
        part = image[top:bottom, left:right]
        shrinks = part.shape[0] > last - first
        grid[index, first:last, start:stop] = cv2.resize(
            part, (stop - start, last - first), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
        seen[index] = first, last, start, stop
    return grid, seen


def _inside(origin: float, cell: float, count: int, limit: int) -> tuple[int, int, int, int]:
    """Pixels [a, b) and cells [i, j) of one axis whose cells have their centres in the picture."""
    first = min(max(int(np.ceil(-origin / cell - 0.5)), 0), count)
    last = max(min(int(np.ceil((limit - origin) / cell - 0.5)), count), first)
    if first == last:
        return 0, 0, 0, 0
    start = min(max(round(origin + first * cell), 0), limit - 1)
    stop = min(max(round(origin + last * cell), start + 1), limit)
    return start, stop, first, last


def describe(grid: NDArray[np.uint8], seen: Int32) -> Float32:
    """The descriptors of what `sample` read.

    Returns:
        (N, DIM) float32, not normalised; a stripe that is not in the picture is zero, and so is a crop without any.
    """
    if len(grid) == 0:
        return np.zeros((0, DIM), np.float32)
    matrices, known = _stripes(grid, seen)
    values, vectors = np.linalg.eigh(matrices)
    logarithms = (vectors * np.log(values)[:, :, None, :]) @ vectors.swapaxes(-1, -2)
    blocks = logarithms[:, :, _UPPER[0], _UPPER[1]] * _TWICE * known[:, :, None]
    descriptors: Float32 = blocks.reshape(len(grid), DIM).astype(np.float32)
    return descriptors


def brightness(grid: NDArray[np.uint8], seen: Int32) -> Float32:
    """(N,) float32 mean grey level of the boxes that `sample` read, over what is in the picture; 0 where nothing is."""
    first, last, start, stop = seen.T
    across = np.minimum(stop, MARGIN + COLUMNS) - np.maximum(start, MARGIN)
    cells = (last - first) * np.maximum(across, 0)
    sums = grid[:, :, MARGIN : MARGIN + COLUMNS].sum(axis=(1, 2, 3), dtype=np.uint32)
    levels: Float32 = (sums / np.maximum(3 * cells, 1)).astype(np.float32)
    return levels


def _stripes(grid: NDArray[np.uint8], seen: Int32) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The Gaussian of every stripe as a matrix, (N, STRIPES, 6, 6), and whether enough of it was seen."""
    sums, share = _row_sums(grid, seen, _LIGHT, _CONTRAST, _SATURATION, _LEVEL, _ACROSS)
    down = _DOWN.astype(np.float64)
    moments = np.einsum("nrk,rs->nsk", sums, down)
    known = share @ down >= _LEAST_SEEN
    # A stripe whose every colour is also around it keeps a little weight: never zero where it was seen.
    moments = np.where(known[:, :, None], moments / np.maximum(moments[:, :, :1], 1e-12), 0.0)
    mean = moments[:, :, 1 : 1 + _FEATURES]
    second = np.zeros((*mean.shape, _FEATURES))
    upper = np.triu_indices(_FEATURES)
    second[:, :, upper[0], upper[1]] = moments[:, :, 1 + _FEATURES :]
    second[:, :, upper[1], upper[0]] = moments[:, :, 1 + _FEATURES :]
    outer = mean[..., :, None] * mean[..., None, :]
    matrices = np.zeros((*mean.shape[:2], _SIDE, _SIDE))
    matrices[..., :_FEATURES, :_FEATURES] = second - (1 - _MEAN_WEIGHT**2) * outer
    matrices[..., range(_FEATURES), range(_FEATURES)] += _VARIANCE_FLOOR
    matrices[..., :_FEATURES, _FEATURES] = matrices[..., _FEATURES, :_FEATURES] = _MEAN_WEIGHT * mean
    matrices[..., _FEATURES, _FEATURES] = 1.0
    return matrices, known


@numba.njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _row_sums(grid: Any, seen: Any, light: Any, contrast: Any, saturation: Any, level: Any, across: Any) -> Any:
    """Per row of the grid: weight, weighted features and weighted products of features, (N, ROWS, 21) float64.

    Beside them (N, ROWS) float64, the share of the row's weight that lies in the picture.
    """
    count, rows, columns, _ = grid.shape
    margin = (columns - len(across)) // 2
    colours = _LEVELS * _LEVELS * _LEVELS
    sums = np.zeros((count, rows, 1 + _FEATURES + _FEATURES * (_FEATURES + 1) // 2))
    share = np.zeros((count, rows))
    inner = np.empty((_BANDS, colours), np.float32)
    outer = np.empty((_BANDS, colours), np.float32)
    foreground = np.empty((_BANDS, colours), np.float32)
    code = np.empty((rows, columns), np.int32)
    x = np.empty(_FEATURES, np.float32)
    for n in range(count):
        r0, r1, c0, c1 = seen[n]
        inner[:] = 0
        outer[:] = 0
        for r in range(r0, r1):
            band = r * _BANDS // rows
            for c in range(c0, c1):
                b, g, red = grid[n, r, c]
                k = (level[b] * _LEVELS + level[g]) * _LEVELS + level[red]
                code[r, c] = k
                if margin <= c < columns - margin:
                    inner[band, k] += across[c - margin]
                else:
                    outer[band, k] += 1
        for band in range(_BANDS):
            inside = max(inner[band].sum(), np.float32(1e-9))
            around = max(outer[band].sum(), np.float32(1e-9))
            for k in range(colours):
                here, there = inner[band, k] / inside, outer[band, k] / around
                foreground[band, k] = here / (here + np.float32(_BACKGROUND) * there + np.float32(1e-6))
        for r in range(r0, r1):
            band = r * _BANDS // rows
            row = sums[n, r]
            for c in range(max(c0, margin), min(c1, columns - margin)):
                b, g, red = grid[n, r, c]
                share[n, r] += across[c - margin]
                weight = across[c - margin] * foreground[band, code[r, c]]
                high, low = max(b, g, red), min(b, g, red)
                x[0] = light[high]
                x[1] = x[2] = 0
                if high > low:
                    p = np.float32(red) - np.float32(0.5) * (np.float32(g) + np.float32(b))
                    q = np.float32(0.8660254) * (np.float32(g) - np.float32(b))
                    s = saturation[int(np.float32(255) * np.float32(high - low) / np.float32(high) + np.float32(0.5))]
                    s /= np.sqrt(p * p + q * q)
                    x[1] = p * s
                    x[2] = q * s
                x[3] = contrast[red] - contrast[g]
                x[4] = contrast[b] - np.float32(0.5) * (contrast[g] + contrast[red])
                row[0] += weight
                k = 1 + _FEATURES
                for i in range(_FEATURES):
                    u = weight * x[i]
                    row[1 + i] += u
                    for j in range(i, _FEATURES):
                        row[k] += u * x[j]
                        k += 1
    return sums, share
