"""Lines and zones drawn on a camera's picture: what they would have counted, and their way into the site's file.

A line need not have been there while a site ran to know its counts: the ledger has the tracks, and the analysis of a
camera works on tracks alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from operators.analyse.analyser import Analyser
from operators.analyse.rules import Rules
from pipeline.config_rules import LineRule, ZoneRule
from pipeline.serve.problems import UnfitError
from pipeline.serve.site_file import entry_of, one_line

_NAME = r"^[^/\s][^/]{0,63}$"


class Drawn(BaseModel):
    """Lines and zones of a camera by name, each as in a site's file: points in pixels of its picture, or more said."""

    model_config = ConfigDict(extra="forbid")
    lines: dict[str, Any] = Field(default_factory=dict)
    zones: dict[str, Any] = Field(default_factory=dict)

    def rules(self) -> Rules:
        """What the analysis takes.

        Raises:
            UnfitError: one of them is no line or zone; the sentence names it.
        """
        lines = [_checked(LineRule, "line", name, value).rule(name) for name, value in self.lines.items()]
        zones = [_checked(ZoneRule, "zone", name, value).rule(name) for name, value in self.zones.items()]
        return Rules(lines=tuple(lines), zones=tuple(zones))


class Counted(BaseModel):
    """What lines and zones counted.

    Attributes:
        lines: crossings by line and direction. zones: entries, exits and mean dwell (seconds) by zone.
        incidents: how many began, by zone and kind. left_out: a sentence for each that lies outside the picture.
    """

    lines: dict[str, dict[str, int]]
    zones: dict[str, dict[str, float]]
    incidents: dict[str, dict[str, int]]
    left_out: list[str]


def counted(
    drawn: Drawn,
    records: Iterator[Mapping[str, Any]],
    size: tuple[int, int] | None,
    homography: np.ndarray[Any, np.dtype[np.float64]] | None = None,
) -> Counted:
    """What these lines and zones would have counted.

    Args:
        records: values of the `tracks` topic of the camera.
        size: width and height of its pictures, where known.
        homography: (3, 3) pixels to metres, where known; without it, what is in metres is not looked for.

    Raises:
        UnfitError: one of them is no line or zone.
    """
    rules, left_out = drawn.rules().placed(size)
    lines = {line.name: {line.forward: 0, line.backward: 0} for line in rules.lines}
    zones: dict[str, dict[str, float]] = {
        zone.name: {"entries": 0, "exits": 0, "mean_dwell": 0.0} for zone in rules.zones
    }
    incidents: dict[str, dict[str, int]] = {}
    for event in _events(rules, records, homography):
        said = event.fields
        match event.type:
            case "crossing":
                lines[said["line"]] = dict(said["total"])
            case "entry":
                zones[said["zone"]]["entries"] += 1
            case "exit":
                zone = zones[said["zone"]]
                zone["mean_dwell"] += (said["dwell"] - zone["mean_dwell"]) / (zone["exits"] + 1)
                zone["exits"] += 1
            case "incident" if said["state"] == "started":
                kinds = incidents.setdefault(said["zone"], {})
                kinds[said["kind"]] = kinds.get(said["kind"], 0) + 1
    for zone in zones.values():
        zone["mean_dwell"] = round(zone["mean_dwell"], 2)
    return Counted(lines=lines, zones=zones, incidents=incidents, left_out=left_out)


def _events(rules: Rules, records: Iterator[Mapping[str, Any]], homography: Any) -> Iterator[Any]:
    names: dict[str, int] = {}
    rows = []
    for value in records:
        cls = names.setdefault(value["class"], len(names))
        rows += [(point[0], value["track"], cls, *point[1:5]) for point in value["points"]]
    if not rows:
        return
    table = np.array(sorted(rows), np.float64)
    analyser = Analyser(rules, tuple(names), homography)
    starts = np.flatnonzero(np.diff(table[:, 0], prepend=-1.0))
    for frame in np.split(table, starts[1:]):
        yield from analyser.update(
            frame[:, 1].astype(np.int64),
            frame[:, 3:7].astype(np.float32),
            frame[:, 2].astype(np.int32),
            int(frame[0, 0]) * 1000,
        )
    yield from analyser.finish()


def put_rules(camera: str, drawn: Drawn) -> Callable[[Any], None]:
    """An edit of the site's file that gives a camera these lines and zones, in place of those it had.

    Raises:
        UnfitError: one of them is no line or zone.
    """
    drawn.rules()

    def edit(document: Any) -> None:
        entry = entry_of(document, camera)
        for field in ("lines", "zones"):
            shapes = {name: one_line(value) for name, value in getattr(drawn, field).items()}
            if shapes:
                entry[field] = shapes
            else:
                entry.pop(field, None)

    return edit


def _checked(kind: Any, what: str, name: str, value: Any) -> Any:
    if not re.match(_NAME, name):
        raise UnfitError(f"{what} {name!r}: a name has up to 64 characters, no slash, and does not begin with a space")
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise UnfitError(f"{what} {name!r}{', ' + where if where else ''}: {message}") from None
