"""How far the clocks of cameras disagree, from people who are seen walking over the same ground by two of them.

Somebody who walks past a point is seen there by every camera at the same moment; if two cameras give two times, their
clocks differ by that much. Three steps, none of which asks who is who:

1. Votes. Two walkers, one of each camera, that pass the same point in the same direction within `RANGE_S` vote for
   the difference between their times.
2. Couples. Somebody is with nobody else as long as with himself: of each local track only the one of the other camera
   counts with which it agrees longest on one difference, if that holds the other way round, too. (Otherwise those who
   walk in single file draw the clocks apart.) The mode of the couples' votes is the difference, roughly.
3. Least squares, in metres: `p_j - p_i = v (t_j - t_i - skew) + offset`, robustly. Homographies disagree by half a
   metre here and there; a constant offset shifts everybody the same way, a skew shifts each along his own way.

The differences of pairs become one skew a camera by weighted least squares over the graph of cameras (Huber), with
the median of each connected part at 0: only differences can be seen. (Cf. registering sequences by trajectories: Caspi,
Simakov and Irani, "Feature-based sequence-to-sequence matching", 2006.)

Bounds: `KEPT` votes of the last `MEMORY_S`, `TAKEN` walkers and as many votes a commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mtmct.fits import Samples
from mtmct.topology import Float64
from operators.records import SECOND_NS, Float32, Int64

RANGE_S = 15.0  # differences up to this are seen
MEMORY_S = 120.0  # votes older than this are forgotten
KEPT, TAKEN = 16_384, 1024
_LEAST_SPEED = 0.5  # metres a second: who stands tells no time
_UNCERTAIN_M = 1.0  # positions less certain than this do not vote
_ALONG_M, _ASIDE_M = 0.45, 1.0  # how far apart two passings may be, along the way and aside
_ALIKE, _PACE = 0.8, 0.5  # least cosine of their directions, least ratio of their speeds
_CELL_M = 1.1  # as far as two passings may be apart
_BIN_S = 0.1  # bins of the votes, and of a couple's own
_OWN_BIN_S = 0.5
_KERNEL = np.hanning(17)
_LEAST_TOGETHER = 4  # votes that make a couple
_LEAST_VOTES, _ABOVE_SECOND = 20, 1.6
_NEAR_S = 2.0  # a couple's votes farther from the mode are chance
_SPREAD_M = 0.7  # of residuals: beyond it they count less and less
_TOGETHER = 16.0  # votes that are one observation: of one walk, one after the other
_LEAST_SIGMA_S = 0.03
_HUBER_S = 0.15


@dataclass(frozen=True, slots=True)
class Walkers:
    """Positions of those who walk.

    Attributes:
        uids: (N,) int64, local track. cameras: (N,) int64, number of its camera.
        times_ns: (N,) int64, by the camera's own clock.
        points, velocities: (N, 2) float64, metres, metres a second.
    """

    uids: Int64
    cameras: Int64
    times_ns: Int64
    points: Float64
    velocities: Float64

    def __len__(self) -> int:
        return len(self.uids)

    def __getitem__(self, rows: Any) -> Self:
        return type(self)(*(getattr(self, column.name)[rows] for column in fields(self)))

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """All of them, in order; at least one."""
        return cls(*(np.concatenate([getattr(part, column.name) for part in parts]) for column in fields(cls)))


@dataclass(frozen=True, slots=True)
class Votes:
    """What pairs of walkers say of two clocks.

    Attributes:
        cameras: (V, 2) int64, numbers, the lower first. uids: (V, 2) int64, their tracks.
        lags: (V,) float32, time of the second minus that of the first, seconds.
        deltas: (V, 2) float32, position of the second minus that of the first, metres.
        velocities: (V, 2) float32, of both, metres a second.
    """

    cameras: Int64
    uids: Int64
    lags: Float32
    deltas: Float32
    velocities: Float32

    def __len__(self) -> int:
        return len(self.lags)

    def __getitem__(self, rows: Any) -> Self:
        return type(self)(*(getattr(self, column.name)[rows] for column in fields(self)))

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """All of them, in order; at least one."""
        return cls(*(np.concatenate([getattr(part, column.name) for part in parts]) for column in fields(cls)))

    @property
    def seconds(self) -> Float64:
        """(V,) by how much the second clock is ahead, if both are one and stand where they seem to."""
        along = (self.deltas * self.velocities).sum(axis=1, dtype=np.float64)
        seconds: Float64 = self.lags - along / (self.velocities**2).sum(axis=1, dtype=np.float64)
        return seconds


def walkers(
    samples: Samples, cameras: Int64, velocities: Float64, ahead_ns: Int64, slot_ns: int, now_ns: int
) -> Walkers:
    """Those who walk, in every other slot of one commit's positions.

    Args:
        samples: positions on the slot grid, sorted by track.
        cameras: (U,) int64, number of the camera of each track, in the order of the samples.
        velocities: (U, 2) float64, metres a second, of each track.
        ahead_ns: (U,) int64, by how much the times of each track have been corrected.
        slot_ns: length of a slot.
        now_ns: the commit's time: where there are more than `TAKEN`, it decides which part of the ground is looked
            at; another every two minutes.
    """
    _, rows = np.unique(samples.uids, return_inverse=True)
    speeds = np.hypot(velocities[:, 0], velocities[:, 1])
    spread = samples.covariances[:, 0] + samples.covariances[:, 2]
    fit = (speeds[rows] > _LEAST_SPEED) & (spread < 2 * _UNCERTAIN_M**2) & (np.abs(samples.points) < 1e6).all(axis=1)
    times = samples.slots * slot_ns + slot_ns // 2 + ahead_ns[rows]
    own_slot = times // slot_ns
    chosen = np.flatnonzero(fit & (own_slot % 2 == 0))
    found = Walkers(samples.uids, cameras[rows], times, samples.points, velocities[rows])[chosen]
    if len(found) <= TAKEN:
        return found
    areas = np.floor(found.points / (16 * _CELL_M)).astype(np.int64)
    turn = _mixed(areas[:, 0] * 92_821 + areas[:, 1] * 68_917 + now_ns // round(MEMORY_S * SECOND_NS))
    return found[np.sort(np.argsort(turn, kind="stable")[:TAKEN])]


def _mixed(values: Int64) -> NDArray[np.uint64]:
    """A fixed shuffle of integers (the finaliser of SplitMix64)."""
    bits = values.astype(np.uint64)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def votes(new: Walkers, kept: Sequence[Walkers]) -> Votes:
    """What new walkers say about clocks, compared with those kept and among themselves."""
    together = Walkers.joined([*kept, new])
    one, two = _near(together.points, len(together) - len(new))
    apart = together.cameras[one] != together.cameras[two]
    one, two = one[apart], two[apart]
    turned = together.cameras[one] > together.cameras[two]
    one, two = np.where(turned, two, one), np.where(turned, one, two)
    ways = together.velocities[one], together.velocities[two]
    paces = np.hypot(*ways[0].T), np.hypot(*ways[1].T)
    velocities = (ways[0] + ways[1]) / 2
    speed = np.maximum(np.hypot(velocities[:, 0], velocities[:, 1]), 1e-9)
    deltas = together.points[two] - together.points[one]
    lags = (together.times_ns[two] - together.times_ns[one]) / SECOND_NS
    along = (deltas * velocities).sum(axis=1) / speed
    aside = (deltas[:, 0] * velocities[:, 1] - deltas[:, 1] * velocities[:, 0]) / speed
    good = (ways[0] * ways[1]).sum(axis=1) > _ALIKE * paces[0] * paces[1]
    good &= np.minimum(*paces) > _PACE * np.maximum(*paces)
    good &= (np.abs(along) < _ALONG_M) & (np.abs(aside) < _ASIDE_M) & (np.abs(lags - along / speed) < RANGE_S)
    rows = np.flatnonzero(good)
    rows = rows[:: max(-(-len(rows) // TAKEN), 1)]
    one, two = one[rows], two[rows]
    return Votes(
        np.stack([together.cameras[one], together.cameras[two]], axis=1),
        np.stack([together.uids[one], together.uids[two]], axis=1),
        lags[rows].astype(np.float32),
        deltas[rows].astype(np.float32),
        velocities[rows].astype(np.float32),
    )


def _near(points: Float64, first_new: int) -> tuple[Int64, Int64]:
    """Rows of points in neighbouring cells: a new one, and one before it."""
    cells = np.floor(points / _CELL_M).astype(np.int64)
    keys = cells[:, 0] * 2**31 + cells[:, 1]
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    around = np.array([dx * 2**31 + dy for dx in (-1, 0, 1) for dy in (-1, 0, 1)], np.int64)
    wanted = (keys[first_new:, None] + around).ravel()
    low, high = np.searchsorted(ordered, wanted, "left"), np.searchsorted(ordered, wanted, "right")
    lengths = high - low
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    other = order[np.repeat(low, lengths) + within]
    own = np.repeat(np.repeat(np.arange(first_new, len(keys)), len(around)), lengths)
    earlier = other < own
    return own[earlier], other[earlier]


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much one clock is ahead of another: seconds, standard deviation, and how many votes say so."""

    seconds: float
    sigma: float
    votes: float


