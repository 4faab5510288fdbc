"""Which looks go into the gallery, and when; and their keys in the stored state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

import numpy as np

from mtmct import state as stored
from mtmct.gallery import LARGE, Gallery
from mtmct.settings import FusionSettings
from mtmct.track_state import NOT_FILED
from mtmct.tracks import LocalTrack, TrackMemory
from operators.records import SECOND_NS, Float32

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

    def file(
        self, memory: TrackMemory, seen: Collection[int], now_ns: int, sequence: int, journal: stored.Journal
    ) -> None:
        """Put in what is due at this commit, in which the tracks `seen` were seen, and those `changed` have changed."""
        shard = self.gallery.shard_of(now_ns)
        if shard == self._shard:
            tracks = [memory[uid] for uid in sorted({*seen, *memory.changed})]
        else:
            tracks = list(memory.tracks.values())
        if shard != self._shard:
            self._held.clear()
        self._shard = shard
        due, large = [], len(self.gallery) >= LARGE
        for track in tracks:
            enough = large and self._held[track.identity] >= self._limit
            if track.identity and not enough and _is_due(track, shard):
                due.append(track)
                self._held[track.identity] += 1
                track.filed_shard, track.filed_looks = shard, track.offered
                memory.changed.add(track.uid)
        for chunk, low in enumerate(range(0, len(due), stored.GALLERY_CHUNK)):
            part = due[low : low + stored.GALLERY_CHUNK]
            owners = np.array([track.identity for track in part], np.int64)
            vectors: Float32 = np.stack([track.looks.heaviest for track in part])
            self.gallery.add(shard, owners, vectors)
            key = stored.gallery_key(shard, sequence, chunk)
            journal.put(key, stored.pack_gallery(owners, vectors, shard))
            self._keys.setdefault(shard, []).append(key)

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


def _is_due(track: LocalTrack, shard: int) -> bool:
    if track.filed_shard == shard and not track.filed_looks < _SETTLED <= track.offered:
        return False
    return track.look_count > 0 and not (track.ended and track.filed_shard != NOT_FILED)
