"""What somebody looks like: a few weighted mean embeddings instead of one blurred running mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from mtmct.leaders import take_in
from mtmct.settings import AppearanceCalibration
from mtmct.topology import Float64
from operators.records import Float32

MOST_GAIN = 8.0  # what is seen again and again says at most this much more than what is seen once
MOST_SAID = 12.0  # by one pair of occasions, nats
REPEATED = 0.9  # cosine from which one occasion repeats another
HALF_TOLD = 1.0  # pictures after which half is known of what an occasion can tell


def _nothing() -> Float32:
    return np.zeros((0, 0), np.float32)


def _no_weights() -> Float32:
    return np.zeros(0, np.float32)


@dataclass(frozen=True)
class Exemplars:
    """Looks of one object: quality-weighted sums of similar embeddings (leader clustering).

    Attributes:
        sums: (E, D) float32, weighted sums of L2-normalised embeddings.
        weights: (E,) float32, the sums of their qualities.
    """

    sums: Float32 = field(default_factory=_nothing)
    weights: Float32 = field(default_factory=_no_weights)

    def __len__(self) -> int:
        return len(self.weights)

    @cached_property
    def vectors(self) -> Float32:
        """(E, D) float32, L2-normalised."""
        norms = np.sqrt(np.add.reduce(self.sums * self.sums, axis=1, keepdims=True))
        unit: Float32 = self.sums / np.maximum(norms, np.float32(1e-12))
        return unit

    @property
    def middle(self) -> Float32:
        """(D,) float32, the mean of all that was taken in, L2-normalised."""
        return self.occasion[0]

    @cached_property
    def occasion(self) -> tuple[Float32, np.float32]:
        """The middle, and the sum of the weights."""
        total = self.sums.sum(axis=0)
        mean: Float32 = total / max(np.sqrt(total.dot(total)), np.float32(1e-12))
        return mean, self.weights.sum()

    @property
    def heaviest(self) -> Float32:
        """(D,) float32, the look seen most and best."""
        best: Float32 = self.vectors[self.weights.argmax() if len(self.weights) > 1 else 0]
        return best

    def with_more(self, vectors: Float32, weights: Float32, limit: int) -> Exemplars:
        """These and more, at most `limit` looks: the two most alike become one.

        Args:
            vectors: (K, D) float32, L2-normalised.
            weights: (K,) float32, above 0.
            limit: looks to keep.
        """
        if not len(weights):
            return self
        known = (self.sums, self.weights) if len(self) else (vectors[:0], weights[:0])
        return Exemplars(*take_in(*known, vectors, weights, limit))


@dataclass(frozen=True)
class Impression:
    """What somebody looks like over several occasions (tracks): the mean of the mean look of each.

    A mean over occasions, not the best of them: the more looks are kept of somebody, the more like him the most like
    of them is to anybody. The noise of the occasions averages out of it, so that it says more than one occasion does.

    Attributes:
        total: (D,) float32, weighted sum of the L2-normalised mean looks of the occasions; (0,) where there are none.
        weight: sum of the weights. Pictures of one occasion share what makes it differ from others, so the weight
            of an occasion grows with its pictures, but only up to 1.
    """

    total: Float32 = field(default_factory=_no_weights)
    weight: float = 0.0

    def __bool__(self) -> bool:
        return self.weight > 0

    @cached_property
    def centre(self) -> tuple[Float64, float]:
        """(D,) float64, the mean over the occasions, and its length squared."""
        mean = (self.total / np.float32(self.weight)).astype(np.float64)
        return mean, float((mean**2).sum())

    def __add__(self, other: Impression) -> Impression:
        if not self or not other:
            return self or other
        return Impression(self.total + other.total, self.weight + other.weight)

    def with_looks(self, looks: Sequence[Exemplars]) -> Impression:
        """With one occasion more for each of the looks that are not empty."""
        seen = [each for each in looks if len(each)]
        if not seen:
            return self
        if len(seen) == 1:
            middle, told_once = seen[0].occasion
            weight = told_once / (told_once + np.float32(HALF_TOLD))
            return self + Impression(weight * middle, float(weight))
        middles, told = zip(*(each.occasion for each in seen), strict=True)
        pictures = np.array(told, np.float32)
        weights = pictures / (pictures + np.float32(HALF_TOLD))
        return self + Impression(weights @ np.array(middles), float(weights.sum()))


def alike(one: Impression, others: Sequence[Impression]) -> tuple[Float64, Float64]:
    """How alike one object and many are.

    For the mean over all pairs of occasions the noise of the pairs shrinks as much as the mean looks of the occasions
    of each object shrink when they are averaged: occasions that repeat each other (the same light, the same pose)
    add nothing, those that differ add much.

    Args:
        one: of the one; not empty.
        others: of the many; an empty one is not comparable.

    Returns:
        (N,) float64 mean cosines, NaN for those not comparable, and (N,) float64 how much more than the cosine of
        one pair they say, 1 or more.
    """
    cosines, gains = np.full(len(others), np.nan), np.ones(len(others))
    rows = [row for row, other in enumerate(others) if other]
    if not one or not rows:
        return cosines, gains
    mine = one.total.astype(np.float64) / one.weight
    centres, lengths = zip(*(others[row].centre for row in rows), strict=True)
    cosines[rows] = np.array(centres) @ mine
    gains[rows] = 1 / np.clip(np.array(lengths) * (mine @ mine), 1 / MOST_GAIN, 1.0)
    return cosines, gains


def occasions(looks: Sequence[Exemplars], past: Exemplars | None = None) -> Float32:
    """(K, D) float32: the mean look of each occasion, L2-normalised, and the looks kept of those that are past."""
    seen = [each.middle[None] for each in looks if len(each)]
    if past:
        seen.append(past.vectors)
    return np.concatenate(seen) if seen else _nothing()


def repeated(one: Float32, others: Sequence[Float32], calibration: AppearanceCalibration) -> Float64:
    """What single occasions say for one object being each of many.

    The log of the mean likelihood ratio over all pairs of occasions. However many there are, and whatever they have to
    do with each other, that is a valid ratio against somebody else: the mean of ratios whose expectation is 1 (Vovk and
    Wang, "E-values: calibration, combination and applications", 2021).

    Args:
        one: (K, D) float32, of the one.
        others: (L, D) float32 each, of the many; an empty one is not comparable.
        calibration: of the cosines.

    Returns:
        (N,) float64 nats, NaN for those not comparable.
    """
    said = np.full(len(others), np.nan)
    rows = [row for row, other in enumerate(others) if len(other)]
    if not len(one) or not rows:
        return said
    counts = np.array([len(others[row]) for row in rows])
    cosines = (np.concatenate([others[row] for row in rows]) @ one.T).astype(np.float64)
    ratios = np.exp(np.minimum(calibration.slope * cosines + calibration.offset, MOST_SAID))
    ratios = np.where(cosines >= REPEATED, ratios, 0.0).mean(axis=1)
    with np.errstate(divide="ignore"):
        said[rows] = np.log(np.add.reduceat(ratios, np.cumsum(counts) - counts) / counts)
    return said
