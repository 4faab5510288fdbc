"""Where each identity has just been, kept for drawing."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from operators.records import SECOND_NS, Float32


@dataclass(frozen=True, slots=True)
class Trail:
    """One unbroken piece of an identity's recent path, oldest point first.

    Attributes:
        identity: number of the identity.
        points: (M, 2) float32, pixels, M >= 2.
        freshness: (M,) float32 in [0, 1]; 0 is about to be forgotten, 1 is now.
    """

    identity: int
    points: Float32
    freshness: Float32


class TrailBook:
    """The last points of each identity in one picture, bounded by event time alone.

    Args:
        span_ns: how far back a trail reaches.
        gap_ns: where two points lie further apart than this, the line between them is lifted.
    """

    def __init__(self, span_ns: int = 3 * SECOND_NS, gap_ns: int = SECOND_NS) -> None:
        self._span = span_ns
        self._gap = gap_ns
        self._points: dict[int, deque[tuple[int, float, float]]] = {}
        self._sweep_at: int | None = None

    def __len__(self) -> int:
        """How many points are held."""
        return sum(map(len, self._points.values()))

    def add(self, identity: int, time_ns: int, x: float, y: float) -> None:
        """Take in a point; one that is not newer than the identity's last is left out."""
        points = self._points.setdefault(identity, deque())
        if points and points[-1][0] >= time_ns:
            return
        points.append((time_ns, x, y))
        # Identities that never come back would stay for ever if only their own points pushed old ones out.
        if self._sweep_at is None or time_ns >= self._sweep_at:
            self._forget(time_ns)
            self._sweep_at = time_ns + self._span

    def trails(self, now_ns: int) -> list[Trail]:
        """The trails as of `now_ns`, by identity; points later than that are not in them."""
        self._forget(now_ns)
        found: list[Trail] = []
        for identity in sorted(self._points):
            known = [point for point in self._points[identity] if point[0] <= now_ns]
            times = np.array([point[0] for point in known], np.int64)
            places = np.array([point[1:] for point in known], np.float32).reshape(-1, 2)
            fresh = (1.0 - (now_ns - times) / self._span).astype(np.float32)
            lifts = np.flatnonzero(np.diff(times) > self._gap) + 1
            for part, age in zip(np.split(places, lifts), np.split(fresh, lifts), strict=True):
                if len(part) > 1:
                    found.append(Trail(identity, part, age))
        return found

    def _forget(self, now_ns: int) -> None:
        oldest = now_ns - self._span
        for identity, points in list(self._points.items()):
            while points and points[0][0] < oldest:
                points.popleft()
            if not points:
                del self._points[identity]
