"""What every line and zone had counted at any moment, out of the `events` topic."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from operators.analyse.rules import Severity
from operators.draw_rules import OpenIncident, RuleState

DRAWN = frozenset({"crossing", "entry", "exit", "incident"})
"""The types of events that are looked at here."""


@dataclass(frozen=True, slots=True)
class _Span:
    """An incident: from when it was one, and until when; None while it has not ended."""

    zone: str
    open: OpenIncident
    start: int
    end: int | None


@dataclass(slots=True)
class _Camera:
    """Event times, microseconds, sorted once all are in."""

    crossed: dict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    entered: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    left: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    incidents: dict[int, _Span] = field(default_factory=dict)


class RuleStates:
    """Looks up what had happened by a moment of event time. Events count from their own time on, not from when they
    were told: a crossing is certain only a little after it was made.

    Args:
        events: values of the `events` topic, in any order but that of one incident; others than crossings, entries,
            exits and incidents are passed over. Memory grows with their number.
    """

    def __init__(self, events: Iterable[Mapping[str, Any]]) -> None:
        self._cameras: dict[str, _Camera] = defaultdict(_Camera)
        for value in events:
            self._take(value)
        for camera in self._cameras.values():
            for times in (*camera.crossed.values(), *camera.entered.values(), *camera.left.values()):
                times.sort()

    def at(self, camera: str, time_ns: int) -> RuleState:
        """All that the camera's events up to and including `time_ns` amount to."""
        known = self._cameras.get(camera)
        if known is None:
            return RuleState()
        now = time_ns // 1000
        going_on: dict[str, list[OpenIncident]] = {}
        for number in sorted(known.incidents):
            span = known.incidents[number]
            here = going_on.setdefault(span.zone, [])
            if span.start <= now and (span.end is None or now <= span.end) and span.open not in here:
                here.append(span.open)
        return RuleState(
            crossed={key: bisect_right(times, now) for key, times in known.crossed.items()},
            inside={
                zone: bisect_right(times, now) - bisect_right(known.left.get(zone, []), now)
                for zone, times in known.entered.items()
            },
            incidents={zone: tuple(open_) for zone, open_ in going_on.items() if open_},
        )

    def _take(self, value: Mapping[str, Any]) -> None:
        camera = self._cameras[value["camera"]]
        match value["type"]:
            case "crossing" if value["counted"]:
                camera.crossed[value["line"], value["direction"]].append(value["time"])
            case "entry":
                camera.entered[value["zone"]].append(value["time"])
            case "exit":
                # Who was lost inside was inside when last seen.
                camera.left[value["zone"]].append(value["time"] + int(value["lost"]))
            case "incident":
                number = value["incident"]
                known = camera.incidents.get(number)
                start = value["time"] if known is None else known.start
                kind = OpenIncident(value["kind"], Severity(value["severity"]))
                camera.incidents[number] = _Span(value["zone"], kind, start, value["end"])
