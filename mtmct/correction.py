"""Second thoughts: what a commit takes back of earlier ones, with all the evidence of the window.

Moves on the clustering of tracks into identities, each applied only if it improves the score by a margin,
so that they do not undo each other (a local search for the correlation clustering, cf. Keuper et al., "Efficient
decomposition of image and mesh graphs by lifted multicuts", 2015):

- a track leaves an identity that it cannot or does not belong to (two tracks of one camera at once; positions at
  the same time that contradict each other);
- a track goes over to another identity that explains its positions better;
- a track that stops looking like itself, as its tracker has mistaken one for another, is cut there;
- two identities become one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from mtmct.association import Candidates
from mtmct.coincidence import PairWindow
from mtmct.evidence import Judge
from mtmct.identities import IdentityBook
from mtmct.identity import Identity, Why
from mtmct.movement import NEVER
from mtmct.pull import attracted, contradicted, doubled, pulled
from mtmct.questions import Question, Questions
from mtmct.second_look import SecondLook, looked_up
from mtmct.settings import FusionSettings
from mtmct.subjects import Subject
from mtmct.tracks import LocalTrack, TrackMemory
from operators.records import SECOND_NS, Int64

_ONE_MOMENT_NS = 3 * SECOND_NS
_STRAYED_LOOKS, _ONE_LOOK_NS = 3, SECOND_NS  # fewer may be one who passed in front


@dataclass(frozen=True, slots=True)
class Misfit:
    """A track that does not, or may not, belong where it is.

    Attributes:
        track: the track.
        contradiction: what says so, nats, negative; 0 if it is only that another identity explains it better.
        term: the kind of evidence.
        since_ns: it did belong there before this event time; None if it never did.
    """

    track: LocalTrack
    contradiction: float
    term: str
    since_ns: int | None = None


def at_one_time(misfits: Sequence[Misfit]) -> list[Misfit]:
    """Tracks of one camera that go over to each other do so at one moment: the earliest of their estimates."""
    result = []
    for misfit in misfits:
        since = misfit.since_ns
        if since is not None:
            for other in misfits:
                near = other.since_ns is not None and abs(other.since_ns - since) <= _ONE_MOMENT_NS
                if near and other.track.camera == misfit.track.camera:
                    since = min(since, other.since_ns or since)
            since = since if _within(misfit.track, since) else misfit.since_ns
        result.append(replace(misfit, since_ns=since))
    return result


def _within(track: LocalTrack, time_ns: int) -> bool:
    return track.start_ns < time_ns - track.ahead_ns <= track.last_ns


class Reviewer:
    """Looks over the identities that this commit has touched, as they are when it is made.

    Tracks are given by their rows in the columns.
    """

    def __init__(self, tracks: TrackMemory, book: IdentityBook, window: PairWindow, settings: FusionSettings) -> None:
        self._tracks = tracks
        self._book = book
        self._window = window
        self._settings = settings

    def misfits(self, touched: Int64) -> list[Misfit]:
        """Tracks of these identities that cannot be what they are taken for, one of each conflicting pair, by uid."""
        found: dict[int, Misfit] = {}
        contradictions, doubtful = self._contradictions()
        for number in touched[np.isin(touched, doubtful)].tolist():
            tracks = self._book.tracks_of(self._book[number])
            for one, other, said, term in self._conflicts(tracks, contradictions):
                if one.uid not in found and other.uid not in found:
                    leaver = self._leaver(one, other)
                    found[leaver.uid] = Misfit(leaver, said, term, self._went_over(leaver, tracks))
        return [found[uid] for uid in sorted(found)]

    def _contradictions(self) -> tuple[dict[tuple[int, int], float], Int64]:
        """What speaks against pairs of tracks of one identity that have lately stood too far apart, by their uids.

        And all identities with such a pair, or with two tracks of one camera at once.
        """
        table, owners, settings = self._window.table, self._owners, self._settings
        pairs = contradicted(
            table.heads, table.places, table.recent, table.distance, owners, settings.split_odds, settings.drift_m
        )
        said = {(one, other): self._window.of(one)[other].recent for one, other in table.names[pairs].tolist()}
        columns = self._tracks.columns
        tracks = columns.table()
        rows = columns.by_uid()[1]
        rows = rows[tracks.identity[rows] > 0]
        twice = doubled(tracks, rows[np.argsort(tracks.identity[rows], kind="stable")])
        return said, np.concatenate([owners[pairs[:, 0]], twice])

    @cached_property
    def _rows(self) -> Int64:
        """The rows of all tracks in the window's table, -1 for those that are no longer remembered."""
        names, (uids, rows) = self._window.table.names, self._tracks.columns.by_uid()
        if not len(uids):
            return np.full(len(names), -1)
        places = np.minimum(uids.searchsorted(names), len(uids) - 1)
        return np.where(uids[places] == names, rows[places], -1)

    @cached_property
    def _owners(self) -> Int64:
        """The identities of all tracks in the window's table, 0 for none."""
        return np.where(self._rows >= 0, self._tracks.columns.identity[self._rows], 0)

    def _conflicts(
        self, tracks: list[LocalTrack], contradictions: Mapping[tuple[int, int], float]
    ) -> list[tuple[LocalTrack, LocalTrack, float, str]]:
        conflicts = []
        for row, one in enumerate(tracks[:-1]):
            for other in tracks[row + 1 :]:
                if one.camera == other.camera:
                    if one.overlaps(other.start_ns, other.last_ns):
                        conflicts.append((one, other, -self._settings.split_odds, "camera"))
                    continue
                said = contradictions.get((one.uid, other.uid))
                if said is not None:
                    conflicts.append((one, other, said, "ground"))
        return sorted(conflicts, key=lambda conflict: conflict[2])

    def _leaver(self, one: LocalTrack, other: LocalTrack) -> LocalTrack:
        """The one that belongs there less: by the rest of the identity, by others' pull; else the one linked later."""
        ties = {track.uid: self._tie(track, without={one.uid, other.uid}) for track in (one, other)}
        if abs(ties[one.uid] - ties[other.uid]) > 1.0:
            return one if ties[one.uid] < ties[other.uid] else other
        return max(one, other, key=lambda track: (track.linked_ns, track.uid))

    def _tie(self, track: LocalTrack, without: set[int]) -> float:
        """How much more a track's positions are those of its own identity than those of any other."""
        own, others = 0.0, [0.0]
        for uid, said in self._window.of(track.uid).items():
            if uid in self._tracks and uid not in without:
                if self._tracks[uid].identity == track.identity:
                    own += said.recent
                else:
                    others.append(said.recent)
        return own - max(others)

    def _went_over(self, track: LocalTrack, family: Sequence[LocalTrack]) -> int | None:
        """When a track left the identity whose positions it had shared; None if it never had."""
        others = [other.uid for other in family if other is not track and other.camera != track.camera]
        since = self._window.agreed_until(track.uid, others)
        return since if since is not None and _within(track, since) else None

    def defectors(self, live: Int64, judge: Judge) -> list[Misfit]:
        """Linked tracks whose positions follow another identity than their own, with which it cannot be merged."""
        asked = self._pulled(live)
        found = []
        for (track, best), could_merge in zip(asked, self._could_merge(asked, judge), strict=True):
            if not could_merge:
                beside = [uid for uid in self._window.partners(track.uid) if uid in self._tracks]
                family_of_best = [uid for uid in beside if self._tracks[uid].identity == best]
                since = self._window.agreed_since(track.uid, family_of_best)
                family = self._book.tracks_of(self._book[track.identity])
                if since is None or not _within(track, since):
                    since = self._went_over(track, family)
                found.append(Misfit(track, 0.0, "ground", since))
        return found

    def strangers(self, live: Int64, judge: Judge) -> list[Misfit]:
        """Linked tracks that look less like the rest of their identity than like a newcomer, now that more is seen.

        Asked whenever the pictures of a track have tripled, and at its end.
        """
        asked = []
        for track in self._tracks.at(live[looked_up(self._tracks.columns, live)]):
            own = self._book[track.identity]
            if own.uids != [track.uid] or own.past:
                asked.append((Subject.of_track(track), [own]))
        # Each is left out of its own identity: two of one identity would miss each other, so one pass for each of them.
        found = []
        for together in _one_of_each_identity(asked):
            without = frozenset(subject.tracks[0].uid for subject, _ in together)
            alike = judge.resemblances(Questions.of(together, self._book), without).tolist()
            unlike = [question for question, said in zip(together, alike, strict=True) if said < 0]
            for (subject, _), (score,) in zip(unlike, judge.all_scores(unlike, without), strict=True):
                if score.total != NEVER and score.total < 0:
                    contradiction = score.total if score.total < -self._settings.split_odds else 0.0
                    found.append(Misfit(subject.tracks[0], contradiction, "appearance"))
        return found

    def taken_over(self, live: Int64) -> list[Misfit]:
        """Linked tracks that have not looked like themselves for some pictures: they went over to somebody else."""
        columns = self._tracks.columns
        strayed_ns, last_ns = columns.strayed_ns[live], columns.last_ns[live]
        lasting = (columns.strayed_looks[live] >= _STRAYED_LOOKS) & (last_ns - strayed_ns > _ONE_LOOK_NS)
        within = (columns.start_ns[live] < strayed_ns) & (strayed_ns <= last_ns)
        odds, found = -self._settings.split_odds, self._tracks.at(live[(strayed_ns != 0) & lasting & within])
        return [Misfit(track, odds, "appearance", track.strayed_ns + track.ahead_ns) for track in found]

    def _pulled(self, live: Int64) -> list[tuple[LocalTrack, int]]:
        """Of some tracks those whose positions of the last seconds are another identity's, and of which."""
        table = self._window.table
        there = self._in_table(live)
        owners, odds = self._owners, self._settings.move_odds
        places, numbers = pulled(table.heads, table.places, table.recent, owners, there, odds)
        best = dict(zip(table.names[places].tolist(), numbers.tolist(), strict=True))
        asked = live[np.isin(self._tracks.columns.uid[live], table.names[places])]
        return [(track, best[track.uid]) for track in self._tracks.at(asked)]

    def _in_table(self, live: Int64) -> Int64:
        """The places of some tracks among those of which positions were compared, ascending."""
        asked = np.zeros(len(self._tracks.columns.uid), bool)
        asked[live] = True
        return np.flatnonzero(asked[self._rows] & (self._rows >= 0))

    def _could_merge(self, asked: Sequence[tuple[LocalTrack, int]], judge: Judge) -> list[bool]:
        whose = np.array([track.identity for track, _ in asked], np.int64)
        numbers = np.array([number for _, number in asked], np.int64)
        questions = Questions.of_identities(whose, np.arange(len(asked) + 1), numbers, self._book)
        could: list[bool] = (judge.scored(questions).totals != NEVER).tolist()
        return could

    def mergers(
        self,
        live: Int64,
        parting: Int64,
        judge: Judge,
        candidates: Candidates,
        now_ns: int,
    ) -> list[tuple[Identity, Identity, Why]]:
        """Pairs (younger, older) that are one, best first, and why; each identity appears in one pair at most.

        Looked at: identities whose tracks share positions, and against those that look alike young identities of which
        more has been seen since they began, and all of which a track is over or about to be forgotten (`parting`).
        """
        second = SecondLook(self._tracks, self._book, self._settings)
        found = self._by_position(live, judge, now_ns) + second.mergers(live, parting, judge, candidates, now_ns)
        found.sort(key=lambda entry: (-entry[2].score, entry[0].number, entry[1].number))
        taken: set[int] = set()
        chosen = []
        for gone, survivor, why in found:
            if gone.number not in taken and survivor.number not in taken:
                taken |= {gone.number, survivor.number}
                chosen.append((gone, survivor, why))
        return chosen

    def _by_position(self, live: Int64, judge: Judge, now_ns: int) -> list[tuple[Identity, Identity, Why]]:
        young = now_ns - round(self._settings.memory_s * SECOND_NS)
        table = self._window.table
        there = self._in_table(live)
        pairs = attracted(table.heads, table.places, table.llr, self._owners, there)
        asked = [one.created_ns >= young or bool(one.uids) for one in map(self._book.__getitem__, pairs[:, 0].tolist())]
        younger, older = np.ascontiguousarray(pairs[np.array(asked, bool)].T)
        heads = np.flatnonzero(np.diff(younger, prepend=-1))
        bounds = np.append(heads, len(younger))
        scored = judge.scored(Questions.of_identities(younger[heads], bounds, older, self._book))
        found = []
        for pair in np.flatnonzero(scored.totals > self._settings.merge_odds).tolist():
            which = int(np.searchsorted(heads, pair, "right"))
            beside = range(int(bounds[which - 1]), int(bounds[which]))
            rivals = [(scored.totals[one].item(), -int(older[one])) for one in beside if one != pair]
            next_best = max((rival for rival in rivals if rival[0] != NEVER), default=None)
            runner_up = None if next_best is None else (-next_best[1], next_best[0])
            score = scored[pair]
            why = Why(score.total, score.terms, runner_up)
            found.append((self._book[int(younger[pair])], self._book[int(older[pair])], why))
        return found


def _one_of_each_identity(asked: Sequence[Question]) -> list[list[Question]]:
    """Questions about tracks and their own identities in turns, in which no identity comes twice."""
    turns: list[list[Question]] = []
    times: dict[int, int] = {}
    for subject, (own,) in asked:
        turn = times[own.number] = times.get(own.number, -1) + 1
        if turn == len(turns):
            turns.append([])
        turns[turn].append((subject, [own]))
    return turns
