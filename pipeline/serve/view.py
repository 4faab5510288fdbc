"""What a site's ledger says, folded into memory as it is read: who is where, who was where, what happened.

The topics may be read side by side, each in its own commit order. Whoever asks sees identities with all corrections
that have been read.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from mtmct.records import DEADLETTER, EVENTS, IDENTITIES, TRACKS
from pipeline.ledger.base import Stored
from pipeline.serve.groups import Group, Groups
from pipeline.serve.known import Box, CameraState, InView, Piece, Summary, Visit

_US = 1_000_000
# A track of which nothing has been said for so long (event time of its camera) is no longer in view.
_IN_VIEW_US = 3 * _US
_PRUNE_EVERY = 2_000  # records


class SiteView:
    """A site as its ledger tells it. Every method may be called from any thread.

    Args:
        keep_s: forget what ended longer ago, in event time; None keeps all, which is for runs that have an end.
    """

    def __init__(self, keep_s: float | None = None) -> None:
        self._keep_us = None if keep_s is None else round(keep_s * _US)
        self._lock = threading.RLock()
        self._groups = Groups()
        self._summaries: dict[str, Summary] = {}
        self._listed: list[Summary] | None = []
        self._said: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        self._in_view: dict[tuple[str, int], Mapping[str, Any]] = {}
        self._viewed: tuple[int, dict[str, list[InView]]] = 0, {}
        self._cameras: dict[str, CameraState] = {}
        self._figures: dict[tuple[str, str, int, int], Mapping[str, Any]] = {}
        self._incidents: dict[tuple[str, int], Mapping[str, Any]] = {}
        self._journeys: dict[str, Mapping[str, Any]] = {}
        self._marks: list[tuple[int, str | None]] = []
        self._taken = 0
        self.site = ""
        self.newest = 0

    @property
    def version(self) -> int:
        """Grows with every record: equal versions answer alike."""
        return self._taken

    def take(self, page: Sequence[Stored]) -> None:
        """Fold in records: whoever asks sees all of them or none."""
        with self._lock:
            before = self._taken
            for stored in page:
                self._fold(stored)
            self._taken += len(page)
            if self._keep_us is not None and before // _PRUNE_EVERY != self._taken // _PRUNE_EVERY:
                self._prune(self.newest - self._keep_us)

    def cameras(self) -> dict[str, CameraState]:
        """All that have said anything, by id."""
        with self._lock:
            return dict(sorted(self._cameras.items()))

    def in_view(self, camera: str | None = None) -> list[InView]:
        """Who is in the picture now, of one camera or of all, by camera and track."""
        with self._lock:
            if self._viewed[0] != self._taken:
                self._viewed = self._taken, self._look()
            viewed = self._viewed[1]
        if camera is not None:
            return list(viewed.get(camera, ()))
        return [one for name in sorted(viewed) for one in viewed[name]]

    def identities(self) -> list[Summary]:
        """All that have been named, those that were merged away or retracted included, by number."""
        with self._lock:
            self._summarize()
            if self._listed is None:
                self._listed = sorted(self._summaries.values(), key=lambda one: one.number)
            return list(self._listed)

    def identity(self, name: str) -> Summary | None:
        """One of them; None if it has not been named, or was forgotten."""
        with self._lock:
            self._summarize()
            return self._summaries.get(name)

    def visits(self, name: str) -> list[Visit]:
        """Its local tracks, in order of first sight."""
        with self._lock:
            group = self._groups.get(name)
            pieces = [] if group is None else list(group.pieces)
        visits: dict[tuple[str, int], Visit] = {}
        for piece in sorted(pieces, key=lambda one: one.start):
            key = (piece.camera, piece.track)
            visit = visits.get(key)
            if visit is None:
                visit = visits[key] = Visit(*key, piece.start, piece.end, 0, piece.published, 0, [], None)
            visit.end = max(visit.end, piece.end)
            visit.points += piece.points
            visit.provisional += piece.provisional
            if piece.link is not None:
                visit.links.append(piece.link)
            if piece.best is not None and (visit.best is None or _area(piece.best[1]) > _area(visit.best[1])):
                visit.best = piece.best
        return list(visits.values())

    def said(self, name: str) -> list[Mapping[str, Any]]:
        """The `identities` records that name it, in order."""
        with self._lock:
            return list(self._said.get(name, ()))

    def journey(self, name: str) -> Mapping[str, Any] | None:
        """Its newest `journey` record."""
        with self._lock:
            return self._journeys.get(name)

    def journeys(self) -> list[Mapping[str, Any]]:
        """Those that have not been taken back, by their end."""
        with self._lock:
            told = [value for value in self._journeys.values() if value["stays"]]
        return sorted(told, key=lambda value: (value["end"], value["identity"]))

    def counts(self, kind: str, camera: str | None = None) -> list[Mapping[str, Any]]:
        """Newest revision of each interval, by its start.

        Args:
            kind: `counts` of cameras, or `site_counts`.
            camera: only of this one.
        """
        with self._lock:
            found = [
                value for (of, name, _, _), value in self._figures.items() if of == kind and camera in (None, name)
            ]
        return sorted(found, key=lambda value: (value["start"], value["camera"]))

    def incidents(self) -> list[Mapping[str, Any]]:
        """Newest record of each, by its start."""
        with self._lock:
            found = list(self._incidents.values())
        return sorted(found, key=lambda value: (value["start"], value["camera"], value["incident"]))

    def name_of(self, camera: str, track: int, time: int | None = None) -> str | None:
        """Who a track is; None if unknown or retracted. See `IdentityResolver.name_of`."""
        with self._lock:
            try:
                return self._groups.resolver.name_of(camera, track, time)
            except KeyError:
                return None

    def number_of(self, camera: str, track: int, time: int) -> int | None:
        """Its number, as drawing wants it."""
        with self._lock:
            try:
                return self._groups.resolver.identity_of(camera, track, time)
            except KeyError:
                return None

    def position_before(self, time_us: int) -> str | None:
        """Where in `tracks` to begin reading so that no record of that event time is missed."""
        with self._lock:
            known: str | None = None
            for time, position in self._marks:
                if time > time_us - 60 * _US:
                    break
                known = position
            return known

    def span(self, camera: str) -> tuple[int, int] | None:
        """First and last event time of its tracks that are kept, microseconds."""
        with self._lock:
            return self._groups.span(camera)

    def _fold(self, stored: Stored) -> None:
        value = stored.value
        self.site = self.site or value["site"]
        match stored.topic:
            case topic if topic == TRACKS:
                self._take_track(value, stored.position)
            case topic if topic == IDENTITIES:
                self._take_identity(value)
            case topic if topic == EVENTS:
                self._take_event(value)
            case topic if topic == DEADLETTER:
                self._camera(value["camera"]).rejected += 1

    def _take_track(self, value: Mapping[str, Any], position: str) -> None:
        points = value["points"]
        best = None
        if points:
            point = max(points, key=lambda one: (one[3] - one[1]) * (one[4] - one[2]) * one[5])
            best = (point[0], (point[1], point[2], point[3], point[4]))
        piece = Piece(
            value["camera"],
            value["track"],
            value["start"],
            value["end"],
            value["class"],
            value["identity"],
            len(points),
            bool(value.get("provisional", False)),
            value["link"],
            best,
            value.get("attributes", {}),
        )
        self._groups.add(piece, value)
        key = (piece.camera, piece.track)
        if value["ended"]:
            self._in_view.pop(key, None)
        elif points:
            self._in_view[key] = value
        self._seen(piece.camera, piece.end)
        if not self._marks or piece.start > self._marks[-1][0] + 60 * _US:
            self._marks.append((piece.start, position))

    def _take_identity(self, value: Mapping[str, Any]) -> None:
        self._groups.apply(value)
        self._said[value["identity"]].append(value)
        if value["into"] not in (None, value["identity"]):
            self._said[value["into"]].append(value)

    def _take_event(self, value: Mapping[str, Any]) -> None:
        camera = self._camera(value["camera"]) if value["camera"] else CameraState()
        match value["type"]:
            case "source":
                camera.source, camera.detail = value["state"], value["detail"]
            case "crossing":
                camera.lines[value["line"]] = dict(value["total"])
            case "entry" | "exit":
                camera.zones[value["zone"]] = value["occupancy"]
            case "counts" | "site_counts":
                key = (value["type"], value["camera"], value["start"], value["end"])
                if key not in self._figures or self._figures[key]["revision"] < value["revision"]:
                    self._figures[key] = value
            case "journey":
                self._journeys[value["identity"]] = value
            case "incident":
                self._incidents[value["camera"], value["incident"]] = value
                if value["state"] == "started":
                    camera.open_incidents.add(value["incident"])
                else:
                    camera.open_incidents.discard(value["incident"])
        if value["camera"]:
            self._seen(value["camera"], value["time"])

    def _camera(self, name: str) -> CameraState:
        return self._cameras.setdefault(name, CameraState())

    def _seen(self, camera: str, time_us: int) -> None:
        state = self._camera(camera)
        state.last = max(state.last, time_us)
        self.newest = max(self.newest, time_us)

    def _look(self) -> dict[str, list[InView]]:
        """Who is in view, by camera. Who has not been seen for long is let go of: a camera's time does not go back."""
        found: dict[str, list[InView]] = {}
        for key in sorted(self._in_view):
            value = self._in_view[key]
            if value["end"] < self._cameras[key[0]].last - _IN_VIEW_US:
                del self._in_view[key]
                continue
            who = self._groups.resolver.name_of(*key, value["start"])
            if who is not None:
                found.setdefault(key[0], []).append(_in_view(value, who))
        return found

    def _summarize(self) -> None:
        """Bring the summaries up to date: of those of whom something is different."""
        changed = self._groups.changed()
        if changed is None:
            self._summaries, self._listed, changed = {}, None, {*self._said, *self._groups.names()}
        for name in changed:
            group = self._groups.get(name)
            if (group is None and name not in self._said) or _number(name) is None:
                self._summaries.pop(name, None)
            else:
                self._summaries[name] = self._summary(name, group)
            self._listed = None

    def _summary(self, name: str, group: Group | None) -> Summary:
        said = self._said.get(name, ())
        own = [value for value in said if value["identity"] == name]
        current = self._groups.resolver.current(name)
        closed = bool(own) and own[-1]["event"] == "closed"
        state = "closed" if closed else "open"
        if current != name:
            state = "retracted" if current is None else "merged"
        fallback = own[-1]["class"] if own else ""
        described = (-1, {}) if group is None else group.attributes
        for value in own[-1:]:  # it knows of all its tracks; a later piece knows what came after
            if value["time"] >= described[0]:
                described = value["time"], value.get("attributes", described[1])
        return Summary(
            identity=name,
            number=_number(name) or 0,
            cls=fallback if group is None else group.cls,
            state=state,
            into=current if state == "merged" else None,
            revision=max((value["revision"] for value in own), default=0),
            start=None if group is None else group.start,
            end=None if group is None else group.end,
            cameras=() if group is None else tuple(sorted(group.cameras)),
            tracks=0 if group is None else len(group.tracks),
            attributes=described[1],
        )

    def _prune(self, before: int) -> None:
        self._groups.forget(before)
        kept = set(self._groups.names())
        self._said = defaultdict(
            list, {name: said for name, said in self._said.items() if name in kept or said[-1]["time"] >= before}
        )
        self._figures = {key: value for key, value in self._figures.items() if value["end"] >= before}
        self._incidents = {key: value for key, value in self._incidents.items() if value["time"] >= before}
        self._journeys = {key: value for key, value in self._journeys.items() if value["end"] >= before}
        self._in_view = {key: value for key, value in self._in_view.items() if value["end"] >= before}
        old = [mark for mark in self._marks if mark[0] < before]
        self._marks = self._marks[max(len(old) - 1, 0) :]


def _in_view(value: Mapping[str, Any], who: str) -> InView:
    time, x1, y1, x2, y2, score, x, y = value["points"][-1]
    trail = tuple(((point[1] + point[3]) / 2, point[4]) for point in value["points"][-12:])
    place = None if x is None else (x, y)
    provisional = bool(value.get("provisional", False))
    return InView(
        value["camera"], value["track"], who, value["class"], time, (x1, y1, x2, y2), score, place, trail, provisional
    )


def _number(name: str) -> int | None:
    digits = name.rpartition("-")[2]
    return int(digits) if digits.isdecimal() else None


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
