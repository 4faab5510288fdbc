"""Positions of the same time, compared commit by commit; and the state key that each camera's share of a commit has."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from mtmct import state as stored
from mtmct.clocks import Clocks
from mtmct.coincidence import CommitPairs, PairRows, PairWindow, compare
from mtmct.settings import FusionSettings
from mtmct.tracks import LocalTrack, Samples, TrackMemory
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
        self._stale: dict[int, tuple[CommitPairs, set[str]]] = {}  # by commit: cameras whose tracks were cut

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

    def cut(self, track: LocalTrack, part: LocalTrack, since_ns: int) -> None:
        """What was compared of `track` from `since_ns` on was compared of `part`; `write_cuts` writes it."""
        for commit, partners in self._window.hand_over(track.uid, part.uid, since_ns):
            cameras = {track.camera, *(self._tracks[uid].camera for uid in partners)}
            self._stale.setdefault(commit.sequence, (commit, set()))[1].update(cameras)

    def write_cuts(self) -> None:
        """Write what cuts have changed."""
        for commit, cameras in self._stale.values():
            self._write(commit, frozenset(cameras))
        self._stale.clear()

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
        cameras, bound = np.zeros(0, np.int64), np.zeros((0, 2), np.int64)
        if len(samples):
            uids, rows = np.unique(samples.uids, return_inverse=True)
            number: dict[str, int] = {}
            of_track = [number.setdefault(self._tracks[uid].camera, len(number)) for uid in uids.tolist()]
            cameras = np.asarray(of_track, np.int64)[rows]
            bound = self._bound(uids)
        return compare(samples, cameras, bound, self._settings)

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

    def _bound(self, uids: Int64) -> Int64:
        """Pairs of tracks seen in this commit that one identity has in different cameras."""
        of_identity: dict[int, list[int]] = {}
        for uid in uids.tolist():
            if self._tracks[uid].identity:
                of_identity.setdefault(self._tracks[uid].identity, []).append(uid)
        pairs = [
            (one, other)
            for members in of_identity.values()
            for row, one in enumerate(members)
            for other in members[row + 1 :]
            if self._tracks[one].camera != self._tracks[other].camera
        ]
        return np.asarray(pairs, np.int64).reshape(-1, 2)