def differences(cast: Votes) -> dict[tuple[int, int], Difference]:
    """The differences of clocks, by pair of cameras, the lower number first; where the votes are not clear, none."""
    pairs, which = np.unique(cast.cameras, axis=0, return_inverse=True)
    found = {}
    for row, (one, two) in enumerate(pairs.tolist()):
        said = _difference(cast[np.flatnonzero(which.ravel() == row)])
        if said is not None:
            found[one, two] = said
    return found


def _difference(cast: Votes) -> Difference | None:
    if len(cast) < _LEAST_VOTES:
        return None
    cast = cast[_of_couples(cast)]
    seconds, speeds = cast.seconds, (cast.velocities**2).sum(axis=1, dtype=np.float64)
    counts, edges = np.histogram(
        seconds, round(2 * RANGE_S / _BIN_S), (-RANGE_S, RANGE_S), weights=np.minimum(speeds, 2.0)
    )
    heights = np.convolve(counts, _KERNEL, "same")
    top = int(np.argmax(heights))
    mode = float(edges[top] + _BIN_S / 2)
    elsewhere = np.abs(edges[:-1] + _BIN_S / 2 - mode) > 1.5 * _NEAR_S
    if heights[top] < _ABOVE_SECOND * heights[elsewhere].max():
        return None
    near = cast[np.flatnonzero(np.abs(seconds - mode) < _NEAR_S)]
    return _fitted(near, mode) if len(near) >= _LEAST_VOTES else None


