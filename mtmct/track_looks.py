"""What the tracks in memory look like, by row: all their exemplars in one buffer, and the mean of each track's."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtmct.exemplars import HALF_TOLD, Exemplars
from mtmct.leaders import add_up, divide, learn
from operators.records import Float32, Int64


class TrackLooks:
    """The looks of tracks, see `mtmct.exemplars.Exemplars`; the means are brought up to date by `settle`.

    Attributes:
        counts: (N,) int64, how many exemplars a track has.
        sums: (N, E, D) float32; those from `counts` on are not in use. weights: (N, E) float32.
        middle: (N, D) float32, mean look. told: (N,) float32, what it weighs in an impression, 0 without looks.
        totals: (N, D) float64, sums of all looks. pictures: (N,) float64, sums of their weights.
    """

    def __init__(self, rows: int) -> None:
        self.counts = np.zeros(rows, np.int64)
        self.sums, self.weights = np.zeros((rows, 0, 0), np.float32), np.zeros((rows, 0), np.float32)
        self.middle, self.told = np.zeros((rows, 0), np.float32), np.zeros(rows, np.float32)
        self.totals, self.pictures = np.zeros((rows, 0)), np.zeros(rows)
        self._stale = np.zeros(rows, bool)
        self._some_stale = False

    def grow(self) -> None:
        """Twice as many rows."""
        for name, part in vars(self).items():
            if isinstance(part, np.ndarray):
                setattr(self, name, doubled(part))

    def widen(self, dim: int) -> bool:
        """Looks have this length, from the first on; whether they had another."""
        rows, room, before = self.sums.shape
        if before == dim:
            return False
        self.sums = np.zeros((rows, room, dim), np.float32)
        self.middle, self.totals = np.zeros((rows, dim), np.float32), np.zeros((rows, dim))
        return True

    def clear(self, rows: Int64) -> None:
        """These tracks have no looks."""
        self.counts[rows], self.told[rows], self.pictures[rows] = 0, 0, 0
        self._stale[rows] = False

    def put(self, row: int, looks: Exemplars) -> None:
        """A track has these looks, of the length that all have."""
        count = len(looks)
        self._room_for(count)
        self.counts[row] = count
        if count:
            self.sums[row, :count], self.weights[row, :count] = looks.sums, looks.weights
        self._stale[row] = self._some_stale = True

    def of(self, row: int) -> Exemplars:
        """The looks of a track, as long as nothing more is learned of it."""
        count = int(self.counts[row])
        return Exemplars(self.sums[row, :count], self.weights[row, :count]) if count else Exemplars()

    def learn(
        self, rows: Int64, offered: Int64, vectors: Float32, worths: Float32, lows: Int64, highs: Int64, limit: int
    ) -> NDArray[np.bool_]:
        """Take in more of some tracks, each once; see `mtmct.leaders.learn`. Whose looks have changed."""
        self._room_for(limit)
        changed = learn(
            self.sums, self.weights, self.counts, rows, offered, vectors, worths, lows, highs, limit
        )  # fmt: skip
        self._stale[rows[changed]] = True
        self._some_stale = True
        return np.asarray(changed)

    def heaviest(self, rows: Int64) -> Float32:
        """(T, D) float32, of tracks with looks the one seen most and best, L2-normalised."""
        held = np.where(np.arange(self.weights.shape[1]) < self.counts[rows][:, None], self.weights[rows], -1)
        best = self.sums[rows, held.argmax(axis=1)]
        norms = np.sqrt(np.add.reduce(best * best, axis=1, keepdims=True))
        unit: Float32 = best / np.maximum(norms, np.float32(1e-12))
        return unit

    def vectors(self, rows: Int64) -> Float32:
        """(T, E, D) float32, the exemplars of tracks, L2-normalised; those from `counts` on mean nothing."""
        sums = self.sums[rows]
        norms = np.sqrt(np.add.reduce(sums * sums, axis=2, keepdims=True))
        unit: Float32 = sums / np.maximum(norms, np.float32(1e-12))
        return unit

    def settle(self) -> None:
        """Bring the means up to date: `Exemplars.occasion` of many at once, added up in the same order."""
        if not self._some_stale:
            return
        rows = np.flatnonzero(self._stale)
        self._stale[rows] = self._some_stale = False
        self.told[rows], self.pictures[rows] = 0, 0
        rows = rows[self.counts[rows] > 0]
        if not len(rows):
            return
        add_up(self.sums, self.weights, self.counts, rows, self.middle, self.told, self.totals, self.pictures)
        totals = (self.middle[row] for row in rows.tolist())
        norms = np.sqrt(np.array([total.dot(total) for total in totals], np.float32))
        divide(self.middle, rows, np.maximum(norms, np.float32(1e-12)))
        self.told[rows] /= self.told[rows] + np.float32(HALF_TOLD)

    def _room_for(self, looks: int) -> None:
        rows, room, dim = self.sums.shape
        if looks > room:
            self.sums = np.concatenate([self.sums, np.zeros((rows, looks - room, dim), np.float32)], axis=1)
            self.weights = np.concatenate([self.weights, np.zeros((rows, looks - room), np.float32)], axis=1)


def doubled(part: NDArray[Any]) -> NDArray[Any]:
    """A column with twice the rows, the new ones 0."""
    return np.concatenate([part, np.zeros_like(part)])
