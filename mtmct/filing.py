"""Which looks go into the gallery, and when; and their keys in the stored state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from mtmct import state as stored
from mtmct.columns import TrackColumns
from mtmct.gallery import Gallery
from mtmct.settings import FusionSettings
from mtmct.track_state import NOT_FILED
from mtmct.tracks import TrackMemory
from operators.records import SECOND_NS, Int64

_SETTLED = 8  # embeddings after which a track's look is filed once more: the first few may have been poor


class Filing:
    """Keeps the gallery of the linked tracks' looks: filed once a shard, and once more when they have settled.

    Of an identity at most `exemplars` in a shard once the gallery is large: where many cameras see everybody, tracks
    are many and looks are not.
    """

    def __init__(self, settings: FusionSettings) -> None:
        self._limit = settings.exemplars
        self._held: Counter[int] = Counter()  # by identity, in the newest shard
        self.gallery = Gallery(round(settings.shard_s * SECOND_NS), settings.max_gap_ns, settings.gallery)
        self._keys: dict[int, list[str]] = {}
        self._shard: int | None = None

    def file(self, memory: TrackMemory, seen: Int64, now_ns: int, sequence: int, journal: stored.Journal) -> None:
        """Put in what is due at this commit, which has `seen` tracks (their rows), and in which others have changed."""
        shard = self.gallery.shard_of(now_ns)
        columns = memory.columns
        _, rows = columns.by_uid()
        if shard == self._shard:
            asked = columns.changed.copy()
            asked[seen] = True
            rows = rows[asked[rows]]
        else:
            self._held.clear()
        self._shard = shard
        rows = self._with_room(columns.identity, rows[_are_due(columns, rows, shard)])
        columns.filed_shard[rows], columns.filed_looks[rows] = shard, columns.offered[rows]
        columns.changed[rows] = True
        for chunk, low in enumerate(range(0, len(rows), stored.GALLERY_CHUNK)):
            part = rows[low : low + stored.GALLERY_CHUNK]
            owners, vectors = columns.identity[part], columns.looks.heaviest(part)
            self.gallery.add(shard, owners, vectors)
            key = stored.gallery_key(shard, sequence, chunk)
            journal.put(key, stored.pack_gallery(owners, vectors, shard))
            self._keys.setdefault(shard, []).append(key)

    def _with_room(self, identity: Int64, rows: Int64) -> Int64:
        """Those of some tracks, in order, of whose identities not enough is held, and hold them."""
        kept, large = [], self.gallery.large
        for row, number in zip(rows.tolist(), identity[rows].tolist(), strict=True):
            if not large or self._held[number] < self._limit:
                self._held[number] += 1
                kept.append(row)
        return np.array(kept, np.int64)

    def expire(self, now_ns: int, journal: stored.Journal) -> None:
        """Drop the shards that are too old, and their keys."""
        for shard in self.gallery.expire(now_ns):
            for key in self._keys.pop(shard, ()):
                journal.drop(key)

    def restore(self, kept: Iterable[tuple[str, bytes]]) -> None:
        """Fill an empty gallery from the state, in the order in which it was filled."""
        for key, data in sorted(kept, key=lambda item: stored.order_of(item[0])):
            shard, owners, vectors = stored.unpack_gallery(key, data)
            self.gallery.add(shard, owners, vectors)
            if shard != self._shard:
                self._held.clear()
            self._shard = shard
            self._held.update(owners.tolist())
            self._keys.setdefault(shard, []).append(key)


def _are_due(columns: TrackColumns, rows: Int64, shard: int) -> NDArray[np.bool_]:
    filed = columns.filed_shard[rows]
    settled = (columns.filed_looks[rows] < _SETTLED) & (columns.offered[rows] >= _SETTLED)
    over = columns.ended[rows] & (filed != NOT_FILED)
    linked = (columns.identity[rows] > 0) & (columns.looks.counts[rows] > 0)
    return np.asarray(linked & ~over & ((filed != shard) | settled))
