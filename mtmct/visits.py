"""The site's own figures: visitors without double counting, journeys through cameras and zones, ways and times.

Everything goes by global identity as corrected so far: two tracks that were merged count once, and figures asked for
after a correction are those that the correction leads to. Local tracks, which a camera counts by itself, are not used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from mtmct.corrections import IdentityResolver
from mtmct.stays import (
    COOL_DOWN_S,
    RETURN_S,
    Passage,
    Piece,
    Stay,
    count_passages,
    find_returns,
    in_order,
    join_pieces,
)

_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Way:
    """From one place to the next: how many went, and how long they took; below 0 where both places saw them at once.

    Attributes:
        origin, destination: places.
        people: how often it was gone.
        seconds: the median. fast, slow: the 10th and the 90th percentile, seconds.
    """

    origin: str
    destination: str
    people: int
    seconds: float
    fast: float
    slow: float


@dataclass(frozen=True, slots=True)
class Return:
    """An identity that was seen nowhere for a while came back."""

    identity: str
    left: Stay
    back: Stay

    @property
    def away(self) -> float:
        """Seconds in between."""
        return round((self.back.start - self.left.end) / _US, 3)


class SiteFigures:
    """Takes in the values of the `tracks`, `identities` and `events` topics, each in its commit order.

    Memory grows with the number of tracklets: it is for a report on what a ledger holds, not for a live site.

    Args:
        interval_s: length of the intervals in which visitors are counted, seconds.
        cool_down_s: crossings of lines of one name in one direction by one identity within this time are one, whichever
            cameras saw them: lines of one name in several cameras are the same line on the ground.
        return_s: who is seen nowhere for so long and then again has returned.
    """

    def __init__(self, interval_s: float = 60.0, cool_down_s: float = COOL_DOWN_S, return_s: float = RETURN_S) -> None:
        self._interval = round(interval_s * _US)
        self._cool_down = round(cool_down_s * _US)
        self._return = round(return_s * _US)
        self._resolver = IdentityResolver()
        self._pieces: list[tuple[str, int, int, int]] = []  # camera, track, start, end
        self._seen: list[set[int]] = []  # in which intervals each piece has points
        self._zones: list[tuple[str, int, str, int, int]] = []  # camera, track, zone, entered, left
        self._crossed: list[tuple[int, str, int, str, str]] = []  # time, camera, track, line, direction

    def published(self, value: Mapping[str, Any]) -> None:
        """Take in a value of `tracks`."""
        self._resolver.published(value)
        if value["points"]:
            self._pieces.append((value["camera"], value["track"], value["start"], value["end"]))
            self._seen.append({point[0] // self._interval for point in value["points"]})

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
        for (camera, track, start, _), numbers in zip(self._pieces, self._seen, strict=True):
            name = self._name(camera, track, start)
            if name is not None:
                for number in numbers:
                    seen.setdefault(number, set()).add(name)
        return [(number * self._interval, len(seen[number])) for number in sorted(seen)]

    def unique_visitors(self) -> int:
        """How many different identities the site has seen."""
        return len({name for piece in self._pieces if (name := self._name(*piece[:3])) is not None})

    def crossings(self) -> dict[tuple[str, str], int]:
        """Crossings by line and direction, each identity once within the cool-down."""
        crossed: dict[str, list[Passage]] = {}
        for time, camera, track, line, direction in self._crossed:
            name = self._name(camera, track, time)
            if name is not None:
                crossed.setdefault(name, []).append((time, line, direction))
        totals: Counter[tuple[str, str]] = Counter()
        for passages in crossed.values():
            totals.update((line, way) for _, line, way in count_passages(passages, self._cool_down))
        return {key: totals[key] for key in sorted(totals)}

    def journeys(self) -> dict[str, list[Stay]]:
        """Where each identity was, in order of time: cameras, and within them zones."""
        pieces: dict[str, list[Piece]] = {}
        for camera, track, start, end in self._pieces:
            name = self._name(camera, track, start)
            if name is not None:
                pieces.setdefault(name, []).append((camera, start, end))
        found = {
            name: [Stay(camera, None, start, end) for camera, start, end in join_pieces(mine)]
            for name, mine in pieces.items()
        }
        for camera, track, zone, entered, left in self._zones:
            name = self._name(camera, track, entered)
            if name is not None and name in found:
                found[name].append(Stay(camera, zone, entered, left))
        return {name: in_order(found[name]) for name in sorted(found)}

    def ways(self) -> list[Way]:
        """From each camera to the next, over all journeys."""
        return self._ways(lambda stay: stay.zone is None)

    def ways_between_zones(self) -> list[Way]:
        """From each zone to the next, over all journeys."""
        return self._ways(lambda stay: stay.zone is not None)

    def origins_and_destinations(self, *, zones: bool = False) -> dict[tuple[str, str], int]:
        """How many visits began at one camera (or zone) and ended at another, by first and last.

        Who comes back begins another visit.
        """
        pairs: Counter[tuple[str, str]] = Counter()
        for stays in self.journeys().values():
            back = [when for _, when in find_returns(stays, self._return)]
            for low, high in pairwise([0, *(stays.index(stay) for stay in back), len(stays)]):
                visited = [stay for stay in stays[low:high] if (stay.zone is not None) is zones]
                if visited:
                    pairs[visited[0].place, max(visited, key=lambda stay: stay.end).place] += 1
        return {pair: pairs[pair] for pair in sorted(pairs)}

    def returns(self) -> list[Return]:
        """Who came back, when and where, by identity."""
        return [
            Return(name, left, back)
            for name, stays in self.journeys().items()
            for left, back in find_returns(stays, self._return)
        ]

    def _ways(self, counts: Any) -> list[Way]:
        taken: dict[tuple[str, str], list[float]] = {}
        for stays in self.journeys().values():
            for one, other in pairwise([stay for stay in stays if counts(stay)]):
                taken.setdefault((one.place, other.place), []).append((other.start - one.end) / _US)
        ways = []
        for places, times in sorted(taken.items()):
            fast, middle, slow = (round(float(part), 3) for part in np.percentile(times, [10, 50, 90]))
            ways.append(Way(*places, len(times), middle, fast, slow))
        return ways

    def _name(self, camera: str, track: int, time: int) -> str | None:
        """The identity; None if it was retracted, or the track was never published."""
        try:
            return self._resolver.name_of(camera, track, time)
        except KeyError:
            return None
