"""The pictures that incidents refer to: camera, event time and box of a `snapshot`, looked up in the recordings.

Nothing is kept for them while a site runs; frames stay where they are decoded. The reference is exact, though: the
frame of that event time, with boxes, identities, lines and zones as they were at that moment, and the box of who took
part.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from operators.analyse.rules import Severity
from operators.draw import Privacy, Style
from operators.draw_rules import draw_incident
from operators.records import CrosscamError, Image
from pipeline.clock import clock_text
from pipeline.mosaic import Tile
from pipeline.overlay import IdentityOf, Overlay
from pipeline.recording import Player, RecordedCamera
from pipeline.rule_states import RuleStates

_SAME_INSTANT_NS = 500_000  # events count microseconds, frames nanoseconds


class SnapshotError(CrosscamError):
    """There is no such incident, or no picture of it."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One incident's picture.

    Attributes:
        camera, incident: which.
        kind, zone, severity: what happened, where, and how bad it is.
        time_ns: event time of the frame. frame: its number in the source.
        picture: (H, W, 3) uint8 BGR, of the size that the camera's pictures have.
    """

    camera: str
    incident: int
    kind: str
    zone: str
    severity: Severity
    time_ns: int
    frame: int
    picture: Image


def find_incidents(
    events: Iterable[Mapping[str, Any]], wanted: Sequence[str] = ()
) -> dict[str, list[Mapping[str, Any]]]:
    """The first record of each incident, by camera, in order of their snapshots' time.

    Args:
        events: values of the `events` topic.
        wanted: `camera/number` of some; all if empty.

    Raises:
        SnapshotError: one of them is not there, or is not written like that.
    """
    known: dict[str, Mapping[str, Any]] = {}
    for value in events:
        if value["type"] == "incident":
            known.setdefault(f"{value['camera']}/{value['incident']}", value)
    for name in wanted:
        if name not in known:
            some = ", ".join(list(known)[:5]) + (", ..." if len(known) > 5 else "")
            rest = f"; there are {some}" if known else ", nor any other"
            raise SnapshotError(f"there is no incident {name!r} in this ledger{rest}")
    chosen: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for name in dict.fromkeys(wanted or known):
        chosen[known[name]["camera"]].append(known[name])
    return {camera: sorted(some, key=lambda one: one["snapshot"]["time"]) for camera, some in chosen.items()}


def snapshots(
    records: Iterable[Mapping[str, Any]],
    events: Sequence[Mapping[str, Any]],
    camera: RecordedCamera,
    incidents: Sequence[Mapping[str, Any]],
    *,
    identity_of: IdentityOf | None = None,
    privacy: Privacy = Privacy.NONE,
) -> Iterator[Snapshot]:
    """Pictures of one camera's incidents, in order of their time; the recording is gone through once.

    Args:
        records: values of the `tracks` topic in commit order.
        events: values of the `events` topic.
        camera: its recording, with its rules.
        incidents: from `find_incidents`.
        identity_of, privacy: see `render_mosaic`.

    Raises:
        SnapshotError: the recording has no picture of that time.
        CrosscamError: whatever its source says it cannot open or read.
    """
    player = Player(camera)
    try:
        overlay = Overlay(records, [camera.camera], identity_of, from_ns=player.first_ns)
        canvas = np.zeros((player.size[1], player.size[0], 3), np.uint8)
        style = Style.for_height(canvas.shape[0])
        tile = Tile(player, overlay, RuleStates(events), canvas, style, privacy)
        for value in incidents:
            when = value["snapshot"]["time"] * 1000
            if player.last_ns is None or abs(player.last_ns - when) > _SAME_INSTANT_NS:
                tile.show(when + _SAME_INSTANT_NS, when)
            if player.last_ns is None or abs(player.last_ns - when) > _SAME_INSTANT_NS:
                raise SnapshotError(
                    f"incident {camera.camera}/{value['incident']} is of {clock_text(when, tenths=True)}, of which the "
                    f"recording has no picture; give {camera.camera!r} the source and the `start` it had when the site "
                    "ran"
                )
            picture, severity = canvas.copy(), Severity(value["severity"])
            draw_incident(picture, value["snapshot"]["box"], value["kind"], severity, style)
            yield Snapshot(
                camera=camera.camera,
                incident=value["incident"],
                kind=value["kind"],
                zone=value["zone"],
                severity=severity,
                time_ns=when,
                frame=value["snapshot"]["frame"],
                picture=picture,
            )
    finally:
        player.close()
