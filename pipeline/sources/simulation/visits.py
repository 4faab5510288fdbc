"""Who is where: everybody comes, goes from place to place, stays here and there, leaves, and comes back.

Time is cut into cycles, for each place among `people` at moments of its own. In each cycle whoever holds the place
makes one visit, drawn from the cycle's own random numbers: so where somebody is at any time can be said without
knowing anything of the time before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pipeline.sources.simulation.plan import Plan

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

STEP_S = 0.1
"""Positions are known at multiples of it; between them one walks straight on."""
BLOCK_S = 5.0
STEPS = round(BLOCK_S / STEP_S)

_PATIENCE = (0.6, 0.92)  # part of a cycle for which one has come
_STRAY = 0.25  # share of stops that are in a district next door
_CORNER_S = 0.4  # corners are cut: a position is the mean of those so long before, now, and so long after
_BESIDE_M = 0.7  # between two who walk together
_VISITS, _ROUTES = 1, 2  # kinds of random numbers


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit.

    Attributes:
        times: (M,) when one turns, stops or goes on, seconds from the cycle's beginning.
        points: (M, 2) where, metres.
        headings: (M,) which way one faces until then, radians.
    """

    times: Float64
    points: Float64
    headings: Float64


class Visits:
    """All visits to a place.

    Args:
        plan: the place.
        people: how many come and go.
        together: share of them who walk in pairs.
        renewal: after so many visits somebody new holds the place; 0: never.
        seed: of everything.
    """

    def __init__(self, plan: Plan, people: int, together: float, renewal: int, seed: int) -> None:
        self._plan = plan
        self._people = people
        self._renewal = renewal
        self._seed = seed
        districts = len(plan.around)
        random = np.random.default_rng((seed, _VISITS))
        holders = np.arange(people)
        self.homes: Int64 = holders % districts
        self._phases = random.uniform(0, plan.habits.cycle_s, people)
        self._paces = random.uniform(*plan.habits.speeds, people)
        # Every second one of a home may belong to the one before.
        second = (holders // districts) % 2 == 1
        follows = second & (random.uniform(size=people) < together)
        self._leaders = np.where(follows, holders - districts, holders)
        self._sides = np.where(follows, _BESIDE_M, 0.0)
        self._visit = lru_cache(maxsize=max(256, 4 * people))(self._draw)
        self._block = lru_cache(maxsize=max(128, 4 * districts))(self._move)

    def at_home(self, district: int) -> Int64:
        """The places among `people` whose holders are at home in a district."""
        found: Int64 = np.flatnonzero(self.homes == district)
        return found

    def cycle(self, places: Int64, seconds: Float64) -> Int64:
        """Which cycle it is: (N,) for each place at each time."""
        leaders = self._leaders[places]
        cycles: Int64 = np.floor((seconds + self._phases[leaders]) / self._plan.habits.cycle_s).astype(np.int64)
        return cycles

    def who(self, places: Int64, seconds: Float64) -> Int64:
        """(N,) the number of the person, from 1, who holds a place at a time."""
        if self._renewal == 0:
            return places + 1
        return places + 1 + self._people * (self.cycle(places, seconds) // self._renewal)

    def block(self, district: int, number: int) -> Float64:
        """Where those at home in a district are during block `number`, and which way they face: (places, STEPS, 3) of
        x, y and heading; NaN: away."""
        return self._block(district, number)

    def _move(self, district: int, number: int) -> Float64:
        seconds: Float64 = number * BLOCK_S + STEP_S * np.arange(STEPS, dtype=np.float64)
        found = np.full((np.count_nonzero(self.homes == district), STEPS, 3), np.nan)
        for row, place in enumerate(self.at_home(district).tolist()):
            found[row] = self._way_of(place, seconds)
        return found

    def _way_of(self, place: int, seconds: Float64) -> Float64:
        """Where one is at (T,) times, ascending: (T, 3)."""
        leader = int(self._leaders[place])
        length = self._plan.habits.cycle_s
        since = seconds + self._phases[leader]
        found = np.full((len(seconds), 3), np.nan)
        for cycle in range(int(since[0] // length), int(since[-1] // length) + 1):
            visit = self._visit(leader, cycle)
            rows = np.flatnonzero(since // length == cycle)
            now = since[rows] - cycle * length
            if not len(rows) or now[-1] < visit.times[0] or now[0] > visit.times[-1]:
                continue
            shifted = (now + np.array([[-_CORNER_S], [0.0], [_CORNER_S]])).ravel()
            for axis in (0, 1):
                on_the_way = np.interp(shifted, visit.times, visit.points[:, axis], np.nan, np.nan)
                found[rows, axis] = on_the_way.reshape(3, -1).mean(axis=0)
            found[rows, 2] = visit.headings[np.minimum(np.searchsorted(visit.times, now), len(visit.times) - 1)]
        if self._sides[place]:
            found[:, :2] += self._sides[place] * np.array([np.cos(float(place)), np.sin(float(place))])
        return found

    def _draw(self, place: int, cycle: int) -> Visit:
        plan, habits = self._plan, self._plan.habits
        random = np.random.default_rng((self._seed, _ROUTES, place, cycle))
        home = int(self.homes[place])
        door, way_out = (int(random.choice(self._doors(home, random))) for _ in range(2))
        budget = habits.cycle_s * random.uniform(*_PATIENCE)
        pace = self._paces[place] * random.uniform(0.9, 1.1)
        at, turns, now = door, [self._beside(door, random)], 0.0
        times = [random.uniform(0, habits.cycle_s - budget)]
        while True:
            stop = int(random.choice(plan.stops[self._district(home, random)]))
            dwell = random.exponential(habits.dwell_s) + 1.0
            there = self._way(at, stop)
            back = self._way(stop, way_out)
            if now + (there + back) / pace + dwell > budget and now > 0:
                break
            self._go(plan.route(at, stop), pace, turns, times, random)
            turns.append(turns[-1])
            times.append(times[-1] + dwell)
            now, at = times[-1] - times[0], stop
        self._go(plan.route(at, way_out), pace, turns, times, random)
        when = np.array(times)
        room = habits.cycle_s - 1.0
        if when[-1] > room:  # a long way: one comes at once, and hurries
            when = (when - when[0]) * min(1.0, room / (when[-1] - when[0]))
        return Visit(when, np.array(turns), _headings(np.array(turns)))

    def _doors(self, home: int, random: np.random.Generator) -> Sequence[int]:
        return self._plan.doors[self._district(home, random)]

    def _district(self, home: int, random: np.random.Generator) -> int:
        if random.uniform() >= _STRAY:
            return home
        return int(random.choice(self._plan.around[home]))

    def _way(self, start: int, end: int) -> float:
        points = self._plan.points[self._plan.route(start, end)]
        return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())

    def _beside(self, node: int, random: np.random.Generator) -> Float64:
        spread = self._plan.spreads[node]
        beside: Float64 = self._plan.points[node] + random.uniform(-spread, spread, 2)
        return beside

    def _go(
        self, way: Sequence[int], pace: float, turns: list[Float64], times: list[float], random: np.random.Generator
    ) -> None:
        """Append the way's turns, from the second point on, to what has been gone so far."""
        lane = self._plan.habits.lane
        for before, node in pairwise(way):
            turn = self._beside(node, random)
            if lane:
                along = self._plan.points[node] - self._plan.points[before]
                right = np.array([along[1], -along[0]]) / max(float(np.hypot(*along)), 1e-9)
                # Into the lane at once, along it, and out of it at the next corner.
                for share in (0.15, 0.85):
                    point = self._plan.points[before] + share * along + lane * right
                    times.append(times[-1] + float(np.linalg.norm(point - turns[-1])) / pace)
                    turns.append(point)
                if node != way[-1]:
                    continue
            times.append(times[-1] + max(float(np.linalg.norm(turn - turns[-1])), 1e-6) / pace)
            turns.append(turn)


def _headings(turns: Float64) -> Float64:
    """Which way one faces on the way to each of (M, 2) turns; who stays faces as before."""
    steps = np.diff(turns, axis=0, prepend=turns[:1])
    moves = np.hypot(*steps.T) > 1e-3
    moves[0] = True
    latest = np.maximum.accumulate(np.where(moves, np.arange(len(turns)), 0))
    headings: Float64 = np.arctan2(steps[latest, 1], steps[latest, 0])
    return headings
