"""Counts per interval of event time, as PP-Tracking's flow statistics, for every line, zone and class.

An interval is told once it is over. What turns out later to belong to it (a crossing is certain only once the line is
left behind) has it told again, whole, with the next revision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.analyse.rules import Event, Line, Zone
from operators.records import SECOND_NS

# Older intervals are not told again: nothing is uncertain for so long.
_KEEP_NS = 60 * SECOND_NS
Int64 = NDArray[np.int64]


def _zeros(*shape: int) -> Int64:
    return np.zeros(shape, np.int64)


@dataclass(slots=True)
class _Interval:
    """One interval's counts; K classes, L lines, Z zones.

    Attributes:
        crossings: (L, K, 2) counted, backward and forward. again: (L, 2) within the cool-down, not counted.
        entries, exits, occupancy, peak: (Z,); occupancy at its end.
        dwell_ns: (Z,) sum over its exits.
        present, most, unique: (K,) tracks at its end, at most at once, and in all.
        peak_present: tracks of all classes at most at once.
        frames: seen in it. revision: last told, 0 for not yet. stale: something has changed since.
    """

    crossings: Int64
    again: Int64
    entries: Int64
    exits: Int64
    occupancy: Int64
    peak: Int64
    dwell_ns: Int64
    present: Int64
    most: Int64
    unique: Int64
    peak_present: int = 0
    frames: int = 0
    revision: int = 0
    stale: bool = True


_ARRAYS = ("crossings", "again", "entries", "exits", "occupancy", "peak", "dwell_ns", "present", "most", "unique")
_NUMBERS = ("peak_present", "frames", "revision", "stale")


class Flow:
    """Totals since the start, and counts per interval.

    Args:
        lines, zones: of the camera. classes: names.
        interval_ns: length of an interval; 0 keeps totals only.

    Attributes:
        totals: (L, K, 2) crossings counted so far, backward and forward.
        unique: (K,) tracks so far.
    """

    def __init__(self, lines: Sequence[Line], zones: Sequence[Zone], classes: Sequence[str], interval_ns: int) -> None:
        self._lines, self._zones, self._classes = tuple(lines), tuple(zones), tuple(classes)
        self._interval_ns = interval_ns
        self.totals = _zeros(len(lines), len(classes), 2)
        self.unique = _zeros(len(classes))
        self._open: dict[int, _Interval] = {}

    def number(self, time_ns: int) -> int:
        """Of the interval that an instant lies in; 0 if there are none."""
        return time_ns // self._interval_ns if self._interval_ns else 0

    def crossing(self, line: int, cls: int, forward: bool, counted: bool, time_ns: int) -> None:
        """Take in a crossing."""
        interval = self._at(time_ns)
        if counted:
            self.totals[line, cls, int(forward)] += 1
            interval.crossings[line, cls, int(forward)] += 1
        else:
            interval.again[line, int(forward)] += 1

    def entry(self, zone: int, time_ns: int, occupancy: int) -> None:
        """Take in an entry, after which so many were inside."""
        interval = self._at(time_ns)
        interval.entries[zone] += 1
        interval.peak[zone] = max(interval.peak[zone], occupancy)

    def exit(self, zone: int, dwell_ns: int, time_ns: int) -> None:
        """Take in an exit after so long."""
        interval = self._at(time_ns)
        interval.exits[zone] += 1
        interval.dwell_ns[zone] += dwell_ns

    def frame(self, time_ns: int, present: Int64, newly: Int64, ever: Int64, occupancy: Int64) -> None:
        """Take in a frame.

        Args:
            time_ns: event time.
            present: (K,) tracks in it. newly: (K,) those of them not yet seen in this interval.
            ever: (K,) those never seen before. occupancy: (Z,) who is inside.
        """
        interval = self._at(time_ns)
        interval.frames += 1
        interval.present = present
        np.maximum(interval.most, present, out=interval.most)
        interval.peak_present = max(interval.peak_present, int(present.sum()))
        interval.unique += newly
        interval.occupancy = occupancy
        np.maximum(interval.peak, occupancy, out=interval.peak)
        self.unique += ever

    def advance_to(self, time_ns: int) -> list[Event]:
        """Tell every interval that is over at `time_ns` and has not been told as it now is."""
        if not self._interval_ns:
            self._open.clear()
            return []
        now = self.number(time_ns)
        events = [self._tell(number) for number in sorted(self._open) if number < now and self._open[number].stale]
        oldest = self.number(time_ns - _KEEP_NS)
        for number in [number for number in self._open if number < oldest]:
            del self._open[number]
        return events

    def finish(self) -> list[Event]:
        """Tell what is left, the last interval among it, though it may not be over."""
        events = [self._tell(number) for number in sorted(self._open) if self._interval_ns and self._open[number].stale]
        self._open.clear()
        return events

    def snapshot(self) -> dict[str, Any]:
        """Everything, as JSON values and arrays."""
        kept = {
            number: {name: getattr(one, name) for name in (*_ARRAYS, *_NUMBERS)} for number, one in self._open.items()
        }
        return {
            "lines": [line.name for line in self._lines],
            "zones": [zone.name for zone in self._zones],
            "classes": list(self._classes),
            "interval_ns": self._interval_ns,
            "totals": self.totals,
            "unique": self.unique,
            "open": kept,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot; totals go by the names of lines and classes, which may have changed since."""
        names, classes = list(state["lines"]), list(state["classes"])
        for k, cls in enumerate(self._classes):
            if cls not in classes:
                continue
            self.unique[k] = state["unique"][classes.index(cls)]
            for row, line in enumerate(self._lines):
                if line.name in names:
                    self.totals[row, k] = state["totals"][names.index(line.name), classes.index(cls)]
        same = self.snapshot()
        if all(state[key] == same[key] for key in ("lines", "zones", "classes", "interval_ns")):
            self._open = {number: _Interval(**kept) for number, kept in state["open"].items()}

    def _at(self, time_ns: int) -> _Interval:
        number = self.number(time_ns)
        interval = self._open.get(number)
        if interval is None:
            lines, zones, classes = len(self._lines), len(self._zones), len(self._classes)
            interval = self._open[number] = _Interval(
                crossings=_zeros(lines, classes, 2),
                again=_zeros(lines, 2),
                entries=_zeros(zones),
                exits=_zeros(zones),
                occupancy=_zeros(zones),
                peak=_zeros(zones),
                dwell_ns=_zeros(zones),
                present=_zeros(classes),
                most=_zeros(classes),
                unique=_zeros(classes),
            )
        interval.stale = True
        return interval

    def _tell(self, number: int) -> Event:
        one = self._open[number]
        one.revision += 1
        one.stale = False
        start, end = number * self._interval_ns, (number + 1) * self._interval_ns
        fields = {
            "start": start // 1000,
            "end": end // 1000,
            "revision": one.revision,
            "frames": one.frames,
            "present": int(one.present.sum()),
            "peak": one.peak_present,
            "unique": int(one.unique.sum()),
            "classes": self._by_class(one),
            "lines": {line.name: self._of_line(one, row, line) for row, line in enumerate(self._lines)},
            "zones": {zone.name: self._of_zone(one, row) for row, zone in enumerate(self._zones)},
        }
        return Event("counts", end, fields)

    def _by_class(self, one: _Interval) -> dict[str, Any]:
        return {
            cls: {"present": int(one.present[k]), "peak": int(one.most[k]), "unique": int(one.unique[k])}
            for k, cls in enumerate(self._classes)
            if one.unique[k]
        }

    def _of_line(self, one: _Interval, row: int, line: Line) -> dict[str, Any]:
        backward, forward = one.crossings[row].sum(axis=0).tolist()
        again_backward, again_forward = one.again[row].tolist()
        return {
            "directions": {line.forward: forward, line.backward: backward},
            "recrossings": again_backward + again_forward,
            "classes": {
                cls: {line.forward: int(one.crossings[row, k, 1]), line.backward: int(one.crossings[row, k, 0])}
                for k, cls in enumerate(self._classes)
                if one.crossings[row, k].any()
            },
        }

    def _of_zone(self, one: _Interval, row: int) -> dict[str, Any]:
        exits = int(one.exits[row])
        return {
            "entries": int(one.entries[row]),
            "exits": exits,
            "occupancy": int(one.occupancy[row]),
            "peak": int(one.peak[row]),
            "mean_dwell": round(int(one.dwell_ns[row]) / exits / SECOND_NS, 3) if exits else None,
        }
