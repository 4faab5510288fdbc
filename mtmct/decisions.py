"""What a commit decides: who the tracks are that waited, who went where he does not belong, who is one and the same.

The order counts: what was wrong is found first and looked at together with what is new, camera by camera, so that a
place that becomes free is free for others; identities are joined at the end, with all that is known by then.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np

from mtmct import provisional
from mtmct.arrivals import Placed
from mtmct.assignment import Verdict, assign
from mtmct.association import Candidates
from mtmct.correction import Misfit, Reviewer, at_one_time
from mtmct.evidence import Judge
from mtmct.foresight import Foresight
from mtmct.hand_over import shared_moments
from mtmct.identity import Identity, Moment, Why
from mtmct.publication import Link
from mtmct.site_memory import SiteMemory
from mtmct.tracks import LocalTrack, in_order
from mtmct.travel_learning import learn
from operators.records import SECOND_NS, Int64

_HOPELESS = -2.0  # a new track whose best candidate scores below this need not wait for more evidence


class Decisions:
    """The decisions of one commit, each of which changes the memory.

    Args:
        memory: of the site; the commit's tracklets are in it, and compared with each other.
        placed: the commit's tracklets.
        done: uids of the tracks that have ended.
        flush: nothing will follow, so that all is decided now.
    """

    def __init__(self, memory: SiteMemory, placed: Placed, done: Sequence[int], flush: bool) -> None:
        self._memory = memory
        self._tracks, self._book = memory.tracks, memory.book
        self._settings = memory.settings
        self._now_ns = memory.now_ns
        self._longest_wait_ns = round(memory.settings.max_wait_s * SECOND_NS)
        self._placed = placed
        self._done = done
        self._flush = flush
        self._found: Candidates | None = None  # by this commit's first decisions

    def decide(self) -> dict[int, Link]:
        """Link what is ready and link anew what is under review, camera by camera.

        Tracklets of tracks that are cut are those of their new track from then on. Returns the links by uid.
        """
        severed, reviewed = self._cut_those_gone_over(self._misfits())
        waiting = self._tracks.at(self._ready())
        asked = in_order([*waiting, *(self._tracks[uid] for uid in reviewed)])
        links: dict[int, Link] = {}
        if not asked:
            return links
        candidates = self._found = self._candidates()
        candidates.look_up(asked)
        without = frozenset(reviewed)
        judge = Foresight(*self._judging())
        judge.look_ahead(asked, candidates, without)
        decided = 0
        for _, together in groupby(asked, key=lambda track: track.camera):
            group = list(together)
            verdicts = assign(judge.answers(decided, decided + len(group), without), judge, without)
            decided += len(group)
            # Those who go first: whether there is room to stay is known only then.
            for track, verdict in sorted(zip(group, verdicts, strict=True), key=lambda one: not self._accepted(*one)):
                if track.uid in severed:
                    links[track.uid] = self._rejoin(track, verdict, severed[track.uid], candidates)
                elif not track.identity:
                    link = self._link(track, verdict, candidates)
                    if link is not None:
                        links[track.uid] = link
                else:
                    self._review(track, verdict, reviewed[track.uid], candidates)
                    without -= {track.uid}
        return links

    def merge(self) -> None:
        """Join what is one; also at the last moment, as tracks are about to be forgotten."""
        seen = self._seen(self._done)
        parting = self._memory.forgetting.parting(self._now_ns, flush=self._flush)
        parting = parting[~np.isin(parting, seen)]
        live = self._linked(np.concatenate([seen, parting]))
        mergers = self._reviewer().mergers(live, parting, self._judge(), self._candidates(), self._now_ns)
        for gone, survivor, why in mergers:
            grain_ns, ahead_ns = self._tracks.columns.longest_ns, self._memory.clocks.ahead_ns
            moments = shared_moments(self._book, gone, survivor, grain_ns, ahead_ns)
            self._book.merge(gone, survivor, why, self._now_ns)
            if moments:
                self._give_up(survivor, moments, why)

    def learn_travel(self) -> None:
        """Learn times between views from the tracks that have ended."""
        travel, topology = self._memory.travel, self._memory.topology
        columns, (_, rows) = self._tracks.columns, self._tracks.columns.by_uid()
        new = rows[(columns.ended & (columns.identity > 0) & ~columns.travelled)[rows]]
        columns.travelled[new] = columns.changed[new] = True
        done = [
            track
            for track in self._tracks.at(new)
            if not topology.calibrated(track.camera) or travel.given(track.camera)
        ]
        if done:
            learn(travel, done, self._book, self._candidates(), self._judge())

    def guess(self) -> dict[int, Link]:
        """Guess who the tracks are that wait and have not been published yet; why, by uid."""
        seen = self._seen()
        waiting = self._tracks.at(seen[self._tracks.columns.identity[seen] == 0])
        waiting = [track for track in waiting if track.uid not in self._book.guesses]
        return provisional.guess(waiting, self._candidates(), self._judge(), self._book) if waiting else {}

    # --- who decides -------------------------------------------------------------------------------------------

    def _judging(self) -> tuple[Any, ...]:
        memory = self._memory
        travel = memory.travel if self._settings.travel else None
        parts = (self._book, memory.window, memory.topology, self._settings)
        return (*parts, self._now_ns, travel, self._tracks.population)

    def _judge(self) -> Judge:
        return Judge(*self._judging())

    def _reviewer(self) -> Reviewer:
        return Reviewer(self._tracks, self._book, self._memory.window, self._settings)

    def _candidates(self) -> Candidates:
        memory = self._memory
        travel = memory.travel if self._settings.travel else None
        parts = (self._tracks, self._book, memory.window, memory.filing.gallery)
        return Candidates(*parts, memory.topology, self._settings, self._now_ns, travel, self._found)

    def _seen(self, more: Sequence[int] = ()) -> Int64:
        """The tracks that this commit's tracklets are of, and `more` (uids), each once, in that order: their rows."""
        columns = self._tracks.columns
        return columns.each_once(np.append(self._placed.rows, columns.rows_of(more)))

    def _linked(self, rows: Int64) -> Int64:
        return rows[self._tracks.columns.identity[rows] > 0]

    # --- what is wrong -----------------------------------------------------------------------------------------

    def _misfits(self) -> list[Misfit]:
        """Linked tracks that do not belong where they are, by uid; of each the first reason found."""
        linked, numbers = self._linked(self._seen()), self._tracks.columns.identity
        reviewer, judge = self._reviewer(), self._judge()
        found = {item.track.uid: item for item in reviewer.defectors(linked, judge)}
        for item in reviewer.strangers(self._linked(self._seen(self._done)), judge):
            found.setdefault(item.track.uid, item)
        found |= {item.track.uid: item for item in reviewer.misfits(np.unique(numbers[linked]))}
        found |= {item.track.uid: item for item in reviewer.taken_over(linked)}
        return at_one_time([found[uid] for uid in sorted(found)])

    def _cut_those_gone_over(self, misfits: Sequence[Misfit]) -> tuple[dict[int, Misfit], dict[int, Misfit]]:
        """Cut tracks that once belonged; the new tracks, and those that are to be moved whole, by uid."""
        severed: dict[int, Misfit] = {}
        cuts: list[tuple[int, int, int]] = []
        reviewed: dict[int, Misfit] = {}
        for misfit in misfits:
            uid = misfit.track.uid
            if misfit.since_ns is None:
                reviewed[uid] = misfit
            else:
                part = self._cut(misfit.track, misfit.since_ns)
                severed[part.uid] = misfit
                cuts.append((uid, part.uid, misfit.since_ns))
        if cuts:
            placed = self._placed
            self._memory.positions.cut(self._memory.sequence, self._now_ns, cuts)
            parts = {self._tracks[uid].row: self._tracks[part] for uid, part, _ in cuts}
            places = np.flatnonzero(np.isin(placed.rows, list(parts)))
            for place, row in zip(places.tolist(), placed.rows[places].tolist(), strict=True):
                placed.rows[place] = parts[row].row
                self._tracks.look(parts[row], placed.arrivals, place, self._settings)
        return severed, reviewed

    def _cut(self, track: LocalTrack, since_ns: int) -> LocalTrack:
        part = self._tracks.cut(track, since_ns)
        self._memory.clocks.hand_over(track.uid, part.uid, since_ns)
        self._memory.keeping.stale_cameras.add(track.camera)
        return part

    # --- one track ---------------------------------------------------------------------------------------------

    def _accepted(self, track: LocalTrack, verdict: Verdict) -> bool:
        """Whether what speaks for an identity suffices.

        More is asked where there are looks, cameras are calibrated, and yet no place speaks for it. A whole visit
        follows its first track, and who looks a little like somebody may be the best there is only because the right
        one is still in view, by a tracker's mistake. As an identity of its own the track is compared again, hand-overs
        and all.
        """
        if verdict.identity is None:
            return False
        terms = verdict.score.terms
        nearby = "ground" in terms or "travel" in terms or terms.get("motion", -1.0) > 0
        # Where nobody's looks are known (no dimension), places are all there will ever be.
        first = self._memory.dim > 0 and not nearby and self._memory.topology.calibrated(track.camera)
        usual = self._settings.link_odds
        return verdict.odds >= (max(self._settings.first_link_odds, usual) if first else usual)

    def _rejoin(self, part: LocalTrack, verdict: Verdict, misfit: Misfit, candidates: Candidates) -> Link:
        """Whose the part of a track is that was cut off: another's, somebody new's, or after all the same one's."""
        source = self._book[misfit.track.identity]
        accepted = self._accepted(part, verdict)
        terms = verdict.score.terms if accepted else {misfit.term: misfit.contradiction}
        why = Why(verdict.score.total if accepted else misfit.contradiction, terms, verdict.runner_up)
        stays = verdict.identity == source.number if accepted else not misfit.contradiction
        if stays and self._book.has_room(source, part):
            self._book.join(part, source, self._now_ns)
        else:
            target = self._book[verdict.identity] if accepted and verdict.identity is not None else None
            self._book.sever(part, source, target, why, self._now_ns)
            candidates.add(part)
        return Link(misfit.track.name, why.score, why.terms, why.runner_up)

    def _ready(self) -> Int64:
        """The tracks that wait and are to be decided now, as enough is known or nothing more may come: their rows."""
        columns, rows = self._tracks.columns, self._tracks.waiting()
        if self._flush:
            return rows
        enough = columns.ended[rows] | (columns.points[rows] >= self._settings.min_evidence)
        ahead_ns = columns.heard_ns[rows] - columns.last_ns[rows]
        waited_ns = self._now_ns - columns.start_ns[rows] - ahead_ns
        return rows[enough | (waited_ns >= self._longest_wait_ns)]

    def _waited_enough(self, track: LocalTrack) -> bool:
        return self._now_ns - track.start_ns - track.ahead_ns >= self._longest_wait_ns

    def _link(self, track: LocalTrack, verdict: Verdict, candidates: Candidates) -> Link | None:
        """Link a track that waits, to somebody known or to somebody new; None where it had better wait on."""
        score = verdict.score
        if self._accepted(track, verdict) and verdict.identity is not None:
            identity = self._book[verdict.identity]
            link = Link(self._book.latest(identity), score.total, score.terms, verdict.runner_up)
            self._book.join(track, identity, self._now_ns)
        elif verdict.promise < _HOPELESS or track.ended or self._flush or self._waited_enough(track):
            self._book.create(track, self._now_ns)
            candidates.add(track)
            link = Link(None, 0.0, {}, verdict.runner_up)
        else:
            return None
        self._book.settle(track, Why(link.score, link.terms, link.runner_up), self._now_ns)
        return link

    def _review(self, track: LocalTrack, verdict: Verdict, misfit: Misfit, candidates: Candidates) -> None:
        """Move a linked track to where it belongs; a mere defector without a better place stays."""
        source = self._book[track.identity]
        alone = source.uids == [track.uid] and not source.past
        if self._accepted(track, verdict) and verdict.identity is not None:
            target = self._book[verdict.identity]
            if target is source:
                return
            why = Why(verdict.score.total, verdict.score.terms, verdict.runner_up)
            if alone:
                survivor, gone = sorted((source, target), key=lambda identity: identity.number)
                self._book.merge(gone, survivor, why, self._now_ns)
            else:
                self._book.move(track, target, why, self._now_ns)
        elif not alone and (misfit.contradiction or not self._book.has_room(source, track)):
            why = Why(misfit.contradiction, {misfit.term: misfit.contradiction}, verdict.runner_up)
            self._book.move(track, None, why, self._now_ns)
            candidates.add(track)

    def _give_up(self, identity: Identity, moments: Sequence[Moment], why: Why) -> None:
        """What two that are now one had at once is nobody's."""
        for moment in moments:
            if moment.uid:
                self._tracks.shorten(self._tracks[moment.uid], moment.since_ns)
                self._memory.keeping.stale_cameras.add(moment.camera)
        said = why.terms.get("hand_over", 0.0)
        self._book.give_up(identity, moments, Why(said, {"hand_over": said}), self._now_ns)
