"""Tracks (and identities, see `mtmct.people`) as columns, for what looks at thousands of them in every commit.

Of a track the columns are the truth, and a `LocalTrack` a way to read one row. Of an identity the object of
`mtmct.identities` is, and its column follows when it is asked for. A track keeps its row for as long as it is
remembered, an identity its slot for as long as it is asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtmct.attributes import Tally
from mtmct.exemplars import Exemplars
from mtmct.topology import Float64
from mtmct.track_looks import TrackLooks, doubled
from mtmct.track_state import NOT_FILED, TrackState, most_voted
from operators.records import Float32, Int64

MIXED = -1  # class of a track or an identity that has points of several
_FIRST_ROWS = 256
# The columns of which a `TrackState` has a value of the same name, and those that follow from others.
NUMBERS = (
    *("uid", "track", "identity", "start_ns", "last_ns", "points", "offered", "linked_ns", "since_ns", "until_ns"),
    *("filed_shard", "filed_looks", "looked_at", "strayed_ns", "strayed_looks"),
)
FLAGS = ("at_border", "ended", "announced", "travelled", "settled")
SIGHTS = {"first": 8, "last": 8, "velocity": 4}
_DERIVED = ("camera", "heard_ns", "cls", "sole", "voted")
_MARKS = (*FLAGS, "changed")


class TrackTable(NamedTuple):
    """Tracks by row; rows that are not in use hold what was there before.

    Compiled code reads fields by their place, and of those that are alike its cache does not notice that two have
    changed places: whoever moves one deletes the caches of compiled code (`mtmct/__pycache__/*.nb?`).

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


