"""The fusion engine: batches of local tracks in, identities out; deterministic, in event time, restartable anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mtmct import state as stored
from mtmct.decisions import Decisions
from mtmct.erasure import erase
from mtmct.horizon import beyond_horizon
from mtmct.intake import Intake, by_interval, take_in
from mtmct.publication import publish
from mtmct.records import CameraBatch, Commit, Record
from mtmct.settings import FusionSettings
from mtmct.site_memory import SiteMemory
from mtmct.topology import Topology
from mtmct.travel import TravelTime
from operators.records import SECOND_NS

END_OF_TIME = int(np.iinfo(np.int64).max)


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
        self._memory = SiteMemory(site, topology, self._settings, {})

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
        return Commit(watermark_ns, tuple(records), self._memory.journal.changes())

    def _fuse(self, batches: Sequence[CameraBatch], watermark_ns: int) -> Sequence[Record]:
        memory, settings, flush = self._memory, self._settings, watermark_ns == END_OF_TIME
        tracks, book, journal = memory.tracks, memory.book, memory.journal
        memory.sequence += 1
        # 1. Take in.
        intake = take_in(
            memory.erased.without(batches, memory.now_ns, journal), tracks, self._topology, self._site, memory.dim
        )
        memory.dim = intake.dim
        placed, samples = tracks.take(intake.arrivals, self._topology, settings, memory.clocks.ahead_ns, intake.rows)
        letters = [*intake.letters, *beyond_horizon(placed, self._topology, self._site)]
        book.people.tidy(book.identities)
        since_ns = memory.now_ns
        memory.now_ns = now_ns = max(since_ns, _latest(intake), 0 if flush else watermark_ns)
        done = self._note_ends(intake.ended)
        memory.keeping.stale_cameras |= set(intake.arrivals.heard_of)
        # 2. Compare positions of the same time.
        memory.positions.compare(memory.sequence, samples, since_ns, now_ns)
        # 3. Take back what was wrong, decide what waits, join what is one.
        decisions = Decisions(memory, placed, done, flush=flush)
        links = decisions.decide()
        decisions.merge()
        ways: Sequence[Record] = ()
        if settings.travel:
            decisions.learn_travel()
            if flush or memory.travel_news.due(since_ns, now_ns):
                ways = memory.travel_news.review(memory.travel.table(), now_ns, journal)
        # 4. Publish what has an identity; guess at the rest, or hold it.
        if settings.provisional:
            links |= decisions.guess()
        said = publish(memory.outlet.issues(placed, links), self._site, book)
        # 5. Put clocks right, file looks, forget what is too old.
        memory.set_clocks({} if flush else memory.clocks.review(now_ns))
        memory.filing.file(tracks, placed.rows, now_ns, memory.sequence, journal)
        memory.forgetting.forget(now_ns, flush=flush)
        silent = now_ns - round(settings.silence_s * SECOND_NS)
        memory.erased.forget(END_OF_TIME if flush else silent, journal)
        # Nothing can be found again after the end: not even the newest shard is kept.
        memory.filing.expire(END_OF_TIME if flush else now_ns, journal)
        memory.clocks.forget(now_ns)
        # 6. Write down.
        memory.write()
        return (*intake.passed, *letters, *memory.clocks.said(), *ways, *book.said(), *said)

    def _note_ends(self, ended: Iterable[tuple[str, int]]) -> list[int]:
        """Note which tracks have ended; their uids."""
        done = []
        for camera, track_id in ended:
            track = self._memory.tracks.find(camera, track_id)
            if track is not None:
                track.ended = True
                self._memory.keeping.stale_cameras.add(camera)
                done.append(track.uid)
        return done

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
        before = self._memory.journal.state
        erasure = erase(before, number, self._site, self._settings, now_ns, last_said)
        after = {**before, **erasure.changes}
        self.restore({key: data for key, data in after.items() if data is not None})
        return Commit(now_ns, erasure.records, erasure.changes)

    def travel_times(self) -> list[TravelTime]:
        """What has been learned of the times between views."""
        return self._memory.travel.table()

    def snapshot(self) -> dict[str, bytes]:
        """The whole state, all keys, as of the last commit."""
        return dict(self._memory.journal.state)

    def restore(self, state: Mapping[str, bytes]) -> None:
        """Go on from a state: all keys of a ledger, those that are not fusion's are ignored.

        Raises:
            StateError: the state is damaged or of another version.
        """
        mine = {key: bytes(data) for key, data in sorted(state.items()) if key.startswith(stored.PREFIX)}
        self._memory = SiteMemory(self._site, self._topology, self._settings, mine)


def _latest(intake: Intake) -> int:
    """Event time of the latest point that came in, 0 if none did."""
    arrivals = intake.arrivals
    return int(arrivals.times_ns[arrivals.bounds[1:] - 1].max()) if len(arrivals) else 0
