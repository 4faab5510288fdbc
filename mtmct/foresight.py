"""Scoring ahead what a commit's decisions will ask for: in few passes over many pairs instead of one for each camera.

Decisions are taken camera by camera, and each changes what the next ones are about. But most pairs of a track and an
identity are as they were when the commit began. So all are scored then; once one is asked for of which something has
changed, it is scored anew, and with it those that have changed by then and will be asked for soon. What will be asked
for later may change once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from mtmct.assignment import Answer
from mtmct.association import Candidates
from mtmct.evidence import NEGLIGIBLE, Judge
from mtmct.questions import Questions, pieces
from mtmct.shortlist import as_offered
from mtmct.terms import APPEARANCE, RULED_OUT, among_rivals, sum_of
from mtmct.tracklets import bounds_of
from mtmct.tracks import LocalTrack
from operators.records import Int64

_SOON = 16  # so many tracks ahead are scored anew
_NUMBER_BITS = 40  # of an identity's number beside the place of a track in one key


class _Mutual(NamedTuple):
    """What one identity being another came to.

    Attributes:
        total: the score, nats. looks: what the looks alone say, NaN if nothing.
        version, other: of the one and the other identity.
        lasting: they stay apart whatever tracks the other one gains.
        counted: how many identities were known; -1 if that does not matter.
    """

    total: float
    looks: float
    version: tuple[int, int]
    other: tuple[int, int]
    lasting: bool
    counted: int


class Foresight(Judge):
    """A judge who has scored what will be asked, and says the same as one who scores it when asked.

    Pairs of a track and an identity are in columns, by track, then number; those that were not foreseen are behind
    them, for as long as their track is being decided.
    """

    def look_ahead(self, tracks: Sequence[LocalTrack], candidates: Candidates, without: frozenset[int]) -> None:
        """Score tracks alone against whom each could be, and how alike these are to each other.

        `without` may only become less from then on; all tracks in it are among those that are scored.
        """
        book = self._book
        self._tracks, self._candidates = tracks, candidates
        self._reviewed = {track.uid: track.identity for track in tracks if track.uid in without}
        self._again: dict[int, int] = {}  # how many tracks count as part of an identity that did not, by its number
        self._seen, self._shrunk = len(book.touched), len(book.shrunk)  # so much of what the book says was looked at
        self._lost: set[int] = set()  # identities that have lost a track since
        self._counted = self._rivals.recount()
        # By track: its row, how many it could be, where its pairs begin, and those beside it with whose these were.
        self._rows = book.columns.rows_of([track.uid for track in tracks])
        self._among = self._rivals.of(np.arange(len(tracks) + 1), self._rows)
        self._at, self._numbers = candidates.all_of(tracks)
        self._beside_at, self._beside = candidates.beside(tracks)
        self._owners = np.where(self._beside >= 0, book.columns.identity[self._beside], 0)
        # By pair: number and slot of the identity, place of the track, what it came to, whether that has changed since.
        self._slots = book.slots(self._numbers)
        self._subjects = np.repeat(np.arange(len(tracks)), np.diff(self._at))
        self._pairs = self.scored(
            Questions.of_tracks(self._rows, self._at, self._numbers, self._slots, self._among), without
        )
        self._stale = np.zeros(len(self._numbers), bool)
        # Of those that were foreseen: track and number as one key, ascending; and by number where its pairs are.
        self._keys = (self._subjects << _NUMBER_BITS) | self._numbers
        self._order = np.argsort(self._numbers, kind="stable")
        bounds, numbers = pieces(self._numbers[self._order])
        self._spans = dict(zip(numbers.tolist(), pairwise(bounds.tolist()), strict=True))
        self._mutual: dict[tuple[int, int], _Mutual] = {}
        self._score_mutual(self._likely_rivals(), without)

    def answers(self, low: int, high: int, without: frozenset[int] = frozenset()) -> list[Answer]:
        """What those come to whom each of the tracks from `low` to `high` could be; each track is asked for once."""
        self._note(without)
        begun, end = int(self._at[low]), int(self._at[high])
        if self._as_foreseen(low, high):
            bounds, places = self._at[low : high + 1] - begun, np.arange(begun, end)
        else:
            bounds, places = self._places(low, high)
        if len(places) and self._counted != self._rivals.recount():
            self._counted = self._rivals.recount()
            self._count_again()
        stale = places[self._stale[places]]
        if len(stale):
            self._refresh(stale, high, without)
        numbers, totals, pairs = self._numbers[places].tolist(), self._pairs.totals[places].tolist(), places.tolist()
        return [
            Answer(numbers[begun:end], totals[begun:end], self._pairs, pairs[begun:end])
            for begun, end in pairwise(bounds.tolist())
        ]

    def mutual(self, asked: Sequence[tuple[int, Sequence[int]]], without: frozenset[int]) -> list[list[float]]:
        """See `Judge.mutual`."""
        known = self._mutual
        missing = [(best, [other for other in others if not self._holds(best, other)]) for best, others in asked]
        self._score_mutual([(best, others) for best, others in missing if others], without)
        return [[known[best, other].total for other in others] for best, others in asked]

    def alike(self, number: int, others: Sequence[int], without: frozenset[int]) -> list[float]:
        """See `Judge.alike`."""
        if without.isdisjoint(self._book[number].uids):
            version, known = self._version(number), [self._mutual.get((number, other)) for other in others]
            versions = [(version, self._version(other)) for other in others]
            if versions == [None if one is None else (one.version, one.other) for one in known]:
                return [one.looks for one in known if one is not None]
        return super().alike(number, others, without)

    # --- pairs of a track and an identity ------------------------------------------------------------------------

    def _note(self, without: frozenset[int]) -> None:
        """Mark the pairs of which something has changed since the last call."""
        book = self._book
        touched, self._seen = book.touched[self._seen :], len(book.touched)
        if len(self._reviewed) > len(without):
            for uid in [uid for uid in self._reviewed if uid not in without]:
                number = self._reviewed.pop(uid)
                self._again[number] = self._again.get(number, 0) + 1
                touched.append(number)
        if touched:
            places = self._about(touched)
            # What classes say may change with every track.
            lasting = len(book.columns.classes) == 1
            self._stale[places[self._pairs.status[places] != RULED_OUT] if lasting else places] = True
        if len(book.shrunk) > self._shrunk:
            lost, self._shrunk = book.shrunk[self._shrunk :], len(book.shrunk)
            self._stale[self._about(lost)] = True
            self._lost.update(lost)

    def _about(self, numbers: Sequence[int]) -> Int64:
        """The places of all pairs of some identities."""
        spans = [self._spans[number] for number in numbers if number in self._spans]
        return np.concatenate([self._order[:0], *(self._order[low:high] for low, high in spans)])

    def _places(self, low: int, high: int) -> tuple[Int64, Int64]:
        """Where the pairs of each of some tracks begin, and their places: of all whom they could be by now."""
        bounds, numbers = self._candidates.all_of(self._tracks[low:high])
        subjects = np.repeat(np.arange(low, high), np.diff(bounds))
        keys = (subjects << _NUMBER_BITS) | numbers
        places = self._keys.searchsorted(keys)
        missing = np.ones(len(keys), bool)
        foreseen = np.flatnonzero(places < len(self._keys))
        missing[foreseen] = self._keys[places[foreseen]] != keys[foreseen]
        places[missing] = self._add(subjects[missing], numbers[missing])
        return bounds, places

    def _as_foreseen(self, low: int, high: int) -> bool:
        """Whether some tracks of one camera could be the same as when the commit began."""
        if self._candidates.added(self._tracks[low]):
            return False
        pairs = slice(self._at[low], self._at[high])
        stale = self._stale[pairs]
        if stale.any() and not all(number in self._book for number in self._numbers[pairs][stale].tolist()):
            return False
        at, beside_at = self._at[low : high + 1], self._beside_at[low : high + 1]
        foreseen: bool = as_offered(
            at, self._numbers, beside_at, self._beside, self._owners, self._book.columns.identity
        )
        return foreseen

    def _add(self, subjects: Int64, numbers: Int64) -> Int64:
        """Room for pairs that were not foreseen, behind those that were; their places."""
        foreseen, count = len(self._keys), len(numbers)
        if foreseen + count > len(self._numbers):
            more = foreseen + 2 * count - len(self._numbers)
            self._pairs = self._pairs.longer(more)
            room = np.zeros(more, np.int64)
            self._numbers, self._slots, self._subjects = (
                np.concatenate([column, room]) for column in (self._numbers, self._slots, self._subjects)
            )
            self._stale = np.concatenate([self._stale, np.zeros(more, bool)])
        places = np.arange(foreseen, foreseen + count)
        self._numbers[places], self._slots[places] = numbers, self._book.slots(numbers)
        self._subjects[places], self._stale[places] = subjects, True
        return places

    def _refresh(self, stale: Int64, high: int, without: frozenset[int]) -> None:
        """Score what is asked for, and what has changed of the tracks that come next, from `high` on."""
        begun, end = self._at[high], self._at[min(high + _SOON, len(self._tracks))]
        soon = begun + np.flatnonzero(self._stale[begun:end])
        soon = soon[[number in self._book for number in self._numbers[soon].tolist()]] if len(soon) else soon
        places = np.concatenate([stale, soon])
        places = places[np.argsort(self._subjects[places], kind="stable")]
        heads, subjects = pieces(self._subjects[places])
        columns = self._numbers[places], self._slots[places], self._among[subjects]
        questions = Questions.of_tracks(self._rows[subjects], heads, *columns)
        self._pairs.put(places, self.scored(questions, without))
        self._stale[places] = False

    def _count_again(self) -> None:
        """There are more identities by now, or fewer: put that into what was scored."""
        pairs, count = self._pairs, len(self._keys)
        status, terms, steps = pairs.status[:count], pairs.terms[:count], pairs.steps[:count]
        self._among = self._rivals.of(np.arange(len(self._rows) + 1), self._rows)
        among_rivals(status, terms, steps, self._at, self._among, self._settings.area_per_person_m2)
        pairs.totals[:count] = np.round(sum_of(status, terms), 6)
        self._stale[list(pairs.others)] = True

    # --- pairs of two identities ---------------------------------------------------------------------------------

    def _likely_rivals(self) -> list[tuple[int, Sequence[int]]]:
        """Of each identity that is best for some track, the others that it could be."""
        serious = np.flatnonzero(self._pairs.totals > NEGLIGIBLE)
        subjects, numbers = self._subjects[serious], self._numbers[serious].tolist()
        totals = self._pairs.totals[serious].tolist()
        heads = np.flatnonzero(np.diff(subjects, prepend=-1)).tolist()
        rivals: dict[int, set[int]] = {}
        incomplete = set(self._reviewed.values())
        for low, high in pairwise([*heads, len(serious)]):
            best = max(totals[low:high])
            number = numbers[low + totals[low:high].index(best)]
            if best > 0 and high - low > 1 and number not in incomplete and self._book[number].uids:
                rivals.setdefault(number, set()).update(numbers[low:high])
        return [(best, sorted(competing - {best})) for best, competing in sorted(rivals.items())]

    def _holds(self, best: int, other: int) -> bool:
        """Whether what was scored of two identities is of these as they are."""
        known = self._mutual.get((best, other))
        if known is None or known.version != self._version(best) or known.counted not in (-1, self._counted):
            return False
        return known.other == self._version(other) or (known.lasting and other not in self._lost)

    def _version(self, number: int) -> tuple[int, int]:
        return self._book[number].version, self._again.get(number, 0)

    def _score_mutual(self, asked: Sequence[tuple[int, Sequence[int]]], without: frozenset[int]) -> None:
        if not asked:
            return
        whose = np.array([best for best, _ in asked], np.int64)
        pairs = [(best, other) for best, others in asked for other in others]
        numbers = np.array([other for _, other in pairs], np.int64)
        at = bounds_of([len(others) for _, others in asked])
        scored = self.scored(Questions.of_identities(whose, at, numbers, self._book), without, looks=True)
        lasting = (scored.status == RULED_OUT) & (len(self._book.columns.classes) == 1)
        counted = np.where(scored.depends_on_rivals(), self._counted, -1)
        said = (scored.totals.tolist(), scored.terms[:, APPEARANCE].tolist())
        columns = zip(pairs, *said, lasting.tolist(), counted.tolist(), strict=True)
        for (best, other), total, looks, lasts, count in columns:
            self._mutual[best, other] = _Mutual(total, looks, self._version(best), self._version(other), lasts, count)
