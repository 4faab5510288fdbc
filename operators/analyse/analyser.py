"""One camera's analysis: tracks in, frame by frame; crossings, entries, exits, counts and incidents out.

Knows no clock but the frames' event time. The same frames give the same events, and an analyser restored from a
snapshot goes on as if it had never stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.analyse import kernels, limits
from operators.analyse.flow import Flow
from operators.analyse.incidents import IncidentBook, Limit, Scene, limits_of
from operators.analyse.kernels import NEVER
from operators.analyse.limits import CONFINED, LOITERING, RESTRICTED, SPEEDING, STOPPED, WRONG_WAY
from operators.analyse.memory import TrackRows
from operators.analyse.rules import Anchor, Event, Line, Rules, Zone
from operators.records import SECOND_NS, Float32, Int64, StateError, pack, unpack

VERSION = 1
_ANCHORS = (Anchor.FOOT, Anchor.CENTRE, Anchor.HEAD)
Float64 = NDArray[np.float64]


class _Shapes:
    """Lines or zones as arrays, for the kernels; see `kernels.cross`."""

    def __init__(self, rules: Sequence[Line] | Sequence[Zone], classes: Sequence[str]) -> None:
        edges: list[tuple[float, float, float, float]] = []
        ends = [0]
        for rule in rules:
            assert isinstance(rule.points, tuple), "rules must have been placed in a picture"
            points = list(rule.points)
            following = points[1:] + points[:1] if isinstance(rule, Zone) else points[1:]
            edges += [(*one, *other) for one, other in zip(points, following, strict=False)]
            ends.append(len(edges))
        self.edges = np.array(edges, np.float64).reshape(-1, 4)
        self.ends = np.array(ends, np.int64)
        self.bounds = np.zeros((len(rules), 4))
        for row in range(len(rules)):
            corners = self.edges[ends[row] : ends[row + 1]].reshape(-1, 2)
            self.bounds[row] = (*corners.min(axis=0), *corners.max(axis=0))
        self.anchor = np.array([_ANCHORS.index(rule.anchor) for rule in rules], np.int64)
        self.counts = np.array(
            [[rule.classes is None or name in rule.classes for name in classes] for rule in rules], bool
        ).reshape(len(rules), len(classes))
        self.band = np.array([rule.band for rule in rules], np.float64)
        self.settle = np.array([round(rule.settle_s * SECOND_NS) for rule in rules], np.int64)

    @property
    def parts(self) -> tuple[Any, ...]:
        """In the order in which the kernels take them."""
        return self.edges, self.ends, self.bounds, self.anchor, self.counts, self.band, self.settle


class Analyser:
    """Finds in one camera's tracks what its rules ask for.

    Args:
        rules: lines and zones with their points in place (`Rules.placed`).
        classes: names that class indices refer to.
        homography: (3, 3), foot in pixels to metres on the ground; None where the camera is not calibrated.
    """

    def __init__(self, rules: Rules, classes: Sequence[str], homography: Float64 | None = None) -> None:
        self._rules = rules
        self._classes = tuple(classes)
        self._homography = homography
        self._needs_ground = homography is not None and any(zone.needs_ground for zone in rules.zones)
        self._limits = limits_of(rules.zones)
        self._lines = _Shapes(rules.lines, classes)
        self._zones = _Shapes(rules.zones, classes)
        self._zone_of = np.array([limit.zone for limit in self._limits], np.int64)
        self._kind = np.array([limit.kind for limit in self._limits], np.int64)
        self._hold = np.array([limit.hold_ns for limit in self._limits], np.int64)
        self._value = np.array([limit.value for limit in self._limits], np.float64).reshape(-1, 2)
        self._cool_down = [round(line.cool_down_s * SECOND_NS) for line in rules.lines]
        self._max_gap_ns = round(rules.max_gap_s * SECOND_NS)
        self._reset()

    def _reset(self) -> None:
        rules = self._rules
        self._tracks = TrackRows(
            {
                "lines": [repr(line) for line in rules.lines],
                "zones": [repr(zone) for zone in rules.zones],
                "limits": [limit.fingerprint for limit in self._limits],
            }
        )
        interval_ns = round((rules.interval_s or 0.0) * SECOND_NS)
        self._flow = Flow(rules.lines, rules.zones, self._classes, interval_ns)
        self._book = IncidentBook(rules.zones)
        self._occupancy = np.zeros(len(rules.zones), np.int64)
        self._now_ns = NEVER

    def update(
        self,
        ids: Int64,
        boxes: Float32,
        classes: NDArray[np.integer[Any]],
        time_ns: int,
        *,
        frame: int = 0,
        ended: Sequence[int] = (),
    ) -> list[Event]:
        """Take in a frame.

        Args:
            ids: (N,) tracks seen in it. boxes: (N, 4) xyxy pixels. classes: (N,).
            time_ns: event time, later than that of the frame before; a frame that is not is passed over.
            frame: its number in the source, for who wants to look at it.
            ended: tracks that have ended; they may still be among `ids`.

        Returns:
            What happened since the frame before, by event time.
        """
        if time_ns <= self._now_ns:
            return []
        events = self.advance_to(time_ns)
        self._now_ns = time_ns
        boxes64 = np.asarray(boxes, np.float64).reshape(-1, 4)
        if not np.isfinite(boxes64).all():
            usable = np.isfinite(boxes64).all(axis=1)
            ids, boxes64, classes = ids[usable], boxes64[usable], classes[usable]
        slots, fresh = self._tracks.take(ids)
        kinds = np.asarray(classes, np.int64)
        self._tracks["classes"][slots[fresh]] = kinds[fresh]
        kinds = self._tracks["classes"][slots]  # a track's class is what it first was, as in its tracklets
        heights = boxes64[:, 3] - boxes64[:, 1]
        anchors = _anchors(boxes64)
        ground = self._ground(anchors[:, 0])
        moved = [self._tracks[n] for n in ("last", "at", "velocity", "place", "pace", "still", "still_since")]
        before, whence = np.empty(len(slots), np.int64), np.empty((len(slots), 3, 2))
        kernels.move(slots, fresh, time_ns, anchors, heights, ground, *moved, before, whence)
        step = (slots, kinds, before, time_ns, whence, anchors, heights)
        if self._rules.lines:
            events += self._cross(step)
        if self._rules.zones:
            scene = Scene(frame, time_ns, ids, kinds, boxes64, ground, self._classes)
            events += self._occupy(step, fresh, scene)
        for track in ended:
            slot = self._tracks.slot(track)
            if slot is not None:
                events += self._leave(slot, time_ns)
        self._count(slots, fresh, kinds, time_ns)
        return sorted(events, key=lambda event: event.time_ns)

    def advance_to(self, time_ns: int) -> list[Event]:
        """Nothing more is to come from before `time_ns`: let go of who was not seen for long, tell intervals."""
        if time_ns <= self._now_ns:
            return self._flow.advance_to(time_ns)
        events = []
        for slot in self._tracks.unseen_since(time_ns - self._max_gap_ns).tolist():
            events += self._leave(slot, time_ns)
        return events + self._flow.advance_to(time_ns)

    def finish(self) -> list[Event]:
        """The source has ended: everyone leaves, every incident ends, the last interval is told."""
        events = []
        for slot in self._tracks.slots().tolist():
            events += self._leave(slot, self._now_ns)
        return events + self._book.finish(self._now_ns) + self._flow.finish()

    @property
    def totals(self) -> dict[str, dict[str, int]]:
        """Crossings counted so far, by line and direction."""
        return {line.name: self._total(row) for row, line in enumerate(self._rules.lines)}

    def snapshot(self) -> bytes:
        """The whole state."""
        return pack(
            {
                "version": VERSION,
                "now": self._now_ns,
                "tracks": self._tracks.snapshot(),
                "flow": self._flow.snapshot(),
                "incidents": self._book.snapshot(),
            }
        )

    def restore(self, data: bytes) -> None:
        """Go on from a snapshot. Lines and zones that have been changed since begin anew, the others go on.

        Raises:
            StateError: it is damaged or of another version.
        """
        state = unpack(data)
        if state.get("version") != VERSION:
            raise StateError(
                f"the stored state of the analysis is of version {state.get('version')}, this build reads {VERSION}; "
                "go on with the build that wrote it, or start a new ledger"
            )
        self._reset()
        self._now_ns = state["now"]
        self._tracks.restore(state["tracks"])
        self._occupancy = np.asarray(self._tracks["inside"].sum(axis=0), np.int64)
        self._flow.restore(state["flow"])
        self._book.restore(state["incidents"])

    # --- lines -------------------------------------------------------------------------------------------------

    def _cross(self, step: tuple[Any, ...]) -> list[Event]:
        tracks = self._tracks
        state = tracks["net"], tracks["crossed"], tracks["touched"], tracks["spot"]
        found = kernels.cross(*step, *self._lines.parts, *state)
        return [
            self._crossing(slot, row, sign, time, (x / 100, y / 100)) for slot, row, sign, time, x, y in found.tolist()
        ]

    def _crossing(self, slot: int, row: int, sign: int, time_ns: int, at: tuple[float, float]) -> Event:
        tracks, line = self._tracks, self._rules.lines[row]
        forward = sign > 0
        counted = bool(time_ns - tracks["counted"][slot, row, int(forward)] >= self._cool_down[row])
        tracks["passages"][slot, row] += 1
        if counted:
            tracks["counted"][slot, row, int(forward)] = time_ns
        cls = int(tracks["classes"][slot])
        self._flow.crossing(row, cls, forward, counted, time_ns)
        fields = {
            "line": line.name,
            "direction": line.forward if forward else line.backward,
            "track": int(tracks["ids"][slot]),
            "class": self._classes[cls],
            "at": list(at),
            "passage": int(tracks["passages"][slot, row]),
            "counted": counted,
            "total": self._total(row),
        }
        return Event("crossing", time_ns, fields)

    def _total(self, row: int) -> dict[str, int]:
        line = self._rules.lines[row]
        backward, forward = self._flow.totals[row].sum(axis=0).tolist()
        return {line.forward: forward, line.backward: backward}

    # --- zones -------------------------------------------------------------------------------------------------

    def _occupy(self, step: tuple[Any, ...], fresh: NDArray[np.bool_], scene: Scene) -> list[Event]:
        tracks = self._tracks
        slots, kinds, *rest = step
        state = tracks["raw"], tracks["changed"], tracks["inside"], tracks["since"]
        found = kernels.occupy(slots, fresh, kinds, *rest, *self._zones.parts, *state)
        events: list[Event] = []
        if len(found):
            events += self._changes(found, set(slots[fresh].tolist()))
        if self._limits:
            events += self._passages(found, scene)
            events += self._limit(slots, scene, rest[4])
        if any(zone.crowding for zone in self._rules.zones):
            events += self._book.crowds(scene, tracks["inside"][slots])
        if self._needs_ground:
            events += self._book.pairs(scene, tracks["inside"][slots])
        return events

    def _changes(self, found: Int64, new: set[int]) -> list[Event]:
        """Entries and exits in order of time, each with how many were inside afterwards."""
        occupancy = self._occupancy
        events = []
        for slot, zone, into, time_ns, since in sorted(found.tolist(), key=lambda change: change[3]):
            occupancy[zone] += 1 if into else -1
            inside = int(occupancy[zone])
            if into:
                self._tracks["been"][slot, zone] = True
                self._flow.entry(zone, time_ns, inside)
                events.append(self._entry(slot, zone, time_ns, inside, slot in new))
            else:
                events.append(self._exit(slot, zone, since, time_ns, inside, lost=False))
        return events

    def _passages(self, found: Int64, scene: Scene) -> list[Event]:
        """Break-ins that began and ended between two frames."""
        changes = found.tolist()
        came = {(slot, zone, time) for slot, zone, into, time, _ in changes if into}
        events = []
        for slot, zone, into, end_ns, start_ns in changes:
            if into or (slot, zone, start_ns) not in came:
                continue
            for limit in self._limits:
                if limit.zone == zone and limit.kind == RESTRICTED:
                    track = int(self._tracks["ids"][slot])
                    seen = int(np.flatnonzero(scene.tracks == track)[0])
                    events.append(self._book.start(limit, seen, start_ns, None, scene))
                    ended = self._book.end(limit, track, end_ns, scene.time_ns)
                    events += [] if ended is None else [ended]
        return events

    def _entry(self, slot: int, zone: int, time_ns: int, occupancy: int, appeared: bool) -> Event:
        fields = {**self._who(slot, zone), "occupancy": occupancy, "appeared": appeared}
        return Event("entry", time_ns, fields)

    def _exit(self, slot: int, zone: int, since_ns: int, time_ns: int, occupancy: int, *, lost: bool) -> Event:
        time_ns = max(time_ns, since_ns)
        self._flow.exit(zone, time_ns - since_ns, time_ns)
        dwell = round((time_ns - since_ns) / SECOND_NS, 3)
        fields = {"occupancy": occupancy, "entered": since_ns // 1000, "dwell": dwell, "lost": lost}
        return Event("exit", time_ns, {**self._who(slot, zone), **fields})

    def _who(self, slot: int, zone: int) -> dict[str, Any]:
        return {
            "zone": self._rules.zones[zone].name,
            "track": int(self._tracks["ids"][slot]),
            "class": self._classes[int(self._tracks["classes"][slot])],
        }

    def _limit(self, slots: Int64, scene: Scene, heights: Float64) -> list[Event]:
        tracks = self._tracks
        motion = tracks["velocity"], tracks["pace"], tracks["still_since"]
        presence = tracks["inside"], tracks["been"], tracks["since"]
        wanted = self._zone_of, self._kind, self._hold, self._value
        state = tracks["begun"], tracks["last_so"], tracks["active"]
        found, times = limits.limit(slots, scene.time_ns, heights, *motion, *presence, *wanted, *state)
        events = []
        for (slot, row, starts), time_ns in zip(found.tolist(), times.tolist(), strict=True):
            limit, track = self._limits[row], int(tracks["ids"][slot])
            if starts:
                seen = int(np.flatnonzero(scene.tracks == track)[0])
                events.append(self._book.start(limit, seen, time_ns, self._measured(limit, slot, time_ns), scene))
            elif (event := self._book.end(limit, track, time_ns, scene.time_ns)) is not None:
                events.append(event)
        return events

    def _measured(self, limit: Limit, slot: int, since_ns: int) -> float | None:
        if limit.kind == SPEEDING:
            return round(float(np.hypot(*self._tracks["pace"][slot])), 2)
        if limit.kind in (LOITERING, STOPPED):
            return round((self._now_ns - since_ns) / SECOND_NS, 3)
        assert limit.kind in (RESTRICTED, CONFINED, WRONG_WAY)
        return None

    # --- who comes and goes ------------------------------------------------------------------------------------

    def _leave(self, slot: int, time_ns: int) -> list[Event]:
        """A track is gone: what was in hand counts, and it is out of every zone since it was last seen."""
        tracks = self._tracks
        last_ns = int(tracks["last"][slot])
        events = []
        for row in np.flatnonzero(tracks["net"][slot]).tolist():
            x, y = tracks["spot"][slot, row].tolist()
            sign, crossed_ns = int(tracks["net"][slot, row]), int(tracks["crossed"][slot, row])
            events.append(self._crossing(slot, row, sign, crossed_ns, (round(100 * x) / 100, round(100 * y) / 100)))
        for zone in np.flatnonzero(tracks["inside"][slot]).tolist():
            walked = not tracks["raw"][slot, zone]
            end_ns = int(tracks["changed"][slot, zone]) if walked else last_ns
            since = int(tracks["since"][slot, zone])
            self._occupancy[zone] -= 1
            events.append(self._exit(slot, zone, since, end_ns, int(self._occupancy[zone]), lost=not walked))
        events += self._book.left(int(tracks["ids"][slot]), last_ns, time_ns)
        tracks.drop(slot)
        return events

    def _count(self, slots: Int64, fresh: NDArray[np.bool_], kinds: Int64, time_ns: int) -> None:
        number = self._flow.number(time_ns)
        counted = self._tracks["counted_in"]
        newly = counted[slots] != number
        counted[slots] = number
        known = len(self._classes)
        present, new, ever = (
            np.bincount(some, minlength=known).astype(np.int64) for some in (kinds, kinds[newly], kinds[fresh])
        )
        self._flow.frame(time_ns, present, new, ever, self._occupancy.copy())

    def _ground(self, feet: Float64) -> Float64:
        """(N, 2) metres; NaN where they are not needed, or at and above the horizon."""
        ground = np.full((len(feet), 2), np.nan)
        if self._needs_ground and self._homography is not None and len(feet):
            places = np.column_stack([feet, np.ones(len(feet))]) @ self._homography.T
            below = np.sign(places[:, 2]) == np.sign(self._homography[2] @ (feet[:, 0].mean(), 1e6, 1.0))
            ground[below] = places[below, :2] / places[below, 2:]
        return ground


def _anchors(boxes: Float64) -> Float64:
    """(N, 3, 2) foot, centre and head of boxes: middles of the lower edge, of the box, and of the upper edge."""
    anchors = np.empty((len(boxes), 3, 2))
    anchors[:, :, 0] = ((boxes[:, 0] + boxes[:, 2]) / 2)[:, None]
    anchors[:, 0, 1] = boxes[:, 3]
    anchors[:, 1, 1] = (boxes[:, 1] + boxes[:, 3]) / 2
    anchors[:, 2, 1] = boxes[:, 1]
    return anchors


def warm_up() -> None:
    """Have the kernels compiled, which takes seconds the first time, before a live camera is read."""
    rules = Rules(
        lines=(Line("a", ((0.0, 0.0), (1.0, 1.0))),),
        zones=(Zone("b", ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0)), restricted=True),),
    )
    box = np.array([[0, 0, 5, 5]], np.float32)
    Analyser(rules, ("any",)).update(np.ones(1, np.int64), box, np.zeros(1, np.int32), 0)
