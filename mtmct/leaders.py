"""Leader clustering of looks, compiled: what `mtmct.exemplars` does with every embedding that a camera sends."""

# mypy: disable-error-code="untyped-decorator, unused-ignore"

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

from mtmct.topology import Float64
from operators.records import Float32, Int64

SAME_LOOK = 0.92  # cosine from which an embedding repeats a look already kept (the same pose in the same light)
# Two in the light of one camera look more alike than the calibration knows, which goes by looks from different ones:
# up to this part of what a track's looks say for each other.
_IN_ONE_LIGHT = 0.25
_compiled = numba.njit(cache=True, nogil=True)


@_compiled
def take_in(sums: Float32, weights: Float32, vectors: Float32, worths: Float32, limit: int) -> tuple[Float32, Float32]:
    """Embeddings into looks, one after the other: into the nearest, if it is the same, or as a look of their own.

    Args:
        sums: (E, D) float32, weighted sums; weights: (E,) float32. Left as they are.
        vectors: (K, D) float32, L2-normalised; worths: (K,) float32, their weights.
        limit: looks to keep: of one more, the two most alike become one.

    Returns:
        The new sums and weights.
    """
    # Loops, not array expressions: as fast here, and compiled in a fraction of the time.
    count, dim = len(weights), vectors.shape[1]
    room = max(count, limit) + 1
    kept, held, products = np.zeros((room, dim), np.float32), np.zeros(room, np.float32), np.zeros((room, room))
    for look in range(count):
        _add(kept[look], sums[look], np.float32(1.0))
        held[look] = weights[look]
    for look in range(count):
        _multiply(kept, look, count, products)
    for row in range(len(vectors)):
        count = _take(kept, held, products, count, vectors[row], worths[row], limit)
    return kept[:count], held[:count]


@_compiled
def learn(
    sums: Float32,
    weights: Float32,
    counts: Int64,
    rows: Int64,
    offered: Int64,
    vectors: Float32,
    worths: Float32,
    lows: Int64,
    highs: Int64,
    limit: int,
) -> NDArray[np.bool_]:
    """The same for many tracks: of each those embeddings that are due.

    Args:
        sums: (N, E, D) float32, looks by row, E at least `limit`; weights: (N, E) float32; counts: (N,), how many looks
            there are. Changed in place.
        rows: (T,) of the tracks, each once.
        offered: (N,), how many embeddings have been seen before.
        vectors: (K, D) float32, L2-normalised; worths: (K,) float32, their weights.
        lows, highs: (T,): those of track t are from `lows[t]` to `highs[t]`.
        limit: looks to keep of each.

    Returns:
        (T,) whether looks have changed.
    """
    dim, room = vectors.shape[1], sums.shape[1] + 1
    kept, held, products = np.zeros((room, dim), np.float32), np.zeros(room, np.float32), np.zeros((room, room))
    changed = np.zeros(len(rows), np.bool_)
    for place in range(len(rows)):
        row = rows[place]
        count = counts[row]
        for at in range(lows[place], highs[place]):
            if not _due(offered[row] + at - lows[place]):
                continue
            if not changed[place]:
                changed[place] = True
                for look in range(room):
                    known = look < count
                    held[look] = weights[row, look] if known else np.float32(0.0)
                    for column in range(dim):
                        kept[look, column] = sums[row, look, column] if known else np.float32(0.0)
                for look in range(count):
                    _multiply(kept, look, count, products)
            count = _take(kept, held, products, count, vectors[at], worths[at], limit)
        if changed[place]:
            counts[row] = count
            for look in range(count):
                weights[row, look] = held[look]
                for column in range(dim):
                    sums[row, look, column] = kept[look, column]
    return changed


@_compiled
def add_up(
    sums: Float32,
    weights: Float32,
    counts: Int64,
    rows: Int64,
    total: Float32,
    weight: Float32,
    exact: Float64,
    counted: Float64,
) -> None:
    """The sums of the looks of some tracks, one after the other as they lie.

    Args:
        sums, weights, counts: see `learn`; each track has a look at least.
        rows: (T,) of the tracks.
        total, weight: (N, D) and (N,) float32, the sums. exact, counted: the same in float64.
    """
    for row in rows:
        weight[row], counted[row] = weights[row, 0], weights[row, 0]
        for column in range(sums.shape[2]):
            total[row, column] = exact[row, column] = sums[row, 0, column]
        for look in range(1, counts[row]):
            weight[row] += weights[row, look]
            counted[row] += weights[row, look]
            for column in range(sums.shape[2]):
                total[row, column] += sums[row, look, column]
                exact[row, column] += sums[row, look, column]


@_compiled
def divide(vectors: Float32, rows: Int64, by: Float32) -> None:
    """Divide some rows of (N, D) vectors, each by a number of its own ((T,) float32), in place."""
    for place, row in enumerate(rows):
        for column in range(vectors.shape[1]):
            vectors[row, column] /= by[place]


