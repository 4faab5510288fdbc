"""Tracks in the stored state: those that go on with all of their camera, those that are over by themselves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtmct.columns import TrackColumns
from mtmct.exemplars import Exemplars
from mtmct.state import READABLE, VERSION, key_of_track, of_another_version, packed, unpacked
from mtmct.topology import Float64
from mtmct.track_state import TrackState
from operators.records import Int64, pack_each, pieces, unpack


def pack_cameras(
    bounds: Sequence[int],
    uids: Int64,
    last_ns: Int64,
    counts: Int64,
    sights: Float64,
    velocities: Float64,
    votes: Sequence[Sequence[tuple[str, int]]],
) -> list[bytes]:
    """The fast-changing part of the tracks of cameras, those of each in order of uid from bound to bound.

    `counts`: points, looks offered.
    """
    columns = (pieces(column, bounds) for column in (uids, last_ns, counts, sights, velocities))
    cast = (votes[low:high] for low, high in pairwise(bounds))
    names = ("uids", "times", "counts", "sights", "velocities", "votes")
    return [packed(dict(zip(names, parts, strict=True))) for parts in zip(*columns, cast, strict=True)]


def unpack_camera(key: str, data: bytes, tracks: Mapping[int, TrackState]) -> None:
    """Bring a camera's tracks (by uid) up to date."""
    value = unpacked(key, data)
    for row, uid in enumerate(value["uids"].tolist()):
        track = tracks[uid]
        track.last_ns = int(value["times"][row])
        track.points, track.offered = (int(count) for count in value["counts"][row, :2])
        track.ended, track.settled = has_ended(value, row), False
        track.last, track.velocity = value["sights"][row].copy(), value["velocities"][row].copy()
        track.votes = dict(value["votes"][row])


def has_ended(value: Mapping[str, Any], row: int) -> bool:
    """Whether a track in a camera's key has ended; those of ledgers of an earlier build may have."""
    return bool(value["counts"][row, 2:].any())


def pack_tracks(columns: TrackColumns, rows: Int64) -> Iterator[tuple[str, bytes]]:
    """The slow part of some tracks, of those that have ended all, and where each is kept.

    Thousands change in a commit: each is a plain list, in the order in which it is read, of values from columns.
    """
    uids, looks, names = columns.uid[rows].tolist(), columns.looks, list(columns.cameras)
    cameras = [names[number] for number in columns.camera[rows].tolist()]
    begun = [getattr(columns, name)[rows].tolist() for name in ("track", "start_ns")]
    firsts = _seen_as_bytes(columns.first, rows, np.full(len(rows), columns.first.shape[1]))
    names = ["at_border", "since_ns", "until_ns", "identity", "linked_ns", "announced", "travelled"]
    linked = [getattr(columns, name)[rows].tolist() for name in names]
    ahead = (columns.heard_ns[rows] - columns.last_ns[rows]).tolist()
    attributes = [columns.attributes.get(row, {}) for row in rows.tolist()]
    names = ["strayed_ns", "strayed_looks", "filed_shard", "filed_looks", "looked_at"]
    looked = [getattr(columns, name)[rows].tolist() for name in names]
    sums = _seen_as_bytes(looks.sums, rows, looks.counts[rows] * looks.sums.shape[2])
    weights = _seen_as_bytes(looks.weights, rows, looks.counts[rows])
    keys = map(key_of_track, uids, cameras, begun[0], linked[1])
    columned = (uids, cameras, *begun, firsts, *linked, ahead, attributes, *looked, sums, weights)
    values = list(zip(repeat(VERSION, len(uids)), *columned, strict=True))
    over = np.flatnonzero(columns.ended[rows])
    for place, rest in zip(over.tolist(), _fast_parts(columns, rows[over]), strict=True):
        values[place] = *values[place], *rest
    return zip(keys, pack_each(values), strict=True)


def _fast_parts(columns: TrackColumns, rows: Int64) -> Iterator[tuple[Any, ...]]:
    numbers = [getattr(columns, name)[rows].tolist() for name in ("last_ns", "points", "offered")]
    sights = [[one.tobytes() for one in column[rows]] for column in (columns.last, columns.velocity)]
    return zip(*numbers, *sights, columns.votes_of(rows), strict=True)


def _seen_as_bytes(column: NDArray[Any], rows: Int64, counts: Int64) -> list[memoryview]:
    """The first `counts` numbers of some rows, where they lie."""
    raw, row = column.reshape(-1).view(np.uint8).data, column.itemsize * math.prod(column.shape[1:])
    ends = (counts * column.itemsize).tolist()
    return [raw[at * row : at * row + length] for at, length in zip(rows.tolist(), ends, strict=True)]


def unpack_track(key: str, data: bytes) -> TrackState:
    """A track, without its fast-changing part if it goes on.

    Raises:
        StateError: damaged, or written by another version.
    """
    value = unpack(data)
    if not isinstance(value, list) or not value or value[0] not in READABLE:
        raise of_another_version(key)
    _, uid, camera, number, start_ns, first, at_border, since_ns, until_ns, *rest = value
    identity, linked_ns, announced, travelled, ahead_ns, attributes, *rest = rest
    strayed_ns, strayed_looks, filed_shard, filed_looks, looked_at, sums, weights, *rest = rest
    worth = np.frombuffer(weights, np.float32).copy()
    begun = np.frombuffer(first, np.float64).copy()
    track = TrackState(
        uid=uid,
        camera=camera,
        track=number,
        votes={},
        start_ns=start_ns,
        last_ns=start_ns,
        points=0,
        first=begun,
        last=begun.copy(),
        velocity=np.zeros(4),
        at_border=at_border,
        identity=identity,
        linked_ns=linked_ns,
        announced=announced,
        travelled=travelled,
        ahead_ns=ahead_ns,
        attributes=attributes,
        strayed_ns=strayed_ns,
        strayed_looks=strayed_looks,
        filed_shard=filed_shard,
        filed_looks=filed_looks,
        looked_at=looked_at,
        since_ns=since_ns,
        until_ns=until_ns,
        looks=Exemplars(np.frombuffer(sums, np.float32).reshape(len(worth), -1).copy(), worth) if sums else Exemplars(),
    )
    if rest:
        track.last_ns, track.points, track.offered, last, velocity, votes = rest
        track.last, track.velocity = np.frombuffer(last).copy(), np.frombuffer(velocity).copy()
        track.votes, track.ended, track.settled = dict(votes), True, True
    return track
