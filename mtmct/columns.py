"""Tracks and identities (see `mtmct.people`) as columns, for what looks at thousands of them in every commit.

The objects of `mtmct.tracks` and `mtmct.identities` stay the truth; a column follows what it mirrors when it is asked
for. A track keeps its row for as long as it is remembered, an identity its slot for as long as it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtmct.exemplars import HALF_TOLD
from mtmct.topology import Float64
from operators.records import Float32, Int64

if TYPE_CHECKING:
    from mtmct.tracks import LocalTrack

MIXED = -1  # class of a track or an identity that has points of several
_FIRST_ROWS = 256


class TrackTable(NamedTuple):
    """Tracks by row; rows that are not in use hold what was there before.

    Attributes:
        uid, camera, start_ns, last_ns, heard_ns, identity: (N,) int64; cameras and classes by number.
        cls: (N,) int64, class of most of its points. sole: (N,) the same, `MIXED` where there are several.
        at_border, ended: (N,) bool.
        first, last, velocity: (N, 8), (N, 8) and (N, 4) float64, as in `LocalTrack`.
        middle: (N, D) float32, mean look. told: (N,) float32, what it weighs in an impression, 0 without looks.
    """

    uid: Int64
    camera: Int64
    start_ns: Int64
    last_ns: Int64
    heard_ns: Int64
    identity: Int64
    cls: Int64
    sole: Int64
    at_border: NDArray[np.bool_]
    ended: NDArray[np.bool_]
    first: Float64
    last: Float64
    velocity: Float64
    middle: Float32
    told: Float32


def _empty(rows: int, dim: int) -> TrackTable:
    numbers = [np.zeros(rows, np.int64) for _ in range(8)]
    flags = [np.zeros(rows, bool) for _ in range(2)]
    places = [np.zeros((rows, 8)), np.zeros((rows, 8)), np.zeros((rows, 4))]
    return TrackTable._make([*numbers, *flags, *places, np.zeros((rows, dim), np.float32), np.zeros(rows, np.float32)])


class TrackColumns:
    """The tracks of a memory as columns.

    Attributes:
        rows: row by uid, of all that have been brought up to date.
        cameras, classes: numbers by name, in the order in which they were met.
        points, offered: (N,) int64, by row, as in `LocalTrack`.
        sums: (N, D) float64, sums of all looks. pictures: (N,) float64, sums of their weights.
        longest_ns: the longest tracklet that has been taken in.
    """

    def __init__(self) -> None:
        self.rows: dict[int, int] = {}
        self.cameras: dict[str, int] = {}
        self.classes: dict[str, int] = {}
        self.longest_ns = 0
        self._free: list[int] = []
        self._used = 0
        self._table = _empty(_FIRST_ROWS, 0)
        self.points, self.offered = np.zeros(_FIRST_ROWS, np.int64), np.zeros(_FIRST_ROWS, np.int64)
        self.sums, self.pictures = np.zeros((_FIRST_ROWS, 0)), np.zeros(_FIRST_ROWS)
        self._by_uid: tuple[Int64, Int64] | None = None
        self._moved: set[int] = set()
        self._looked: set[int] = set()

    def moved(self, uid: int) -> None:
        """Anything of a track has changed but its looks."""
        self._moved.add(uid)

    def looked(self, uid: int) -> None:
        """The looks of a track have changed."""
        self._looked.add(uid)

    def forget(self, uid: int) -> None:
        """A track is no longer remembered."""
        row = self.rows.pop(uid, None)
        self._by_uid = None
        if row is not None:
            self._free.append(row)
        self._moved.discard(uid)
        self._looked.discard(uid)

    def table(self, tracks: Mapping[int, LocalTrack]) -> TrackTable:
        """The columns, up to date with these tracks."""
        if self._moved:
            self._place([tracks[uid] for uid in sorted(self._moved)])
            self._moved.clear()
        if self._looked:
            self._look([tracks[uid] for uid in sorted(self._looked)])
            self._looked.clear()
        return self._table

    def linked(self, uid: int, identity: int) -> None:
        """A track has an identity, or another one."""
        row = self.rows.get(uid)
        if row is None:
            self._moved.add(uid)
        else:
            self._table.identity[row] = identity

    def by_uid(self) -> tuple[Int64, Int64]:
        """The uids of all tracks that have been brought up to date, ascending, and their rows."""
        if self._by_uid is None:
            uids = np.fromiter(self.rows.keys(), np.int64, len(self.rows))
            rows = np.fromiter(self.rows.values(), np.int64, len(self.rows))
            order = np.argsort(uids, kind="stable")
            self._by_uid = uids[order], rows[order]
        return self._by_uid

    def _row(self, uid: int) -> int:
        row = self.rows.get(uid)
        if row is None:
            if self._free:
                row = self._free.pop()
            else:
                row = self._used
                self._used += 1
                if row == len(self._table.uid):
                    self._table = TrackTable._make(_doubled(part) for part in self._table)
                    self.points, self.offered = _doubled(self.points), _doubled(self.offered)
                    self.sums, self.pictures = _doubled(self.sums), _doubled(self.pictures)
            self.rows[uid] = row
            self._by_uid = None
            self._table.told[row] = 0
            self.pictures[row] = 0
        return row

    def _place(self, tracks: Sequence[LocalTrack]) -> None:
        rows = np.array([self._row(track.uid) for track in tracks])
        table, cameras = self._table, self.cameras
        table.uid[rows] = [track.uid for track in tracks]
        table.camera[rows] = [cameras.setdefault(track.camera, len(cameras)) for track in tracks]
        table.start_ns[rows] = [track.start_ns for track in tracks]
        table.last_ns[rows] = [track.last_ns for track in tracks]
        table.heard_ns[rows] = [track.last_ns + track.ahead_ns for track in tracks]
        table.identity[rows] = [track.identity for track in tracks]
        self.points[rows] = [track.points for track in tracks]
        self.offered[rows] = [track.offered for track in tracks]
        table.cls[rows] = [self.number_of(track.cls) for track in tracks]
        table.sole[rows] = [self.class_of(track.votes) for track in tracks]
        table.at_border[rows] = [track.at_border for track in tracks]
        table.ended[rows] = [track.ended for track in tracks]
        table.first[rows] = np.concatenate([track.first for track in tracks]).reshape(-1, 8)
        table.last[rows] = np.concatenate([track.last for track in tracks]).reshape(-1, 8)
        table.velocity[rows] = np.concatenate([track.velocity for track in tracks]).reshape(-1, 4)

    def class_of(self, votes: Mapping[str, int]) -> int:
        """The number of the only class that was voted for, `MIXED` if there are several or none."""
        if len(votes) != 1:
            return MIXED
        return self.number_of(next(iter(votes)))

    def number_of(self, cls: str) -> int:
        """The number of a class."""
        return self.classes.setdefault(cls, len(self.classes))

    def widen(self, dim: int) -> None:
        """Looks have this length, from the first on."""
        if self._table.middle.shape[1] != dim:
            self._table = self._table._replace(middle=np.zeros((len(self._table.uid), dim), np.float32))
            self.sums = np.zeros((len(self._table.uid), dim))

    def _look(self, tracks: Sequence[LocalTrack]) -> None:
        """See `Exemplars.occasion`: the same of many at once, added up in the same order."""
        rows = np.array([self._row(track.uid) for track in tracks], np.int64)
        counts = np.array([len(track.looks.weights) for track in tracks], np.int64)
        self._table.told[rows], self.pictures[rows] = 0, 0
        seen = counts > 0
        if not seen.any():
            return
        looks = [track.looks for track in tracks if len(track.looks.weights)]
        sums, weights = np.concatenate([one.sums for one in looks]), np.concatenate([one.weights for one in looks])
        self.widen(sums.shape[1])
        rows, counts = rows[seen], counts[seen]
        heads = np.cumsum(counts) - counts
        total, pictures = sums[heads], weights[heads]
        exact, counted = total.astype(np.float64), pictures.astype(np.float64)
        for place in range(1, int(counts.max())):
            more = np.flatnonzero(counts > place)
            total[more] += sums[heads[more] + place]
            pictures[more] += weights[heads[more] + place]
            exact[more] += sums[heads[more] + place]
            counted[more] += weights[heads[more] + place]
        norms = np.sqrt(np.array([one.dot(one) for one in total], np.float32))
        self._table.middle[rows] = total / np.maximum(norms, np.float32(1e-12))[:, None]
        self._table.told[rows] = pictures / (pictures + np.float32(HALF_TOLD))
        self.sums[rows], self.pictures[rows] = exact, counted


def _doubled(part: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([part, np.zeros_like(part)])


class PeopleTable(NamedTuple):
    """Identities by slot.

    Attributes:
        number, cls: (S,) int64; the class of the points of past tracks, `MIXED` where there are several, -2 for none.
        rows_at, rows_count, rows: rows of its tracks in memory, in order of uid: `rows[at : at + count]`.
        past_at, past_count: its tracks that are no longer in memory, likewise in the next three, by camera.
        past_camera, past_start_ns, past_end_ns: int64.
        kept_count: (S,) int64. kept: (S, E, D) float32, single looks of past tracks, L2-normalised.
        weight: (S,) float64. total: (S, D) float32: impression of past tracks.
    """

    number: Int64
    cls: Int64
    rows_at: Int64
    rows_count: Int64
    rows: Int64
    past_at: Int64
    past_count: Int64
    past_camera: Int64
    past_start_ns: Int64
    past_end_ns: Int64
    kept_count: Int64
    kept: Float32
    weight: Float64
    total: Float32