@_compiled
def _due(offered: int) -> bool:
    """Whether the embedding that is number `offered` (from 0) of a track is taken in: 0 to 4, 6, 8, 12, 16, 23, ...

    Ever fewer, two each time their number doubles: later pictures tell less that is new, and a look that does not
    change need not be written with every commit.
    """
    square, before = offered * offered, (offered - 1) * (offered - 1)
    return (square ^ before) > (square & before)  # their highest bits differ


@_compiled
def _take(
    kept: Float32, held: Float32, products: Float64, count: int, vector: Float32, worth: np.float32, limit: int
) -> int:
    """One embedding into looks of which the first `count` are in use and the others 0; how many are in use then.

    `products`: (R, R) float64, of all that are in use with each other; kept up with them.
    """
    _add(kept[count], vector, np.float32(1.0))
    _multiply(kept, count, count + 1, products)
    nearest, best = -1, np.float32(-2.0)
    for look in range(count):
        cosine = _cosine(products, look, count)
        if cosine > best:
            nearest, best = look, cosine
    for column in range(len(vector)):
        kept[count, column] = np.float32(0.0)
    if best < np.float32(SAME_LOOK):
        nearest = count
        count += 1
    _add(kept[nearest], vector, worth)
    held[nearest] += worth
    _multiply(kept, nearest, count, products)
    if count > limit:
        first, second = _most_alike(products, count)
        _add(kept[first], kept[second], np.float32(1.0))
        held[first] += held[second]
        count -= 1
        for look in range(second, count + 1):
            held[look] = held[look + 1] if look < count else np.float32(0.0)
            for column in range(kept.shape[1]):
                kept[look, column] = kept[look + 1, column] if look < count else np.float32(0.0)
        for look in range(second, count):
            for other in range(count + 1):
                products[look, other] = products[look + 1, other]
        for look in range(second, count):
            for other in range(count):
                products[other, look] = products[other, look + 1]
        _multiply(kept, first, count, products)
    return count


@_compiled
def _add(to: Float32, vector: Float32, times: np.float32) -> None:
    for column in range(len(to)):
        to[column] += vector[column] * times


@_compiled
def _multiply(vectors: Float32, one: int, count: int, products: Float64) -> None:
    """The products of a vector with the first `count`: four at a time, as each sum waits for what it adds up."""
    for low in range(0, count, 4):
        second, third, fourth = min(low + 1, count - 1), min(low + 2, count - 1), min(low + 3, count - 1)
        a, b, c, d = 0.0, 0.0, 0.0, 0.0
        for column in range(vectors.shape[1]):
            number = vectors[one, column]
            a += number * vectors[low, column]
            b += number * vectors[second, column]
            c += number * vectors[third, column]
            d += number * vectors[fourth, column]
        products[one, fourth] = products[fourth, one] = d
        products[one, third] = products[third, one] = c
        products[one, second] = products[second, one] = b
        products[one, low] = products[low, one] = a


@_compiled
def _cosine(products: Float64, one: int, other: int) -> np.float32:
    """The cosine of two of which these are the products, need they not be of unit length."""
    squares = products[one, one] * products[other, other]
    return np.float32(products[one, other] / max(math.sqrt(squares), 1e-12))


@_compiled
def _most_alike(products: Float64, count: int) -> tuple[int, int]:
    first, second, best = 0, 1, np.float32(-2.0)
    for one in range(count - 1):
        for other in range(one + 1, count):
            cosine = _cosine(products, one, other)
            if cosine > best:
                first, second, best = one, other, cosine
    return first, second


@_compiled
def are_others(
    sums: Float64,
    pictures: Float64,
    rows: Int64,
    vectors: Float32,
    worths: Float32,
    lows: Int64,
    highs: Int64,
    slope: float,
    offset: float,
    unlike: float,
) -> NDArray[np.bool_]:
    """Which of some tracks are rather another's by their new embeddings than theirs whose looks are known.

    The mean of these looks like somebody else in the same light, and far less like the looks than these do like each
    other: by how much they differ depends on the model, the light and the pose.

    Args:
        sums: (N, D) float64, by rows, see `mtmct.track_looks.TrackLooks`.
        pictures: (T,) float64, how much has been seen of each; 0 if too little is known. rows: (T,) of the tracks.
        vectors: (K, D) float32, L2-normalised; worths: (K,) float32, their weights.
        lows, highs: (T,): those of track t are from `lows[t]` to `highs[t]`.
        slope, offset: of the calibration. unlike: see `mtmct.settings`.
    """
    found = np.zeros(len(rows), np.bool_)
    for track, known in enumerate(rows):
        if pictures[track] <= 0:
            continue
        product, square, other_square = 0.0, 0.0, 0.0
        for column in range(sums.shape[1]):
            mine, new = sums[known, column], 0.0
            for row in range(lows[track], highs[track]):
                new += vectors[row, column] * worths[row]
            product += mine * new
            square += mine * mine
            other_square += new * new
        if other_square == 0 or square == 0:
            continue
        cosine, usual = product / math.sqrt(square * other_square), math.sqrt(square) / pictures[track]
        most = max(_IN_ONE_LIGHT * (slope * usual + offset), 0.0)
        found[track] = slope * cosine + offset < most and slope * (usual - cosine) > unlike
    return found
