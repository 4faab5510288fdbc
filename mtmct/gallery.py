"""The gallery: who looks like this? A FAISS index in time shards that are dropped whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import faiss
import numpy as np

from operators.records import Float32, Int64

LARGE = 4096  # looks from which a gallery is large
_NOBODY = -1
_NO_LOOK = 1e-6  # a sum of looks shorter than this says nothing: opposite ones
_PRODUCT_FROM = 20 * 128
_IVF_FROM = 10_000  # vectors of a shard from which cells pay for their training
_PROBED = 16  # one in so many cells is looked into: tests/benchmarks/gallery_search.py
_TRAINED_ON = 32  # vectors a cell; more make training slower and the cells no better


@dataclass(slots=True)
class _Rows:
    """Vectors that are searched, and whose they are."""

    index: Any
    cells: bool = False
    numbers: Int64 = field(default_factory=lambda: np.zeros(256, np.int64))
    count: int = 0

    @property
    def owners(self) -> Int64:
        return self.numbers[: self.count]

    def add(self, owners: Int64, vectors: Float32) -> None:
        self.index.add(np.ascontiguousarray(vectors, np.float32))
        while self.count + len(owners) > len(self.numbers):
            self.numbers = np.concatenate([self.numbers, np.zeros_like(self.numbers)])
        self.numbers[self.count : self.count + len(owners)] = owners
        self.count += len(owners)

    def put(self, places: Int64, vectors: Float32) -> None:
        """Others in some places."""
        self._vectors()[places] = vectors

    def divide(self) -> None:
        """Put them into cells, unless they are."""
        if self.cells:
            return
        vectors = self.index.reconstruct_n(0, self.count)
        cells = max(round(len(vectors) ** 0.5), 1)
        index = faiss.IndexIVFFlat(
            faiss.IndexFlatIP(vectors.shape[1]), vectors.shape[1], cells, faiss.METRIC_INNER_PRODUCT
        )
        index.cp.seed = 1234
        # The first is below what FAISS asks for, or it would warn; the second bounds the time.
        index.cp.min_points_per_centroid, index.cp.max_points_per_centroid = 1, _TRAINED_ON
        index.nprobe = -(-cells // _PROBED)
        index.train(vectors)
        index.add(vectors)
        self.index, self.cells = index, True

    def search(self, queries: Float32, count: int, without: Int64 | None = None) -> tuple[Float32, Int64]:
        """Cosines and owners of the vectors most like each query, (Q, up to `count`); nobody where one is missing."""
        chosen = None
        if without is not None:
            parameters: Any = faiss.SearchParametersIVF
            kept = np.flatnonzero(~np.isin(self.owners, without))
            chosen = parameters(nprobe=self.index.nprobe, sel=faiss.IDSelectorBatch(kept))
        near, rows = self.index.search(queries, min(count, self.count), params=chosen)
        # Cells may hold fewer vectors than are asked for; FAISS marks those that are missing by row -1.
        near[rows < 0] = -1.0
        return near, np.where(rows < 0, _NOBODY, self.owners[rows])

    def but_for(self, without: Int64) -> tuple[Float32, Int64]:
        """The vectors of all others, and their owners."""
        kept = np.flatnonzero(~np.isin(self.owners, without))
        return self._vectors()[kept], self.owners[kept]

    def _vectors(self) -> Float32:
        """(N, D), where they lie in an index without cells."""
        vectors: Float32 = faiss.rev_swig_ptr(self.index.get_xb(), self.count * self.index.d)
        return vectors.reshape(self.count, -1)


class _Shard:
    """What was filed within one stretch of time: every look, and of everybody the sum of theirs."""

    def __init__(self, dim: int) -> None:
        self.looks = _Rows(faiss.IndexFlatIP(dim))
        self._place: dict[int, int] = {}  # of whose looks the sum is, in order of filing
        self._sums = np.zeros((256, dim), np.float32)
        self._people: _Rows | None = None

    def add(self, owners: Int64, vectors: Float32) -> None:
        self.looks.add(owners, vectors)
        places = [self._place.setdefault(number, len(self._place)) for number in owners.tolist()]
        while len(self._place) > len(self._sums):
            self._sums = np.concatenate([self._sums, np.zeros_like(self._sums)])
        np.add.at(self._sums, places, vectors)
        self._people = None

    @property
    def sums(self) -> tuple[Int64, Float32]:
        """Everybody, once, and the sum of their looks."""
        return np.fromiter(self._place, np.int64, len(self._place)), self._sums[: len(self._place)]

    def people(self) -> _Rows:
        """Everybody's mean look."""
        if self._people is None:
            self._people = _Everybody([self]).renewed()
        return self._people


