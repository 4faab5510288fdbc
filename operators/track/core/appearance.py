# mypy: disable-error-code="no-untyped-def, no-untyped-call, no-any-return, unused-ignore"
# The bodies for compiled code carry no types: numba infers them.
"""Embeddings in association: cosine costs, running means, galleries; and the filter's gate that goes with them.

`looks` is (N, dim) float32, the frame's embeddings by the caller's row; (0, dim) where there are none. A row of zeros
stands for an embedding that is not usable: it is as far from everything as can be, and is not remembered.
"""

from __future__ import annotations

import numpy as np

from operators.track.core.compilation import both_ways, loops_for
from operators.track.core.layout import DGROUP, DPOS, DROW, FLAG, GROUP, POS, PP
from operators.track.core.motion import MEASUREMENT
from operators.track.core.types import Floats, Ints

GATE = 9.4877  # 95 % of a chi-square distribution of four degrees of freedom


@both_ways
def all_pairs(ints: Ints, rows: Ints, labels: Ints, columns: Ints) -> tuple[Ints, Ints]:
    """Positions in `rows` and in `columns` of every pair within a group, by row."""
    a, b = np.empty(len(rows) * len(columns), np.int64), np.empty(len(rows) * len(columns), np.int64)
    count = 0
    for i in range(len(rows)):
        for j in range(len(columns)):
            if ints[GROUP, rows[i]] == labels[DGROUP, columns[j]]:
                a[count], b[count] = i, j
                count += 1
    return a[:count], b[:count]


def cosine_costs(embeds: Floats, tracks: Ints, looks: Floats, found: Ints) -> Floats:
    """(P,) 1 - cosine of each pair of a track's embedding and a row of `looks`, not below 0."""
    return np.maximum(1.0 - np.einsum("ij,ij->i", embeds[tracks], looks[found]).astype(np.float64), 0.0)


@loops_for(cosine_costs)
def _cosine_costs(embeds, tracks, looks, found):
    costs = np.empty(len(tracks))
    for k in range(len(tracks)):
        t, r = tracks[k], found[k]
        total = np.float32(0.0)
        for i in range(looks.shape[1]):
            total += embeds[t, i] * looks[r, i]
        costs[k] = max(1.0 - np.float64(total), 0.0)
    return costs


def nearest_costs(embeds: Floats, ints: Ints, tracks: Ints, looks: Floats, found: Ints, budget: int) -> Floats:
    """(P,) smallest 1 - cosine between each track's gallery (see `keep_looks`) and a row of `looks`."""
    dim = looks.shape[1]
    costs = np.ones(len(tracks))
    for k in range(len(tracks)):
        filled = min(ints[FLAG, tracks[k]], budget)
        if filled:
            gallery = embeds[tracks[k], : filled * dim].reshape(filled, dim)
            costs[k] = 1.0 - float((gallery @ looks[found[k]]).max())
    return costs


@loops_for(nearest_costs)
def _nearest_costs(embeds, ints, tracks, looks, found, budget):
    dim = looks.shape[1]
    costs = np.ones(len(tracks))
    for k in range(len(tracks)):
        t, r = tracks[k], found[k]
        best = np.float32(-1.0)
        filled = min(ints[FLAG, t], budget)
        for g in range(filled):
            total = np.float32(0.0)
            for i in range(dim):
                total += embeds[t, g * dim + i] * looks[r, i]
            best = max(best, total)
        if filled > 0:
            costs[k] = 1.0 - np.float64(best)
    return costs


@both_ways
def blend_looks(embeds: Floats, rows: Ints, looks: Floats, labels: Ints, columns: Ints, keep: float) -> None:
    """Moves the tracks' embeddings towards those of the matched detections: `keep` of the old, normalised again."""
    for k in range(len(rows)):
        if len(looks) == 0:
            break
        t, r = rows[k], labels[DROW, columns[k]]
        if not np.any(looks[r] != 0):
            continue
        share = np.float32(keep) if np.any(embeds[t] != 0) else np.float32(0.0)
        embeds[t] = share * embeds[t] + (np.float32(1.0) - share) * looks[r]
        total = np.float32(0.0)
        for i in range(embeds.shape[1]):
            total += embeds[t, i] * embeds[t, i]
        embeds[t] = embeds[t] / max(np.float32(np.sqrt(total)), np.float32(1e-12))


@both_ways
def keep_looks(embeds: Floats, ints: Ints, rows: Ints, looks: Floats, labels: Ints, columns: Ints, budget: int) -> None:
    """Appends embeddings to the tracks' galleries of the last `budget` ones; ints[FLAG] counts what was appended."""
    dim = looks.shape[1]
    for k in range(len(rows)):
        if len(looks) == 0:
            break
        t, r = rows[k], labels[DROW, columns[k]]
        if np.any(looks[r] != 0):
            slot = (ints[FLAG, t] % budget) * dim
            embeds[t, slot : slot + dim] = looks[r]
            ints[FLAG, t] += 1


@both_ways
def gate_distances(
    floats: Floats, rows: Ints, dets: Floats, columns: Ints, a: Ints, b: Ints, noise: Floats, scales: Ints
) -> Floats:
    """(P,) squared Mahalanobis distance of each pair's measurement from the track's predicted one."""
    distances = np.empty(len(a))
    for k in range(len(a)):
        t, d = rows[a[k]], columns[b[k]]
        total = 0.0
        for i in range(4):
            r = noise[MEASUREMENT, 0, i] + noise[MEASUREMENT, 1, i] * floats[POS + scales[i], t]
            surprise = dets[DPOS + i, d] - floats[POS + i, t]
            total += surprise * surprise / (floats[PP + i, t] + r * r)
        distances[k] = total
    return distances
