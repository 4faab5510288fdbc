"""Who stood where whom stood at the same time: evidence from simultaneous positions on the ground."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtmct import pair_sums, pairing
from mtmct.fits import Samples
from mtmct.settings import FusionSettings
from mtmct.topology import Float64
from operators.records import SECOND_NS, Int64

_RECENT_NS = 3 * SECOND_NS
_UID_BITS = 31  # two uids make one key


@dataclass(frozen=True)
class PairRows:
    """What one commit's positions say of pairs of tracks, sorted by the pair.

    Attributes:
        pairs: (R, 2) int64, uids, the lower first.
        slots: (R,) int64, time slots in which both were seen.
        llr: (R,) float64, sum over the slots.
        distance: (R,) float64, metres, sum over the slots.
    """

    pairs: Int64
    slots: Int64
    llr: Float64
    distance: Float64

    def __len__(self) -> int:
        return len(self.slots)

    @property
    def lying(self) -> pair_sums.Rows:
        """The same as columns."""
        return pair_sums.Rows.of(self.pairs, self.slots, self.llr, self.distance)

    def at(self, rows: NDArray[np.intp]) -> PairRows:
        """Some of the rows, in order."""
        return PairRows(self.pairs[rows], self.slots[rows], self.llr[rows], self.distance[rows])

    def handed_over(self, old: Int64, new: Int64) -> PairRows | None:
        """The same with other tracks in the place of some; None if none of these is in it.

        Args:
            old: (K,) uids, ascending. new: (K,) uids in their place.
        """
        touched = pair_sums.touching(self.pairs, old)
        if not len(touched):
            return None
        mine = self.pairs[touched]
        places = np.minimum(old.searchsorted(mine), len(old) - 1)
        others = np.sort(np.where(old[places] == mine, new[places], mine), axis=1)
        order = np.argsort(pair_keys(others), kind="stable")
        return PairRows(*pair_sums.rearranged(self.lying, touched[order], others[order]))


def pair_keys(pairs: Int64) -> Int64:
    """(R,) int64: two uids as one number that sorts as they do."""
    keys: Int64 = (pairs[:, 0] << _UID_BITS) | pairs[:, 1]
    return keys


def _with(uid: int, partners: Sequence[int]) -> Int64:
    """The pairs of a track and others, ascending."""
    others = np.array(sorted(set(partners)), np.int64)
    return np.stack([np.minimum(others, uid), np.maximum(others, uid)], axis=1)


def no_rows() -> PairRows:
    """No pairs at all."""
    return PairRows(np.zeros((0, 2), np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros(0))


def compare(
    samples: Samples, cameras: Int64, bound: Int64, settings: FusionSettings, fresh: NDArray[np.bool_] | None = None
) -> PairRows:
    """Compare the positions of tracks of different cameras, slot by slot.

    For one and the same object the difference of two positions is Gaussian with both uncertainties added; for
    two objects it is spread evenly over the ground that a person has in a crowd. A share of positions fits
    neither (occluded feet) and bounds what a single one can say.

    Args:
        samples: positions on the slot grid.
        cameras: (S,) int64, any number that differs between cameras.
        bound: (B, 2) int64, pairs of uids, the lower first, to be compared however far apart they are.
        settings: densities and radii.
        fresh: (S,) pairs of positions neither of which is fresh are left out; None for all.
    """
    if len(samples) == 0:
        return no_rows()
    order = np.argsort(samples.uids, kind="stable")
    ordered = samples.uids[order]
    heads = np.flatnonzero(np.diff(ordered, prepend=-1))
    uids = ordered[heads]
    places = np.searchsorted(uids, bound)
    places = places[(uids[np.minimum(places, len(uids) - 1)] == bound).all(axis=1)]
    stood = pairing.Stood(
        np.append(heads, len(samples)),
        cameras[order[heads]],
        samples.slots[order],
        samples.points[order],
        samples.covariances[order],
        np.ones(len(samples), bool) if fresh is None else fresh[order],
    )
    density = pairing.Density(settings.near_m, settings.surprise, settings.area_per_person_m2)
    pairs, slots, llr, distance = pairing.beside(stood, places[np.lexsort(places.T[::-1])], density)
    return PairRows(uids[pairs], slots, llr, distance)


def position_llr(delta: Float64, covariances: Float64, settings: FusionSettings) -> Float64:
    """Log-likelihood ratio (nats) of position differences, (N, 2) metres, with (N, 3) covariances xx, xy, yy."""
    xx, xy, yy = covariances.T
    determinant = np.maximum(xx * yy - xy**2, 1e-9)
    mahalanobis = (yy * delta[:, 0] ** 2 - 2 * xy * delta[:, 0] * delta[:, 1] + xx * delta[:, 1] ** 2) / determinant
    extent = 2 * np.pi * np.sqrt(determinant)
    # Where the uncertainty exceeds a person's ground, a hit must say nothing rather than speak against.
    gain = np.maximum(settings.area_per_person_m2, extent) / extent
    density: Float64 = (1 - settings.surprise) * gain * np.exp(-mahalanobis / 2)
    return np.log(density + settings.surprise)


class Beside(NamedTuple):
    """What is known of one track beside another.

    Attributes:
        llr: evidence over the window, nats; `recent` over the last seconds only.
        distance: mean distance in metres over the last seconds, NaN if none.
    """

    llr: float
    recent: float
    distance: float


@dataclass(frozen=True, slots=True)
class PairTable:
    """What is known of all pairs over the window, every pair both ways, sorted by uid, then by partner.

    Attributes:
        names: (U,) int64, the uids, ascending. heads: (U + 1,) where the rows of each begin.
        partners: (R,) int64. places: (R,) where the partner stands in `names`.
        llr, recent, distance: (R,) float64, as in `Beside`.
    """

    names: Int64
    heads: Int64
    partners: Int64
    places: Int64
    llr: Float64
    recent: Float64
    distance: Float64

    @classmethod
    def of(cls, names: Int64, columns: pair_sums.Columns) -> PairTable:
        """The table of these tracks."""
        heads, places, llr, recent, distance = columns
        return cls(names, heads, names[places], places, llr, recent, distance)

    def span(self, uid: int) -> tuple[int, int]:
        """First and last row (exclusive) of a track."""
        place = int(self.names.searchsorted(uid))
        if place == len(self.names) or self.names[place] != uid:
            return 0, 0
        return int(self.heads[place]), int(self.heads[place + 1])


class _Sums(NamedTuple):
    """What is known of all pairs over the window, by pair.

    Attributes:
        names: (U,) int64, uids, ascending. places: (P, 2) int64, the tracks of each pair by their places in these.
        llr, recent, distance: (P,) float64, as in `Beside`.
    """

    names: Int64
    places: Int64
    llr: Float64
    recent: Float64
    distance: Float64

    def both_ways(self) -> pair_sums.Columns:
        """The same seen from each track."""
        columns: pair_sums.Columns = pair_sums.both_ways(
            self.places, len(self.names), self.llr, self.recent, self.distance
        )
        return columns


_NOTHING = _Sums(np.zeros(0, np.int64), np.zeros((0, 2), np.int64), np.zeros(0), np.zeros(0), np.zeros(0))


@dataclass(slots=True)
class CommitPairs:
    """The rows of one commit, which covered event time from `since_ns` to `time_ns`."""

    sequence: int
    since_ns: int
    time_ns: int
    rows: PairRows


@dataclass(slots=True)
class PairWindow:
    """Pair evidence over a sliding window of event time.

    The totals are summed afresh from the commits' rows, in their order, whenever they are asked for: a sum that
    is carried along would depend on where a run was interrupted.
    """

    settings: FusionSettings
    commits: deque[CommitPairs] = field(default_factory=deque)
    _table: PairTable | None = None
    _laid: pair_sums.Lying | None = None

    @property
    def table(self) -> PairTable:
        """All pairs of the window as they stand."""
        if self._table is None:
            sums = self._summed()
            self._table = PairTable.of(sums.names, sums.both_ways())
        return self._table

    def of(self, uid: int) -> Mapping[int, Beside]:
        """The neighbours of a track by their uid, ascending."""
        table = self.table
        low, high = table.span(uid)
        said = map(Beside, *(column[low:high].tolist() for column in (table.llr, table.recent, table.distance)))
        return dict(zip(table.partners[low:high].tolist(), said, strict=True))

    def partners(self, uid: int) -> list[int]:
        """The uids of the neighbours of a track, ascending."""
        low, high = self.table.span(uid)
        partners: list[int] = self.table.partners[low:high].tolist()
        return partners

    def partners_of(self, uids: Int64) -> tuple[Int64, Int64]:
        """The same of several tracks: uids one after the other, and where those of each track begin, and all end."""
        table = self.table
        if not len(table.names):
            return table.partners, np.zeros(len(uids) + 1, np.int64)
        places = np.minimum(table.names.searchsorted(uids), len(table.names) - 1)
        lows = table.heads[places]
        counts = np.where(table.names[places] == uids, table.heads[places + 1] - lows, 0)
        bounds = np.concatenate([[0], np.cumsum(counts)])
        rows = np.arange(bounds[-1]) + np.repeat(lows - bounds[:-1], counts)
        return table.partners[rows], bounds

    def add(self, commit: CommitPairs) -> None:
        """Append a commit's rows."""
        self.commits.append(commit)
        self._table = self._laid = None

    def revise(self, commit: CommitPairs, rows: PairRows) -> None:
        """Other rows in the place of a commit's."""
        commit.rows = rows
        self._table = self._laid = None

    def expire(self, now_ns: int) -> list[int]:
        """Drop the commits that have left the window; their sequence numbers."""
        horizon = now_ns - round(self.settings.window_s * SECOND_NS)
        dropped = []
        while self.commits and self.commits[0].time_ns <= horizon:
            dropped.append(self.commits.popleft().sequence)
            self._table = self._laid = None
        return dropped

    def agreed_until(self, uid: int, partners: Sequence[int]) -> int | None:
        """Since when the positions of a track no longer agree with any of `partners`: the start of that commit.

        None if they never agreed in the window.
        """
        said = self._lying.said(_with(uid, partners))
        agreed = [commit.time_ns for commit, one in zip(self.commits, said, strict=True) if one > 0]
        return agreed[-1] if agreed else None

    def agreed_since(self, uid: int, partners: Sequence[int]) -> int | None:
        """Since when the positions of a track have agreed with some of `partners`, having disagreed before.

        None if they never disagreed in the window, or do not agree now.
        """
        since = None
        said = self._lying.said(_with(uid, partners))
        for commit, one in zip(reversed(self.commits), reversed(said), strict=True):
            if one < 0:
                return since
            if one > 0:
                since = commit.since_ns
        return None

    def hand_over(self, cuts: Sequence[tuple[int, int, int]]) -> None:
        """From some time on the rows of a track are those of another, younger than all.

        Args:
            cuts: the one and the other uid, and the event time.
        """
        for commit in self.commits:
            moved = np.array([cut[:2] for cut in sorted(cuts) if commit.since_ns >= cut[2]], np.int64).reshape(-1, 2)
            if len(moved) and len(commit.rows):
                old, new = np.ascontiguousarray(moved.T)
                commit.rows = commit.rows.handed_over(old, new) or commit.rows
        self._laid = None
        if self._table is not None:
            self._table = self._sum_again(self._table, np.unique([cut[:2] for cut in cuts]))

    def _summed(self, of: Int64 | None = None) -> _Sums:
        """What all commits say of each pair; `of`: only of pairs in which one of these tracks (uids) is."""
        lying = self._lying
        if of is not None:
            touched = [commit.rows.at(pair_sums.touching(commit.rows.pairs, of)) for commit in self.commits]
            lying = pair_sums.Lying.of([rows.lying for rows in touched])
        if not lying.lengths.any():
            return _NOTHING
        now = self.commits[-1].time_ns
        late = np.array([commit.time_ns > now - _RECENT_NS for commit in self.commits])
        return _Sums(*lying.sums(late, self.settings.slot_s / self.settings.decorrelation_s))

    @property
    def _lying(self) -> pair_sums.Lying:
        if self._laid is None:
            self._laid = pair_sums.Lying.of([commit.rows.lying for commit in self.commits])
        return self._laid

    def _sum_again(self, table: PairTable, uids: Int64) -> PairTable:
        """Bring a table up to date of which the rows of a few tracks have changed, ascending."""
        new = self._summed(uids)
        younger = uids[uids > (table.names[-1] if len(table.names) else -1)]
        names = np.concatenate([table.names, younger])
        places = names.searchsorted(new.names)[new.places].reshape(-1, 2)
        rows = _Sums(names, places, *new[2:]).both_ways()
        known = pair_sums.Columns(table.heads, table.places, table.llr, table.recent, table.distance)
        changed = names.searchsorted(uids)
        changed = changed[names[np.minimum(changed, len(names) - 1)] == uids]
        return PairTable.of(names, pair_sums.patched(known, names, changed, rows))