class TrackColumns:
    """The tracks of a memory as columns, by row; rows that are not in use hold what was there before.

    Attributes:
        rows: row by uid, of all that are remembered, in order of first sight.
        cameras, classes: numbers by name, in the order in which they were met.
        uid, camera, ... velocity: as in `TrackTable`.
        track, points, offered, linked_ns, since_ns, until_ns, filed_shard, filed_looks, looked_at, strayed_ns,
            strayed_looks: (N,) int64, announced, travelled, settled: (N,) bool, as in `TrackState`.
        voted: (N,) int64, points of the class where there is only one.
        changed: (N,) bool, of which something has changed in this commit that does not change with every point.
        looks: what they look like.
        attributes: what they are like, by row, of those of which anything is known.
        longest_ns: the longest tracklet that has been taken in.
    """

    uid: Int64
    track: Int64
    camera: Int64
    identity: Int64
    start_ns: Int64
    last_ns: Int64
    heard_ns: Int64
    cls: Int64
    sole: Int64
    voted: Int64
    points: Int64
    offered: Int64
    linked_ns: Int64
    since_ns: Int64
    until_ns: Int64
    filed_shard: Int64
    filed_looks: Int64
    looked_at: Int64
    strayed_ns: Int64
    strayed_looks: Int64
    at_border: NDArray[np.bool_]
    ended: NDArray[np.bool_]
    announced: NDArray[np.bool_]
    travelled: NDArray[np.bool_]
    settled: NDArray[np.bool_]
    changed: NDArray[np.bool_]
    first: Float64
    last: Float64
    velocity: Float64

    def __init__(self) -> None:
        self.rows: dict[int, int] = {}
        self.cameras: dict[str, int] = {}
        self.classes: dict[str, int] = {}
        self.longest_ns = 0
        self.looks = TrackLooks(_FIRST_ROWS)
        self.attributes: dict[int, Tally] = {}
        self._mixed: dict[int, dict[str, int]] = {}  # by row: votes for several classes
        self._free: list[int] = []
        self._used = 0
        self._by_uid = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self._some_gone = False
        for name in (*NUMBERS, *_DERIVED):
            setattr(self, name, np.zeros(_FIRST_ROWS, np.int64))
        for name in _MARKS:
            setattr(self, name, np.zeros(_FIRST_ROWS, bool))
        for name, width in SIGHTS.items():
            setattr(self, name, np.zeros((_FIRST_ROWS, width)))
        self._table = self._tabled()

    def table(self) -> TrackTable:
        """What evidence is made of, mean looks up to date; good until tracks are added."""
        self.looks.settle()
        return self._table

    def add(self, states: Sequence[TrackState]) -> None:
        """Remember more tracks, in order of uid."""
        if not states:
            return
        rows = self.new([state.uid for state in states])
        for name in (*NUMBERS, *FLAGS, *SIGHTS):
            getattr(self, name)[rows] = [getattr(state, name) for state in states]
        self.camera[rows] = [self.camera_number(state.camera) for state in states]
        self.heard_ns[rows] = [state.last_ns + state.ahead_ns for state in states]
        for row, state in zip(rows.tolist(), states, strict=True):
            self.set_votes(row, state.votes)
            if state.attributes:
                self.attributes[row] = state.attributes
            if len(state.looks):
                self.set_looks(row, state.looks)

    def new(self, uids: Sequence[int]) -> Int64:
        """Rows for more tracks, ascending uids, of which nothing is known yet."""
        rows = np.array([self._row(uid) for uid in uids], np.int64)
        for name in (*NUMBERS, *_MARKS, *SIGHTS, *_DERIVED):
            getattr(self, name)[rows] = 0
        self.uid[rows], self.filed_shard[rows] = uids, NOT_FILED
        self.looks.clear(rows)
        known, before = self.by_uid()
        self._by_uid = np.append(known, self.uid[rows]), np.append(before, rows)
        return rows

    def forget(self, uid: int) -> None:
        """A track is no longer remembered."""
        row = self.rows.pop(uid)
        self._free.append(row)
        self._mixed.pop(row, None)
        self.attributes.pop(row, None)
        self.uid[row], self._some_gone = 0, True

    def by_uid(self) -> tuple[Int64, Int64]:
        """The uids of all tracks, ascending, and their rows."""
        if self._some_gone:
            uids, rows = self._by_uid
            known = self.uid[rows] == uids
            self._by_uid, self._some_gone = (uids[known], rows[known]), False
        return self._by_uid

    def rows_of(self, uids: Collection[int]) -> Int64:
        """(T,) the rows of tracks."""
        return np.fromiter(map(self.rows.__getitem__, uids), np.int64, len(uids))

    def each_once(self, rows: Int64) -> Int64:
        """These rows, each where it comes first."""
        places, first = np.arange(len(rows)), np.empty(len(self.uid), np.int64)
        first[rows[::-1]] = places[::-1]
        kept: Int64 = rows[first[rows] == places]
        return kept

    # --- classes ---------------------------------------------------------------------------------------------------

    def vote(self, rows: Int64, classes: Int64, points: Int64) -> None:
        """Points of a class were seen of each of some tracks, each of which comes once."""
        same = self.sole[rows] == classes
        self.voted[rows[same]] += points[same]
        names = list(self.classes)
        for place in np.flatnonzero(~same).tolist():
            row, name = int(rows[place]), names[classes[place]]
            votes = dict(self.votes(row))
            votes[name] = votes.get(name, 0) + int(points[place])
            self.set_votes(row, votes)

    def votes(self, row: int) -> Mapping[str, int]:
        """The points of a track by class."""
        sole = int(self.sole[row])
        return self._mixed[row] if sole == MIXED else {list(self.classes)[sole]: int(self.voted[row])}

    def votes_of(self, rows: Int64) -> list[list[tuple[str, int]]]:
        """The same of many, as they are stored."""
        names, mixed = list(self.classes), self._mixed
        columned = (rows.tolist(), self.sole[rows].tolist(), self.voted[rows].tolist())
        return [
            list(mixed[row].items()) if sole == MIXED else [(names[sole], voted)]
            for row, sole, voted in zip(*columned, strict=True)
        ]

    def set_votes(self, row: int, votes: Mapping[str, int]) -> None:
        """The points of a track by class are these."""
        self._mixed.pop(row, None)
        self.sole[row] = self.class_of(votes)
        self.cls[row] = self.number_of(most_voted(votes))
        if len(votes) == 1:
            self.voted[row] = next(iter(votes.values()))
        else:
            self._mixed[row] = dict(votes)

    def class_of(self, votes: Mapping[str, int]) -> int:
        """The number of the only class that was voted for, `MIXED` if there are several or none."""
        if len(votes) != 1:
            return MIXED
        return self.number_of(next(iter(votes)))

    def camera_number(self, camera: str) -> int:
        """The number of a camera."""
        return self.cameras.setdefault(camera, len(self.cameras))

    def number_of(self, cls: str) -> int:
        """The number of a class."""
        return self.classes.setdefault(cls, len(self.classes))

    # --- looks -----------------------------------------------------------------------------------------------------

    def set_looks(self, row: int, looks: Exemplars) -> None:
        """A track looks like this."""
        if len(looks):
            self.widen(looks.sums.shape[1])
        self.looks.put(row, looks)

    def widen(self, dim: int) -> None:
        """Looks have this length, from the first on."""
        if self.looks.widen(dim):
            self._table = self._tabled()

    # --- rows ------------------------------------------------------------------------------------------------------

    def _row(self, uid: int) -> int:
        if self._free:
            row = self._free.pop()
        else:
            row = self._used
            self._used += 1
            if row == len(self.uid):
                self._grow()
        self.rows[uid] = row
        return row

    def _grow(self) -> None:
        for name in (*NUMBERS, *_DERIVED, *_MARKS, *SIGHTS):
            setattr(self, name, doubled(getattr(self, name)))
        self.looks.grow()
        self._table = self._tabled()

    def _tabled(self) -> TrackTable:
        own = {name: getattr(self, name) for name in TrackTable._fields if name not in ("middle", "told")}
        return TrackTable(**own, middle=self.looks.middle, told=self.looks.told)


class PeopleTable(NamedTuple):
    """Identities by slot.

    Attributes:
        number, cls: (S,) int64; the class of the points of past tracks, `MIXED` where there are several, -2 for none.
        rows_at, rows_count, rows: rows of its tracks in memory, in order of uid: `rows[at : at + count]`.
        past_at, past_count: its tracks that are no longer in memory, likewise in the next three, by camera.
        past_camera, past_start_ns, past_end_ns: int64.
        past_by_start: the order of these by start, counted from `past_at`.
        past_reach: in that order, the latest end so far.
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
    past_by_start: Int64
    past_reach: Int64
    kept_count: Int64
    kept: Float32
    weight: Float64
    total: Float32
