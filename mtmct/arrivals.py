"""The tracklets of a commit as arrays: all points one after the other, and all looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import attrgetter

import numpy as np

from mtmct.records import Tracklet
from mtmct.topology import Float64
from operators.records import Float32, Int64

_ARRAYS = attrgetter("frames", "times_ns", "boxes", "scores", "embeddings", "qualities")


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What a commit takes in.

    Attributes:
        tracklets: (T) the tracklets, by camera, track and time.
        bounds: (T + 1,) int64, the points of tracklet t are those from `bounds[t]` to `bounds[t + 1]`.
        frames: (P,) int64. times_ns: (P,) int64. boxes: (P, 4) float32. scores: (P,) float32.
        look_bounds: (T + 1,) int64, likewise of the looks.
        looks: (K, D) float32, embeddings. worths: (K,) float32, how far each can be trusted.
    """

    tracklets: Sequence[Tracklet]
    bounds: Int64
    frames: Int64
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
            return cls((), start, none, none, nothing.reshape(0, 4), nothing, start, nothing.reshape(0, 0), nothing)
        # Each tracklet is looked at once: of ten thousand, none is in the processor's cache any more when asked again.
        columns = [
            (one.frames, one.times_ns, one.boxes, one.scores, one.embeddings, one.qualities) for one in tracklets
        ]
        frames, times_ns, boxes, scores, embeddings, qualities = zip(*columns, strict=True)
        counts = [0 if vectors is None else len(vectors) for vectors in embeddings]
        seen = [(vectors, worth) for vectors, worth in zip(embeddings, qualities, strict=True) if vectors is not None]
        looks, worths = np.zeros((0, 0), np.float32), np.zeros(0, np.float32)
        if any(counts):
            seen = [(vectors, worth) for vectors, worth in seen if len(vectors)]
            if any(len(vectors) != len(worth) for vectors, worth in seen):
                raise ValueError("looks without a quality, or the other way round")
            looks = np.concatenate([vectors for vectors, _ in seen])
            worths = np.concatenate([worth for _, worth in seen])
            if looks.ndim != 2 or worths.ndim != 1:
                raise ValueError("looks that are no vectors")
        return cls(
            tracklets,
            _bounds([len(numbers) for numbers in frames]),
            np.concatenate(frames),
            np.concatenate(times_ns),
            np.concatenate(boxes),
            np.concatenate(scores),
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


def one_of_each(uids: Sequence[int]) -> list[list[int]]:
    """Rows in turns, in which no track comes twice: one turn, unless a commit brings several pieces of a track."""
    turns: list[list[int]] = []
    times: dict[int, int] = {}
    for row, uid in enumerate(uids):
        turn = times[uid] = times.get(uid, -1) + 1
        if turn == len(turns):
            turns.append([])
        turns[turn].append(row)
    return turns
