"""Whom nobody has seen for too long, without looking at everybody who is known in every commit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heappop, heappush

import numpy as np

from mtmct.identities import IdentityBook

_NO_NUMBER = int(np.iinfo(np.int64).max)  # a number that no identity ever has


class Expiry:
    """The open identities by when they were last seen, as far as that has been noted.

    A note is a lower bound: who has been seen again since is put back when the old note comes up. So an identity
    must be noted anew whenever it may have been seen *less* lately than it was (a track was taken from it, a clock
    was put right).

    Args:
        book: the identities.
    """

    def __init__(self, book: IdentityBook) -> None:
        self._book = book
        self._noted: list[tuple[int, int]] = []

    def note(self, numbers: Iterable[int]) -> None:
        """Note when these identities were last seen; those that are not open are passed over."""
        known = sorted(number for number in numbers if number in self._book)
        for seen, number in zip(last_seen(self._book, known), known, strict=True):
            heappush(self._noted, (seen, number))

    def unseen_since(self, time_ns: int) -> list[int]:
        """The open identities last seen before an event time, ascending; their notes are used up."""
        due: set[int] = set()
        while self._noted and self._noted[0][0] < time_ns:
            _, number = heappop(self._noted)
            if number not in self._book or number in due:
                continue
            seen = self._book.last_seen(self._book[number])
            if seen < time_ns:
                due.add(number)
            else:
                heappush(self._noted, (seen, number))
        return sorted(due)


def last_seen(book: IdentityBook, numbers: Sequence[int]) -> list[int]:
    """Event time of the last point of each of some open identities, by number, ascending."""
    seen = np.array([book[number].last_ns for number in numbers], np.int64)
    columns, (_, rows) = book.columns, book.columns.by_uid()
    known, owners = np.array([*numbers, _NO_NUMBER], np.int64), columns.identity[rows]
    places = np.searchsorted(known, owners)
    mine = known[places] == owners
    np.maximum.at(seen, places[mine], columns.last_ns[rows[mine]])
    last_ns: list[int] = seen.tolist()
    return last_ns
