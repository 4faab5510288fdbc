"""Positions of the same time, compared commit by commit; and the state keys in which that is kept."""

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
from operators.records import SECOND_NS, Int64


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
        self._keys: dict[int, list[str]] = {}  # by commit
        self._cuts: dict[int, int] = {}  # commits that have cut tracks of which pairs are kept, and their event times

    def compare(self, sequence: int, samples: Samples, since_ns: int, now_ns: int) -> None:
        """Compare a commit's positions, those of event time from `since_ns` to `now_ns`; drop what is too old."""
        self._clocks.note(sequence, since_ns, now_ns, samples, self._tracks)
        pairs = self._beside_others(samples) if self._clocks.ahead_ns else self._beside_each_other(samples)
        for expired in self._window.expire(now_ns):
            self._drop(expired)
        horizon = now_ns - round(self._settings.window_s * SECOND_NS)
        self._drop_cuts([cut for cut, time_ns in self._cuts.items() if time_ns <= horizon])
        commit = CommitPairs(sequence, since_ns, now_ns, pairs)
        self._window.add(commit)
        self._write(commit)

    def compare_anew(self) -> None:
        """Compare all that is in the window by other clocks."""
        for commit in self._window.commits:
            samples = self._clocks.placed(commit.sequence)
            if samples is not None:
                self._window.revise(commit, self._beside_others(samples, commit.sequence))
            # As they are by now: what has been cut before need not be cut again.
            self._drop(commit.sequence)
            self._write(commit)
        self._drop_cuts(list(self._cuts))

    def cut(self, sequence: int, now_ns: int, cuts: Sequence[tuple[int, int, int]]) -> None:
        """What was compared of a track from some time on was compared of another: the two uids, and the time.

        Pairs are kept as they were compared, and the cuts beside them: rows of few tracks change in many commits.
        """
        self._window.hand_over(cuts)
        self._journal.put(stored.cuts_key(sequence), stored.pack_cuts(now_ns, cuts))
        self._cuts[sequence] = now_ns

    def restore(self, parts: Iterable[tuple[str, bytes]], cuts: Iterable[tuple[str, bytes]]) -> None:
        """Go on from what was written: keys and values."""
        parts, cuts = list(parts), list(cuts)
        fill(self._window, parts, cuts)
        for key, _ in sorted(parts):
            self._keys.setdefault(stored.order_of(key)[0], []).append(key)
        self._cuts = {stored.order_of(key)[0]: stored.unpack_cuts(key, data)[0] for key, data in cuts}

    def _drop(self, sequence: int) -> None:
        for key in self._keys.pop(sequence, ()):
            self._journal.drop(key)

    def _drop_cuts(self, sequences: Iterable[int]) -> None:
        for sequence in sequences:
            del self._cuts[sequence]
            self._journal.drop(stored.cuts_key(sequence))

    def _beside_each_other(self, samples: Samples) -> PairRows:
        if not len(samples):
            return no_rows()
        uids, rows = np.unique(samples.uids, return_inverse=True)
        cameras = self._tracks.columns.camera[self._rows(uids)]
        return compare(samples, cameras[rows], self._bound(uids), self._settings)

    def _beside_others(self, samples: Samples, before: int | None = None) -> PairRows:
        """The same where clocks are corrected: positions of one moment then come in different commits."""
        beside = self._clocks.beside(samples, self._tracks, before)
        bound = self._bound(np.unique(beside.samples.uids))
        return compare(beside.samples, beside.cameras, bound, self._settings, beside.fresh)

    def _write(self, commit: CommitPairs) -> None:
        for chunk, data in enumerate(stored.pack_pairs(commit)):
            key = stored.pairs_key(commit.sequence, chunk)
            self._journal.put(key, data)
            self._keys.setdefault(commit.sequence, []).append(key)

    def _rows(self, uids: Int64) -> Int64:
        known, rows = self._tracks.columns.by_uid()
        found: Int64 = rows[known.searchsorted(uids)]
        return found

    def _bound(self, uids: Int64) -> Int64:
        """Pairs of tracks seen in this commit that one identity has in different cameras."""
        columns, rows = self._tracks.columns, self._rows(uids)
        bound: Int64 = uids[same_owner(columns.identity[rows], columns.camera[rows])]
        return bound


def fill(window: PairWindow, parts: Iterable[tuple[str, bytes]], cuts: Iterable[tuple[str, bytes]]) -> None:
    """Put the pairs that were kept into an empty window, and hand over what was cut, in the order of the commits."""
    commits = {commit.sequence: commit for commit in stored.unpack_pairs(parts)}
    made = {stored.order_of(key)[0]: stored.unpack_cuts(key, data)[1] for key, data in cuts}
    for sequence in sorted({*commits, *made}):
        if sequence in commits:
            window.add(commits[sequence])
        if sequence in made:
            window.hand_over(made[sequence])
