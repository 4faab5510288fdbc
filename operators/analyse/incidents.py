"""Incidents: when something that a zone forbids begins and ends, who took part, and where to look.

Limits of single tracks are watched by `limits.limit`; crowds and pairs are watched here. Every incident is told when
it starts and when it ends, under one number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.analyse.limits import CONFINED, LAPSE_NS, LOITERING, RESTRICTED, SPEEDING, STOPPED, WRONG_WAY
from operators.analyse.rules import Event, Zone
from operators.records import SECOND_NS

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

NAMES = {
    RESTRICTED: "restricted",
    CONFINED: "confined",
    LOITERING: "loitering",
    STOPPED: "stopped",
    WRONG_WAY: "wrong_way",
    SPEEDING: "speeding",
}
# Without a word on how long: against the direction or too fast for a moment may be a box that jitters.
_HOLD_NS = SECOND_NS


@dataclass(frozen=True, slots=True)
class Limit:
    """One thing that a zone forbids single tracks.

    Attributes:
        zone: number of the zone. kind: see `limits`. hold_ns: for how long before it is an incident.
        value: unit vector of the direction, or metres a second; see `limits.limit`.
        fingerprint: the same for the same limit of the same zone.
    """

    zone: int
    kind: int
    hold_ns: int
    value: tuple[float, float]
    fingerprint: str


def limits_of(zones: Sequence[Zone]) -> list[Limit]:
    """All limits for single tracks, zone by zone."""
    found = []
    for number, zone in enumerate(zones):
        direction = (0.0, 0.0)
        if zone.direction is not None:
            (x1, y1), (x2, y2) = zone.direction
            length = float(np.hypot(x2 - x1, y2 - y1))
            direction = ((x2 - x1) / length, (y2 - y1) / length)
        wanted = (
            (RESTRICTED, zone.restricted, 0, (0.0, 0.0)),
            (CONFINED, zone.confined, 0, (0.0, 0.0)),
            (LOITERING, zone.loitering_s is not None, _ns(zone.loitering_s), (0.0, 0.0)),
            (STOPPED, zone.stopped_s is not None, _ns(zone.stopped_s), (0.0, 0.0)),
            (WRONG_WAY, zone.direction is not None, _HOLD_NS, direction),
            (SPEEDING, zone.max_speed is not None, _HOLD_NS, (zone.max_speed or 0.0, 0.0)),
        )
        found += [
            Limit(number, kind, hold, value, f"{NAMES[kind]} {hold} {value} {zone!r}")
            for kind, asked, hold, value in wanted
            if asked
        ]
    return found


def _ns(seconds: float | None) -> int:
    return round((seconds or 0.0) * SECOND_NS)


@dataclass(slots=True)
class Incident:
    """One that has started and not ended.

    Attributes:
        number: counts the camera's incidents from 1.
        kind, zone, severity: what, where (the zone's name) and how bad.
        tracks, cls: who takes part, and the class of the first.
        start_ns: since when it has been so, which may be before it was an incident.
        snapshot: the frame to look at: its number, time (us) and the box around who takes part.
        value: seconds inside or still, metres a second, people at most, or metres apart at least.
    """

    number: int
    kind: str
    zone: str
    severity: str
    tracks: list[int]
    cls: str | None
    start_ns: int
    snapshot: dict[str, Any]
    value: float | None = None

    def event(self, state: str, time_ns: int, end_ns: int | None = None) -> Event:
        """It has `started` or `ended`."""
        fields = {
            "incident": self.number,
            "kind": self.kind,
            "state": state,
            "zone": self.zone,
            "severity": self.severity,
            "tracks": list(self.tracks),
            "class": self.cls,
            "start": self.start_ns // 1000,
            "end": None if end_ns is None else end_ns // 1000,
            "value": self.value,
            "snapshot": dict(self.snapshot),
        }
        return Event("incident", time_ns, fields)


@dataclass(slots=True)
class _Watch:
    """A crowd or a pair: since when it is so, when it last was, and the incident that came of it."""

    begun_ns: int
    last_ns: int
    extreme: float
    incident: Incident | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """Who is in a frame: N tracks.

    Attributes:
        frame, time_ns: its number and event time.
        tracks: (N,) ids. classes: (N,). boxes: (N, 4) xyxy pixels.
        ground: (N, 2) metres, NaN where unknown.
        names: of the classes.
    """

    frame: int
    time_ns: int
    tracks: Int64
    classes: Int64
    boxes: Float64
    ground: Float64
    names: Sequence[str]

    def snapshot(self, rows: Sequence[int]) -> dict[str, Any]:
        """Where to look for who stands in these rows."""
        around = None
        if len(rows):
            boxes = self.boxes[list(rows)]
            around = [round(float(v), 2) for v in (*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0))]
        return {"frame": self.frame, "time": self.time_ns // 1000, "box": around}

    def cls(self, rows: Sequence[int]) -> str | None:
        """Class of the first of these rows."""
        return self.names[int(self.classes[rows[0]])] if len(rows) else None


@dataclass(slots=True)
class IncidentBook:
    """The camera's incidents.

    Attributes:
        zones: of the camera.
        numbered: how many there have been.
    """

    zones: tuple[Zone, ...]
    numbered: int = 0
    _of_tracks: dict[tuple[int, str], Incident] = field(default_factory=dict)
    _crowds: dict[str, _Watch] = field(default_factory=dict)
    _pairs: dict[tuple[str, int, int], _Watch] = field(default_factory=dict)

    def start(self, limit: Limit, row: int, start_ns: int, value: float | None, scene: Scene) -> Event:
        """A track, in this row of the scene, has been over a limit for long enough."""
        incident = self._new(NAMES[limit.kind], self.zones[limit.zone], [row], start_ns, scene)
        incident.value = value
        self._of_tracks[incident.tracks[0], limit.fingerprint] = incident
        return incident.event("started", scene.time_ns)

    def end(self, limit: Limit, track: int, end_ns: int, time_ns: int) -> Event | None:
        """The track no longer is; None if nothing was known of it (the rules have changed)."""
        incident = self._of_tracks.pop((track, limit.fingerprint), None)
        return None if incident is None else incident.event("ended", time_ns, max(end_ns, incident.start_ns))

    def left(self, track: int, end_ns: int, time_ns: int) -> list[Event]:
        """A track is gone: its incidents end when it was last seen."""
        mine = [key for key in self._of_tracks if key[0] == track]
        ended = [self._of_tracks.pop(key) for key in mine]
        return [one.event("ended", time_ns, max(end_ns, one.start_ns)) for one in ended]

    def crowds(self, scene: Scene, inside: NDArray[np.bool_]) -> list[Event]:
        """Zones that hold more than they should, or no longer do; inside: (N, Z)."""
        events = []
        for number, zone in enumerate(self.zones):
            if zone.crowding is None:
                continue
            rows = np.flatnonzero(inside[:, number]).tolist()
            watch = self._crowds.get(zone.name)
            if len(rows) > zone.crowding.more_than:
                if watch is None:
                    watch = self._crowds[zone.name] = _Watch(scene.time_ns, scene.time_ns, 0.0)
                watch.last_ns, watch.extreme = scene.time_ns, max(watch.extreme, len(rows))
                if watch.incident is None and scene.time_ns - watch.begun_ns >= _ns(zone.crowding.for_s):
                    watch.incident = self._new("crowding", zone, rows, watch.begun_ns, scene)
                    watch.incident.value = watch.extreme
                    events.append(watch.incident.event("started", scene.time_ns))
            elif watch is not None and (watch.incident is None or scene.time_ns - watch.last_ns >= LAPSE_NS):
                events += self._over(self._crowds.pop(zone.name), scene.time_ns)
        return events

    def pairs(self, scene: Scene, inside: NDArray[np.bool_]) -> list[Event]:
        """Pairs that are nearer to each other than they should be, or no longer are; inside: (N, Z)."""
        events = []
        near: dict[tuple[str, int, int], tuple[Zone, list[int], float]] = {}
        for number, zone in enumerate(self.zones):
            if zone.proximity is None:
                continue
            rows = np.flatnonzero(inside[:, number] & np.isfinite(scene.ground).all(axis=1))
            apart = np.linalg.norm(scene.ground[rows, None] - scene.ground[None, rows], axis=2)
            close = (apart < zone.proximity.closer_m).tolist()
            for i, j in combinations(range(len(rows)), 2):
                if close[i][j]:
                    pair = sorted((int(rows[i]), int(rows[j])), key=lambda row: int(scene.tracks[row]))
                    key = (zone.name, int(scene.tracks[pair[0]]), int(scene.tracks[pair[1]]))
                    near[key] = (zone, pair, float(apart[i, j]))
        for key in sorted(near):
            zone, pair, metres = near[key]
            assert zone.proximity is not None
            watch = self._pairs.setdefault(key, _Watch(scene.time_ns, scene.time_ns, metres))
            watch.last_ns, watch.extreme = scene.time_ns, min(watch.extreme, metres)
            if watch.incident is None and scene.time_ns - watch.begun_ns >= _ns(zone.proximity.for_s):
                watch.incident = self._new("proximity", zone, pair, watch.begun_ns, scene)
                watch.incident.value = round(watch.extreme, 2)
                events.append(watch.incident.event("started", scene.time_ns))
        silent = [key for key, watch in self._pairs.items() if scene.time_ns - watch.last_ns >= LAPSE_NS]
        for key in sorted(silent):
            events += self._over(self._pairs.pop(key), scene.time_ns)
        return events

    def finish(self, time_ns: int) -> list[Event]:
        """Nothing more will be seen: crowds and pairs end."""
        over = [self._crowds[name] for name in sorted(self._crowds)]
        over += [self._pairs[key] for key in sorted(self._pairs)]
        self._crowds, self._pairs = {}, {}
        return [event for watch in over for event in self._over(watch, time_ns)]

    def snapshot(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        return {
            "numbered": self.numbered,
            "tracks": [[*key, asdict(one)] for key, one in self._of_tracks.items()],
            "crowds": [[name, asdict(watch)] for name, watch in self._crowds.items()],
            "pairs": [[*key, asdict(watch)] for key, watch in self._pairs.items()],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot; incidents of zones that are gone end unsaid."""
        names = {zone.name for zone in self.zones}
        self.numbered = state["numbered"]
        self._of_tracks = {(t, f): Incident(**one) for t, f, one in state["tracks"] if one["zone"] in names}
        self._crowds = {name: _watch(kept) for name, kept in state["crowds"] if name in names}
        self._pairs = {(name, a, b): _watch(kept) for name, a, b, kept in state["pairs"] if name in names}

    def _new(self, kind: str, zone: Zone, rows: Sequence[int], start_ns: int, scene: Scene) -> Incident:
        self.numbered += 1
        tracks = [int(scene.tracks[row]) for row in rows]
        return Incident(
            *(self.numbered, kind, zone.name, zone.severity.value, tracks, scene.cls(rows), start_ns),
            scene.snapshot(rows),
        )

    def _over(self, watch: _Watch, time_ns: int) -> list[Event]:
        if watch.incident is None:
            return []
        watch.incident.value = round(watch.extreme, 2)
        return [watch.incident.event("ended", time_ns, watch.last_ns)]


def _watch(kept: Mapping[str, Any]) -> _Watch:
    incident = kept["incident"]
    return _Watch(
        kept["begun_ns"], kept["last_ns"], kept["extreme"], None if incident is None else Incident(**incident)
    )
