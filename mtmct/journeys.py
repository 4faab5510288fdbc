"""Journeys, as soon as they are over: the cameras and zones that an identity passed, with times.

    site/identity/<number>    what is known of an identity from before the correction window, and what was told

A journey is told once its identity was seen nowhere for a while, or has been closed. Whatever changes it afterwards
(the identity comes back, a correction joins or splits it) has it told again, whole, with the next revision; one that
turns out to be another's, or nobody's, is told without stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from mtmct import state as stored
from mtmct.records import EVENTS, Record
from mtmct.site_marks import PREFIX, Belongings, Marks, Touched
from mtmct.stays import Passage, Piece, Stay, Way, find_returns, in_order, join_pieces
from mtmct.track_state import most_voted
from operators.records import pack

IDENTITY = PREFIX + "identity/"
_LIMIT = 512  # stays listed in a journey; earlier ones are only counted

ZonePiece = tuple[str, str, int, int]  # camera, zone, start, end


@dataclass(slots=True)
class Person:
    """What is known of an identity beyond its marks in the window.

    Attributes:
        stays, zones: before the window, the latest `_LIMIT` of each.
        earlier: how many came before those.
        votes: points by class, before the window.
        passed: when a crossing before the window last counted, by line and direction.
        closed: nothing more is to come.
        revision, digest, told_end: of the journey last told; 0, nothing and 0 before.
        last: end of its last sighting.
    """

    stays: list[Piece] = field(default_factory=list)
    zones: list[ZonePiece] = field(default_factory=list)
    earlier: int = 0
    votes: dict[str, int] = field(default_factory=dict)
    passed: dict[Way, int] = field(default_factory=dict)
    closed: bool = False
    revision: int = 0
    digest: bytes = b""
    told_end: int = 0
    last: int = 0

    def fold(self, gone: Belongings) -> None:
        """Take over what leaves the window, but for the crossings."""
        self._keep([*self.stays, *_pieces(gone)], [*self.zones, *_zone_pieces(gone)])
        for _, row in gone.sightings:
            self.votes[row.cls] = self.votes.get(row.cls, 0) + row.points

    def absorb(self, other: Person) -> None:
        """The other was this one."""
        self._keep([*self.stays, *other.stays], [*self.zones, *other.zones])
        self.earlier += other.earlier
        for cls, points in other.votes.items():
            self.votes[cls] = self.votes.get(cls, 0) + points
        for way, time in other.passed.items():
            self.passed[way] = max(time, self.passed.get(way, time))

    def _keep(self, stays: Iterable[Piece], zones: Iterable[ZonePiece]) -> None:
        joined, passed = join_pieces(stays), _by_start(zones)
        self.stays, self.zones = joined[-_LIMIT:], passed[-_LIMIT:]
        self.earlier += len(joined) - len(self.stays) + len(passed) - len(self.zones)


class Journeys:
    """All identities that may still be told of.

    Args:
        site: site name.
        marks: the window's.
        gone_us: an identity seen nowhere for so long is gone, and has come back if it is seen again.
    """

    def __init__(self, site: str, marks: Marks, gone_us: int) -> None:
        self.people: dict[int, Person] = {}
        self._site = site
        self._marks = marks
        self._gone = gone_us
        self._open: set[int] = set()  # whose journey may not be as it was told
        self._taken_back: list[tuple[int, Person, int | None]] = []
        self._closed: set[int] = set()
        self._stale: set[int] = set()

    def close(self, number: int) -> None:
        """Nothing more is to come of this identity."""
        self._person(number).closed = True
        self._closed.add(number)
        self._stale.add(number)
        self._open.add(number)

    def merge(self, gone: int, survivor: int) -> None:
        """One identity has turned out to be another one."""
        person = self.people.pop(gone, None)
        if person is not None:
            self._person(survivor).absorb(person)
            self._take_back(gone, person, survivor)
            self._stale.add(survivor)
            self._open.add(survivor)

    def retract(self, number: int) -> None:
        """There never was such an identity."""
        person = self.people.pop(number, None)
        if person is not None:
            self._take_back(number, person, None)

    def note(self, touched: Touched) -> None:
        """Something has changed."""
        for number, end in touched.latest.items():
            person = self._person(number)
            person.last = max(person.last, end)
        for number in touched.owners:
            if number in self.people or self._marks.owns(number):
                self._person(number).last = self._last_seen(number)
        concerned = {*touched.latest, *touched.owners, *touched.zones}
        self._open |= {number for number in concerned if number in self.people}

    def tell(self, now: int, everything: bool) -> list[Record]:
        """The journeys that are over, or have changed since they were told.

        Args:
            now: event time, microseconds.
            everything: whether or not they are over.
        """
        records = []
        for number, person, into in sorted(self._taken_back, key=lambda one: one[0]):
            records.append(self._record(number, person, self._without_stays(), into))
        self._taken_back = []
        for number in sorted(self._open):
            person = self.people[number]
            if everything or person.closed or now - person.last >= self._gone:
                self._open.discard(number)
                fields = self._journey(number, person)
                digest = blake2b(pack(fields), digest_size=8).digest()
                if digest != person.digest and (fields["stays"] or person.revision):
                    person.digest = digest
                    records.append(self._record(number, person, fields, None))
                    self._stale.add(number)
        return records

    def fold(self, gone: Mapping[int, Belongings]) -> None:
        """Take over what leaves the window."""
        for number, belongings in sorted(gone.items()):
            self._person(number).fold(belongings)
            self._stale.add(number)

    def passed(self, number: int, counted: Iterable[Passage], since: int) -> None:
        """The crossings that leave the window, of those that count; what was before `since` is of no interest."""
        person = self._person(number)
        for time, line, direction in sorted(counted):
            person.passed[line, direction] = time
        person.passed = {way: time for way, time in person.passed.items() if time > since}
        self._stale.add(number)

    def tidy(self) -> None:
        """Forget who will not be told of again."""
        for number in self._closed - self._open:
            if not self._marks.owns(number):
                self._closed.discard(number)
                del self.people[number]
                self._stale.add(number)

    def write(self, journal: stored.Journal) -> None:
        """Put what has changed into the state."""
        for number in sorted(self._stale):
            key = f"{IDENTITY}{number:06d}"
            if number in self.people:
                journal.put(key, _packed(self.people[number]))
            else:
                journal.drop(key)
        self._stale.clear()

    def restore(self, state: Mapping[str, bytes]) -> None:
        """Go on from a state, the marks' having been restored.

        Raises:
            StateError: the state is damaged or of another version.
        """
        for key, data in sorted(state.items()):
            if key.startswith(IDENTITY):
                self.people[int(key.removeprefix(IDENTITY))] = _unpacked(key, data)
        for number in self._marks.identities:
            self._person(number)
        for number, person in self.people.items():
            person.last = self._last_seen(number)
        self._open = set(self.people)
        self._closed = {number for number, person in self.people.items() if person.closed}

    # --- inside ------------------------------------------------------------------------------------------------

    def _person(self, number: int) -> Person:
        return self.people.setdefault(number, Person())

    def _take_back(self, number: int, person: Person, into: int | None) -> None:
        if person.revision:
            self._taken_back.append((number, person, into))
        self._open.discard(number)
        self._closed.discard(number)
        self._stale.add(number)

    def _last_seen(self, number: int) -> int:
        ends = [row.end for _, row in self._marks.of(number).sightings]
        return max([*ends, *(end for _, _, end in self._person(number).stays)], default=0)

    def _journey(self, number: int, person: Person) -> dict[str, Any]:
        mine = self._marks.of(number)
        joined = join_pieces([*person.stays, *_pieces(mine)])
        passed = _by_start([*person.zones, *_zone_pieces(mine)])
        if not joined:
            return self._without_stays()
        votes = dict(person.votes)
        for _, row in mine.sightings:
            votes[row.cls] = votes.get(row.cls, 0) + row.points
        stays = in_order(
            [Stay(camera, None, start, end) for camera, start, end in joined[-_LIMIT:]]
            + [Stay(camera, zone, start, end) for camera, zone, start, end in passed[-_LIMIT:]]
        )
        return {
            "class": most_voted(votes),
            "start": stays[0].start,
            "end": max(stay.end for stay in stays if stay.zone is None),
            "visits": 1 + len(find_returns(stays, self._gone)),
            "stays": [
                {"camera": stay.camera, "zone": stay.zone, "start": stay.start, "end": stay.end} for stay in stays
            ],
            "earlier": person.earlier + max(len(joined) - _LIMIT, 0) + max(len(passed) - _LIMIT, 0),
        }

    def _without_stays(self) -> dict[str, Any]:
        return {"class": None, "start": None, "end": None, "visits": 0, "stays": [], "earlier": 0}

    def _record(self, number: int, person: Person, fields: dict[str, Any], into: int | None) -> Record:
        person.revision += 1
        person.told_end = person.told_end if fields["end"] is None else fields["end"]
        name = f"{self._site}-{number:06d}"
        value = {
            "schema": "crosscam.events/1",
            "site": self._site,
            "camera": "",
            "type": "journey",
            "time": person.told_end,
            "identity": name,
            "number": number,
            "revision": person.revision,
            **fields,
            "into": None if into is None else f"{self._site}-{into:06d}",
        }
        return Record(EVENTS, name, value, person.told_end * 1000)


def _pieces(belongings: Belongings) -> list[Piece]:
    return [(camera, row.start, row.end) for camera, row in belongings.sightings]


def _zone_pieces(belongings: Belongings) -> list[ZonePiece]:
    return [(camera, row.zone, row.start, row.end) for camera, row in belongings.zones]


def _by_start(zones: Iterable[ZonePiece]) -> list[ZonePiece]:
    return sorted(set(zones), key=lambda zone: (zone[2], zone[3], zone[0], zone[1]))


def _packed(person: Person) -> bytes:
    return stored.packed(
        {
            "stays": person.stays,
            "zones": person.zones,
            "earlier": person.earlier,
            "votes": sorted(person.votes.items()),
            "passed": [[*way, time] for way, time in sorted(person.passed.items())],
            "closed": person.closed,
            "told": [person.revision, person.digest, person.told_end],
        }
    )


def _unpacked(key: str, data: bytes) -> Person:
    value = stored.unpacked(key, data)
    revision, digest, told_end = value["told"]
    return Person(
        stays=[(camera, start, end) for camera, start, end in value["stays"]],
        zones=[(camera, zone, start, end) for camera, zone, start, end in value["zones"]],
        earlier=value["earlier"],
        votes=dict(value["votes"]),
        passed={(line, direction): time for line, direction, time in value["passed"]},
        closed=value["closed"],
        revision=revision,
        digest=digest,
        told_end=told_end,
    )
