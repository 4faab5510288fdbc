"""Who stood where whom stood at the same time: evidence from simultaneous positions on the ground."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mtmct.settings import FusionSettings
from mtmct.topology import Float64
from mtmct.tracks import Samples
from operators.records import SECOND_NS, Int64

_FAR = 1e6  # metres between neighbouring time slots in the search tree: slots never meet
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

    @cached_property
    def keys(self) -> Int64:
        """(R,) int64, ascending: the two uids of each pair as one number."""
        return pair_keys(self.pairs)

    @cached_property
    def _by_higher(self) -> tuple[NDArray[np.intp], Int64]:
        order = np.argsort(self.pairs[:, 1], kind="stable")
        return order, self.pairs[order, 1]

    def of(self, uid: int) -> tuple[NDArray[np.intp], Int64]:
        """The rows of a track, ascending, and its partner in each."""
        order, higher = self._by_higher
        first, last = higher.searchsorted((uid, uid + 1))
        low, high = self.keys.searchsorted((uid << _UID_BITS, (uid + 1) << _UID_BITS))
        as_higher = order[first:last]
        partners = np.concatenate([self.pairs[as_higher, 0], self.pairs[low:high, 1]])
        return np.concatenate([as_higher, np.arange(low, high)]), partners

    def handed_over(self, old: int, new: int) -> PairRows:
        """The same with track `new`, younger than all others, in the place of `old`."""
        moved, partners = self.of(old)
        pairs = np.stack([partners, np.full_like(partners, new)], axis=1)
        order = np.argsort(partners, kind="stable")
        pairs, slots, llr, distance = pairs[order], self.slots[moved], self.llr[moved], self.distance[moved]
        rest = np.delete(self.pairs, moved, axis=0)
        at = pair_keys(rest).searchsorted(pair_keys(pairs))
        return PairRows(
            np.insert(rest, at, pairs, axis=0),
            np.insert(np.delete(self.slots, moved), at, slots[order]),
            np.insert(np.delete(self.llr, moved), at, llr[order]),
            np.insert(np.delete(self.distance, moved), at, distance[order]),
        )


def pair_keys(pairs: Int64) -> Int64:
    """(R,) int64: two uids as one number that sorts as they do."""
    keys: Int64 = (pairs[:, 0] << _UID_BITS) | pairs[:, 1]
    return keys


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
    one, two = _neighbours(samples, cameras, settings.near_m)
    if len(bound):
        more_one, more_two = _simultaneous(samples, bound)
        one, two = np.concatenate([one, more_one]), np.concatenate([two, more_two])
    if fresh is not None:
        either = fresh[one] | fresh[two]
        one, two = one[either], two[either]
    if len(one) == 0:
        return no_rows()
    swap = samples.uids[one] > samples.uids[two]
    one, two = np.where(swap, two, one), np.where(swap, one, two)
    one, two = np.divmod(np.unique(one * len(samples) + two), len(samples))
    delta = samples.points[one] - samples.points[two]
    llr = position_llr(delta, samples.covariances[one] + samples.covariances[two], settings)
    distance = np.hypot(delta[:, 0], delta[:, 1])
    pairs = np.stack([samples.uids[one], samples.uids[two]], axis=1)
    order = np.lexsort((samples.slots[one], pairs[:, 1], pairs[:, 0]))
    pairs, llr, distance = pairs[order], llr[order], distance[order]
    heads = _heads(pairs)
    counts = np.diff(np.append(heads, len(pairs))).astype(np.int64)
    return PairRows(pairs[heads], counts, np.add.reduceat(llr, heads), np.add.reduceat(distance, heads))


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


def _neighbours(samples: Samples, cameras: Int64, radius: float) -> tuple[Int64, Int64]:
    depth = (samples.slots - samples.slots.min()) * _FAR
    # Positions far beyond any site (a foot just under the horizon) would cost the tree its precision.
    near = np.flatnonzero((np.abs(samples.points) < _FAR / 4).all(axis=1))
    tree = cKDTree(np.column_stack([samples.points[near], depth[near]]))
    found = near[tree.query_pairs(radius, output_type="ndarray")]
    apart = cameras[found[:, 0]] != cameras[found[:, 1]]
    return found[apart, 0], found[apart, 1]


def _simultaneous(samples: Samples, bound: Int64) -> tuple[Int64, Int64]:
    """Rows of the samples at which both tracks of a bound pair were seen."""
    by_uid = np.argsort(samples.uids, kind="stable")
    uids = samples.uids[by_uid]
    low, high = np.searchsorted(uids, bound[:, 0], "left"), np.searchsorted(uids, bound[:, 0], "right")
    lengths = high - low
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    first = by_uid[np.repeat(low, lengths) + within]
    span = int(samples.slots.max() - samples.slots.min()) + 1
    keys = samples.uids * span + (samples.slots - samples.slots.min())
    wanted = np.repeat(bound[:, 1], lengths) * span + (samples.slots[first] - samples.slots.min())
    by_key = np.argsort(keys, kind="stable")
    second = by_key[np.minimum(np.searchsorted(keys[by_key], wanted), len(keys) - 1)]
    hit = keys[second] == wanted
    return first[hit], second[hit]


def _heads(pairs: Int64) -> NDArray[np.intp]:
    new = np.ones(len(pairs), bool)
    new[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
    return np.flatnonzero(new)


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
        uids, partners: (R,) int64.
        llr, recent, distance: (R,) float64, as in `Beside`.
    """

    uids: Int64
    partners: Int64
    llr: Float64
    recent: Float64
    distance: Float64

    def spans(self) -> dict[int, tuple[int, int]]:
        """First and last row (exclusive) by uid."""
        heads = np.flatnonzero(np.diff(self.uids, prepend=-1))
        uids, ends = self.uids[heads].tolist(), [*heads[1:].tolist(), len(self.uids)]
        return {uid: (low, high) for uid, low, high in zip(uids, heads.tolist(), ends, strict=False)}


