"""Who is asked about: subjects, and the identities that each could be, by rows of the columns and by number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mtmct.identities import IdentityBook
from mtmct.identity import Identity
from mtmct.subjects import Subject
from mtmct.tracklets import bounds_of
from operators.records import Int64

Question = tuple[Subject, Sequence[Identity]]  # somebody, and whom it could be


@dataclass(frozen=True, slots=True)
class Questions:
    """Subjects, and for each of them identities.

    Attributes:
        rows_at: (S + 1,) and rows: the rows of each subject's tracks in memory, in order of first sight.
        whose, mine: (S,) number and slot (see `mtmct.people`) of the identity that the subject is, with its past; 0 and
            -1 for a track alone.
        pairs_at: (S + 1,) and numbers, slots: the identities asked about.
        rivals: (S,) how many each subject could be, if that is known already.
    """

    rows_at: Int64
    rows: Int64
    whose: Int64
    mine: Int64
    pairs_at: Int64
    numbers: Int64
    slots: Int64
    rivals: Int64 | None = None

    def __len__(self) -> int:
        return len(self.whose)

    @classmethod
    def of(cls, asked: Sequence[Question], book: IdentityBook) -> Questions:
        """The same from objects."""
        whose = np.array([0 if who.identity is None else who.identity.number for who, _ in asked], np.int64)
        numbers = np.array([one.number for _, candidates in asked for one in candidates], np.int64)
        mine = np.full(len(whose), -1)
        mine[whose > 0] = book.slots(whose[whose > 0])
        return cls(
            bounds_of([len(who.tracks) for who, _ in asked]),
            np.array([track.row for who, _ in asked for track in who.tracks], np.int64),
            whose,
            mine,
            bounds_of([len(candidates) for _, candidates in asked]),
            numbers,
            book.slots(numbers),
        )

    @classmethod
    def of_tracks(
        cls, rows: Int64, pairs_at: Int64, numbers: Int64, slots: Int64, rivals: Int64 | None = None
    ) -> Questions:
        """Tracks alone, by their rows."""
        alone = np.zeros(len(rows), np.int64)
        return cls(np.arange(len(rows) + 1), rows, alone, alone - 1, pairs_at, numbers, slots, rivals)

    @classmethod
    def of_identities(cls, whose: Int64, pairs_at: Int64, numbers: Int64, book: IdentityBook) -> Questions:
        """Whole identities."""
        slots = book.slots(np.concatenate([whose, numbers]))
        mine = slots[: len(whose)]
        return cls(*book.people.rows_of(mine), whose, mine, pairs_at, numbers, slots[len(whose) :])

    def subject(self, place: int, book: IdentityBook) -> Subject:
        """One of the subjects."""
        tracks = book.tracks_at(self.rows[self.rows_at[place] : self.rows_at[place + 1]])
        number = int(self.whose[place])
        return Subject(book.cls(book[number]), tracks, book[number]) if number else Subject.of_track(tracks[0])


def pieces(ordered: Int64) -> tuple[Int64, Int64]:
    """(N + 1,) where the pieces of equal numbers begin and the last one ends, and (N,) these numbers."""
    heads = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    bounds = np.concatenate([[0], heads, [len(ordered)]]) if len(ordered) else np.zeros(1, np.int64)
    return bounds, ordered[bounds[:-1]]
