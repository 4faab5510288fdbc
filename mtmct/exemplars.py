"""What somebody looks like: a few weighted mean embeddings instead of one blurred running mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mtmct.topology import Float64
from operators.records import Float32, Int64

_MOST_GAIN = 4.0  # what is seen again and again says at most this much more than what is seen once
_SAME_LOOK = 0.92  # cosine from which an embedding repeats a look already kept (the same pose in the same light)


def _nothing() -> Float32:
    return np.zeros((0, 0), np.float32)


def _no_weights() -> Float32:
    return np.zeros(0, np.float32)


@dataclass(slots=True)
class Exemplars:
    """Looks of one object: quality-weighted sums of similar embeddings (leader clustering).

    Attributes:
        sums: (E, D) float32, weighted sums of L2-normalised embeddings.
        weights: (E,) float32, the sums of their qualities.
    """

    sums: Float32 = field(default_factory=_nothing)
    weights: Float32 = field(default_factory=_no_weights)
    _unit: Float32 | None = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def vectors(self) -> Float32:
        """(E, D) float32, L2-normalised."""
        if self._unit is None:
            norms = np.linalg.norm(self.sums, axis=1, keepdims=True)
            self._unit = self.sums / np.maximum(norms, np.float32(1e-12))
        return self._unit

    @property
    def middle(self) -> Float32:
        """(D,) float32, the mean of all that was taken in, L2-normalised."""
        total = self.sums.sum(axis=0)
        mean: Float32 = total / max(np.linalg.norm(total), np.float32(1e-12))
        return mean

    @property
    def heaviest(self) -> Float32:
        """(D,) float32, the look seen most and best."""
        best: Float32 = self.vectors[int(np.argmax(self.weights))]
        return best

    def absorb(self, vectors: Float32, weights: Float32, limit: int) -> None:
        """Take in more, keeping at most `limit` looks: the two most alike become one.

        Args:
            vectors: (K, D) float32, L2-normalised.
            weights: (K,) float32, above 0.
            limit: looks to keep.
        """
        for vector, weight in zip(vectors, weights, strict=True):
            addition = vector * weight
            if len(self):
                cosines = self.vectors @ vector
                nearest = int(np.argmax(cosines))
                if cosines[nearest] >= _SAME_LOOK:
                    self.sums[nearest] += addition
                    self.weights[nearest] += weight
                    self._unit = None
                    continue
                self.sums = np.concatenate([self.sums, addition[None]])
                self.weights = np.append(self.weights, weight)
            else:
                self.sums, self.weights = addition[None].copy(), np.array([weight], np.float32)
            self._unit = None
            if len(self) > limit:
                self._join_the_most_alike()

    def _join_the_most_alike(self) -> None:
        unit = self.vectors
        cosines = unit @ unit.T
        cosines[np.tril_indices(len(unit))] = -2.0
        first, second = np.unravel_index(int(np.argmax(cosines)), cosines.shape)
        self.sums[first] += self.sums[second]
        self.weights[first] += self.weights[second]
        keep = np.arange(len(unit)) != second
        self.sums, self.weights, self._unit = self.sums[keep], self.weights[keep], None


def due(offered: int) -> bool:
    """Whether the embedding that is number `offered` (from 0) of a track is taken in: 0 to 4, 6, 8, 12, 16, 23, ...

    Ever fewer, two each time their number doubles: later pictures tell less that is new, and a look that does not
    change need not be written with every commit.
    """
    return offered == 0 or (offered**2).bit_length() != ((offered - 1) ** 2).bit_length()


def alike(subject: Sequence[Exemplars], others: Sequence[Sequence[Exemplars]]) -> tuple[Float64, Float64]:
    """How alike one object and many are, each seen on several occasions (tracks).

    The mean over all pairs of occasions, not the best of them: the more looks are kept of somebody, the more like
    him the most like of them is to anybody. The noise of the occasions averages out, so that the mean says more
    than a cosine of one pair does: by how much follows from how alike the occasions of one object are.

    Args:
        subject: looks of the one, by occasion; none of them empty.
        others: looks of the many, by occasion; none of them empty; one without occasions is not comparable.

    Returns:
        (N,) float64 mean cosines, NaN for those not comparable, and (N,) float64 how much more than the cosine of
        one pair they say, 1 or more.
    """
    cosines, gains = np.full(len(others), np.nan), np.ones(len(others))
    owners = [row for row, looks in enumerate(others) if looks]
    if not subject or not owners:
        return cosines, gains
    occasions = [looks for row in owners for looks in others[row]]
    starts = np.cumsum([0, *(len(looks) for looks in occasions)])[:-1]
    queries = np.concatenate([looks.vectors for looks in subject])
    weights = np.concatenate([looks.weights / looks.weights.sum() for looks in subject]).astype(np.float64)
    found = (queries @ np.concatenate([looks.vectors for looks in occasions]).T).astype(np.float64)
    best = np.maximum.reduceat(found, starts, axis=1)
    of_occasion = (weights[:, None] * best).sum(axis=0) / len(subject)
    counts = np.array([len(others[row]) for row in owners])
    heads = np.cumsum([0, *counts])[:-1]
    cosines[owners] = np.add.reduceat(of_occasion, heads) / counts
    middles = np.stack([looks.middle for looks in occasions]).astype(np.float64)
    centres = np.add.reduceat(middles, heads, axis=0) / counts[:, None]
    mine = np.mean([looks.middle for looks in subject], axis=0)
    coherence = (centres**2).sum(axis=1) * float((mine.astype(np.float64) ** 2).sum())
    gains[owners] = 1 / np.clip(coherence, 1 / _MOST_GAIN, 1.0)
    return cosines, gains


def likeness(
    queries: Float32,
    query_weights: Float32,
    looks: Float32,
    owners: Float64,
    count: int,
    occasions: Int64 | None = None,
    slope: float = 1.0,
) -> Float64:
    """Cosine between one object and many, each with several looks.

    For each look of the query the best look of the other object counts (they need not share every pose). The looks
    of one occasion (a track) share its light and what stands in the way, and differ by noise: their cosines are
    averaged, by weight. Of several occasions the likelihood ratios are: whoever was half hidden or in a shadow once
    did not look like himself then, which says less against him than an occasion that agrees says for him. Whatever
    the occasions have to do with each other, such a mean is a valid ratio still: where the two are different its
    expectation is 1 (Vovk and Wang, "E-values: calibration, combination and applications", 2021).

    Args:
        queries: (Q, D) float32, L2-normalised looks of the one.
        query_weights: (Q,) float32.
        looks: (L, D) float32, L2-normalised looks of the many, grouped by owner, owners ascending.
        owners: (L,) integers in [0, count).
        count: how many others there are.
        occasions: (Q,) int64, ascending: of which track each look of the one is; None: of one.
        slope: nats a unit of cosine, of the model's calibration.

    Returns:
        (count,) float64, cosines that say as much as all the looks together; NaN for those without looks.
    """
    result = np.full(count, np.nan)
    if len(queries) == 0 or len(looks) == 0:
        return result
    cosines = (queries @ looks.T).astype(np.float64)
    present, starts = np.unique(owners, return_index=True)
    best = np.maximum.reduceat(cosines, starts, axis=1)
    weights = query_weights.astype(np.float64)
    heads = np.zeros(1, np.int64) if occasions is None else np.flatnonzero(np.diff(occasions, prepend=-1))
    of_occasion = np.add.reduceat(weights, heads)
    means = np.add.reduceat(weights[:, None] * best, heads, axis=0) / of_occasion[:, None]
    top = means.max(axis=0)
    share = of_occasion / of_occasion.sum()
    together = top + np.log((share[:, None] * np.exp(slope * (means - top))).sum(axis=0)) / slope
    result[present.astype(np.int64)] = together
    return result
