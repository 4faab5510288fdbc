"""A made-up site for the figures' tests: records as commits hold them, and the figures by brute force."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from mtmct.corrections import IdentityResolver
from mtmct.records import EVENTS, IDENTITIES, TRACKS, Record

US = 1_000_000
CAMERAS = ("north", "south", "yard")


def name(number: int) -> str:
    return f"plaza-{number:06d}"


def tracked(camera: str, track: int, number: int, times: Sequence[float], cls: str = "person") -> Record:
    """A tracklet with points at these seconds."""
    points = [[round(time * US), 0, 0, 9, 9, 0.9, None, None] for time in times]
    value = {"camera": camera, "track": track, "class": cls, "identity": name(number), "number": number}
    value |= {"start": points[0][0], "end": points[-1][0], "points": points}
    return Record(TRACKS, name(number), value, points[-1][0] * 1000)


def said(event: str, number: int, into: int | None = None, **more: Any) -> Record:
    """A record of `identities`; times in seconds. It is said after all else, unless `time` says when."""
    times = {key: None if more.get(key) is None else round(more[key] * US) for key in ("since", "until")}
    times["time"] = round(more.get("time", 10**6) * US)
    tracks = [list(track) for track in more.get("tracks", ())]
    value = {"event": event, "number": number, "identity": name(number), "tracks": tracks, **times}
    return Record(IDENTITIES, name(number), {**value, "into": None if into is None else name(into)}, 0)


def crossed(camera: str, track: int, time: float, direction: str = "in", line: str = "door") -> Record:
    value = {"camera": camera, "type": "crossing", "track": track, "time": round(time * US)}
    return Record(EVENTS, camera, {**value, "line": line, "direction": direction}, round(time * US) * 1000)


def left_zone(camera: str, track: int, entered: float, left: float, zone: str = "till") -> Record:
    value = {"camera": camera, "type": "exit", "track": track, "zone": zone}
    value |= {"entered": round(entered * US), "time": round(left * US)}
    return Record(EVENTS, camera, value, value["time"] * 1000)


def entered_zone(camera: str, track: int, time: float, zone: str = "till") -> Record:
    value = {"camera": camera, "type": "entry", "track": track, "zone": zone, "time": round(time * US)}
    return Record(EVENTS, camera, value, value["time"] * 1000)


def story(seed: int, seconds: int) -> list[list[Record]]:
    """A commit a second: tracks that come, go, and come back as others, some linked late; corrections of every kind."""
    random = np.random.default_rng(seed)
    resolver = IdentityResolver()
    live: dict[tuple[str, int], int] = {}  # until when
    held: dict[tuple[str, int], list[list[float]]] = {}
    everyone: list[tuple[str, int]] = []
    over: list[tuple[str, int]] = []
    numbers, commits = 0, []

    def standing() -> list[int]:
        return sorted(n for n in range(1, numbers + 1) if resolver.current(name(n)) == name(n))

    for second in range(seconds):
        commit = []
        for camera in CAMERAS:
            if random.random() < 0.25:
                live[camera, len(everyone)] = second + int(random.integers(1, 15))
                held[camera, len(everyone)] = []
                everyone.append((camera, len(everyone)))
                if len(everyone) % 5 == 0:
                    commit.append(entered_zone(*everyone[-1], second + 0.1, "hall"))  # and never leaves
        if over and random.random() < 0.05:
            back = over.pop(int(random.integers(len(over))))
            live[back], held[back] = second + int(random.integers(1, 15)), []
        corrections = []
        if second > 5 and random.random() < 0.3 and len(standing()) > 3:
            corrections.append(_correction(random, resolver, standing(), everyone, held, numbers + 1, second))
            numbers += corrections[-1].value["into"] == name(numbers + 1)
            resolver.apply(corrections[-1].value)
        tracks = []
        for track, until in list(live.items()):
            times = [second + part / 5 for part in range(5) if random.random() < 0.8]
            if random.random() < 0.1:
                commit.append(crossed(*track, second + random.random(), "in" if random.random() < 0.5 else "out"))
            if random.random() < 0.05:
                entered = second - 1.5 * random.random()
                commit += [entered_zone(*track, entered), left_zone(*track, entered, second + 0.5)]
            if track in held:
                held[track] += [times] if times else []
                if len(held[track]) < 3 and second < until:
                    continue
                pieces = held.pop(track)
                numbers += 1
                known = standing()
                number = int(random.choice(known)) if len(known) > 2 and random.random() < 0.5 else numbers
                tracks += [tracked(*track, number, piece) for piece in pieces]
            elif times and resolver.name_of(*track, round(times[0] * US)) is not None:
                number = resolver.identity_of(*track, round(times[0] * US))
                tracks.append(tracked(*track, number, times, "person" if random.random() < 0.9 else "rider"))
            if second >= until:
                del live[track]
                over += [track] if track not in held else []
            for record in tracks:
                resolver.published(record.value)
        commits.append([*commit, *corrections, *tracks])
    return commits


def _correction(
    random: np.random.Generator,
    resolver: IdentityResolver,
    standing: list[int],
    everyone: list[tuple[str, int]],
    held: dict[tuple[str, int], Any],
    fresh: int,
    now: int,
) -> Record:
    one, other = (int(number) for number in random.choice(standing, 2, replace=False))
    kind = random.choice(["merged", "split", "part", "retracted"], p=[0.4, 0.3, 0.25, 0.05])
    published = [track for track in everyone if track not in held and resolver.name_of(*track) is not None]
    if kind in ("split", "part") and published:
        track = published[int(random.integers(len(published)))]
        whose = resolver.identity_of(*track)
        into = fresh if other == whose or random.random() < 0.5 else other
        since = now - float(random.integers(0, 5)) if kind == "part" else None
        return said("split", whose, into, tracks=[track], since=since, time=now + 1)
    if kind == "retracted":
        return said("retracted", one)
    return said("merged", max(one, other), min(one, other))


# --- by brute force --------------------------------------------------------------------------------------------


class Corrected:
    """All tracks, crossings and zone stays, each under the identity that it has in the end."""

    def __init__(self, records: Sequence[Record]) -> None:
        resolver = IdentityResolver()
        for record in records:
            if record.topic == IDENTITIES:
                resolver.apply(record.value)
            elif record.topic == TRACKS:
                resolver.published(record.value)

        def whose(value: dict[str, Any], time: int) -> str | None:
            try:
                return resolver.name_of(value["camera"], value["track"], time)
            except KeyError:
                return None

        self.points: list[tuple[str, str, int, str]] = []  # identity, camera, time, class
        self.pieces: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
        self.zones: dict[str, list[tuple[str, str, int, int]]] = defaultdict(list)
        self.passages: list[tuple[int, str, str, str]] = []
        self.until: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
        self.inside: list[tuple[str, str, int, int]] = []  # zone, who, from and until when they were seen in it
        for record in records:
            value = record.value
            if record.topic == TRACKS and (who := whose(value, value["start"])):
                self.points += [(who, value["camera"], point[0], value["class"]) for point in value["points"]]
                self.pieces[who].append((value["camera"], value["start"], value["end"]))
                for zone, entered, left in _stays(records, value["camera"], value["track"]):
                    times = [point[0] for point in value["points"]]
                    if entered <= times[-1] and times[0] < left:
                        self.inside.append((zone, who, max(entered, times[0]), min(left, times[-1] + 1)))
                        self.until[who, zone].append((times[-1], left))
            elif record.topic == EVENTS and value["type"] == "exit" and (who := whose(value, value["entered"])):
                self.zones[who].append((value["camera"], value["zone"], value["entered"], value["time"]))
            elif record.topic == EVENTS and value["type"] == "crossing" and (who := whose(value, value["time"])):
                self.passages.append((value["time"], value["line"], value["direction"], who))

    def counts(self, interval_s: float, cool_down_s: float = 5.0) -> dict[int, dict[str, Any]]:
        """By start of the interval (microseconds), of those with anything in them."""
        length = round(interval_s * US)
        found: dict[int, dict[str, Any]] = {}
        for number in {time // length for _, _, time, _ in self.points} | {row[0] // length for row in self.passages}:
            here = [point for point in self.points if point[2] // length == number]
            late = {who for who, _, time, _ in here if time >= (number + 1) * length - min(US, length)}
            classes: dict[str, dict[str, int]] = {}
            for who in {point[0] for point in here}:
                votes = Counter(cls for other, _, _, cls in here if other == who)
                cls = max(sorted(votes), key=lambda cls: votes[cls])
                of_class = classes.setdefault(cls, {"present": 0, "unique": 0})
                of_class["unique"] += 1
                of_class["present"] += who in late
            unique = len({point[0] for point in here})
            lines: dict[str, Any] = {}
            zones = self._zones(number * length, (number + 1) * length)
            found[number * length] = {
                "present": len(late), "unique": unique, "classes": classes, "lines": lines, "zones": zones,
            }  # fmt: skip
        before: dict[tuple[str, ...], int] = {}
        for time, line, direction, who in sorted(self.passages):
            if time - before.get((who, line, direction), -(10**18)) >= cool_down_s * US:
                before[who, line, direction] = time
                directions = found[time // length * length]["lines"].setdefault(line, {"directions": {}})["directions"]
                directions[direction] = directions.get(direction, 0) + 1
        return found

    def _zones(self, start: int, end: int) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for zone in sorted({row[0] for row in self.inside}):
            here = {who for name, who, since, until in self.inside if name == zone and since < end and start < until}
            staying = {
                who
                for who in here
                if any(end - min(US, end - start) <= seen < end <= left for seen, left in self.until[who, zone])
            }
            if here:
                found[zone] = {"unique": len(here), "occupancy": len(staying)}
        return found

    def journeys(self, gone_s: float) -> dict[str, dict[str, Any]]:
        """Stays by identity, and how many visits they make."""
        found = {}
        for who, pieces in self.pieces.items():
            stays: list[list[Any]] = []
            for camera in {piece[0] for piece in pieces}:
                joined: list[list[Any]] = []
                for _, start, end in sorted(piece for piece in pieces if piece[0] == camera):
                    if joined and start - joined[-1][3] <= 5 * US:
                        joined[-1][3] = max(joined[-1][3], end)
                    else:
                        joined.append([camera, None, start, end])
                stays += joined
            times = sorted((start, end) for _, _, start, end in stays)
            visits = 1 + sum(
                start - max(end for _, end in times[: row + 1]) >= gone_s * US
                for row, (start, _) in enumerate(times[1:])
            )
            stays += [list(stay) for stay in set(self.zones[who])]
            votes = Counter(cls for other, _, _, cls in self.points if other == who)
            found[who] = {
                "class": max(sorted(votes), key=lambda cls: votes[cls]),
                "visits": visits,
                "stays": sorted(
                    stays, key=lambda stay: (stay[2], stay[1] is not None, stay[0], stay[1] or "", stay[3])
                ),
            }
        return found


def _stays(records: Sequence[Record], camera: str, track: int) -> list[tuple[str, int, int]]:
    """Zone, since when and until when the track was in it."""
    mine = [
        record.value
        for record in records
        if record.topic == EVENTS and (record.value["camera"], record.value["track"]) == (camera, track)
    ]
    closed = [(v["zone"], v["entered"], v["time"]) for v in mine if v["type"] == "exit"]
    left = {(zone, entered) for zone, entered, _ in closed}
    entered = [(v["zone"], v["time"]) for v in mine if v["type"] == "entry"]
    return closed + [(zone, time, 2**62) for zone, time in entered if (zone, time) not in left]


def told_counts(records: Sequence[Record]) -> dict[int, dict[str, Any]]:
    """The newest counts by start of the interval; revisions have to count up from 1."""
    found: dict[int, dict[str, Any]] = {}
    for value in (record.value for record in records if record.value.get("type") == "site_counts"):
        assert value["revision"] == found.get(value["start"], {"revision": 0})["revision"] + 1
        found[value["start"]] = value
    return found


def told_journeys(records: Sequence[Record]) -> dict[str, dict[str, Any]]:
    """The newest journey by identity; revisions have to count up from 1."""
    found: dict[str, dict[str, Any]] = {}
    for value in (record.value for record in records if record.value.get("type") == "journey"):
        assert value["revision"] == found.get(value["identity"], {"revision": 0})["revision"] + 1
        found[value["identity"]] = value
    return found


def as_counted(told: dict[int, dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Without intervals in which nothing was, and only what brute force gives."""
    kept = {
        start: {key: value[key] for key in ("present", "unique", "classes", "lines", "zones")}
        for start, value in told.items()
    }
    return {start: value for start, value in kept.items() if value["unique"] or value["lines"]}


def as_travelled(told: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Without journeys that were taken back, and only what brute force gives."""
    return {
        who: {
            "class": value["class"],
            "visits": value["visits"],
            "stays": [[stay[key] for key in ("camera", "zone", "start", "end")] for stay in value["stays"]],
        }
        for who, value in told.items()
        if value["stays"]
    }
