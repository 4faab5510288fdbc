"""The fusion engine: batches of local tracks in, identities out; deterministic, in event time, restartable anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from mtmct import provisional
from mtmct import state as stored
from mtmct.album import Album
from mtmct.arrivals import Placed
from mtmct.association import Candidates, Verdict, assign
from mtmct.clocks import Clocks
from mtmct.coincidence import PairWindow
from mtmct.columns import PeopleColumns
from mtmct.correction import Misfit, Reviewer, at_one_time
from mtmct.erasure import ErasedTracks, erase
from mtmct.evidence import Judge
from mtmct.expiry import Expiry
from mtmct.filing import Filing
from mtmct.foresight import Foresight
from mtmct.forgetting import Forgetting
from mtmct.hand_over import shared_moments
from mtmct.horizon import beyond_horizon
from mtmct.identities import Identity, IdentityBook, Moment, Why
from mtmct.intake import by_interval, take_in
from mtmct.keeping import Keeping
from mtmct.outlet import Outlet
from mtmct.positions import Positions
from mtmct.publication import Link, publish
from mtmct.records import CameraBatch, Commit, Record
from mtmct.settings import FusionSettings
from mtmct.skew import Skew
from mtmct.subjects import Subject
from mtmct.topology import Topology
from mtmct.tracks import LocalTrack, TrackMemory, in_order
from mtmct.travel import TravelTime, TravelTimes
from mtmct.travel_learning import learn
from mtmct.travel_news import TravelNews
from operators.records import SECOND_NS

END_OF_TIME = int(np.iinfo(np.int64).max)
_HOPELESS = -2.0  # a new track whose best candidate scores below this need not wait for more evidence


class FusionEngine:
    """Turns the local tracks of a site's cameras into identities.

    Knows no clock but the watermark, no randomness and no threads: the same batches give the same commits, and
    an engine restored from the state of any commit goes on as if it had never stopped.

    Args:
        site: site name, the first part of every identity's name.
        topology: the cameras; those it does not know count as not calibrated.
        settings: beliefs and bounds.
    """

    def __init__(self, site: str, topology: Topology, settings: FusionSettings | None = None) -> None:
        self._site = site
        self._topology = topology
        self._settings = settings or FusionSettings()
        self._reset({})

    def _reset(self, state: Mapping[str, bytes]) -> None:
        settings = self._settings
        self._journal = stored.Journal(state)
        self._tracks = TrackMemory()
        self._book = IdentityBook(self._site, self._tracks, settings)
        self._expiry = Expiry(self._book)
        self._people = PeopleColumns(self._tracks.columns, settings.exemplars)
        self._window = PairWindow(settings)
        self._filing = Filing(settings)
        self._travel = TravelTimes(self._topology.cameras, settings)
        self._travel_news = TravelNews(self._site)
        self._clocks = Clocks(self._site, settings)
        self._outlet = Outlet(self._tracks, self._book, self._topology, self._journal)
        self._positions = Positions(self._tracks, self._window, self._clocks, self._journal, settings)
        self._erased = ErasedTracks(state)
        self._keeping = Keeping(self._tracks, self._book, self._journal)
        self._forgetting = Forgetting(
            self._tracks, self._book, self._topology, settings, self._expiry, Album(state), self._keeping, self._journal
        )
        self._sequence = 0
        self._now_ns = 0
        self._dim = 0

    # --- one commit --------------------------------------------------------------------------------------------

    def advance(self, batches: Sequence[CameraBatch], watermark_ns: int) -> Commit:
        """Take in everything up to a watermark and say what became of it.

        Args:
            batches: those of the next commit interval; their order does not matter. Those of several intervals are
                fused one interval after the other, so that it is the same people however much comes at once.
            watermark_ns: event time up to which the site is complete; `END_OF_TIME` decides all that waits and
                closes every identity.

        Returns:
            The commit: records in the order for consumers (what the batches brought, dead letters, identities,
            tracks) and the changed state keys.
        """
        records: list[Record] = []
        slices = by_interval(batches)
        for part in slices[:-1]:
            reached = min(batch.watermark_ns for batch in part)
            records += self._fuse(part, 0 if reached == END_OF_TIME else min(reached, watermark_ns))
        records += self._fuse(slices[-1], watermark_ns)
        return Commit(watermark_ns, tuple(records), self._journal.changes())

    def _fuse(self, batches: Sequence[CameraBatch], watermark_ns: int) -> Sequence[Record]:
        flush = watermark_ns == END_OF_TIME
        self._sequence += 1
        # 1. Take in.
        intake = take_in(
            self._erased.without(batches, self._journal), self._tracks, self._topology, self._site, self._dim
        )
        self._dim = intake.dim
        placed, samples = self._tracks.take(intake.arrivals, self._topology, self._settings, self._clocks.ahead_ns)
        letters = [*intake.letters, *beyond_horizon(placed, self._topology, self._site)]
        self._people.tidy(self._book.identities)
        since_ns = self._now_ns
        latest = int(intake.arrivals.times_ns[intake.arrivals.bounds[1:] - 1].max()) if placed.uids else 0
        self._now_ns = max(self._now_ns, latest, 0 if flush else watermark_ns)
        done = self._note_ends(intake.ended)
        self._keeping.stale_cameras |= {tracklet.camera for tracklet in intake.arrivals.tracklets}
        # 2. Compare positions of the same time.
        self._positions.compare(self._sequence, samples, since_ns, self._now_ns)
        # 3. Take back what was wrong, decide what waits, join what is one.
        links = self._decide(placed, done, flush)
        self._merge(placed, done, flush)
        self._learn_travel()
        ways: list[Record] = []
        if self._settings.travel and (flush or self._travel_news.due(since_ns, self._now_ns)):
            ways = self._travel_news.review(self._travel.table(), self._now_ns, self._journal)
        # 4. Publish what has an identity; guess at the rest, or hold it.
        if self._settings.provisional:
            links |= self._guess(placed)
        tracks = publish(*self._outlet.issues(placed, links), self._site, self._book)
        # 5. Put clocks right, file looks, forget what is too old.
        self._set_clocks({} if flush else self._clocks.review(self._now_ns))
        seen = set(placed.uids)
        self._filing.file(self._tracks, seen, self._now_ns, self._sequence, self._journal)
        self._forgetting.forget(self._now_ns, flush=flush)
        silent = self._now_ns - round(self._settings.silence_s * SECOND_NS)
        self._erased.forget(END_OF_TIME if flush else silent, self._journal)
        # Nothing can be found again after the end: not even the newest shard is kept.
        self._filing.expire(END_OF_TIME if flush else self._now_ns, self._journal)
        self._clocks.forget(self._now_ns)
        # 6. Write down.
        self._write()
        return (*intake.passed, *letters, *self._clocks.said(), *ways, *self._book.said(), *tracks)

    def _note_ends(self, ended: Iterable[tuple[str, int]]) -> list[int]:
        """Note which tracks have ended; their uids."""
        done = []
        for camera, track_id in ended:
            track = self._tracks.find(camera, track_id)
            if track is not None:
                self._tracks.end(track)
                self._keeping.stale_cameras.add(camera)
                done.append(track.uid)
        return done

    def _set_clocks(self, changes: Mapping[str, int]) -> None:
        """Take other corrections of clocks, and compare the positions of the window anew by them."""
        if not changes:
            return
        for camera, ahead_ns in changes.items():
            self._book.retime(camera, self._clocks.ahead_ns.get(camera, 0) - ahead_ns)
            self._tracks.retime(camera, ahead_ns)
            self._keeping.stale_cameras.add(camera)
        self._expiry.note(sorted(self._book.identities))
        self._clocks.set(changes)
        self._positions.compare_anew()

    # --- decisions ---------------------------------------------------------------------------------------------

    def _judging(self) -> tuple[Any, ...]:
        travel = self._travel if self._settings.travel else None
        memory = (self._book, self._window, self._topology, self._settings)
        return (*memory, self._now_ns, self._people, travel, self._tracks.population)

    def _judge(self) -> Judge:
        return Judge(*self._judging())

    def _decide(self, placed: Placed, done: Sequence[int], flush: bool) -> dict[int, Link]:
        """Link what is ready and link anew what is under review, camera by camera.

        Tracklets of tracks that are cut are those of their new track from then on. Returns the links by uid.
        """
        live = [self._tracks[uid] for uid in dict.fromkeys(placed.uids)]
        reviewer = Reviewer(self._tracks, self._book, self._window, self._settings)
        touched = sorted({track.identity for track in live if track.identity})
        now = self._judge()
        found = {item.track.uid: item for item in reviewer.defectors((track for track in live if track.identity), now)}
        seen_whole = [self._tracks[uid] for uid in dict.fromkeys([*(track.uid for track in live), *done])]
        found |= {
            item.track.uid: item
            for item in reviewer.strangers((track for track in seen_whole if track.identity), now)
            if item.track.uid not in found
        }
        found |= {item.track.uid: item for item in reviewer.misfits(touched)}
        found |= {item.track.uid: item for item in reviewer.taken_over(track for track in live if track.identity)}
        severed: dict[int, Misfit] = {}
        cuts: list[tuple[int, int, int]] = []
        reviewed: dict[int, Misfit] = {}
        for misfit in at_one_time([found[uid] for uid in sorted(found)]):
            uid = misfit.track.uid
            if misfit.since_ns is None:
                reviewed[uid] = misfit
            else:
                part = self._cut(misfit.track, misfit.since_ns)
                severed[part.uid] = misfit
                cuts.append((uid, part.uid, misfit.since_ns))
        if cuts:
            self._positions.cut(self._sequence, self._now_ns, cuts)
            parts = {uid: part for uid, part, _ in cuts}
            placed.uids = [parts.get(uid, uid) for uid in placed.uids]
            for place, uid in enumerate(placed.uids):
                if uid in severed:
                    self._tracks.look(self._tracks[uid], placed.arrivals, place, self._settings)
        waiting = [track for track in self._tracks.waiting() if self._ready(track, flush)]
        asked = in_order([*waiting, *(self._tracks[uid] for uid in reviewed)])
        links: dict[int, Link] = {}
        if not asked:
            return links
        candidates = self._candidates()
        candidates.look_up(asked)
        without = frozenset(reviewed)
        judge = Foresight(*self._judging())
        whom = zip(asked, candidates.all_of(asked), strict=True)
        judge.look_ahead([(Subject.of_track(track), offered) for track, offered in whom], without)
        for _, together in groupby(asked, key=lambda track: track.camera):
            group = list(together)
            offered = dict(zip([track.uid for track in group], candidates.all_of(group), strict=True))
            verdicts = assign(group, offered, judge, without)
            # Those who go first: whether there is room to stay is known only then.
            for track in sorted(group, key=lambda track: not self._accepted(track, verdicts[track.uid])):
                verdict = verdicts[track.uid]
                if track.uid in severed:
                    links[track.uid] = self._rejoin(track, verdict, severed[track.uid], candidates)
                elif not track.identity:
                    self._link(track, verdict, flush, links, candidates)
                else:
                    self._review(track, verdict, reviewed[track.uid], candidates)
                    without -= {track.uid}
        return links

    def _cut(self, track: LocalTrack, since_ns: int) -> LocalTrack:
        part = self._tracks.cut(track, since_ns)
        self._clocks.hand_over(track.uid, part.uid, since_ns)
        self._keeping.stale_cameras.add(track.camera)
        return part

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
        first = self._dim > 0 and not nearby and self._topology.calibrated(track.camera)
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

    def _ready(self, track: LocalTrack, flush: bool) -> bool:
        return flush or track.ended or track.points >= self._settings.min_evidence or self._waited_enough(track)

    def _waited_enough(self, track: LocalTrack) -> bool:
        return self._now_ns - track.start_ns - track.ahead_ns >= round(self._settings.max_wait_s * SECOND_NS)

    def _link(
        self, track: LocalTrack, verdict: Verdict, flush: bool, links: dict[int, Link], candidates: Candidates
    ) -> None:
        if self._accepted(track, verdict) and verdict.identity is not None:
            identity = self._book[verdict.identity]
            previous = self._book.latest(identity)
            self._book.join(track, identity, self._now_ns)
            links[track.uid] = Link(previous, verdict.score.total, verdict.score.terms, verdict.runner_up)
            self._book.settle(track, Why(verdict.score.total, verdict.score.terms, verdict.runner_up), self._now_ns)
        elif verdict.promise < _HOPELESS or track.ended or flush or self._waited_enough(track):
            self._book.create(track, self._now_ns)
            candidates.add(track)
            links[track.uid] = Link(None, 0.0, {}, verdict.runner_up)
            self._book.settle(track, Why(0.0, {}, verdict.runner_up), self._now_ns)

    def _guess(self, placed: Placed) -> dict[int, Link]:
        """Guess who the tracks are that wait and have not been published yet; why, by uid."""
        tracks = [self._tracks[uid] for uid in dict.fromkeys(placed.uids)]
        waiting = [track for track in tracks if not track.identity and track.uid not in self._book.guesses]
        return provisional.guess(waiting, self._candidates(), self._judge(), self._book) if waiting else {}

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

    def _merge(self, placed: Placed, done: Sequence[int], flush: bool) -> None:
        """Join what is one; also at the last moment, as tracks are about to be forgotten."""
        seen = dict.fromkeys([*placed.uids, *done])
        parting = frozenset(self._forgetting.parting(self._now_ns, flush=flush)).difference(seen)
        uids = [*seen, *sorted(parting)]
        live = [track for uid in uids if (track := self._tracks[uid]).identity]
        reviewer = Reviewer(self._tracks, self._book, self._window, self._settings)
        for gone, survivor, why in reviewer.mergers(live, parting, self._judge(), self._candidates(), self._now_ns):
            grain_ns, ahead_ns = self._tracks.columns.longest_ns, self._clocks.ahead_ns
            moments = shared_moments(self._book, gone, survivor, grain_ns, ahead_ns)
            self._book.merge(gone, survivor, why, self._now_ns)
            if moments:
                self._give_up(survivor, moments, why)

    def _give_up(self, identity: Identity, moments: Sequence[Moment], why: Why) -> None:
        """What two that are now one had at once is nobody's."""
        for moment in moments:
            if moment.uid:
                self._tracks.shorten(self._tracks[moment.uid], moment.since_ns)
                self._keeping.stale_cameras.add(moment.camera)
        said = why.terms.get("hand_over", 0.0)
        self._book.give_up(identity, moments, Why(said, {"hand_over": said}), self._now_ns)

    def _candidates(self) -> Candidates:
        memory = (self._tracks, self._book, self._window, self._filing.gallery)
        travel = self._travel if self._settings.travel else None
        return Candidates(*memory, self._topology, self._settings, self._now_ns, travel)

    def _learn_travel(self) -> None:
        if not self._settings.travel:
            return
        done = [t for t in self._tracks.tracks.values() if t.ended and t.identity and not t.travelled]
        for track in done:
            track.travelled = True
            self._tracks.changed.add(track.uid)
        done = [t for t in done if not self._topology.calibrated(t.camera) or self._travel.given(t.camera)]
        if not done:
            return
        learn(self._travel, done, self._book, self._candidates(), self._judge())

    # --- state -------------------------------------------------------------------------------------------------

    def _write(self) -> None:
        journal = self._journal
        journal.put(
            stored.META,
            stored.packed(
                {
                    "sequence": self._sequence,
                    "now": self._now_ns,
                    "dim": self._dim,
                    "uid": self._tracks.next_uid,
                    "number": self._book.next_number,
                    "longest": self._tracks.columns.longest_ns,
                }
            ),
        )
        self._keeping.write()
        for camera in sorted(self._travel.changed):
            journal.put(stored.TRAVEL + camera, stored.packed(self._travel.stored(camera)))
        self._travel.changed.clear()
        self._clocks.write(journal)

    def erase(self, number: int, now_ns: int, last_said: Mapping[str, Any] | None = None) -> Commit:
        """Forget an identity on request; see `mtmct.erasure` for what goes and what stays.

        Between two calls of `advance`. The site's output is as complete afterwards as it was before.

        Args:
            number: the identity's number.
            now_ns: the watermark of the last commit.
            last_said: the identity's latest `identities` record, from which the tombstone of one is made that is
                not open any more.

        Returns:
            A commit of its own: a `retracted` record, and the changed state keys.

        Raises:
            ErasureError: no identity ever had this number.
        """
        before = self._journal.state
        erasure = erase(before, number, self._site, self._settings, now_ns, last_said)
        after = {**before, **erasure.changes}
        self.restore({key: data for key, data in after.items() if data is not None})
        return Commit(now_ns, erasure.records, erasure.changes)

    def travel_times(self) -> list[TravelTime]:
        """What has been learned of the times between views."""
        return self._travel.table()

    def clock_skews(self) -> dict[str, Skew]:
        """How far the cameras' clocks are off, as far as that is known."""
        return self._clocks.skews()

    def snapshot(self) -> dict[str, bytes]:
        """The whole state, all keys, as of the last commit."""
        return dict(self._journal.state)

    def restore(self, state: Mapping[str, bytes]) -> None:
        """Go on from a state: all keys of a ledger, those that are not fusion's are ignored.

        Raises:
            StateError: the state is damaged or of another version.
        """
        mine = {key: bytes(data) for key, data in sorted(state.items()) if key.startswith(stored.PREFIX)}
        self._reset(mine)
        if stored.META not in mine:
            return
        meta = stored.unpacked(stored.META, mine[stored.META])
        self._sequence, self._now_ns, self._dim = meta["sequence"], meta["now"], meta["dim"]
        self._tracks.next_uid, self._book.next_number = meta["uid"], meta["number"]
        self._tracks.columns.longest_ns = meta.get("longest", 0)
        self._keeping.read(mine)
        self._expiry.note(self._book.identities)

        def of(prefix: str) -> list[tuple[str, bytes]]:
            return [(key, data) for key, data in mine.items() if key.startswith(prefix)]

        self._positions.restore(of(stored.PAIRS), of(stored.CUTS))
        self._filing.restore(of(stored.GALLERY))
        for key, data in of(stored.TRAVEL):
            self._travel.restore(stored.unpacked(key, data))
        self._travel_news.restore(mine)
        self._clocks.restore(mine, self._journal)
        self._set_clocks(self._clocks.dismissed())
