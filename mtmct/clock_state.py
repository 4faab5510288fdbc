"""What is kept of the clocks in a fusion's state, a part of it per commit.

fusion/clock/meta               names, corrections, what was said
fusion/clock/walked/<commit>    who walked, of one commit
fusion/clock/votes/<commit>     what they say of clocks
fusion/clock/placed/<commit>    positions of one commit (`apply` only)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from mtmct import state as stored
from mtmct.fits import Samples
from mtmct.skew import Votes, Walkers
from operators.records import Int64

PREFIX = stored.PREFIX + "clock/"
META, WALKED, VOTES, PLACED = (PREFIX + name for name in ("meta", "walked/", "votes/", "placed/"))


@dataclass(frozen=True, slots=True)
class Placed:
    """One commit's positions (float32), the camera of each, and the event time that the commit covered."""

    sequence: int
    since_ns: int
    time_ns: int
    samples: Samples
    cameras: Int64


def rounded(samples: Samples) -> Samples:
    """As they come out of the state again: a restored engine goes on with the same numbers."""
    points = samples.points.astype(np.float32).astype(np.float64)
    return replace(samples, points=points, covariances=samples.covariances.astype(np.float32).astype(np.float64))


def rows_of(samples: Samples, rows: Any) -> Samples:
    """Some of them, in the order of `rows`."""
    return Samples(samples.uids[rows], samples.slots[rows], samples.points[rows], samples.covariances[rows])


def pack_rows(time_ns: int, part: Walkers | Votes) -> bytes:
    """Who walked, or what that says of clocks, of one commit; its time is event time."""
    return stored.packed({"time": time_ns, "columns": [getattr(part, column.name) for column in fields(part)]})


def unpack_rows(key: str, data: bytes) -> tuple[int, list[Any]]:
    """Event time, and the columns of what `pack_rows` was given.

    Raises:
        StateError: it is damaged.
    """
    value = stored.unpacked(key, data)
    return value["time"], value["columns"]


def pack_placed(placed: Placed) -> bytes:
    """One commit's positions."""
    samples = placed.samples
    return stored.packed(
        {
            "covered": [placed.since_ns, placed.time_ns],
            "uids": samples.uids,
            "slots": samples.slots,
            "points": samples.points.astype(np.float32),
            "covariances": samples.covariances.astype(np.float32),
            "cameras": placed.cameras,
        }
    )


def unpack_placed(key: str, data: bytes) -> Placed:
    """What `pack_placed` was given.

    Raises:
        StateError: it is damaged.
    """
    value = stored.unpacked(key, data)
    points, covariances = value["points"].astype(np.float64), value["covariances"].astype(np.float64)
    samples = Samples(value["uids"], value["slots"], points, covariances)
    since_ns, time_ns = value["covered"]
    return Placed(int(key.removeprefix(PLACED)), since_ns, time_ns, samples, value["cameras"])


def entries(state: Mapping[str, bytes], prefix: str) -> list[tuple[str, bytes]]:
    """What stands under keys that begin so, in their order, which is that of the commits."""
    return [(key, state[key]) for key in sorted(state) if key.startswith(prefix)]
