"""Where somebody was, and from when to when: what times between views are told of."""

from __future__ import annotations

from dataclasses import dataclass

from mtmct.gates import Spot
from mtmct.travel_prior import BESIDE, GONE
from operators.records import SECOND_NS, Int64


@dataclass(frozen=True, slots=True)
class Stay:
    """One track as far as travelling goes: where, and from when to when (event time, ns).

    `came` and `went`: where in the picture it began and ended, None if that is not known.
    """

    start_ns: int
    end_ns: int
    camera: str
    came: Spot | None = None
    went: Spot | None = None


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """The latest stays of many visitors, as columns.

    Attributes:
        cameras: names. which: (N,) int64, the camera of each stay, its place among them.
        starts, ends: (N,) int64, event times, ns.
        gates: (2, N) int64, through which gate each came, and went.
    """

    cameras: list[str]
    which: Int64
    starts: Int64
    ends: Int64
    gates: Int64

    def __len__(self) -> int:
        return len(self.which)


def lag(before: Stay, after: Stay) -> tuple[float, int]:
    """Seconds since a stay began, if another began during it, or else since it ended; and which, `BESIDE` or `GONE`."""
    if before.end_ns >= after.start_ns:
        return max(after.start_ns - before.start_ns, 0) / SECOND_NS, BESIDE
    return (after.start_ns - before.end_ns) / SECOND_NS, GONE
