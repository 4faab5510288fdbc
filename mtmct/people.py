"""Identities as columns, brought up to date from the objects of `mtmct.identities`; see `mtmct.columns`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from mtmct.columns import PeopleTable, TrackColumns
from mtmct.identity import Identity
from operators.records import Int64

_WASTE = 4  # buffers are built anew once they are so many times as long as what is in use


class _Pieces:
    """Pieces of changing length in one buffer of several columns, each with some room to grow."""

    def __init__(self, columns: int) -> None:
        self.columns = [np.zeros(1024, np.int64) for _ in range(columns)]
        self.used = 0
        self.held = 0
        self._room: dict[int, tuple[int, int]] = {}  # by slot: where, and how long it may be

    def put(self, slot: int, parts: Sequence[Sequence[int]] | Int64) -> int:
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
    """Identities as columns, brought up to date when they are asked for.

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
        self._regrouped: set[int] = set()
        self._changed: set[int] = set()
        self._rows, self._past = _Pieces(1), _Pieces(5)
        self._counts = np.zeros((6, 64), np.int64)  # number, cls, rows at, count, past at, count
        self._kept_count, self._weight = np.zeros(64, np.int64), np.zeros(64)
        self._kept, self._total = np.zeros((64, self._limit, 0), np.float32), np.zeros((64, 0), np.float32)

    def tidy(self, open_identities: Collection[int]) -> None:
        """Let go what is not asked for any more. Slots given before are no longer good."""
        spread = max(self._past.used - _WASTE * self._past.held, self._rows.used - _WASTE * self._rows.held)
        if spread > 4096 or len(self._slots) > 2 * len(open_identities) + 64:
            self._begin()

    def regrouped(self, number: int) -> None:
        """An identity has other tracks in memory; all else of it is as it was."""
        self._regrouped.add(number)

    def changed(self, number: int) -> None:
        """Anything of an identity has changed."""
        self._changed.add(number)

    def slots(self, numbers: Int64, identities: Mapping[int, Identity]) -> Int64:
        """(N,) where open identities stand, by number: those that were asked for before as of `catch_up`."""
        slots, wanted = self._slots, numbers.tolist()
        for number in sorted(set(wanted).difference(slots)):
            self._take_in(identities[number])
        return np.fromiter(map(slots.__getitem__, wanted), np.int64, len(wanted))

    def rows_of(self, slots: Int64) -> tuple[Int64, Int64]:
        """(N + 1,) where the rows of the tracks of each of some identities begin, and these, in order of uid."""
        counts = self._counts[3, slots]
        bounds = np.concatenate([[0], np.cumsum(counts)])
        places = np.arange(bounds[-1]) + np.repeat(self._counts[2, slots] - bounds[:-1], counts)
        return bounds, self._rows.columns[0][places]

    def catch_up(self, identities: Mapping[int, Identity]) -> None:
        """Bring those that have changed up to date."""
        if not self._changed and not self._regrouped:
            return
        known = self._slots
        for number in sorted(self._changed):
            if number in known and number in identities:
                self._fill(known[number], identities[number])
        for number in sorted(self._regrouped - self._changed):
            if number in known and number in identities:
                self._put_rows(known[number], identities[number])
        self._changed.clear()
        self._regrouped.clear()

    def _take_in(self, identity: Identity) -> None:
        slot = self._slots[identity.number] = len(self._slots)
        if slot == self._counts.shape[1]:
            self._grow()
        self._fill(slot, identity)

    def _grow(self) -> None:
        self._counts = np.concatenate([self._counts, np.zeros_like(self._counts)], axis=1)
        for name in ("_kept_count", "_weight", "_kept", "_total"):
            part = getattr(self, name)
            setattr(self, name, np.concatenate([part, np.zeros_like(part)]))

    def _put_rows(self, slot: int, identity: Identity) -> None:
        rows = self._tracks.rows
        self._counts[2, slot] = self._rows.put(slot, [[rows[uid] for uid in identity.uids]])
        self._counts[3, slot] = len(identity.uids)

    def _fill(self, slot: int, identity: Identity) -> None:
        self._put_rows(slot, identity)
        for name in identity.past.cameras:
            self._tracks.cameras.setdefault(name, len(self._tracks.cameras))
        past = identity.past.timetable(self._tracks.cameras)
        for name in identity.votes:
            self._tracks.number_of(name)
        self._counts[0, slot] = identity.number
        self._counts[1, slot] = self._tracks.class_of(identity.votes) if identity.votes else -2
        self._counts[4, slot] = self._past.put(slot, past)
        self._counts[5, slot] = past.shape[1]
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
