"""The tracklets of a commit as arrays: all points one after the other, and all looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from mtmct.records import Tracklet
from mtmct.topology import Float64
from operators.records import Float32, Int64


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What a commit takes in.

    Attributes:
        tracklets: (T) the tracklets, by camera, track and time.
        bounds: (T + 1,) int64, the points of tracklet t are those from `bounds[t]` to `bounds[t + 1]`.
        times_ns: (P,) int64. boxes: (P, 4) float32. scores: (P,) float32.
        look_bounds: (T + 1,) int64, likewise of the looks.
        looks: (K, D) float32, embeddings. worths: (K,) float32, how far each can be trusted.
    """

    tracklets: Sequence[Tracklet]
    bounds: Int64
    times_ns: Int64
    boxes: Float32
    scores: Float32
    look_bounds: Int64
    looks: Float32
    worths: Float32

    def __len__(self) -> int:
        return len(self.tracklets)

    @property
    def heads(self) -> Int64:
        """(T,) where the points of each tracklet begin."""
        return self.bounds[:-1]

    @property
    def lengths(self) -> Int64:
        """(T,) how many points each has."""
        lengths: Int64 = np.diff(self.bounds)
        return lengths

    @classmethod
    def of(cls, tracklets: Sequence[Tracklet]) -> Arrivals:
        """Put tracklets together, each of at least one point.

        Raises:
            ValueError: their arrays do not fit together.
        """
        if not tracklets:
            nothing = np.zeros(0, np.float32)
            none, start = np.zeros(0, np.int64), np.zeros(1, np.int64)
            return cls((), start, none, nothing.reshape(0, 4), nothing, start, nothing.reshape(0, 0), nothing)
        counts = [0 if one.embeddings is None else len(one.embeddings) for one in tracklets]
        seen = [one for one, count in zip(tracklets, counts, strict=True) if count]
        if [len(one.qualities) for one in seen] != [count for count in counts if count]:
            raise ValueError("looks without a quality, or the other way round")
        looks, worths = np.zeros((0, 0), np.float32), np.zeros(0, np.float32)
        if seen:
            looks = np.concatenate([one.embeddings for one in seen if one.embeddings is not None])
            worths = np.concatenate([one.qualities for one in seen])
            if looks.ndim != 2 or worths.ndim != 1:
                raise ValueError("looks that are no vectors")
        return cls(
            tracklets,
            _bounds([len(one.frames) for one in tracklets]),
            np.concatenate([one.times_ns for one in tracklets]),
            np.concatenate([one.boxes for one in tracklets]),
            np.concatenate([one.scores for one in tracklets]),
            _bounds(counts),
            looks,
            worths,
        )


@dataclass(slots=True)
class Placed:
    """Tracklets that were taken in.

    Attributes:
        arrivals: the tracklets, by the cameras' own clocks.
        uids: of the track of each.
        ground: (P, 2) float64, their points on the ground, metres, NaN where unknown.
    """

    arrivals: Arrivals
    uids: list[int]
    ground: Float64


def _bounds(counts: Sequence[int]) -> Int64:
    return np.array([0, *accumulate(counts)], np.int64)