_NOBODY: Mapping[int, Beside] = {}


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
    _spans: dict[int, tuple[int, int]] = field(default_factory=dict)
    _beside: dict[int, Mapping[int, Beside]] = field(default_factory=dict)

    @property
    def table(self) -> PairTable:
        """All pairs of the window as they stand."""
        if self._table is None:
            self._table = self._summed()
            self._spans, self._beside = self._table.spans(), {}
        return self._table

    def of(self, uid: int) -> Mapping[int, Beside]:
        """The neighbours of a track by their uid, ascending."""
        table = self.table
        known = self._beside.get(uid)
        if known is None:
            low, high = self._spans.get(uid, (0, 0))
            columns = (table.llr, table.recent, table.distance)
            said = map(Beside, *(column[low:high].tolist() for column in columns))
            known = dict(zip(table.partners[low:high].tolist(), said, strict=True)) if high else _NOBODY
            self._beside[uid] = known
        return known

    def partners(self, uid: int) -> list[int]:
        """The uids of the neighbours of a track, ascending."""
        table = self.table
        low, high = self._spans.get(uid, (0, 0))
        return table.partners[low:high].tolist() if high else []

    def add(self, commit: CommitPairs) -> None:
        """Append a commit's rows."""
        self.commits.append(commit)
        self._table = None

    def revise(self, commit: CommitPairs, rows: PairRows) -> None:
        """Other rows in the place of a commit's."""
        commit.rows, self._table = rows, None

    def expire(self, now_ns: int) -> list[int]:
        """Drop the commits that have left the window; their sequence numbers."""
        horizon = now_ns - round(self.settings.window_s * SECOND_NS)
        dropped = []
        while self.commits and self.commits[0].time_ns <= horizon:
            dropped.append(self.commits.popleft().sequence)
            self._table = None
        return dropped

    def agreed_until(self, uid: int, partners: Sequence[int]) -> int | None:
        """Since when the positions of a track no longer agree with any of `partners`: the start of that commit.

        None if they never agreed in the window.
        """
        changed = None
        for commit in self.commits:
            if self._with(commit.rows, uid, partners) > 0:
                changed = commit.time_ns
        return changed

    def agreed_since(self, uid: int, partners: Sequence[int]) -> int | None:
        """Since when the positions of a track have agreed with some of `partners`, having disagreed before.

        None if they never disagreed in the window, or do not agree now.
        """
        since = None
        for commit in reversed(self.commits):
            said = self._with(commit.rows, uid, partners)
            if said < 0:
                return since
            if said > 0:
                since = commit.since_ns
        return None

    @staticmethod
    def _with(rows: PairRows, uid: int, partners: Sequence[int]) -> float:
        mine, others = rows.of(uid)
        wanted = set(partners)
        chosen = [row for row, other in zip(mine.tolist(), others.tolist(), strict=True) if other in wanted]
        return float(rows.llr[chosen].sum())

    def hand_over(self, old: int, new: int, since_ns: int) -> list[tuple[CommitPairs, list[int]]]:
        """From `since_ns` on the rows of track `old` are those of `new`, the youngest of all.

        Returns:
            The commits that this changes, and the partners that the track has in each.
        """
        changed = []
        for commit in self.commits:
            if commit.since_ns < since_ns:
                continue
            _, partners = commit.rows.of(old)
            if len(partners):
                commit.rows = commit.rows.handed_over(old, new)
                changed.append((commit, partners.tolist()))
        self._table = None
        return changed

    def _summed(self) -> PairTable:
        kept = [(commit.time_ns, commit.rows) for commit in self.commits if len(commit.rows)]
        if not kept:
            nothing = np.zeros(0)
            none = np.zeros(0, np.int64)
            return PairTable(none, none, nothing, nothing, nothing)
        now = self.commits[-1].time_ns
        pairs = np.concatenate([rows.pairs for _, rows in kept])
        slots = np.concatenate([rows.slots for _, rows in kept])
        llr = np.concatenate([rows.llr for _, rows in kept])
        distance = np.concatenate([rows.distance for _, rows in kept])
        late = np.concatenate([np.full(len(rows), time_ns > now - _RECENT_NS) for time_ns, rows in kept])
        # Sorted runs, one a commit: a stable sort merges them.
        order = np.argsort(np.concatenate([rows.keys for _, rows in kept]), kind="stable")
        pairs, slots, llr, distance, late = pairs[order], slots[order], llr[order], distance[order], late[order]
        heads = _heads(pairs)
        counts = np.add.reduceat(slots, heads)
        recent_counts = np.add.reduceat(slots * late, heads)
        with np.errstate(invalid="ignore", divide="ignore"):
            metres = np.add.reduceat(distance * late, heads) / np.where(recent_counts > 0, recent_counts, np.nan)
        evidence = self._independent(np.add.reduceat(llr, heads), counts)
        recent = self._independent(np.add.reduceat(llr * late, heads), recent_counts)
        both = np.concatenate([pairs[heads], pairs[heads][:, ::-1]])
        order = np.argsort(pair_keys(both), kind="stable")
        columns = (np.concatenate([values, values])[order] for values in (evidence, recent, metres))
        return PairTable(both[order, 0], both[order, 1], *columns)

    def _independent(self, total: Float64, counts: Int64) -> Float64:
        """Sums over slots as sums over independent observations: errors closer in time than that are one error."""
        observations = np.maximum(1.0, counts * (self.settings.slot_s / self.settings.decorrelation_s))
        return np.where(counts > 0, total / np.maximum(counts, 1) * observations, 0.0)
