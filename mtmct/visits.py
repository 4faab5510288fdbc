"""The site's own figures: visitors without double counting, journeys through cameras and zones, ways and times.

Everything goes by global identity as corrected so far: two tracks that were merged count once, and figures asked for
after a correction are those that the correction leads to. Local tracks, which a camera counts by itself, are not used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from mtmct.corrections import IdentityResolver

_US = 1_000_000
# Tracklets of one identity in one camera that lie no farther apart are one stay there.
_ONE_STAY_US = 5 * _US


@dataclass(frozen=True, slots=True)
class Stay:
    """An identity at one place; `zone` is None for the camera's whole picture. Times in microseconds."""

    camera: str
    zone: str | None
    start: int
    end: int

    @property
    def place(self) -> str:
        """`camera`, or `camera/zone`."""
        return self.camera if self.zone is None else f"{self.camera}/{self.zone}"


@dataclass(frozen=True, slots=True)
class Way:
    """From one place to the next: how many went, and how long they took (seconds, median; below 0 where both saw)."""

    origin: str
    destination: str
    people: int
    seconds: float


class SiteFigures:
    """Takes in the values of the `tracks`, `identities` and `events` topics, each in its commit order.

    Memory grows with the number of tracklets: it is for a report on what a ledger holds, not for a live site.

    Args:
        interval_s: length of the intervals in which visitors are counted, seconds.
        cool_down_s: crossings of lines of one name in one direction by one identity within this time are one, whichever
            cameras saw them: lines of one name in several cameras are the same line on the ground.
        return_s: who is seen nowhere for so long and then again has returned.
    """

    def __init__(self, interval_s: float = 60.0, cool_down_s: float = 5.0, return_s: float = 60.0) -> None:
        self._interval = round(interval_s * _US)
        self._cool_down = round(cool_down_s * _US)
        self._return = round(return_s * _US)
        self._resolver = IdentityResolver()
        self._pieces: list[tuple[str, int, int, int]] = []  # camera, track, start, end
        self._zones: list[tuple[str, int, str, int, int]] = []  # camera, track, zone, entered, left
        self._crossed: list[tuple[int, str, int, str, str]] = []  # time, camera, track, line, direction

    def published(self, value: Mapping[str, Any]) -> None:
        """Take in a value of `tracks`."""
        self._resolver.published(value)
        if value["points"]:
            self._pieces.append((value["camera"], value["track"], value["start"], value["end"]))

    def apply(self, value: Mapping[str, Any]) -> None:
        """Take in a value of `identities`."""
        self._resolver.apply(value)

    def happened(self, value: Mapping[str, Any]) -> None:
        """Take in a value of `events`."""
        if value["type"] == "exit":
            self._zones.append((value["camera"], value["track"], value["zone"], value["entered"], value["time"]))
        elif value["type"] == "crossing":
            self._crossed.append((value["time"], value["camera"], value["track"], value["line"], value["direction"]))

    def visitors(self) -> list[tuple[int, int]]:
        """Start of each interval (microseconds) in which anyone was seen, and how many different ones."""
        seen: dict[int, set[str]] = {}
        for camera, track, start, end in self._pieces:
            name = self._name(camera, track, start)
            if name is not None:
                for number in range(start // self._interval, end // self._interval + 1):
                    seen.setdefault(number, set()).add(name)
        return [(number * self._interval, len(seen[number])) for number in sorted(seen)]

    def unique_visitors(self) -> int:
        """How many different identities the site has seen."""
        return len({name for piece in self._pieces if (name := self._name(*piece[:3])) is not None})

    def crossings(self) -> dict[tuple[str, str], int]:
        """Crossings by line and direction, each identity once within the cool-down."""
        last: dict[tuple[str, str, str], int] = {}
        totals: Counter[tuple[str, str]] = Counter()
        for time, camera, track, line, direction in sorted(self._crossed):
            name = self._name(camera, track, time)
            if name is None:
                continue
            key = (name, line, direction)
            if key not in last or time - last[key] >= self._cool_down:
                totals[line, direction] += 1
                last[key] = time
        return {key: totals[key] for key in sorted(totals)}

    def journeys(self) -> dict[str, list[Stay]]:
        """Where each identity was, in order of time: cameras, and within them zones."""
        found: dict[str, list[Stay]] = {}
        for camera, track, start, end in sorted(self._pieces, key=lambda piece: piece[2:]):
            name = self._name(camera, track, start)
            if name is None:
                continue
            stays = found.setdefault(name, [])
            row = next((i for i in reversed(range(len(stays))) if stays[i].camera == camera), None)
            if row is not None and start - stays[row].end <= _ONE_STAY_US:
                stays[row] = Stay(camera, None, stays[row].start, max(stays[row].end, end))
            else:
                stays.append(Stay(camera, None, start, end))
        for camera, track, zone, entered, left in self._zones:
            name = self._name(camera, track, entered)
            if name is not None and name in found:
                found[name].append(Stay(camera, zone, entered, left))
        return {
            name: sorted(found[name], key=lambda stay: (stay.start, stay.zone is not None, stay.place))
            for name in sorted(found)
        }

    def ways(self) -> list[Way]:
        """From each camera to the next, over all journeys."""
        return self._ways(lambda stay: stay.zone is None)

    def ways_between_zones(self) -> list[Way]:
        """From each zone to the next, over all journeys."""
        return self._ways(lambda stay: stay.zone is not None)

    def origins_and_destinations(self) -> dict[tuple[str, str], int]:
        """How many journeys began at one camera and ended at another, by first and last."""
        pairs: Counter[tuple[str, str]] = Counter()
        for stays in self.journeys().values():
            cameras = [stay for stay in stays if stay.zone is None]
            pairs[cameras[0].camera, max(cameras, key=lambda stay: stay.end).camera] += 1
        return {pair: pairs[pair] for pair in sorted(pairs)}

    def returns(self) -> dict[str, int]:
        """How often each identity that came back has done so."""
        found: dict[str, int] = {}
        for name, stays in self.journeys().items():
            times, until = 0, stays[0].end
            for stay in stays:
                times += stay.start - until >= self._return
                until = max(until, stay.end)
            if times:
                found[name] = times
        return found

    def _ways(self, counts: Any) -> list[Way]:
        taken: dict[tuple[str, str], list[float]] = {}
        for stays in self.journeys().values():
            for one, other in pairwise([stay for stay in stays if counts(stay)]):
                taken.setdefault((one.place, other.place), []).append((other.start - one.end) / _US)
        return [Way(*places, len(times), round(median(times), 3)) for places, times in sorted(taken.items())]

    def _name(self, camera: str, track: int, time: int) -> str | None:
        """The identity; None if it was retracted, or the track was never published."""
        try:
            return self._resolver.name_of(camera, track, time)
        except KeyError:
            return None
