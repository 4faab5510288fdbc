"""The tracks of an identity that are no longer in memory: who was where and when, as columns.

In a site of many views a person collects hundreds within minutes, and some part of them is written, compared or said in
every commit. One by one they are looked at only where identities are joined or given up.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from mtmct.gates import Spot
from mtmct.topology import Float64
from operators.records import Int64

_CAMERA, _TRACK, _START, _END = range(4)


@dataclass(frozen=True, slots=True)
class Member:
    """A local track of an identity that is no longer remembered in full.

    `came` and `went`: where in the picture it began and ended, where times between views count.
    """

    camera: str
    track: int
    start_ns: int
    end_ns: int
    came: Spot | None = None
    went: Spot | None = None


class Past(Sequence[Member]):
    """Members in the order in which they were forgotten; after a merger in order of their ends."""

    __slots__ = ("_cameras", "_columns", "_count", "_spots", "_timetable")

    def __init__(self, members: Iterable[Member] = ()) -> None:
        self._cameras: dict[str, int] = {}  # numbers of those that are in the columns
        self._columns = np.zeros((4, 0), np.int64)  # with room to grow
        self._spots: Float64 | None = None  # (rows, 4) came and went, pixels, NaN where unknown; None if all are
        self._count = 0
        self._timetable: Int64 | None = None
        for member in members:
            self.append(member)

    # --- what is in it -----------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, row: int) -> Member: ...

    @overload
    def __getitem__(self, row: slice) -> list[Member]: ...

    def __getitem__(self, row: int | slice) -> Member | list[Member]:
        rows = range(self._count)
        if isinstance(row, slice):
            return self._members(rows[row])
        return self._members([rows[operator.index(row)]])[0]

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members(range(self._count)))

    def _members(self, rows: Sequence[int]) -> list[Member]:
        names, columns = list(self._cameras), self._columns[:, rows].T.tolist()
        spots = [(None, None)] * len(rows) if self._spots is None else [_spots(row) for row in self._spots[rows]]
        return [
            Member(names[camera], track, start_ns, end_ns, *known)
            for (camera, track, start_ns, end_ns), known in zip(columns, spots, strict=True)
        ]

    @property
    def cameras(self) -> Iterable[str]:
        """Each camera that saw one."""
        return self._cameras.keys()

    def names(self) -> list[tuple[str, int]]:
        """Camera and local track id of each."""
        names = list(self._cameras)
        camera, track = self._columns[: _TRACK + 1, : self._count].tolist()
        return [(names[number], one) for number, one in zip(camera, track, strict=True)]

    def latest(self, since_ns: int | None = None) -> tuple[int, tuple[str, int]] | None:
        """End, camera and track of the one seen last, if not before `since_ns`; of equals the last by name."""
        if not self._count:
            return None
        ends = self._columns[_END, : self._count]
        last = int(ends.max())
        if since_ns is not None and last < since_ns:
            return None
        return last, max((one.camera, one.track) for one in self._members(np.flatnonzero(ends == last).tolist()))

    def overlaps(self, camera: str, start_ns: int, end_ns: int) -> bool:
        """Whether a camera saw one between two event times."""
        number = self._cameras.get(camera)
        if number is None:
            return False
        which, _, starts, ends = self._columns[:, : self._count]
        return bool(((which == number) & (starts <= end_ns) & (ends >= start_ns)).any())

    def timetable(self, number_of: Mapping[str, int]) -> Int64:
        """Where and when, for what compares thousands.

        Args:
            number_of: numbers of all cameras; one that has a number keeps it.

        Returns:
            (5, N): the camera's number, start and end, by these three in turn, event time in ns; the order by start of
            these columns, and in that order the latest end so far.
        """
        if self._timetable is None:
            numbers = np.array([number_of[name] for name in self._cameras], np.int64)
            which, _, starts, ends = self._columns[:, : self._count]
            which = numbers[which]
            order = np.lexsort((ends, starts, which))
            which, starts, ends = which[order], starts[order], ends[order]
            by_start = np.argsort(starts, kind="stable")
            self._timetable = np.stack([which, starts, ends, by_start, np.maximum.accumulate(ends[by_start])])
        return self._timetable

    # --- what changes it ---------------------------------------------------------------------------------------

    def append(self, member: Member) -> None:
        """One more has been forgotten."""
        if self._count == self._columns.shape[1]:
            self._columns = np.concatenate([self._columns, np.zeros((4, max(8, self._count)), np.int64)], axis=1)
        number = self._cameras.setdefault(member.camera, len(self._cameras))
        self._columns[:, self._count] = number, member.track, member.start_ns, member.end_ns
        if self._spots is not None or member.came is not None or member.went is not None:
            self._note(self._count, (*(member.came or _NOWHERE), *(member.went or _NOWHERE)))
        self._count += 1
        self._timetable = None

    def keep_last(self, count: int) -> None:
        """Let go of all but so many of those that came last."""
        if self._count > count:
            self._arrange(np.arange(self._count - count, self._count))

    def join(self, other: Past) -> None:
        """Those of another identity that turns out to be this one: all in order of their ends, then cameras."""
        numbers = [self._cameras.setdefault(name, len(self._cameras)) for name in other._cameras]
        columns = other._columns[:, : other._count].copy()
        columns[_CAMERA] = np.array(numbers, np.int64)[columns[_CAMERA]]
        if self._spots is not None or other._spots is not None:
            self._spots = np.concatenate([self._all_spots(), other._all_spots()])
        self._columns = np.concatenate([self._columns[:, : self._count], columns], axis=1)
        self._count += other._count
        self._in_order_of_ends()

    def shorten(self, ends_ns: Mapping[tuple[str, int, int], int]) -> None:
        """Some, by camera, track and start, were over earlier, at these event times."""
        starts = self._columns[_START, : self._count].tolist()
        for row, ((camera, track), start_ns) in enumerate(zip(self.names(), starts, strict=True)):
            end_ns = ends_ns.get((camera, track, start_ns))
            if end_ns is not None:
                self._columns[_END, row] = end_ns
                if self._spots is not None:
                    self._spots[row, 2:] = np.nan
        self._in_order_of_ends()

    def retime(self, camera: str, later_ns: int) -> bool:
        """What a camera saw moves in time; whether it saw any."""
        number = self._cameras.get(camera)
        if number is None:
            return False
        columns = self._columns[:, : self._count]
        columns[_START:, columns[_CAMERA] == number] += later_ns
        self._timetable = None
        return True

    def _note(self, row: int, spots: tuple[float, ...]) -> None:
        if self._spots is None or row >= len(self._spots):
            known = self._all_spots()
            self._spots = np.full((self._columns.shape[1], 4), np.nan)
            self._spots[: len(known)] = known
        self._spots[row] = spots

    def _all_spots(self) -> Float64:
        return np.full((self._count, 4), np.nan) if self._spots is None else self._spots[: self._count]

    def _in_order_of_ends(self) -> None:
        rank = np.argsort(np.argsort(np.array(list(self._cameras))))
        columns = self._columns[:, : self._count]
        self._arrange(np.lexsort((rank[columns[_CAMERA]], columns[_END])) if self._count else np.zeros(0, np.int64))

    def _arrange(self, rows: NDArray[np.intp]) -> None:
        """Keep these rows, in this order, and the cameras that they name."""
        self._columns, self._count = self._columns[:, rows], len(rows)
        if self._spots is not None:
            self._spots = self._spots[rows]
        used = np.bincount(self._columns[_CAMERA], minlength=len(self._cameras)) > 0
        if not used.all():
            self._columns[_CAMERA] = (np.cumsum(used) - 1)[self._columns[_CAMERA]]
            kept = [name for name, still in zip(self._cameras, used.tolist(), strict=True) if still]
            self._cameras = {name: number for number, name in enumerate(kept)}
        self._timetable = None

    # --- as it is stored ---------------------------------------------------------------------------------------

    def stored(self) -> dict[str, Any]:
        """Numbers, names and arrays, see `restored`."""
        spots = None if self._spots is None else self._spots[: self._count]
        return {"cameras": list(self._cameras), "columns": self._columns[:, : self._count], "spots": spots}

    @classmethod
    def restored(cls, value: Any) -> Past:
        """What `stored` gave; or a list a member, as ledgers of earlier builds have it."""
        if isinstance(value, list):
            return cls(_member(*member) for member in value)
        past = cls()
        past._cameras = {name: number for number, name in enumerate(value["cameras"])}
        past._columns, past._spots = value["columns"], value["spots"]
        past._count = past._columns.shape[1]
        return past


_NOWHERE = (np.nan, np.nan)


def _spots(row: Float64) -> tuple[Spot | None, Spot | None]:
    came, went = (row[0], row[1]), (row[2], row[3])
    return _known(came), _known(went)


def _known(spot: tuple[Any, Any]) -> Spot | None:
    return None if np.isnan(spot[0]) else (float(spot[0]), float(spot[1]))


def _member(camera: str, track: int, start_ns: int, end_ns: int, came: Any = None, went: Any = None) -> Member:
    spots = (None if spot is None else (spot[0], spot[1]) for spot in (came, went))
    return Member(camera, track, start_ns, end_ns, *spots)
