"""From one view to the next: how long it takes, how often it happens, and how many are seen for the first time.

A site is taken for a set of Poisson processes. Whoever is in the view of camera A, or has left it, comes into the
view of camera B at a rate that depends on the time since; people that nobody has seen before come at a rate of
their own. The ratio of the two rates is what a travel time says for a link: distance, route and traffic are all in
it, and so is the number of rivals, as each of them has a rate too.

The rates are learned from what fusion believes: every decided track is one arrival, shared out over all who it may
have been (expectation maximisation, online), so that travel times emerge even where nothing but time is known (cf.
Makris, Ellis and Black, "Bridging the gaps between cameras", 2004). They start from a prior (or from what the site's
file says), are forgotten exponentially in event time, and views that overlap learn so themselves: somebody comes to
B while in A.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from mtmct.settings import FusionSettings, Path
from mtmct.topology import Float64
from operators.records import SECOND_NS, Int64

BESIDE, GONE = 0, 1  # while in the view of the camera, by the time since coming; after, by the time since leaving
_STARTS_S = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 14.0)
_GROWTH = 1.2  # of the bins after those
_SPREAD = (0.25, 0.5, 0.25)  # over neighbouring bins: a kernel
_SOON_S = 2.0  # prior: the density of travel times falls as 1 / (time + this)
_PRIOR_DEPARTURES = 5.0  # what the prior of a pair weighs, in departures
_GIVEN_DEPARTURES = 20.0  # and where the site's file gives the travel time
_OFF_THE_PATH = 0.05  # share of those on a given path who take other times than it says
_COMING = 2.0 / 3.0  # prior: how many of those who leave a view are seen again, and of arrivals have been seen
_PRIOR_ARRIVALS, _PRIOR_S = 2.0, 20.0
_LEAST = 0.02  # arrivals: a pair that has had fewer is not kept
_NEIGHBOURS = 64  # pairs kept a camera


@dataclass(frozen=True, slots=True)
class Stay:
    """One track as far as travelling goes: where, and from when to when (event time, ns)."""

    start_ns: int
    end_ns: int
    camera: str


@dataclass(slots=True)
class _Port:
    """What is counted of one camera, all of it fading.

    Attributes:
        updated_ns: event time to which the counts have been faded.
        seconds: time watched. arrivals, fresh: tracks that began, and those of them never seen before.
        exposure: (2, B) seconds that tracks have been in view, and have been gone, by the time since.
        came: (2, B) arrivals from other cameras (the key), by the time since they came there or left there.
    """

    updated_ns: int
    seconds: float = 0.0
    arrivals: float = 0.0
    fresh: float = 0.0
    exposure: Float64 = field(default_factory=lambda: np.zeros((2, 0)))
    came: dict[str, Float64] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TravelTime:
    """What is known of one ordered pair of cameras.

    Attributes:
        source, target: from which camera to which.
        share: how many of those seen by `source` are seen next by `target`, 0 to 1.
        overlap: how many of these come while still in the view of `source`, 0 to 1.
        low_s, typical_s, high_s: tenth, fiftieth and ninetieth percentile of the time from leaving the one view to
            coming into the other, of those who have left, seconds; NaN where nobody has.
        arrivals: how many it was learned from, lately.
    """

    source: str
    target: str
    share: float
    overlap: float
    low_s: float
    typical_s: float
    high_s: float
    arrivals: float


class TravelTimes:
    """Rates of coming from one view into another.

    Args:
        cameras: ids of the site's cameras.
        settings: the longest gap, the paths the site's file gives, how fast the learned is forgotten.
    """

    def __init__(self, cameras: Sequence[str], settings: FusionSettings) -> None:
        self._settings = settings
        self._cameras = set(cameras)
        self.edges = _edges(settings.max_gap_s)
        self._widths = np.diff(self.edges)
        self._prior = self._usual()
        self._paths = {(path.source, path.target): path for path in settings.paths}
        self._ports: dict[str, _Port] = {}
        self._rates: dict[tuple[str, str], Float64] = {}
        self._new: dict[str, float] = {}
        self.changed: set[str] = set()

        self._given = frozenset(name for path in settings.paths for name in (path.source, path.target))

    def given(self, camera: str) -> bool:
        """Whether the site's file gives a travel time to or from this camera: then times count, calibrated or not."""
        return camera in self._given

    # --- asked ---------------------------------------------------------------------------------------------------

    def reachable(self, source: str, target: str) -> bool:
        """Whether somebody may come into the view of `target` next after `source`."""
        if not self._settings.only_paths or source == target:
            return True
        return (source, target) in self._paths

    def llr(self, before: Stay, after: Stay) -> float:
        """What the time between two stays says for one and the same visitor, against a newcomer, nats."""
        if not self.reachable(before.camera, after.camera):
            return -math.inf
        seconds, kind = _lag(before, after)
        row = int(np.searchsorted(self.edges, seconds, "right")) - 1
        if row >= len(self._widths):
            return -math.inf
        return float(self._table(before.camera, after.camera)[kind, max(row, 0)]) - self._newcomers(after.camera)

    def joined(self, one: Sequence[Stay], other: Sequence[Stay]) -> float:
        """What the times say for two visitors, each with some stays in order, being one, nats.

        The steps of the one itinerary against those of the two.
        """
        together = sorted([*one, *other], key=lambda stay: (stay.start_ns, stay.end_ns, stay.camera))
        said = self._steps(together)
        if said == -math.inf:
            return said
        return said - self._steps(one) - self._steps(other)

    def _steps(self, stays: Sequence[Stay]) -> float:
        return sum(self.llr(before, after) for before, after in pairwise(stays))

    def soonest(self, target: str, start_ns: int, cameras: Sequence[str], starts: Int64, ends: Int64) -> Float64:
        """Log rate at which each of many visitors, last seen in `cameras`, comes to `target` at `start_ns`."""
        names, which = np.unique(np.asarray(cameras, object).astype(str), return_inverse=True)
        tables = np.stack([self._table(str(name), target) for name in names])
        beside = ends >= start_ns
        seconds = np.where(beside, start_ns - starts, start_ns - ends) / SECOND_NS
        rows = np.searchsorted(self.edges, seconds, "right") - 1
        inside = (rows < len(self._widths)) & (seconds >= 0)
        found = tables[which, np.where(beside, BESIDE, GONE), np.clip(rows, 0, len(self._widths) - 1)]
        open_ = np.array([self.reachable(str(name), target) for name in names])[which]
        return np.where(inside & open_, found, -np.inf)

    def table(self) -> list[TravelTime]:
        """All pairs of which something was learned, by name."""
        pairs = sorted((source, target) for target, port in self._ports.items() for source in port.came)
        return [self._described(source, target) for source, target in pairs]

    def _described(self, source: str, target: str) -> TravelTime:
        came = self._ports[target].came[source]
        left = self._ports.get(source)
        departures = 1.0 if left is None or not left.exposure.size else float(left.exposure[GONE, 0] / self._widths[0])
        total, gone = float(came.sum()), came[GONE]
        shares = np.concatenate([[0.0], np.cumsum(gone)])
        low, typical, high = (
            np.interp(np.array([0.1, 0.5, 0.9]) * shares[-1], shares, self.edges)
            if shares[-1] > 0
            else np.full(3, np.nan)
        )
        overlap = float(came[BESIDE].sum() / total) if total else 0.0
        share = min(total / max(departures, 1e-9), 1.0)
        return TravelTime(source, target, share, overlap, float(low), float(typical), float(high), total)

    # --- learned -------------------------------------------------------------------------------------------------

    def arrived(self, stay: Stay, before: Iterable[tuple[Stay, float]], fresh: float) -> None:
        """A track began: with which probability it came from each of these stays, and that it was never seen."""
        port = self._faded(stay.camera, stay.start_ns)
        port.arrivals += 1.0
        port.fresh += fresh
        for earlier, share in before:
            if share < 1e-3 or earlier.camera == stay.camera or earlier.start_ns > stay.start_ns:
                continue
            seconds, kind = _lag(earlier, stay)
            row = int(np.searchsorted(self.edges, seconds, "right")) - 1
            if row >= len(self._widths):
                continue
            came = port.came.setdefault(earlier.camera, np.zeros((2, len(self._widths))))
            for step, part in zip((-1, 0, 1), _SPREAD, strict=True):
                came[kind, min(max(row + step, 0), len(self._widths) - 1)] += share * part
        while len(port.came) > _NEIGHBOURS:
            del port.came[min(port.came, key=lambda name: (float(port.came[name].sum()), name))]

    def left(self, stay: Stay) -> None:
        """A track ended."""
        port = self._faded(stay.camera, stay.end_ns)
        seconds = (stay.end_ns - stay.start_ns) / SECOND_NS
        port.exposure[BESIDE] += np.clip(seconds - self.edges[:-1], 0.0, self._widths)
        port.exposure[GONE] += self._widths

    def _faded(self, camera: str, now_ns: int) -> _Port:
        port = self._ports.get(camera)
        if port is None:
            port = self._ports[camera] = _Port(now_ns, exposure=np.zeros((2, len(self._widths))))
        seconds = (now_ns - port.updated_ns) / SECOND_NS
        if seconds > 0:
            memory = self._settings.travel_memory_s
            kept = math.exp(-seconds / memory)
            port.seconds = port.seconds * kept + memory * (1 - kept)
            port.arrivals, port.fresh, port.exposure = port.arrivals * kept, port.fresh * kept, port.exposure * kept
            port.came = {name: came * kept for name, came in port.came.items() if came.sum() * kept > _LEAST}
            port.updated_ns = now_ns
        self.changed.add(camera)
        self._new.pop(camera, None)
        self._rates = {pair: rates for pair, rates in self._rates.items() if camera not in pair}
        return port

    # --- rates ---------------------------------------------------------------------------------------------------

    def _newcomers(self, camera: str) -> float:
        """Log of how many a second come into a view whom nobody has seen before."""
        known = self._new.get(camera)
        if known is None:
            port = self._ports.get(camera) or _Port(0)
            share = (port.fresh + _PRIOR_ARRIVALS * (1 - _COMING)) / (port.arrivals + _PRIOR_ARRIVALS)
            rate = (port.arrivals + _PRIOR_ARRIVALS) / (port.seconds + _PRIOR_S)
            known = self._new[camera] = math.log(share * rate)
        return known

    def _table(self, source: str, target: str) -> Float64:
        """(2, B) log of how many a second come from the one view into the other."""
        known = self._rates.get((source, target))
        if known is None:
            weight, prior = self._believed(source, target)
            port, gone = self._ports.get(target), self._ports.get(source)
            came: Any = 0.0 if port is None else port.came.get(source, 0.0)
            exposure: Any = 0.0 if gone is None else gone.exposure
            rates = (came + weight * prior * self._widths) / (exposure + weight * self._widths)
            known = self._rates[source, target] = np.log(rates)
        return known

    def _believed(self, source: str, target: str) -> tuple[float, Float64]:
        others = max(len(self._cameras | self._ports.keys()) - 1, 1)
        prior = self._prior * (_COMING / others)
        path = self._paths.get((source, target))
        if path is None:
            return _PRIOR_DEPARTURES, prior
        given = np.stack([self._prior[BESIDE] * (path.low_s <= 0), _between(path, self.edges)])
        return _GIVEN_DEPARTURES, (1 - _OFF_THE_PATH) * _COMING * given + _OFF_THE_PATH * prior

    def _usual(self) -> Float64:
        ends = np.log(self.edges + _SOON_S)
        density = np.diff(ends) / (ends[-1] - ends[0]) / self._widths
        return np.stack([math.exp(self._settings.unseen_overlap) * density, density])

    # --- state ---------------------------------------------------------------------------------------------------

    def stored(self, camera: str) -> dict[str, Any]:
        """What is counted of a camera, as plain values."""
        port = self._ports[camera]
        names = sorted(port.came)
        came = np.stack([port.came[name] for name in names]) if names else np.zeros((0, 2, len(self._widths)))
        counts = [port.seconds, port.arrivals, port.fresh]
        return {
            "camera": camera,
            "updated": port.updated_ns,
            "counts": counts,
            "exposure": port.exposure,
            "names": names,
            "came": came,
            "longest": self._settings.max_gap_s,
        }

    def restore(self, value: Mapping[str, Any]) -> None:
        """Take back what `stored` gave; counts on another grid of times (another longest gap) are let go."""
        came, exposure = np.array(value["came"]), np.array(value["exposure"])
        if exposure.shape[-1] != len(self._widths):
            return
        seconds, arrivals, fresh = value["counts"]
        pairs = dict(zip(value["names"], came, strict=True))
        self._ports[value["camera"]] = _Port(value["updated"], seconds, arrivals, fresh, exposure, pairs)
        self._new.clear()
        self._rates.clear()


def _lag(before: Stay, after: Stay) -> tuple[float, int]:
    if before.end_ns >= after.start_ns:
        return max(after.start_ns - before.start_ns, 0) / SECOND_NS, BESIDE
    return (after.start_ns - before.end_ns) / SECOND_NS, GONE


def _edges(longest_s: float) -> Float64:
    edges = list(_STARTS_S)
    while edges[-1] * _GROWTH < longest_s:
        edges.append(round(edges[-1] * _GROWTH, 1))
    return np.array([*(edge for edge in edges if edge < longest_s), longest_s])


def _between(path: Path, edges: Float64) -> Float64:
    """Density of a triangle over a path's times, in each bin."""
    low, top, high = path.low_s, path.typical_s, path.high_s
    span = max(high - low, 1e-3)

    def below(t: Float64) -> Float64:
        rising = (t - low) ** 2 / (span * max(top - low, 1e-9))
        falling = 1 - (high - t) ** 2 / (span * max(high - top, 1e-9))
        return np.where(t <= low, 0.0, np.where(t >= high, 1.0, np.where(t < top, rising, falling)))

    return np.diff(below(edges)) / np.diff(edges)