def _of_couples(cast: Votes) -> NDArray[np.intp]:
    """The votes of couples: of tracks that agree longer with each other than with any other."""
    couples, of = np.unique(cast.uids, axis=0, return_inverse=True)
    of = of.ravel()
    bins = np.floor((cast.seconds + RANGE_S) / _OWN_BIN_S).astype(np.int64)
    counts = np.zeros((len(couples), round(2 * RANGE_S / _OWN_BIN_S) + 2))
    np.add.at(counts, (of, np.clip(bins + 1, 1, counts.shape[1] - 2)), 1.0)
    longest = (counts[:, :-2] + counts[:, 1:-1] + counts[:, 2:]).max(axis=1)
    chosen = longest >= _LEAST_TOGETHER
    for side in (0, 1):
        _, whose = np.unique(couples[:, side], return_inverse=True)
        best = np.zeros(int(whose.max()) + 1)
        np.maximum.at(best, whose.ravel(), longest)
        chosen &= longest == best[whose.ravel()]
    return np.flatnonzero(chosen[of])


def _fitted(near: Votes, mode: float) -> Difference:
    """The skew that fits votes best, beside a constant offset between the two cameras' grounds."""
    lags, deltas, velocities = (column.astype(np.float64) for column in (near.lags, near.deltas, near.velocities))
    seconds, offset = mode, np.zeros(2)
    known, total = 1.0, 1.0
    for _ in range(8):
        away = deltas - velocities * (lags - seconds)[:, None] - offset
        weights = 1 / (1 + (away**2).sum(axis=1) / _SPREAD_M**2) ** 2
        total = float(weights.sum())
        still = deltas - velocities * lags[:, None]
        means = (weights @ velocities / total, weights @ still / total)
        moving = velocities - means[0]
        known = float((weights[:, None] * moving**2).sum()) + 1e-9
        seconds = -float((weights[:, None] * moving * (still - means[1])).sum()) / known
        offset = means[1] + seconds * means[0]
    away = deltas - velocities * (lags - seconds)[:, None] - offset
    spread = float(np.sqrt((weights[:, None] * away**2).sum() / (2 * total)))
    return Difference(seconds, max(spread * float(np.sqrt(_TOGETHER / known)), _LEAST_SIGMA_S), total)


