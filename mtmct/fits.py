"""A straight line through every tracklet of a commit, and where that puts it on the common grid of time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtmct.topology import Float64, Topology
from mtmct.tracklets import Tracklets
from operators.records import SECOND_NS, Int64

_MIN_SPAN_S = 0.15  # a velocity fitted over less is noise


@dataclass(frozen=True, slots=True)
class Samples:
    """Positions on the common grid of time slots, sorted by track, then slot.

    Attributes:
        uids: (S,) int64. slots: (S,) int64, event time divided by the slot's length.
        points: (S, 2) float64, metres at the middle of the slot. covariances: (S, 3) float64, xx, xy, yy.
    """

    uids: Int64
    slots: Int64
    points: Float64
    covariances: Float64

    def __len__(self) -> int:
        return len(self.uids)


class Fits:
    """A straight line through every tracklet: where it began and ended, how fast it went. One pass over all points.

    Args:
        arrivals: the tracklets.
        times_ns: (P,) int64, event times of their points by right clocks.
        topology: where the cameras look.

    Attributes:
        lengths, start_ns, last_ns: (T,) int64, points of each tracklet, event times of the first and the last.
        starts: (T + 1,), where the points of each begin.
        times_ns, ground, covariances: (P,), (P, 2) and (P, 3), of all points.
        velocities: (T, 4), NaN where too little was seen. beginnings, ends: (T, 8), see `mtmct.tracks`.
    """

    def __init__(self, arrivals: Tracklets, times_ns: Int64, topology: Topology) -> None:
        lengths, boxes = arrivals.lengths, arrivals.boxes
        self.lengths, self.starts, self.times_ns = lengths, arrivals.bounds, times_ns
        runs = np.flatnonzero(np.diff(arrivals.camera, prepend=-1))  # where those of another camera begin
        cameras = [arrivals.cameras[number] for number in arrivals.camera[runs].tolist()]
        placed = topology.feet_of(cameras, np.add.reduceat(lengths, runs).tolist(), boxes)
        self.ground, self.covariances = placed.points, placed.covariances
        heads = self.starts[:-1]
        self.start_ns: Int64 = times_ns[heads]
        self.last_ns: Int64 = self.times_ns[self.starts[1:] - 1]
        rows = np.repeat(np.arange(len(arrivals)), lengths)
        origin = self.times_ns[heads]
        seconds = (self.times_ns - origin[rows]) / SECOND_NS
        corners = boxes.astype(np.float64)
        feet = np.stack([(corners[:, 0] + corners[:, 2]) / 2, corners[:, 3]], axis=1)
        values = np.concatenate([self.ground, feet], axis=1)
        middle = np.add.reduceat(seconds, heads) / lengths
        means = np.add.reduceat(values, heads, axis=0) / lengths[:, None]
        offsets = seconds - middle[rows]
        spread = np.add.reduceat(offsets**2, heads)
        slopes = np.add.reduceat(offsets[:, None] * (values - means[rows]), heads, axis=0)
        last = seconds[self.starts[1:] - 1]
        enough = (lengths >= 3) & (last >= _MIN_SPAN_S)
        with np.errstate(divide="ignore", invalid="ignore"):
            self.velocities = np.where(enough[:, None], slopes / spread[:, None], np.nan)
        moving = np.where(np.isfinite(self.velocities), self.velocities, 0.0)
        heights = np.add.reduceat(corners[:, 3] - corners[:, 1], heads) / lengths
        spreads = np.add.reduceat(self.covariances, heads, axis=0) / lengths[:, None]
        begun = means - moving * middle[:, None]
        done = means + moving * (last - middle)[:, None]
        self.beginnings = np.concatenate([begun[:, :2], spreads, begun[:, 2:], heights[:, None]], axis=1)
        self.ends = np.concatenate([done[:, :2], spreads, done[:, 2:], heights[:, None]], axis=1)
        self._rows = rows
        self._moving = moving[:, :2]

    def samples(self, uids: Int64, slot_ns: int) -> Samples:
        """Positions at the middles of the time slots: the mean of a slot's points, moved there along the line."""
        known = np.isfinite(self.ground[:, 0])
        if not known.any():
            return no_samples()
        rows = self._rows[known]
        times, points, covariances = self.times_ns[known], self.ground[known], self.covariances[known]
        slots = times // slot_ns
        owners = uids[rows]
        new = np.ones(len(slots), bool)
        new[1:] = (slots[1:] != slots[:-1]) | (owners[1:] != owners[:-1])
        heads = np.flatnonzero(new)
        counts = np.diff(np.append(heads, len(slots)))
        from_middle = (times - (slots * slot_ns + slot_ns // 2)) / SECOND_NS
        lag = np.add.reduceat(from_middle, heads) / counts
        mean = np.add.reduceat(points, heads, axis=0) / counts[:, None]
        spread = np.add.reduceat(covariances, heads, axis=0) / counts[:, None]
        return Samples(owners[heads], slots[heads], mean - self._moving[rows[heads]] * lag[:, None], spread)


def no_samples() -> Samples:
    return Samples(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 2)), np.zeros((0, 3)))


def halfway(before: Float64, fitted: Float64, known: NDArray[np.bool_]) -> Float64:
    """Velocities ((N, 4)) halfway between what they were, where `known`, and what was fitted (NaN: nothing was)."""
    after = np.where(known[:, None], np.where(np.isfinite(fitted), (fitted + before) / 2, before), fitted)
    return np.where(np.isfinite(after), after, 0.0)
