"""What somebody looks like: a few weighted mean embeddings instead of one blurred running mean."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mtmct.topology import Float64
from operators.records import Float32, Int64

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
