"""PP-Tracking's way to identities across cameras: all tracklets of all cameras clustered at the end of the day.

It needs the recordings to be over, and looks at appearance alone. Here it is the baseline that online fusion is
compared with, on the same tracklets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from fusion_support import CameraTable, as_boxes
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from mtmct.mot_text import Boxes

DROPPED = 0


@dataclass(frozen=True)
class Offline:
    """How tracklets are clustered.

    Attributes:
        first, second: cosine distances at which the two rounds of clustering stop.
        rerank: use k-reciprocal distances.
        smallest: area in pixels that a box needs to have a say in a tracklet's mean feature.
        keep_alone: do not drop who is in no cluster, but give him an identity of his own.
    """

    first: float = 0.5
    second: float = 0.9
    rerank: bool = False
    smallest: float = 2000.0
    keep_alone: bool = False


def identify(cameras: Mapping[str, CameraTable], how: Offline) -> dict[str, Boxes]:
    """Boxes with the identities of the whole recording, by camera; boxes of dropped tracklets are left out."""
    names, features = [], []
    for camera, table in cameras.items():
        for track in np.unique(table.tracks).tolist():
            rows = np.flatnonzero(table.tracks == track)
            feature = _mean_feature(table, rows, how.smallest)
            if feature is not None:
                names.append((camera, track))
                features.append(feature)
    labels = cluster(np.stack(features), np.array([camera for camera, _ in names]), how)
    identity = dict(zip(names, labels.tolist(), strict=True))
    result = {}
    alone = len(names)
    for camera, table in cameras.items():
        ids = np.zeros(len(table.tracks), np.int64)
        for track in np.unique(table.tracks).tolist():
            number = identity.get((camera, track), DROPPED)
            if number == DROPPED and how.keep_alone:
                alone += 1
                number = alone
            ids[table.tracks == track] = number
        kept = ids != DROPPED
        result[camera] = as_boxes(table.frames[kept], ids[kept], table.boxes[kept])
    return result


def _mean_feature(table: CameraTable, rows: np.ndarray, smallest: float) -> np.ndarray | None:
    if len(rows) < 2 or table.embeddings is None:
        return None
    sides = table.boxes[rows, 2:] - table.boxes[rows, :2]
    large = rows[sides.prod(axis=1) > smallest]
    # Where all boxes are small, small ones have to do.
    mean = table.embeddings[large if len(large) else rows].astype(np.float64).mean(axis=0)
    norm = np.linalg.norm(mean)
    return mean / norm if norm > 0 else None


def cluster(features: np.ndarray, cameras: np.ndarray, how: Offline) -> np.ndarray:
    """Identities from 1 of tracklets with (T, D) unit features seen in (T,) cameras; 0: dropped."""
    labels = _complete_link(_distances(features, cameras, how.rerank), how.first)
    means = np.stack([features[labels == label].mean(axis=0) for label in labels])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    labels = _complete_link(_distances(means, cameras, how.rerank), how.second)
    identities = np.zeros(len(labels), np.int64)
    number = 0
    for label in np.unique(labels):
        members = labels == label
        seen = Counter(cameras[members].tolist())
        if members.sum() > 1 and max(seen.values()) == 1:
            number += 1
            identities[members] = number
    return identities


def _distances(features: np.ndarray, cameras: np.ndarray, rerank: bool) -> np.ndarray:
    similar = features @ features.T
    distances = k_reciprocal(1 - similar) if rerank else 1 - similar
    # Two tracklets of one camera have nothing in common.
    return np.where(cameras[:, None] == cameras[None], 1.0, np.maximum(distances, 0.0))


def _complete_link(distances: np.ndarray, threshold: float) -> np.ndarray:
    square = (distances + distances.T) / 2
    np.fill_diagonal(square, 0.0)
    return np.asarray(fcluster(linkage(squareform(square, checks=False), "complete"), threshold, "distance"))


def k_reciprocal(distances: np.ndarray, k1: int = 20, k2: int = 3, share: float = 0.3) -> np.ndarray:
    """Distances by shared neighbours (Zhong et al., "Re-ranking person re-identification with k-reciprocal
    encoding", 2017): `share` of the original distance, the rest Jaccard distance of the neighbourhoods."""
    count = len(distances)
    original = distances / np.maximum(distances.max(axis=0, keepdims=True), 1e-12)
    ranks = np.argsort(original, axis=1, kind="stable")
    encoded = np.zeros((count, count))
    for row in range(count):
        near = _mutual(ranks, row, k1)
        grown = near
        for candidate in near.tolist():
            theirs = _mutual(ranks, candidate, k1 // 2)
            if len(np.intersect1d(theirs, near)) > 2 / 3 * len(theirs):
                grown = np.union1d(grown, theirs)
        weights = np.exp(-original[row, grown])
        encoded[row, grown] = weights / weights.sum()
    encoded = np.stack([encoded[ranks[row, :k2]].mean(axis=0) for row in range(count)])
    jaccard = np.zeros((count, count))
    for row in range(count):
        shared = np.minimum(encoded[row], encoded).sum(axis=1)
        jaccard[row] = 1 - shared / (2 - shared)
    return np.asarray(share * original + (1 - share) * jaccard)


def _mutual(ranks: np.ndarray, row: int, k: int) -> np.ndarray:
    forward = ranks[row, : k + 1]
    return np.asarray(forward[(ranks[forward, : k + 1] == row).any(axis=1)])
