"""The identities of a site: who they consist of, and every change said aloud as an `identities` record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mtmct.attributes import Votes, add, held, together
from mtmct.columns import TrackColumns, TrackTable
from mtmct.exemplars import Impression
from mtmct.gates import Spot
from mtmct.identity import Identity, Moment, RunnerUp, Terms, Why
from mtmct.past import Member
from mtmct.people import PeopleColumns
from mtmct.records import IDENTITIES, Record
from mtmct.settings import FusionSettings
from mtmct.track_state import NOT_FILED, most_voted
from mtmct.tracks import LocalTrack, TrackMemory
from operators.records import Int64


class IdentityBook:
    """All open identities by number, and the record of what happens to them.

    Args:
        site: site name, the first part of every identity's name.
        tracks: the memory in which the identities' tracks are.
        settings: bounds.

    Attributes:
        changed: numbers of the identities that this commit has changed. touched: the same, each as often as it did.
        shrunk: numbers of those that have lost a track to another.
        guesses: numbers under which waiting tracks (by uid) have been published; see `mtmct.provisional`.
        people: the identities as columns.
    """

    def __init__(self, site: str, tracks: TrackMemory, settings: FusionSettings) -> None:
        self.identities: dict[int, Identity] = {}
        self.next_number = 1
        self.changed: set[int] = set()
        self.touched: list[int] = []
        self.shrunk: list[int] = []
        self.guesses: dict[int, int] = {}
        self._site = site
        self._tracks = tracks
        self._settings = settings
        self._records: list[Record] = []
        self.people = PeopleColumns(tracks.columns, settings.exemplars)

    def __getitem__(self, number: int) -> Identity:
        return self.identities[number]

    def __contains__(self, number: int) -> bool:
        return number in self.identities

    def __len__(self) -> int:
        return len(self.identities)

    def name(self, number: int) -> str:
        """`plaza-000017`."""
        return f"{self._site}-{number:06d}"

    @property
    def columns(self) -> TrackColumns:
        """The tracks in memory as columns."""
        return self._tracks.columns

    def track_table(self) -> TrackTable:
        """The columns, up to date."""
        return self._tracks.columns.table()

    def tracks_of(self, identity: Identity) -> list[LocalTrack]:
        """Its tracks in memory, in order of first sight."""
        tracks = self._tracks.tracks
        return [tracks[uid] for uid in identity.uids]

    def tracks_at(self, rows: Int64) -> list[LocalTrack]:
        """The tracks in some rows of the columns."""
        tracks = self._tracks.tracks
        return [tracks[uid] for uid in self.track_table().uid[rows].tolist()]

    def slots(self, numbers: Int64) -> Int64:
        """(N,) where open identities stand in `people`, up to date."""
        self.catch_up()
        return self.people.slots(numbers, self.identities)

    def catch_up(self) -> None:
        """Bring `people` up to date with those of them who have changed."""
        self.people.catch_up(self.identities)

    def last_seen(self, identity: Identity) -> int:
        """Event time of its last point."""
        return max([identity.last_ns, *(self._tracks[uid].last_ns for uid in identity.uids)])

    def cls(self, identity: Identity) -> str:
        """The class most of its points have."""
        if len(self.columns.classes) == 1:
            return next(iter(self.columns.classes))
        votes = dict(identity.votes)
        for track in self.tracks_of(identity):
            for name, count in track.votes.items():
                votes[name] = votes.get(name, 0) + count
        return most_voted(votes)

    def attributes(self, identity: Identity) -> Votes:
        """What it is like, in votes of all its tracks."""
        return together([identity.attributes, *(track.attributes for track in self.tracks_of(identity))])

    def latest(self, identity: Identity) -> tuple[str, int] | None:
        """Camera and id of the track seen last; of equals the last by name."""
        last_ns, rows = self.columns.last_ns, self.columns.rows
        ends = {uid: last_ns.item(rows[uid]) for uid in identity.uids}
        latest = max(ends.values(), default=None)
        past = identity.past.latest(latest)
        if latest is None or (past is not None and past[0] > latest):
            return None if past is None else past[1]
        names = [self._tracks[uid].name for uid, end in ends.items() if end == latest]
        return max(names if past is None else [*names, past[1]])

    def has_room(self, identity: Identity, track: LocalTrack) -> bool:
        """Whether the track's camera shows nobody else of that identity while it shows the track."""
        if identity.past.overlaps(track.camera, track.start_ns, track.last_ns):
            return False
        others = (other for other in self.tracks_of(identity) if other is not track)
        return not any(one.camera == track.camera and track.overlaps(one.start_ns, one.last_ns) for one in others)

    # --- what can happen ---------------------------------------------------------------------------------------

    def reserve(self) -> int:
        """A number that nobody else will get."""
        self.next_number += 1
        return self.next_number - 1

    def create(self, track: LocalTrack, now_ns: int) -> Identity:
        """A new identity that begins with this track, under the number that has been reserved for it, if any."""
        guessed = self.guesses.get(track.uid, 0)
        number = guessed if guessed and guessed not in self.identities else self.reserve()
        identity = Identity(number, 0, now_ns)
        self.identities[identity.number] = identity
        self.join(track, identity, now_ns)
        self._say("created", identity, now_ns, [track.name])
        return identity

    def join(self, track: LocalTrack, identity: Identity, now_ns: int) -> None:
        """Link a track that waits."""
        self._assign(track, identity, now_ns)
        identity.uids = sorted([*identity.uids, track.uid])
        self._regroup(identity)

    def settle(self, track: LocalTrack, why: Why, now_ns: int) -> None:
        """A track is linked now: if it was published as somebody else while it waited, say so."""
        guessed = self.guesses.pop(track.uid, 0)
        if not guessed or guessed == track.identity:
            return
        target = self.identities[track.identity]
        event = "split" if guessed in self.identities else "merged"
        source = self.identities.get(guessed) or Identity(guessed, 0, now_ns)
        source.revision += 1
        target.revision += 1
        self.changed |= {guessed, target.number}
        part = track if event == "split" else None
        self._say(event, source, now_ns, [track.name], into=target, why=why, cls=track.cls, part=part)

    def merge(self, gone: Identity, survivor: Identity, why: Why, now_ns: int) -> None:
        """`gone` turns out to be `survivor`."""
        for uid, guessed in self.guesses.items():
            if guessed == gone.number:
                self.guesses[uid] = survivor.number
        moved = self._names(gone)
        for track in self.tracks_of(gone):
            self._assign(track, survivor, track.linked_ns)
        survivor.uids = sorted([*survivor.uids, *gone.uids])
        survivor.past.join(gone.past)
        for name, count in gone.votes.items():
            survivor.votes[name] = survivor.votes.get(name, 0) + count
        add(survivor.attributes, gone.attributes)
        survivor.last_ns = max(survivor.last_ns, gone.last_ns)
        survivor.impression += gone.impression
        survivor.looks = survivor.looks.with_more(gone.looks.vectors, gone.looks.weights, self._settings.exemplars)
        survivor.revision += 1
        gone.revision += 1
        del self.identities[gone.number]
        self._touch(gone, survivor)
        self._say("merged", gone, now_ns, moved, into=survivor, why=why, cls=self.cls(survivor))

    def move(self, track: LocalTrack, target: Identity | None, why: Why, now_ns: int) -> Identity:
        """A track of one identity turns out to be another one's, or (target None) somebody new."""
        source = self.identities[track.identity]
        if target is None:
            target = Identity(self.reserve(), 0, now_ns)
            self.identities[target.number] = target
        cls = self.cls(source)
        self._assign(track, target, now_ns)
        source.uids = [uid for uid in source.uids if uid != track.uid]
        self.shrunk.append(source.number)
        target.uids = sorted([*target.uids, track.uid])
        source.revision += 1
        target.revision += 1
        self._regroup(source, target)
        names = [track.name]
        self._say("split", source, now_ns, names, into=target, why=why, cls=cls, part=track)
        return target

    def sever(self, part: LocalTrack, source: Identity, target: Identity | None, why: Why, now_ns: int) -> Identity:
        """A track of `source` went over to somebody else; `part` is what it has been since: another's, or new."""
        if target is None:
            target = Identity(self.reserve(), 0, now_ns)
            self.identities[target.number] = target
        self.join(part, target, now_ns)
        source.revision += 1
        target.revision += 1
        self._regroup(source, target)
        self._say("split", source, now_ns, [part.name], into=target, why=why, cls=self.cls(source), part=part)
        return target

    def give_up(self, identity: Identity, moments: Sequence[Moment], why: Why, now_ns: int) -> None:
        """The ends of some tracks of an identity are nobody's; those of tracks in memory are the caller's to cut."""
        nobody, cls = Identity(self.reserve(), 0, now_ns), self.cls(identity)
        identity.past.shorten(
            {(one.camera, one.track, one.start_ns): one.since_ns - 1 for one in moments if not one.uid}
        )
        identity.revision += 1
        self._touch(identity)
        for one in moments:
            span = (one.since_ns + one.ahead_ns) // 1000, (one.end_ns + one.ahead_ns) // 1000 + 1
            self._say("split", identity, now_ns, [(one.camera, one.track)], into=nobody, why=why, cls=cls, span=span)
        names = [(one.camera, one.track) for one in moments]
        self._say("retracted", nobody, now_ns, names, why=why, cls=cls)

    def forget(self, tracks: Sequence[LocalTrack]) -> None:
        """Keep of tracks only what their identities learned from them; corrections come too late for them."""
        table, looks = self.track_table(), self.columns.looks
        rows = self.columns.rows_of([track.uid for track in tracks])
        told, counts, weights = table.told[rows], looks.counts[rows].tolist(), looks.weights[rows]
        vectors, shares = looks.vectors(rows), told[:, None] * table.middle[rows]
        for place, (track, count) in enumerate(zip(tracks, counts, strict=True)):
            identity = self._forgotten(track)
            if count:
                identity.impression += Impression(shares[place], float(told[place]))
                more = vectors[place, :count], weights[place, :count]
                identity.looks = identity.looks.with_more(*more, self._settings.exemplars)
            self._touch(identity)

    def _forgotten(self, track: LocalTrack) -> Identity:
        identity, last_ns = self.identities[track.identity], track.last_ns
        identity.uids.remove(track.uid)
        spots: tuple[Spot | None, ...] = ()
        if self._settings.travel:
            stay = track.stay
            spots = stay.came, stay.went
        identity.past.append(Member(track.camera, track.track, track.start_ns, last_ns, *spots))
        identity.past.keep_last(self._settings.member_limit)
        for name, count in track.votes.items():
            identity.votes[name] = identity.votes.get(name, 0) + count
        add(identity.attributes, track.attributes)
        identity.last_ns = max(identity.last_ns, last_ns)
        return identity

    def retime(self, camera: str, later_ns: int) -> None:
        """What is remembered of a camera's earlier tracks moves in time."""
        for identity in self.identities.values():
            if identity.past.retime(camera, later_ns):
                self._touch(identity)

    def close(self, identity: Identity, now_ns: int) -> None:
        """The identity will not be found again; its tracks in memory are the caller's to forget."""
        self._say("closed", identity, now_ns, self._names(identity))
        del self.identities[identity.number]
        self.changed.add(identity.number)

    def named(self, runner_up: RunnerUp) -> dict[str, Any] | None:
        """A runner-up as it is published."""
        return None if runner_up is None else {"identity": self.name(runner_up[0]), "score": round(runner_up[1], 4)}

    def said(self) -> list[Record]:
        """The records since the last call, in order."""
        records, self._records = self._records, []
        return records

    def _assign(self, track: LocalTrack, identity: Identity, linked_ns: int) -> None:
        track.identity = identity.number
        track.linked_ns = linked_ns
        track.filed_shard = NOT_FILED  # the gallery holds it under its former identity, if at all
        self.columns.changed[track.row] = True

    def _regroup(self, *identities: Identity) -> None:
        """Identities have tracks in memory that they did not have, or no longer; nothing else of them has changed."""
        for identity in identities:
            identity.version += 1
            self.changed.add(identity.number)
            self.touched.append(identity.number)
            self.people.regrouped(identity.number)

    def _touch(self, *identities: Identity) -> None:
        """Anything of identities has changed."""
        self._regroup(*identities)
        for identity in identities:
            self.people.changed(identity.number)

    def _names(self, identity: Identity) -> list[tuple[str, int]]:
        return identity.past.names() + [track.name for track in self.tracks_of(identity)]

    def _say(
        self,
        event: str,
        identity: Identity,
        now_ns: int,
        tracks: Sequence[tuple[str, int]],
        *,
        into: Identity | None = None,
        why: Why | None = None,
        cls: str | None = None,
        part: LocalTrack | None = None,
        span: tuple[int | None, int | None] = (None, None),
    ) -> None:
        if part is not None:
            # From its own beginning on: its name may have been another's before, see `IdentityResolver`.
            since_ns = part.since_ns or part.start_ns + part.ahead_ns
            span = since_ns // 1000, part.until_ns // 1000 or None
        name = self.name(identity.number)
        seen_by = {track.camera for track in self.tracks_of(identity)} | {camera for camera, _ in tracks}
        value = {
            "schema": "crosscam.identities/1",
            "site": self._site,
            "identity": name,
            "number": identity.number,
            "revision": identity.revision,
            "event": event,
            "class": cls or self.cls(identity),
            "time": now_ns // 1000,
            "cameras": sorted(seen_by.union(identity.past.cameras)),
            "tracks": [list(track) for track in dict.fromkeys(tracks)],
            "since": span[0],
            "until": span[1],
            "into": None if into is None else self.name(into.number),
            "evidence": None if why is None else {"score": round(why.score, 4), "terms": rounded(why.terms)},
            "runner_up": None if why is None else self.named(why.runner_up),
        }
        if attributes := held(self.attributes(identity)):
            value["attributes"] = attributes
        self._records.append(Record(IDENTITIES, name, value, now_ns))


def rounded(terms: Terms) -> dict[str, float]:
    """Terms as they are published, four decimals."""
    return {name: round(float(value), 4) for name, value in terms.items()}
