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

Where the size of the pictures is known, it counts through which gate of its picture somebody left a view, or came into
it while he is still there, and through which he comes into the next (`mtmct.gates`). Of gates through which few have
come yet it is believed what holds for their cameras as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import numpy as np

from mtmct.gates import ANYWHERE, MOST, Gates, Kept, Spot
from mtmct.itinerary import Stay, Whereabouts, lag
from mtmct.settings import FusionSettings
from mtmct.topology import Float64
from mtmct.travel_prior import BESIDE, COMING, GONE, Believed
from operators.records import SECOND_NS

_SPREAD = (0.25, 0.5, 0.25)  # over neighbouring bins: a kernel
_PRIOR_ARRIVALS, _PRIOR_S = 2.0, 20.0
_LEAST = 0.02  # arrivals: a pair that has had fewer is not kept
_NEIGHBOURS = 64  # pairs kept a camera
_GATE_DEPARTURES = 5.0  # what is known of two cameras weighs in what is believed of two of their gates, in departures
_GATE_ARRIVALS = 5.0  # and what is known of a camera's newcomers in what is believed of those at one gate
_EVEN = 2.0  # prior: arrivals spread evenly over the gates of a camera


@dataclass(slots=True)
class _Port:
    """What is counted of one camera, all of it fading.

    Attributes:
        updated_ns: event time to which the counts have been faded.
        seconds: time watched. arrivals, fresh: tracks that began, and those of them never seen before.
        departures: tracks that ended.
        exposure: (2, B) seconds that tracks have been in view, and that they have been gone and were not seen again, by
            the time since. What counts for an arrival is how many were still on their way.
        came: (2, B) arrivals from other cameras (the key), by the time since they came there or left there.
        gates: the same by the gates of the picture.
        version: counts the changes.
    """

    updated_ns: int
    gates: Gates
    seconds: float = 0.0
    arrivals: float = 0.0
    fresh: float = 0.0
    departures: float = 0.0
    exposure: Float64 = field(default_factory=lambda: np.zeros((2, 0)))
    came: dict[str, Float64] = field(default_factory=dict)
    version: int = 0


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
        sizes: width and height of the cameras' pictures, pixels; those not named have no gates.
    """

    def __init__(
        self,
        cameras: Sequence[str],
        settings: FusionSettings,
        sizes: Mapping[str, tuple[int, int]] = MappingProxyType({}),
    ) -> None:
        self._settings = settings
        self._cameras = set(cameras)
        self._believed = Believed(settings)
        self.edges, self._widths = self._believed.edges, self._believed.widths
        self._ports: dict[str, _Port] = {}
        self._sizes = sizes
        self._nobody = _Port(0, Gates(len(self._widths)))
        self._kept = Kept()
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
        return (source, target) in self._believed.paths

    def llr(self, before: Stay, after: Stay) -> float:
        """What the time between two stays says for one and the same visitor, against a newcomer, nats."""
        if not self.reachable(before.camera, after.camera):
            return -math.inf
        seconds, kind = lag(before, after)
        row = int(np.searchsorted(self.edges, seconds, "right")) - 1
        if row >= len(self._widths):
            return -math.inf
        entered, left = self._gate(after.camera, after.came), self._gate_left(before, kind)
        rates = self._rates(before.camera, after.camera, kind, left, entered)
        return float(rates[max(row, 0)]) - self._newcomers(after.camera, entered)

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

    def crowding(self, stay: Stay, usual: float) -> float:
        """How many more newcomers begin where a stay began than if they began evenly all over the picture, nats.

        `usual`: what is believed of such a place before anybody came.
        """
        entered = self._gate(stay.camera, stay.came)
        return usual if entered == ANYWHERE else self._ports[stay.camera].gates.crowding(entered, usual, _GATE_ARRIVALS)

    def whereabouts(self, stays: Sequence[Stay]) -> Whereabouts:
        """Where many visitors were last, for `soonest`."""
        cameras = sorted({stay.camera for stay in stays})
        place = {camera: row for row, camera in enumerate(cameras)}
        gates = [[self._gate_left(stay, kind) for stay in stays] for kind in (BESIDE, GONE)]
        return Whereabouts(
            cameras,
            np.array([place[stay.camera] for stay in stays], np.int64),
            np.array([stay.start_ns for stay in stays], np.int64),
            np.array([stay.end_ns for stay in stays], np.int64),
            np.array(gates, np.int64).reshape(2, -1),
        )

    def soonest(self, after: Stay, last: Whereabouts) -> Float64:
        """(N,) log rate at which each of many visitors comes to where a stay began when it did."""
        target, entered = after.camera, self._gate(after.camera, after.came)
        beside = last.ends >= after.start_ns
        seconds = np.where(beside, after.start_ns - last.starts, after.start_ns - last.ends) / SECOND_NS
        rows = np.searchsorted(self.edges, seconds, "right") - 1
        inside = (rows < len(self._widths)) & (seconds >= 0)
        kinds = np.where(beside, BESIDE, GONE)
        places = MOST - ANYWHERE
        ways = (last.which * 2 + kinds) * places + last.gates[kinds, np.arange(len(last))] - ANYWHERE
        unique, which = np.unique(ways, return_inverse=True)
        cameras = [last.cameras[way // places // 2] for way in unique.tolist()]
        tables = [
            self._rates(camera, target, way // places % 2, way % places + ANYWHERE, entered)
            for camera, way in zip(cameras, unique.tolist(), strict=True)
        ]
        found = np.stack(tables)[which, np.clip(rows, 0, len(self._widths) - 1)]
        open_ = np.array([self.reachable(camera, target) for camera in cameras])[which]
        return np.where(inside & open_, found, -np.inf)

    def table(self) -> list[TravelTime]:
        """All pairs of which something was learned, by name."""
        pairs = sorted((source, target) for target, port in self._ports.items() for source in port.came)
        return [self._described(source, target) for source, target in pairs]

    def _described(self, source: str, target: str) -> TravelTime:
        came = self._ports[target].came[source]
        left = self._ports.get(source)
        departures = 1.0 if left is None else left.departures
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
        entered = port.gates.learn(self._spot(stay.camera, stay.came))
        if entered != ANYWHERE:
            port.gates.began[entered] += 1.0, fresh
        for earlier, share in before:
            if share < 1e-3 or earlier.start_ns > stay.start_ns:
                continue
            seconds, kind = lag(earlier, stay)
            row = int(np.searchsorted(self.edges, seconds, "right")) - 1
            if row >= len(self._widths):
                continue
            here = np.zeros(len(self._widths))
            for step, part in zip((-1, 0, 1), _SPREAD, strict=True):
                here[min(max(row + step, 0), len(here) - 1)] += share * part
            self._seen_again(earlier, stay.start_ns, here.cumsum() - here / 2 if kind == GONE else here.sum())
            if earlier.camera == stay.camera:
                # Not counted: tracks that break off would teach that whoever leaves comes back.
                continue
            port.came.setdefault(earlier.camera, np.zeros((2, len(here))))[kind] += here
            left = self._gate_left(earlier, kind)
            if ANYWHERE not in (left, entered):
                port.gates.arrived((earlier.camera, kind, left, entered))[:] += here
        port.gates.tidy()
        while len(port.came) > _NEIGHBOURS:
            del port.came[min(port.came, key=lambda name: (float(port.came[name].sum()), name))]

    def _seen_again(self, stay: Stay, now_ns: int, shares: Float64 | float) -> None:
        """Somebody who left a view is on his way no longer: which share of him, by the time since."""
        if stay.camera not in self._ports:
            return
        port = self._faded(stay.camera, now_ns)
        rest = shares * self._widths
        port.exposure[GONE] -= rest
        gate = self._gate(stay.camera, stay.went)
        if gate != ANYWHERE:
            port.gates.exposure[GONE, gate] -= rest

    def left(self, stay: Stay) -> None:
        """A track ended."""
        port = self._faded(stay.camera, stay.end_ns)
        port.departures += 1.0
        seconds = (stay.end_ns - stay.start_ns) / SECOND_NS
        beside = np.clip(seconds - self.edges[:-1], 0.0, self._widths)
        port.exposure[BESIDE] += beside
        port.exposure[GONE] += self._widths
        for kind, gate, exposed in (
            (BESIDE, self._gate(stay.camera, stay.came), beside),
            (GONE, port.gates.learn(self._spot(stay.camera, stay.went)), self._widths),
        ):
            if gate != ANYWHERE:
                port.gates.exposure[kind, gate] += exposed

    def _faded(self, camera: str, now_ns: int) -> _Port:
        port = self._ports.get(camera)
        if port is None:
            bins = len(self._widths)
            port = self._ports[camera] = _Port(now_ns, Gates(bins), exposure=np.zeros((2, bins)))
        seconds = (now_ns - port.updated_ns) / SECOND_NS
        if seconds > 0:
            memory = self._settings.travel_memory_s
            kept = math.exp(-seconds / memory)
            port.seconds = port.seconds * kept + memory * (1 - kept)
            port.arrivals, port.fresh, port.exposure = port.arrivals * kept, port.fresh * kept, port.exposure * kept
            port.departures *= kept
            port.came = {name: came * kept for name, came in port.came.items() if came.sum() * kept > _LEAST}
            port.gates.fade(kept)
            port.updated_ns = now_ns
        self.changed.add(camera)
        port.version += 1
        return port

    # --- gates ---------------------------------------------------------------------------------------------------

    def _spot(self, camera: str, spot: Spot | None) -> Spot | None:
        """A spot as parts of the picture's width and height."""
        size = self._sizes.get(camera)
        return None if spot is None or size is None else (spot[0] / size[0], spot[1] / size[1])

    def _gate(self, camera: str, spot: Spot | None) -> int:
        port = self._ports.get(camera)
        return ANYWHERE if port is None else port.gates.nearest(self._spot(camera, spot))

    def _gate_left(self, stay: Stay, kind: int) -> int:
        """Through which gate somebody left a view; while he is in it, through which he came."""
        return self._gate(stay.camera, stay.came if kind == BESIDE else stay.went)

    # --- rates ---------------------------------------------------------------------------------------------------

    def _newcomers(self, camera: str, entered: int) -> float:
        """Log of how many a second come into a view through a gate whom nobody has seen before."""
        port = self._ports.get(camera, self._nobody)

        def worked_out() -> float:
            share = (port.fresh + _PRIOR_ARRIVALS * (1 - COMING)) / (port.arrivals + _PRIOR_ARRIVALS)
            rate = (port.arrivals + _PRIOR_ARRIVALS) / (port.seconds + _PRIOR_S)
            if entered != ANYWHERE:
                began, fresh = port.gates.began[entered].tolist()
                share = (fresh + _GATE_ARRIVALS * share) / (began + _GATE_ARRIVALS)
                rate *= port.gates.share(entered, _EVEN)
            return math.log(share * rate)

        newcomers: float = self._kept.get((camera, entered), (port.version,), worked_out)
        return newcomers

    def _rates(self, source: str, target: str, kind: int, left: int, entered: int) -> Float64:
        """(B,) log of how many a second come from the one view into the other, from gate to gate."""
        port, gone = self._ports.get(target, self._nobody), self._ports.get(source, self._nobody)

        def worked_out() -> Float64:
            rates: Float64 = self._table(source, target, port, gone)[kind]
            if entered == ANYWHERE:
                return np.log(rates)
            rates = rates * port.gates.share(entered, _EVEN)
            if left != ANYWHERE and source != target:
                prior = _GATE_DEPARTURES * self._widths
                came: Any = port.gates.came.get((source, kind, left, entered), 0.0)
                rates = (came + rates * prior) / (np.maximum(gone.gates.exposure[kind, left], 0.0) + prior)
            return np.log(rates)

        versions = port.version, gone.version, len(self._ports)
        between: Float64 = self._kept.get((source, target, kind, left, entered), versions, worked_out)
        return between

    def _table(self, source: str, target: str, port: _Port, gone: _Port) -> Float64:
        """(2, B) how many a second come from the one view into the other."""
        weight, prior = self._believed.rates(source, target, len(self._cameras | self._ports.keys()))
        came: Any = port.came.get(source, 0.0)
        # Below 0 while somebody was seen again whose track has not ended yet.
        exposure: Any = np.maximum(gone.exposure, 0.0) if gone.exposure.size else 0.0
        rates: Float64 = (came + weight * prior * self._widths) / (exposure + weight * self._widths)
        return rates

    # --- state ---------------------------------------------------------------------------------------------------

    def stored(self, camera: str) -> dict[str, Any]:
        """What is counted of a camera, as plain values."""
        port = self._ports[camera]
        names = sorted(port.came)
        came = np.stack([port.came[name] for name in names]) if names else np.zeros((0, 2, len(self._widths)))
        counts = [port.seconds, port.arrivals, port.fresh, port.departures]
        return {
            "camera": camera,
            "updated": port.updated_ns,
            "counts": counts,
            "exposure": port.exposure,
            "names": names,
            "came": came,
            "longest": self._settings.max_gap_s,
            "gates": port.gates.stored(),
        }

    def restore(self, value: Mapping[str, Any]) -> None:
        """Take back what `stored` gave; counts on another grid of times (another longest gap) are let go."""
        came, exposure = np.array(value["came"]), np.array(value["exposure"])
        if exposure.shape[-1] != len(self._widths):
            return
        seconds, arrivals, fresh, *rest = value["counts"]
        # Ledgers of older builds count all departures as being on their way.
        departures = rest[0] if rest else float(exposure[GONE, 0] / self._widths[0])
        pairs = dict(zip(value["names"], came, strict=True))
        # Ledgers of builds before gates were learned have none.
        gates = Gates.restored(value["gates"], len(self._widths)) if "gates" in value else Gates(len(self._widths))
        self._ports[value["camera"]] = _Port(
            value["updated"], gates, seconds, arrivals, fresh, departures, exposure, pairs
        )
        self._kept = Kept()
