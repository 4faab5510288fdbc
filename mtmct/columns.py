"""Tracks and identities as columns, for what looks at thousands of them in every commit.

The objects of `mtmct.tracks` and `mtmct.identities` stay the truth; a column follows what it mirrors when it is asked
for. A track keeps its row for as long as it is remembered, an identity its slot for as long as it is asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtmct.exemplars import HALF_TOLD
from mtmct.topology import Float64
from operators.records import Float32, Int64

if TYPE_CHECKING:
    from mtmct.identities import Identity
    from mtmct.tracks import LocalTrack

MIXED = -1  # class of a track or an identity that has points of several
_FIRST_ROWS = 256
_WASTE = 4  # buffers are built anew once they are so many times as long as what is in use


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


class _Pieces:
    """Pieces of changing length in one buffer of several columns, each with some room to grow."""

    def __init__(self, columns: int) -> None:
        self.columns = [np.zeros(1024, np.int64) for _ in range(columns)]
        self.used = 0
        self.held = 0
        self._room: dict[int, tuple[int, int]] = {}  # by slot: where, and how long it may be

    def put(self, slot: int, parts: Sequence[Sequence[int]]) -> int:
        """Write a piece; where it begins."""
        length = len(parts[0])
        at, room = self._room.get(slot, (0, -1))
        if length > room:
            self.held -= max(room, 0)
            at, room = self.used, max(8, 1 << length.bit_length())
            self.used, self.held = self.used + room, self.held + room
            self._room[slot] = at, room
            while self.used > len(self.columns[0]):
                self.columns = [np.concatenate([column, np.zeros_like(column)]) for column in self.columns]
        for column, part in zip(self.columns, parts, strict=True):
            column[at : at + length] = part
        return at


class PeopleColumns:
    """Identities as columns, brought up to date one by one as they are asked for.

    Args:
        tracks: the columns of their tracks.
        limit: looks kept of an identity at most.
    """

    def __init__(self, tracks: TrackColumns, limit: int) -> None:
        self._tracks = tracks
        self._limit = limit
        self._begin()

    def _begin(self) -> None:
        self._slots: dict[int, int] = {}
        self._filled: list[tuple[Identity | None, int]] = []
        self._rows, self._past = _Pieces(1), _Pieces(3)
        self._counts = np.zeros((6, 64), np.int64)  # number, cls, rows at, count, past at, count
        self._kept_count, self._weight = np.zeros(64, np.int64), np.zeros(64)
        self._kept, self._total = np.zeros((64, self._limit, 0), np.float32), np.zeros((64, 0), np.float32)

    def tidy(self, open_identities: Collection[int]) -> None:
        """Let go what is not asked for any more. Slots given before are no longer good."""
        spread = max(self._past.used - _WASTE * self._past.held, self._rows.used - _WASTE * self._rows.held)
        if spread > 4096 or len(self._slots) > 2 * len(open_identities) + 64:
            self._begin()

    def slots(self, identities: Sequence[Identity]) -> Int64:
        """(N,) where identities stand, up to date."""
        numbers = [one.number for one in identities]
        known = {number: self.slot(one) for number, one in dict(zip(numbers, identities, strict=True)).items()}
        return np.fromiter(map(known.__getitem__, numbers), np.int64, len(numbers))

    def slot(self, identity: Identity) -> int:
        """Where an identity stands, up to date."""
        slot = self._slots.get(identity.number)
        if slot is None:
            slot = self._slots[identity.number] = len(self._filled)
            self._filled.append((None, 0))
            if slot == self._counts.shape[1]:
                self._grow()
        known, version = self._filled[slot]
        if known is not identity or version != identity.version:
            self._fill(slot, identity)
            self._filled[slot] = identity, identity.version
        return slot

    def _grow(self) -> None:
        self._counts = np.concatenate([self._counts, np.zeros_like(self._counts)], axis=1)
        for name in ("_kept_count", "_weight", "_kept", "_total"):
            part = getattr(self, name)
            setattr(self, name, np.concatenate([part, np.zeros_like(part)]))

    def _fill(self, slot: int, identity: Identity) -> None:
        rows = [self._tracks.rows[uid] for uid in identity.uids]
        number = self._tracks.cameras.setdefault
        past = [(number(one.camera, len(self._tracks.cameras)), one.start_ns, one.end_ns) for one in identity.past]
        past.sort()
        for name in identity.votes:
            self._tracks.number_of(name)
        cls = self._tracks.class_of(identity.votes) if identity.votes else -2
        at = self._rows.put(slot, [rows])
        before = self._past.put(slot, list(zip(*past, strict=True)) or [(), (), ()])
        self._counts[:, slot] = (identity.number, cls, at, len(rows), before, len(past))
        impression, looks = identity.impression, identity.looks
        dim = max(len(impression.total), looks.sums.shape[1] if len(looks) else 0)
        if dim:
            self._tracks.widen(dim)
        if dim and self._total.shape[1] != dim:
            self._total = np.zeros((len(self._weight), dim), np.float32)
            self._kept = np.zeros((len(self._weight), self._limit, dim), np.float32)
        self._weight[slot] = impression.weight
        if impression:
            self._total[slot] = impression.total
        if len(looks) > self._kept.shape[1]:
            more = np.zeros((len(self._weight), len(looks) - self._kept.shape[1], dim), np.float32)
            self._kept = np.concatenate([self._kept, more], axis=1)
        self._kept_count[slot] = len(looks)
        if len(looks):
            self._kept[slot, : len(looks)] = looks.vectors

    def table(self) -> PeopleTable:
        """The columns, as of the slots that were asked for."""
        number, cls, rows_at, rows_count, past_at, past_count = self._counts
        (rows,), past = self._rows.columns, self._past.columns
        looks = (self._kept_count, self._kept, self._weight, self._total)
        return PeopleTable._make((number, cls, rows_at, rows_count, rows, past_at, past_count, *past, *looks))