class _Everybody:
    """The mean look of everybody in some shards: of those whom the last one holds worked out anew as that one fills."""

    def __init__(self, shards: Sequence[_Shard]) -> None:
        self.shards = tuple(shards)
        self._place: dict[int, int] = {}
        self._total: Float32 | None = None
        self._rows: _Rows | None = None
        told = [shard.sums for shard in shards[:-1]]
        if not told:
            return
        numbers, places = np.unique(np.concatenate([owners for owners, _ in told]), return_inverse=True)
        self._total, low = np.zeros((len(numbers), told[0][1].shape[1]), np.float32), 0
        for owners, sums in told:
            self._total[places[low : low + len(owners)]] += sums
            low += len(owners)
        self._place = dict(zip(numbers.tolist(), range(len(numbers)), strict=True))
        self._rows = _Rows(faiss.IndexFlatIP(self._total.shape[1]))
        self._rows.add(numbers, _unit(self._total))

    def renewed(self) -> _Rows:
        """With all that the last shard holds by now."""
        numbers, sums = self.shards[-1].sums
        known, place = len(self._place), self._place
        places = np.array([place.setdefault(number, len(place)) for number in numbers.tolist()], np.int64)
        total = sums.copy()
        if self._total is not None:
            before = places < len(self._total)
            total[before] += self._total[places[before]]
        looks, fresh = _unit(total), places >= known
        if self._rows is None:
            self._rows = _Rows(faiss.IndexFlatIP(sums.shape[1]))
        self._rows.add(numbers[fresh], looks[fresh])
        self._rows.put(places, looks)
        return self._rows


def _unit(sums: Float32) -> Float32:
    looks: Float32 = sums / np.maximum(np.linalg.norm(sums, axis=1), _NO_LOOK)[:, None]
    return looks


