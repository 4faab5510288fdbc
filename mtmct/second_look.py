"""Second looks: tracks of which much more has been seen by now, or nothing more will be, against all who look alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtmct.association import Candidates
from mtmct.columns import TrackColumns
from mtmct.evidence import Judge
from mtmct.identities import IdentityBook
from mtmct.identity import Identity, Why
from mtmct.movement import NEVER
from mtmct.questions import Questions
from mtmct.scores import Score, Scored
from mtmct.settings import FusionSettings
from mtmct.topology import Float64
from mtmct.tracks import LocalTrack, TrackMemory
from operators.records import SECOND_NS, Int64

_NUMBER_BITS = 31  # of an identity's number beside that of another in one key


@dataclass(frozen=True, slots=True)
class _Compared:
    """What those come to whom some tracks could be.

    Attributes:
        bounds: (T + 1,) where those of each track begin. numbers, totals: (P,) who, and the score of each.
        pairs: (P,) which of those that were `scored` it is.
    """

    bounds: Int64
    numbers: Int64
    totals: Float64
    pairs: Int64
    scored: Scored

    def best(self) -> Float64:
        """(T,) the best score of each track, minus infinity where there is none."""
        best = np.full(len(self.bounds) - 1, NEVER)
        some = np.flatnonzero(np.diff(self.bounds))
        if len(some):
            best[some] = np.maximum.reduceat(self.totals, self.bounds[some])
        return best

    def score(self, place: int) -> Score:
        """A score with its terms."""
        return self.scored[int(self.pairs[place])]


class SecondLook:
    """Looks once more for those with whom the identities of some tracks are one."""

    def __init__(self, tracks: TrackMemory, book: IdentityBook, settings: FusionSettings) -> None:
        self._tracks = tracks
        self._book = book
        self._settings = settings

    def mergers(
        self, live: Int64, parting: Int64, judge: Judge, candidates: Candidates, now_ns: int
    ) -> list[tuple[Identity, Identity, Why]]:
        """Pairs (younger, older) that are one, and why, of the identities of some tracks (by row)."""
        young, columns = now_ns - round(self._settings.second_look_s * SECOND_NS), self._tracks.columns
        leaves = np.isin(live, parting) & (columns.looks.counts[live] > 0)
        due = live[looked_up(columns, live) | leaves]
        columns.looked_at[due] = columns.offered[due]
        columns.changed[due] = True
        created_ns = np.array([self._book[number].created_ns for number in columns.identity[due].tolist()], np.int64)
        ready = columns.ended[due] | (created_ns >= young)
        if candidates.many:
            # Given to an identity that was known before, by this very commit: then it was compared.
            ready &= (columns.linked_ns[due] != now_ns) | (created_ns >= now_ns)
        ripe = self._tracks.at(due[ready])
        candidates.look_up(ripe, linked=True)
        compared = self._compared(ripe, candidates, judge)
        promising = []
        odds_of = np.where(np.isin(due[ready], parting), self._settings.last_look_odds, self._settings.second_look_odds)
        for row in np.flatnonzero(compared.best() > odds_of).tolist():
            low, high = compared.bounds[row : row + 2].tolist()
            totals = compared.totals[low:high]
            order = np.argsort(-totals, kind="stable").tolist()
            others = [self._book[number] for number in compared.numbers[low:high].tolist()]
            best = compared.score(low + order[0])
            promising.append(
                (self._book[ripe[row].identity], others, totals.tolist(), best, float(odds_of[row]), order)
            )
        rests = judge.rivalries(
            [
                (others[order[0]].number, {others[row].number: totals[row] for row in order[1:] if totals[row] > NEVER})
                for _, others, totals, _, _, order in promising
            ]
        )
        found = []
        for (subject, others, totals, best, odds, order), rest in zip(promising, rests, strict=True):
            if best.total - math.log(1 + rest) > odds:
                gone, survivor = sorted((subject, others[order[0]]), key=lambda identity: -identity.number)
                second = order[1] if len(order) > 1 and totals[order[1]] != NEVER else None
                runner_up = None if second is None else (others[second].number, totals[second])
                found.append((gone, survivor, Why(best.total, best.terms, runner_up)))
        return found

    def _compared(self, ripe: Sequence[LocalTrack], candidates: Candidates, judge: Judge) -> _Compared:
        """The identities of some tracks against whom each track could be otherwise."""
        bounds, numbers = candidates.offered(ripe)
        counts = np.diff(bounds)
        owners = np.repeat(np.array([track.identity for track in ripe], np.int64), counts)
        kept = owners != numbers
        of_track = np.repeat(np.arange(len(ripe)), counts)[kept]
        numbers, owners = numbers[kept], owners[kept]
        # Several tracks of one identity may be looked at: what is asked of each of them is asked once.
        keys, pair_of = np.unique((owners << _NUMBER_BITS) | numbers, return_inverse=True)
        asked, others = keys >> _NUMBER_BITS, keys & ((1 << _NUMBER_BITS) - 1)
        heads = np.flatnonzero(np.diff(asked, prepend=-1))
        pairs_at = np.append(heads, len(keys))
        scored = judge.scored(Questions.of_identities(asked[heads], pairs_at, others, self._book))
        at = np.searchsorted(of_track, np.arange(len(ripe) + 1))
        return _Compared(at, numbers, scored.totals[pair_of], pair_of, scored)


def looked_up(columns: TrackColumns, rows: Int64) -> NDArray[np.bool_]:
    """Whether it is time for a second look: each time the number of pictures has tripled, and at the end."""
    more = columns.ended[rows] | (columns.looked_at[rows] * 3 < columns.offered[rows])
    return np.asarray(more & (columns.looks.counts[rows] > 0))
