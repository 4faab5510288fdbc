"""How well embeddings find the same object again: mean average precision and the cumulative match curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from operators.records import Float32, Int64


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Attributes: `mean_ap` in [0, 1]; `rank1`, `rank5`: share of queries found among the first 1 or 5; `queries`."""

    mean_ap: float
    rank1: float
    rank5: float
    queries: int


def evaluate(looks: Float32, identities: Int64, frames: Int64, gap: int) -> Retrieval:
    """Look for every crop among those that are far enough away in time.

    Args:
        looks: (N, D), L2-normalised.
        identities: (N,).
        frames: (N,), the number of each crop's frame.
        gap: fewest frames between a query and what it may find. A query whose object is in no such crop does not count.

    Returns:
        Zeros where there are no queries.
    """
    cosines = looks @ looks.T
    precisions, firsts = [], []
    for row in range(len(looks)):
        far = np.abs(frames - frames[row]) >= gap
        far[row] = False
        right = (identities[far] == identities[row])[np.argsort(-cosines[row, far], kind="stable")]
        hits = np.flatnonzero(right)
        if len(hits):
            precisions.append(float((np.arange(1, len(hits) + 1) / (hits + 1)).mean()))
            firsts.append(int(hits[0]))
    if not precisions:
        return Retrieval(0.0, 0.0, 0.0, 0)
    first = np.array(firsts)
    return Retrieval(float(np.mean(precisions)), float((first < 1).mean()), float((first < 5).mean()), len(first))