class Gallery:
    """Embeddings of identities, searchable by inner product, forgotten by event time.

    Removing single vectors from a flat index is a pass over all of it; so vectors are filed by the time at which
    they were added, and a whole shard goes once all of it is too old. Vectors of an identity that has ended by
    other means (merged, erased) stay until then and are to be ignored by the caller.

    In a large gallery, of `LARGE` looks and more, a query is compared with the mean of everybody's looks rather than
    with every look: dozens of times fewer.

    FAISS gives a shortlist only. Its sums depend on the shape of the batch in the last bit, so callers score the
    shortlist again from the exemplars, in a fixed order.

    Args:
        shard_ns: event time that one shard covers.
        keep_ns: how long a vector is found at the least.
        kind: `flat` compares with every vector. `ivf` divides the vectors of a shard that is complete, where they are
            many, into cells (an inverted file) and looks into a sixteenth of them: faster, and some of the alike are
            missed. The cells come from a seeded training on the shard's own vectors in the order of filing, so a
            restored gallery has the same.
        ivf_from: vectors from which those of a shard are many.
    """

    def __init__(self, shard_ns: int, keep_ns: int, kind: str = "flat", ivf_from: int = _IVF_FROM) -> None:
        faiss.omp_set_num_threads(1)
        # Up to so many queries times their length FAISS goes through the vectors one by one; by itself far beyond the
        # point from which a product of matrices takes half of the time.
        faiss.cvar.distance_compute_blas_threshold = _PRODUCT_FROM
        self._ivf_from = ivf_from if kind == "ivf" else None
        self._shard_ns = shard_ns
        self._keep_ns = keep_ns
        self._shards: dict[int, _Shard] = {}
        # Who was left out last; vectors and owners but for them.
        self._others: tuple[Int64, Float32, Int64] | None = None
        self._everybody: _Everybody | None = None  # but for those in cells
        self._people: _Rows | None = None  # their mean looks; None once something was filed or dropped

    def __len__(self) -> int:
        return sum(shard.looks.count for shard in self._shards.values())

    @property
    def large(self) -> bool:
        """Whether so many looks are known that it pays to compare with no more than is needed."""
        return len(self) >= LARGE

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
            self._shards[shard] = _Shard(vectors.shape[1])
        self._shards[shard].add(owners, vectors)
        self._others = self._people = None

    def expire(self, now_ns: int) -> list[int]:
        """Drop the shards whose last vector is older than is kept; which ones."""
        gone = [shard for shard in self.shards if (shard + 1) * self._shard_ns <= now_ns - self._keep_ns]
        for shard in gone:
            del self._shards[shard]
            self._others = self._people = None
        return gone

    def search(self, queries: Float32, count: int, without: Int64 | None = None) -> tuple[Int64, Float32]:
        """The owners of the vectors most like each query.

        Args:
            queries: (Q, D) float32, L2-normalised.
            count: vectors to return a query; an owner may appear more than once.
            without: owners whose vectors are left out.

        Returns:
            owners (Q, count) int64, -1 where there are fewer, and cosines (Q, count) float32; best first.
        """
        queries = np.ascontiguousarray(queries, np.float32)
        held = self._searched()
        if without is None:
            found = [rows.search(queries, count) for rows in held]
        else:
            found = [rows.search(queries, count, without) for rows in held if rows.cells]
            found.append(self._search_others([rows for rows in held if not rows.cells], queries, count, without))
        none = np.zeros((len(queries), 0), np.float32), np.full((len(queries), 0), _NOBODY, np.int64)
        cosines, owners = (np.concatenate(parts, axis=1) for parts in zip(none, *found, strict=True))
        best = np.argsort(-cosines, axis=1, kind="stable")[:, :count]
        owners, cosines = np.take_along_axis(owners, best, 1), np.take_along_axis(cosines, best, 1)
        missing = count - owners.shape[1]
        if missing > 0:
            owners = np.pad(owners, ((0, 0), (0, missing)), constant_values=_NOBODY)
            cosines = np.pad(cosines, ((0, 0), (0, missing)), constant_values=-1.0)
        return owners, cosines

    def _searched(self) -> list[_Rows]:
        """What is compared with: in cells where it is many and complete, in a large gallery everybody else as one."""
        large, held = self.large, [self._shards[key] for key in self.shards]
        apart, rest = [], []
        for place, shard in enumerate(held):
            rows = shard.people() if large and self._ivf_from is not None else shard.looks
            if self._ivf_from is not None and rows.count >= self._ivf_from and place < len(held) - 1:
                rows.divide()
                apart.append(rows)
            elif large:
                rest.append(shard)
            else:
                apart.append(rows)
        if not rest:
            return apart
        if self._everybody is None or self._everybody.shards != tuple(rest):
            self._everybody, self._people = _Everybody(rest), None
        if self._people is None:
            self._people = self._everybody.renewed()
        return [*apart, self._people]

    def _search_others(
        self, flat: Sequence[_Rows], queries: Float32, count: int, without: Int64
    ) -> tuple[Float32, Int64]:
        """See `_Rows.search`, of all that are flat: an index compares chosen vectors one by one, put together they are
        a product of matrices."""
        if self._others is None or self._others[0] is not without:
            vectors, owners = zip(*(rows.but_for(without) for rows in flat), strict=True) if flat else ((), ())
            none = np.zeros((0, queries.shape[1]), np.float32), np.zeros(0, np.int64)
            self._others = without, np.concatenate([none[0], *vectors]), np.concatenate([none[1], *owners])
        _, others, numbers = self._others
        if not len(numbers):
            return np.zeros((len(queries), 0), np.float32), np.zeros((len(queries), 0), np.int64)
        near, rows = faiss.knn(queries, others, min(count, len(numbers)), metric=faiss.METRIC_INNER_PRODUCT)
        return near, numbers[rows]