@dataclass(frozen=True, slots=True)
class Skew:
    """By how much a camera's clock is ahead of the median of those that see the same ground.

    Attributes:
        seconds: positive where the clock is ahead.
        sigma: one standard deviation, seconds.
        votes: how many votes it rests on.
        beside: numbers of the cameras that it was compared with directly.
    """

    seconds: float
    sigma: float
    votes: float
    beside: tuple[int, ...]


def solve(differences: Mapping[tuple[int, int], Difference]) -> dict[int, Skew]:
    """One skew a camera from the differences of pairs (`seconds` of the second over the first), by camera."""
    skews: dict[int, Skew] = {}
    for part in _parts(list(differences)):
        row = {camera: index for index, camera in enumerate(part)}
        edges = [pair for pair in sorted(differences) if pair[0] in row]
        known = [differences[pair] for pair in edges]
        one, two = (np.array([row[pair[side]] for pair in edges]) for side in (0, 1))
        seconds, sigmas = (np.array([getattr(each, name) for each in known]) for name in ("seconds", "sigma"))
        found: Float64 = np.zeros(len(part))
        inverse: Float64 = np.zeros((len(part), len(part)))
        weights = 1 / sigmas**2
        for _ in range(6):
            laplacian = np.zeros((len(part), len(part)))
            right = np.zeros(len(part))
            np.add.at(laplacian, (one, one), weights)
            np.add.at(laplacian, (two, two), weights)
            np.add.at(laplacian, (one, two), -weights)
            np.add.at(laplacian, (two, one), -weights)
            np.add.at(right, two, weights * seconds)
            np.add.at(right, one, -weights * seconds)
            inverse = np.asarray(np.linalg.pinv(laplacian, hermitian=True), np.float64)
            found = inverse @ right
            limits = np.maximum(_HUBER_S, 3 * sigmas)
            off = np.abs(found[two] - found[one] - seconds)
            weights = np.minimum(1.0, limits / np.maximum(off, 1e-9)) / sigmas**2
        found = found - np.median(found)
        for camera, index in row.items():
            beside = sorted({other for pair in edges if camera in pair for other in pair if other != camera})
            said = sum(differences[pair].votes for pair in edges if camera in pair)
            sigma = float(np.sqrt(max(inverse[index, index], 0.0)))
            skews[camera] = Skew(float(found[index]), sigma, said, tuple(beside))
    return skews


def _parts(pairs: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Cameras that are connected by pairs, directly or by others: each part in order."""
    part_of: dict[int, set[int]] = {}
    for one, two in pairs:
        both = part_of.get(one, {one}) | part_of.get(two, {two})
        for camera in both:
            part_of[camera] = both
    parts = sorted({tuple(sorted(part)) for part in part_of.values()})
    return [list(part) for part in parts]
