"""The gallery: who looks like this? A FAISS index in time shards that are dropped whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import faiss
import numpy as np

from operators.records import Float32, Int64

_NOBODY = -1


@dataclass(slots=True)
class _Shard:
    index: Any
    owners: list[int] = field(default_factory=list)


class Gallery:
    """Embeddings of identities, searchable by inner product, forgotten by event time.

    Removing single vectors from a flat index is a pass over all of it; so vectors are filed by the time at which
    they were added, and a whole shard goes once all of it is too old. Vectors of an identity that has ended by
    other means (merged, erased) stay until then and are to be ignored by the caller.

    FAISS gives a shortlist only. Its sums depend on the shape of the batch in the last bit, so callers score the
    shortlist again from the exemplars, in a fixed order.

    Args:
        shard_ns: event time that one shard covers.
        keep_ns: how long a vector is found at the least.
    """

    def __init__(self, shard_ns: int, keep_ns: int) -> None:
        faiss.omp_set_num_threads(1)
        self._shard_ns = shard_ns
        self._keep_ns = keep_ns
        self._shards: dict[int, _Shard] = {}

    def __len__(self) -> int:
        return sum(len(shard.owners) for shard in self._shards.values())

    @property
    def shards(self) -> tuple[int, ...]:
        """The shards held, oldest first."""
        return tuple(sorted(self._shards))

    def shard_of(self, time_ns: int) -> int:
        """The shard to which an event time belongs."""
        return time_ns // self._shard_ns

    def add(self, shard: int, owners: Int64, vectors: Float32) -> None:
        """File vectors ((N, D) float32, L2-normalised) of identities ((N,) int64) in a shard."""
        if len(owners) == 0:
            return
        if shard not in self._shards:
            self._shards[shard] = _Shard(faiss.IndexFlatIP(vectors.shape[1]))
        held = self._shards[shard]
        held.index.add(np.ascontiguousarray(vectors, np.float32))
        held.owners.extend(int(owner) for owner in owners)

    def expire(self, now_ns: int) -> list[int]:
        """Drop the shards whose last vector is older than is kept; which ones."""
        gone = [shard for shard in self.shards if (shard + 1) * self._shard_ns <= now_ns - self._keep_ns]
        for shard in gone:
            del self._shards[shard]
        return gone

    def search(self, queries: Float32, count: int) -> tuple[Int64, Float32]:
        """The owners of the vectors most like each query.

        Args:
            queries: (Q, D) float32, L2-normalised.
            count: vectors to return a query; an owner may appear more than once.

        Returns:
            owners (Q, count) int64, -1 where there are fewer, and cosines (Q, count) float32; best first.
        """
        owners = np.full((len(queries), 0), _NOBODY, np.int64)
        cosines = np.zeros((len(queries), 0), np.float32)
        for key in self.shards:
            shard = self._shards[key]
            near, rows = shard.index.search(np.ascontiguousarray(queries, np.float32), min(count, len(shard.owners)))
            owners = np.concatenate([owners, np.asarray(shard.owners, np.int64)[rows]], axis=1)
            cosines = np.concatenate([cosines, near], axis=1)
        best = np.argsort(-cosines, axis=1, kind="stable")[:, :count]
        owners, cosines = np.take_along_axis(owners, best, 1), np.take_along_axis(cosines, best, 1)
        missing = count - owners.shape[1]
        if missing > 0:
            owners = np.pad(owners, ((0, 0), (0, missing)), constant_values=_NOBODY)
            cosines = np.pad(cosines, ((0, 0), (0, missing)), constant_values=-1.0)
        return owners, cosines
