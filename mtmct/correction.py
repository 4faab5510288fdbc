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

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from mtmct.association import Candidates
from mtmct.coincidence import PairWindow
from mtmct.evidence import Judge
from mtmct.identities import Identity, IdentityBook, Why
from mtmct.movement import NEVER
from mtmct.settings import FusionSettings
from mtmct.subjects import Subject
from mtmct.tracks import LocalTrack, TrackMemory
from operators.records import SECOND_NS, Int64

_ONE_MOMENT_NS = 3 * SECOND_NS
_STRAYED_LOOKS, _ONE_LOOK_NS = 3, SECOND_NS  # fewer may be one who passed in front
_NUMBER_BITS = 40  # of an identity's number beside that of a track in one key


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
    """Looks over the identities that this commit has touched."""

    def __init__(self, tracks: TrackMemory, book: IdentityBook, window: PairWindow, settings: FusionSettings) -> None:
        self._tracks = tracks
        self._book = book
        self._window = window
        self._settings = settings

    def misfits(self, touched: Iterable[int]) -> list[Misfit]:
        """Tracks that cannot be what they are taken for, at most one of each conflicting pair, by uid."""
        found: dict[int, Misfit] = {}
        contradictions = self._contradictions()
        for number in touched:
            tracks = self._book.tracks_of(self._book[number])
            for one, other, said, term in self._conflicts(tracks, contradictions):
                if one.uid not in found and other.uid not in found:
                    leaver = self._leaver(one, other)
                    found[leaver.uid] = Misfit(leaver, said, term, self._went_over(leaver, tracks))
        return [found[uid] for uid in sorted(found)]

    def _contradictions(self) -> dict[tuple[int, int], float]:
        """What speaks against pairs of tracks that have lately stood too far apart to be one, by their uids."""
        table = self._window.table
        rows = (table.recent < -self._settings.split_odds) & (table.distance > self._settings.drift_m)
        pairs = zip(table.uids[rows].tolist(), table.partners[rows].tolist(), strict=True)
        return dict(zip(pairs, table.recent[rows].tolist(), strict=True))

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

    def defectors(self, live: Iterable[LocalTrack], judge: Judge) -> list[Misfit]:
        """Linked tracks whose positions follow another identity than their own, with which it cannot be merged."""
        found = []
        pulled = self._pulled()
        for track in live:
            best = pulled.get(track.uid)
            if best is not None and not self._could_merge(track, best, judge):
                beside = [uid for uid in self._window.partners(track.uid) if uid in self._tracks]
                family_of_best = [uid for uid in beside if self._tracks[uid].identity == best]
                since = self._window.agreed_since(track.uid, family_of_best)
                family = self._book.tracks_of(self._book[track.identity])
                if since is None or not _within(track, since):
                    since = self._went_over(track, family)
                found.append(Misfit(track, 0.0, "ground", since))
        return found

    def strangers(self, live: Iterable[LocalTrack], judge: Judge) -> list[Misfit]:
        """Linked tracks that look less like the rest of their identity than like a newcomer, now that more is seen.

        Asked whenever the pictures of a track have tripled, and at its end.
        """
        found = []
        for track in live:
            own = self._book[track.identity]
            if not self._looked_up(track) or (own.uids == [track.uid] and not own.past):
                continue
            subject, without = Subject.of_track(track), frozenset({track.uid})
            if not judge.resembles(subject, own, without) < 0:
                continue
            score = judge.scores(subject, [own], without)[0]
            if score.total == NEVER or score.total >= 0:
                continue
            contradiction = score.total if score.total < -self._settings.split_odds else 0.0
            found.append(Misfit(track, contradiction, "appearance"))
        return found

    def taken_over(self, live: Iterable[LocalTrack]) -> list[Misfit]:
        """Linked tracks that have not looked like themselves for some pictures: they went over to somebody else."""
        found = []
        for track in live:
            since = track.strayed_ns + track.ahead_ns
            lasting = track.strayed_looks >= _STRAYED_LOOKS and track.last_ns - track.strayed_ns > _ONE_LOOK_NS
            if track.strayed_ns and lasting and _within(track, since):
                found.append(Misfit(track, -self._settings.split_odds, "appearance", since))
        return found

    def _pulled(self) -> dict[int, int]:
        """Tracks whose positions of the last seconds are those of another identity, and of which, by uid."""
        table = self._window.table
        own, others = self._identities()
        rows = np.flatnonzero((own > 0) & (others > 0))
        if not len(rows):
            return {}
        # One group a track and identity beside it, sorted by track; sums in the order of the table's rows.
        track = np.cumsum(np.diff(table.uids[rows], prepend=-1) != 0) - 1
        groups, group = np.unique((track << _NUMBER_BITS) | others[rows], return_inverse=True)
        sums = np.bincount(group, table.recent[rows], len(groups))
        tracks, numbers = groups >> _NUMBER_BITS, groups & ((1 << _NUMBER_BITS) - 1)
        first = np.flatnonzero(np.diff(track, prepend=-1))
        uids, mine = table.uids[rows[first]], own[rows[first]]
        home = numbers == mine[tracks]
        held = np.zeros(len(uids))
        held[tracks[home]] = np.maximum(sums[home], 0.0)
        away = np.flatnonzero(~home & (sums > held[tracks] + self._settings.move_odds))
        # The most of each track; of equals the oldest identity.
        away = away[np.lexsort((numbers[away], -sums[away], tracks[away]))]
        best = away[np.diff(tracks[away], prepend=-1) != 0]
        return dict(zip(uids[tracks[best]].tolist(), numbers[best].tolist(), strict=True))

    def _identities(self) -> tuple[Int64, Int64]:
        """The identities of the two tracks of every row of the window's table, 0 where there is none."""
        table = self._window.table
        heads = np.flatnonzero(np.diff(table.uids, prepend=-1))
        uids = table.uids[heads]
        known = self._tracks.tracks
        numbers = [known[uid].identity if uid in known else 0 for uid in uids.tolist()]
        identities = np.array(numbers, np.int64)
        of_row = np.repeat(identities, np.diff(np.append(heads, len(table.uids))))
        return of_row, identities[np.searchsorted(uids, table.partners)]

    def _could_merge(self, track: LocalTrack, number: int, judge: Judge) -> bool:
        subject = Subject.of_identity(self._book[track.identity], self._book)
        return judge.scores(subject, [self._book[number]])[0].total != NEVER

    def mergers(
        self, live: Sequence[LocalTrack], judge: Judge, candidates: Candidates, now_ns: int
    ) -> list[tuple[Identity, Identity, Why]]:
        """Pairs (younger, older) that are one, best first, and why; each identity appears in one pair at most.

        Looked at: identities whose tracks share positions, and young identities of which more has been seen since
        they began, against those that look alike.
        """
        found = self._by_position(live, judge, now_ns) + self._by_second_look(live, judge, candidates, now_ns)
        found.sort(key=lambda entry: (-entry[2].score, entry[0].number, entry[1].number))
        taken: set[int] = set()
        chosen = []
        for gone, survivor, why in found:
            if gone.number not in taken and survivor.number not in taken:
                taken |= {gone.number, survivor.number}
                chosen.append((gone, survivor, why))
        return chosen

    def _by_position(
        self, live: Sequence[LocalTrack], judge: Judge, now_ns: int
    ) -> list[tuple[Identity, Identity, Why]]:
        young = now_ns - round(self._settings.memory_s * SECOND_NS)
        table = self._window.table
        own, others = self._identities()
        rows = np.flatnonzero((table.llr > 0) & (own > 0) & (others > 0) & (own != others))
        rows = rows[np.isin(table.uids[rows], [track.uid for track in live])]
        one, other = own[rows], others[rows]
        pairs = set(zip(np.maximum(one, other).tolist(), np.minimum(one, other).tolist(), strict=True))
        found = []
        for younger, partners in groupby(sorted(pairs), key=lambda pair: pair[0]):
            gone = self._book[younger]
            if gone.created_ns < young and not gone.uids:
                continue
            subject = Subject.of_identity(gone, self._book)
            scored = [(older, judge.scores(subject, [self._book[older]])[0]) for _, older in partners]
            for older, score in scored:
                if score.total > self._settings.merge_odds:
                    rivals = [(s.total, -number) for number, s in scored if number != older and s.total != NEVER]
                    next_best = max(rivals, default=None)
                    runner_up = None if next_best is None else (-next_best[1], next_best[0])
                    found.append((gone, self._book[older], Why(score.total, score.terms, runner_up)))
        return found

    def _by_second_look(
        self, live: Sequence[LocalTrack], judge: Judge, candidates: Candidates, now_ns: int
    ) -> list[tuple[Identity, Identity, Why]]:
        young = now_ns - round(self._settings.second_look_s * SECOND_NS)
        due = [track for track in live if self._looked_up(track)]
        for track in due:
            track.looked_at = track.offered
            self._tracks.changed.add(track.uid)
        ripe = [track for track in due if self._book[track.identity].created_ns >= young]
        candidates.look_up(ripe)
        found = []
        for track in ripe:
            subject = self._book[track.identity]
            others = [identity for identity in candidates.of(track) if identity.number != subject.number]
            if not others:
                continue
            scores = judge.scores(Subject.of_identity(subject, self._book), others)
            order = sorted(range(len(others)), key=lambda row: (-scores[row].total, others[row].number))
            if scores[order[0]].total == NEVER:
                continue
            rest = judge.rivalry(others[order[0]].number, {others[row].number: scores[row].total for row in order[1:]})
            if scores[order[0]].total - math.log(1 + rest) > self._settings.second_look_odds:
                gone, survivor = sorted((subject, others[order[0]]), key=lambda identity: -identity.number)
                second = order[1] if len(order) > 1 and scores[order[1]].total != NEVER else None
                runner_up = None if second is None else (others[second].number, scores[second].total)
                found.append((gone, survivor, Why(scores[order[0]].total, scores[order[0]].terms, runner_up)))
        return found

    def _looked_up(self, track: LocalTrack) -> bool:
        """Whether it is time for a second look: each time the number of pictures has tripled, and at the end."""
        return len(track.looks) > 0 and (track.ended or track.looked_at * 3 < track.offered)
