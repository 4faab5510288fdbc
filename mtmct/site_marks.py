"""What the cameras have shown of whom, kept for as long as a correction may move it to somebody else.

    site/seen/<sequence>           what one commit brought
    site/track/<camera>/<track>    whose a local track is, part by part, and the zones that it is in

Memory and state are bounded: what lies before the correction window is handed out once (`expire`) and forgotten.
All times are microseconds of event time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mtmct import state as stored
from mtmct.corrections import TrackOwners, number_of
from mtmct.stays import Passage

PREFIX = "site/"
SEEN = PREFIX + "seen/"
TRACK = PREFIX + "track/"
_NEVER = 2**62
NOBODY = 0  # owner of what belonged to an identity that has been retracted

Name = tuple[str, int]


class Sighting(NamedTuple):
    """What a tracklet has in one flow interval; `start` and `end` are the whole tracklet's.

    `last` says that it has points at the interval's end, see `Marks`.
    """

    start: int
    end: int
    cls: str
    points: int
    last: bool


class ZoneStay(NamedTuple):
    """From entering a zone to leaving it."""

    start: int
    end: int
    zone: str


@dataclass(slots=True)
class TrackMarks:
    """What is known of a local track in the window, by number of the flow interval.

    A sighting stands in each interval in which it has points, a zone stay where it ended. `inside`: since when it is in
    zones that it has not left.
    """

    camera: str
    owners: TrackOwners
    sightings: dict[int, list[Sighting]] = field(default_factory=dict)
    zones: dict[int, list[ZoneStay]] = field(default_factory=dict)
    passages: dict[int, list[Passage]] = field(default_factory=dict)
    inside: dict[str, int] = field(default_factory=dict)

    @property
    def intervals(self) -> set[int]:
        """Those that it has anything in."""
        return {*self.sightings, *self.zones, *self.passages}

    @property
    def stays(self) -> Iterator[ZoneStay]:
        """In zones, those that go on among them."""
        for stays in self.zones.values():
            yield from stays
        yield from (ZoneStay(start, _NEVER, zone) for zone, start in self.inside.items())


@dataclass(slots=True)
class Belongings:
    """What one identity owns of the tracks in the window."""

    sightings: list[tuple[str, Sighting]] = field(default_factory=list)  # with their cameras
    zones: list[tuple[str, ZoneStay]] = field(default_factory=list)
    passages: list[Passage] = field(default_factory=list)


@dataclass(slots=True)
class Touched:
    """What has changed since it was last asked.

    Attributes:
        intervals: those in which somebody new was seen, or whose sightings went to somebody else.
        latest: by identity, until when it has been seen, of what is new.
        owners: identities that have gained or lost tracks, or parts of them.
        zones, passages: identities with new ones.
    """

    intervals: set[int] = field(default_factory=set)
    latest: dict[int, int] = field(default_factory=dict)
    owners: set[int] = field(default_factory=set)
    zones: set[int] = field(default_factory=set)
    passages: set[int] = field(default_factory=set)


class Marks:
    """The window's marks, by local track, and whose they are.

    Args:
        interval_us: length of a flow interval.
        last_us: points within so long of an interval's end are at its end.
    """

    def __init__(self, interval_us: int, last_us: int) -> None:
        self._interval = interval_us
        self._last = last_us
        self._tracks: dict[Name, TrackMarks] = {}
        self._owned: dict[int, set[Name]] = {}
        self._seen_in: dict[int, set[Name]] = {}
        self._fresh: list[list[Any]] = []
        self._stale: set[Name] = set()
        self._chunks: dict[str, int] = {}  # key: the newest interval in it
        self._touched = Touched()

    # --- what comes in -----------------------------------------------------------------------------------------

    def published(self, value: Mapping[str, Any]) -> None:
        """Take in a value of `tracks`."""
        times = [point[0] for point in value["points"]]
        if not times:
            return
        name, number = (value["camera"], value["track"]), number_of(value["identity"])
        track = self._track(name)
        before = track.owners.owners
        if track.owners.publish(times[0], number):
            self._own(name, track, before)
        first, last = times[0] // self._interval, times[-1] // self._interval
        for interval in range(first, last + 1):
            end = (interval + 1) * self._interval
            low, high = bisect_left(times, end - self._interval), bisect_left(times, end)
            if low < high:
                at_end = times[high - 1] >= end - self._last
                sighting = Sighting(value["start"], value["end"], value["class"], high - low, at_end)
                self._fresh.append(["s", *name, interval, *sighting])
                self._see(name, interval, sighting)
        owner = track.owners.find(times[0])
        if owner:
            latest = self._touched.latest
            latest[owner] = max(latest.get(owner, 0), value["end"])
            self._touched.intervals.update(range(first, last + 1))

    def happened(self, value: Mapping[str, Any]) -> None:
        """Take in a value of `events`."""
        if value["type"] not in ("crossing", "entry", "exit"):
            return
        name = (value["camera"], value["track"])
        track, interval = self._track(name), value["time"] // self._interval
        if value["type"] != "crossing":
            self._touched.intervals.update(seen for seen in track.sightings if seen >= interval)
            self._stale.add(name)
        if value["type"] == "entry":
            track.inside[value["zone"]] = value["time"]
        elif value["type"] == "crossing":
            passage = (value["time"], value["line"], value["direction"])
            track.passages.setdefault(interval, []).append(passage)
            self._fresh.append(["p", *name, interval, *passage])
            self._touched.passages |= {track.owners.find(value["time"]) or NOBODY} - {NOBODY}
        else:
            track.inside.pop(value["zone"], None)
            stay = ZoneStay(value["entered"], value["time"], value["zone"])
            track.zones.setdefault(interval, []).append(stay)
            self._fresh.append(["z", *name, interval, *stay])
            self._touched.zones |= {track.owners.find(value["entered"]) or NOBODY} - {NOBODY}

    def merge(self, gone: int, survivor: int) -> None:
        """All that was one's is the other's (`NOBODY`: it has been retracted)."""
        for name in sorted(self._owned.get(gone, ())):
            track = self._tracks[name]
            before = track.owners.owners
            track.owners.rename(gone, survivor)
            self._own(name, track, before)

    def split(
        self, tracks: Iterable[Sequence[Any]], since: int | None, until: int | None, into: int, time: int
    ) -> None:
        """These tracks, from and until then, are somebody else's; it was said at `time`."""
        for camera, number in tracks:
            track = self._track((camera, number))
            before = track.owners.owners
            track.owners.assign(since, until, into, time)
            self._own((camera, number), track, before)

    def changes(self) -> Touched:
        """What has changed since the last call."""
        touched, self._touched = self._touched, Touched()
        return touched

    # --- what is known -----------------------------------------------------------------------------------------

    def of(self, number: int) -> Belongings:
        """What an identity owns."""
        mine = Belongings()
        for name in sorted(self._owned.get(number, ())):
            track = self._tracks[name]
            find = track.owners.find
            for rows in track.sightings.values():
                mine.sightings += [(track.camera, row) for row in rows if find(row.start) == number]
            for stays in track.zones.values():
                mine.zones += [(track.camera, row) for row in stays if find(row.start) == number]
            for passages in track.passages.values():
                mine.passages += [row for row in passages if find(row[0]) == number]
        return mine

    def passages_of(self, number: int) -> list[Passage]:
        """An identity's crossings."""
        tracks = [self._tracks[name] for name in self._owned.get(number, ())]
        return [
            passage
            for track in tracks
            for passages in track.passages.values()
            for passage in passages
            if track.owners.find(passage[0]) == number
        ]

    def owns(self, number: int) -> bool:
        """Whether it owns anything in the window."""
        return number in self._owned

    @property
    def identities(self) -> list[int]:
        """Who owns anything, ascending."""
        return sorted(self._owned)

    def seen(self, interval: int) -> dict[int, tuple[dict[str, int], bool]]:
        """Who was seen in an interval: points by class, and whether at its end."""
        found: dict[int, tuple[dict[str, int], bool]] = {}
        for name in self._seen_in.get(interval, ()):
            track = self._tracks[name]
            for row in track.sightings[interval]:
                owner = track.owners.find(row.start)
                if owner:
                    votes, last = found.get(owner, ({}, False))
                    votes[row.cls] = votes.get(row.cls, 0) + row.points
                    found[owner] = votes, last or row.last
        return found

    def in_zones(self, interval: int) -> dict[str, dict[int, bool]]:
        """Who was seen in which zone in an interval, and whether there at its end."""
        found: dict[str, dict[int, bool]] = {}
        begin, end = interval * self._interval, (interval + 1) * self._interval
        for name in self._seen_in.get(interval, ()):
            track = self._tracks[name]
            for stay in track.stays:
                for row in track.sightings[interval]:
                    first, last = max(row.start, begin), min(row.end, end - 1)
                    owner = track.owners.find(row.start)
                    if owner and stay.start <= last and first < stay.end:
                        of_zone = found.setdefault(stay.zone, {})
                        of_zone[owner] = of_zone.get(owner, False) or (row.last and end <= stay.end)
        return found

    def brought_before(self, interval: int) -> bool:
        """Whether any of what is new lies before an interval."""
        return any(row[3] < interval for row in self._fresh)

    # --- what goes, and what is written ------------------------------------------------------------------------

    def expire(self, first: int) -> dict[int, Belongings]:
        """Forget what lies before interval `first`; what known identities owned of it."""
        gone: dict[int, Belongings] = {}
        for name in list(self._tracks):
            track = self._tracks[name]
            find = track.owners.find
            for interval in [interval for interval in track.sightings if interval < first]:
                for row in track.sightings.pop(interval):
                    if owner := find(row.start):
                        gone.setdefault(owner, Belongings()).sightings.append((track.camera, row))
            for interval in [interval for interval in track.zones if interval < first]:
                for stay in track.zones.pop(interval):
                    if owner := find(stay.start):
                        gone.setdefault(owner, Belongings()).zones.append((track.camera, stay))
            for interval in [interval for interval in track.passages if interval < first]:
                for passage in track.passages.pop(interval):
                    if owner := find(passage[0]):
                        gone.setdefault(owner, Belongings()).passages.append(passage)
            if not track.intervals and all(start // self._interval < first for start in track.inside.values()):
                self._drop(name)
        for interval in [interval for interval in self._seen_in if interval < first]:
            del self._seen_in[interval]
        return gone

    def write(self, sequence: int, first: int, journal: stored.Journal) -> None:
        """Put what is new into the state, drop what lies before interval `first`."""
        if self._fresh:
            key = f"{SEEN}{sequence:012d}"
            journal.put(key, stored.packed({"rows": self._fresh}))
            self._chunks[key] = max(row[3] for row in self._fresh)
            self._fresh = []
        for key in [key for key, newest in self._chunks.items() if newest < first]:
            del self._chunks[key]
            journal.drop(key)
        for name in sorted(self._stale):
            key = f"{TRACK}{name[0]}/{name[1]}"
            track = self._tracks.get(name)
            if track is not None and (track.owners.owners or track.inside):
                journal.put(key, stored.packed({"parts": track.owners.stored(), "inside": track.inside}))
            else:
                journal.drop(key)
        self._stale.clear()

    def restore(self, state: Mapping[str, bytes], first: int) -> None:
        """Go on from a state. Only once, and before anything else.

        Raises:
            StateError: the state is damaged or of another version.
        """
        for key, data in sorted(state.items()):
            if not key.startswith(SEEN):
                continue
            rows = stored.unpacked(key, data)["rows"]
            self._chunks[key] = max(row[3] for row in rows)
            for kind, camera, number, interval, *fields in rows:
                if interval < first:
                    continue
                name = (camera, number)
                if kind == "s":
                    self._see(name, interval, Sighting(*fields))
                elif kind == "z":
                    self._track(name).zones.setdefault(interval, []).append(ZoneStay(*fields))
                else:
                    self._track(name).passages.setdefault(interval, []).append((fields[0], fields[1], fields[2]))
        for key, data in sorted(state.items()):
            if key.startswith(TRACK):
                camera, _, number = key.removeprefix(TRACK).rpartition("/")
                track = self._track((camera, int(number)))
                kept = stored.unpacked(key, data)
                track.owners, track.inside = TrackOwners(*kept["parts"]), kept.get("inside", {})
                self._own((camera, int(number)), track, set())
        self._stale.clear()
        self._touched = Touched()

    # --- inside ------------------------------------------------------------------------------------------------

    def _track(self, name: Name) -> TrackMarks:
        track = self._tracks.get(name)
        if track is None:
            track = self._tracks[name] = TrackMarks(name[0], TrackOwners())
        return track

    def _drop(self, name: Name) -> None:
        for number in self._tracks.pop(name).owners.owners - {NOBODY}:
            self._owned[number].discard(name)
            if not self._owned[number]:
                del self._owned[number]
        self._stale.add(name)

    def _see(self, name: Name, interval: int, sighting: Sighting) -> None:
        self._track(name).sightings.setdefault(interval, []).append(sighting)
        self._seen_in.setdefault(interval, set()).add(name)

    def _own(self, name: Name, track: TrackMarks, before: set[int]) -> None:
        """A track's owners have changed."""
        after = track.owners.owners
        for number in before - after - {NOBODY}:
            self._owned[number].discard(name)
            if not self._owned[number]:
                del self._owned[number]
        for number in after - before - {NOBODY}:
            self._owned.setdefault(number, set()).add(name)
        self._stale.add(name)
        self._touched.owners |= (before | after) - {NOBODY}
        self._touched.intervals |= track.intervals
