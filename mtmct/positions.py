"""Positions of the same time, compared commit by commit; and the state key that each camera's share of a commit has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from mtmct import state as stored
from mtmct.clocks import Clocks
from mtmct.coincidence import CommitPairs, PairRows, PairWindow, compare, no_rows
from mtmct.fits import Samples
from mtmct.pairing import same_owner
from mtmct.settings import FusionSettings
from mtmct.tracks import TrackMemory
from operators.records import Int64


class Positions:
    """Fills the window of pairs, and keeps what is written of it up to date.

    Args:
        tracks: all local tracks in memory.
        window: where the pairs go.
        clocks: how far the cameras' clocks are off.
        journal: where the pairs are written.
        settings: beliefs and bounds.
    """

    def __init__(
        self, tracks: TrackMemory, window: PairWindow, clocks: Clocks, journal: stored.Journal, settings: FusionSettings
    ) -> None:
        self._tracks = tracks
        self._window = window
        self._clocks = clocks
        self._journal = journal
        self._settings = settings
        self._keys: dict[int, set[str]] = {}  # by commit

    def compare(self, sequence: int, samples: Samples, since_ns: int, now_ns: int) -> None:
        """Compare a commit's positions, those of event time from `since_ns` to `now_ns`; drop what is too old."""
        self._clocks.note(sequence, since_ns, now_ns, samples, self._tracks)
        pairs = self._beside_others(samples) if self._clocks.ahead_ns else self._beside_each_other(samples)
        for expired in self._window.expire(now_ns):
            self._drop(expired)
        commit = CommitPairs(sequence, since_ns, now_ns, pairs)
        self._window.add(commit)
        self._write(commit)

    def compare_anew(self) -> None:
        """Compare all that is in the window by other clocks."""
        for commit in self._window.commits:
            samples = self._clocks.placed(commit.sequence)
            if samples is not None:
                self._window.revise(commit, self._beside_others(samples, commit.sequence))
                self._drop(commit.sequence)
                self._write(commit)

    def cut(self, cuts: Sequence[tuple[int, int, int]]) -> None:
        """What was compared of a track from some time on was compared of another: the two uids, and the time."""
        for commit, uids in self._window.hand_over(cuts):
            self._write(commit, frozenset(self._tracks[uid].camera for uid in uids.tolist()))

    def restore(self, parts: Iterable[tuple[str, bytes]]) -> None:
        """Go on from what was written: keys and values."""
        parts = list(parts)
        for commit in stored.unpack_pairs(parts):
            self._window.add(commit)
        for key, _ in parts:
            self._keys.setdefault(int(key.rpartition("/")[2]), set()).add(key)

    def _drop(self, sequence: int) -> None:
        for key in sorted(self._keys.pop(sequence, ())):
            self._journal.drop(key)

    def _beside_each_other(self, samples: Samples) -> PairRows:
        if not len(samples):
            return no_rows()
        uids, rows = np.unique(samples.uids, return_inverse=True)
        cameras = self._tracks.columns.table(self._tracks.tracks).camera[self._rows(uids)]
        return compare(samples, cameras[rows], self._bound(uids), self._settings)

    def _beside_others(self, samples: Samples, before: int | None = None) -> PairRows:
        """The same where clocks are corrected: positions of one moment then come in different commits."""
        beside = self._clocks.beside(samples, self._tracks, before)
        bound = self._bound(np.unique(beside.samples.uids))
        return compare(beside.samples, beside.cameras, bound, self._settings, beside.fresh)

    def _write(self, commit: CommitPairs, stale: frozenset[str] | None = None) -> None:
        """Write a commit's pairs by camera: of all cameras, or of those in `stale`."""
        rows = commit.rows
        heads = np.flatnonzero(np.diff(rows.pairs[:, 0], prepend=-1))
        of_camera: dict[str, list[range]] = {}
        for uid, low, high in zip(
            rows.pairs[heads, 0].tolist(), heads.tolist(), [*heads[1:].tolist(), len(rows)], strict=False
        ):
            camera = self._tracks[uid].camera
            if stale is None or camera in stale:
                of_camera.setdefault(camera, []).append(range(low, high))
        keys = self._keys.setdefault(commit.sequence, set())
        for camera in sorted(of_camera if stale is None else stale):
            key = stored.pairs_key(camera, commit.sequence)
            if camera in of_camera:
                mine = np.concatenate([np.arange(part.start, part.stop) for part in of_camera[camera]])
                self._journal.put(key, stored.pack_pairs(commit, mine))
                keys.add(key)
            else:
                self._journal.drop(key)
                keys.discard(key)

    def _rows(self, uids: Int64) -> Int64:
        rows = self._tracks.columns.rows
        return np.array([rows[uid] for uid in uids.tolist()], np.int64)

    def _bound(self, uids: Int64) -> Int64:
        """Pairs of tracks seen in this commit that one identity has in different cameras."""
        table = self._tracks.columns.table(self._tracks.tracks)
        rows = self._rows(uids)
        bound: Int64 = uids[same_owner(table.identity[rows], table.camera[rows])]
        return bound
