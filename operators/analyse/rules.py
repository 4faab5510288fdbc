"""What is looked for in one camera's picture: lines, zones and their limits, as the analysis takes them.

All points are pixels of the camera's own (cropped) picture, x to the right, y downwards. Thresholds that belong to
somebody's size are parts of the height of his box, so that they mean the same near the camera and far away.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise
from typing import Any

from operators.records import CrosscamError

Point = tuple[float, float]
Size = tuple[int, int]


class RuleError(CrosscamError):
    """A line or a zone cannot be used as it is drawn."""


class Anchor(StrEnum):
    """Which point of a box stands for the object."""

    FOOT = "foot"
    CENTRE = "centre"
    HEAD = "head"


class Across(StrEnum):
    """A line through the middle of the picture, whose size is not known before it is seen."""

    HORIZONTAL = "horizontal"
    VERTICAL = "vertical"


class Severity(StrEnum):
    """How much an incident matters to who watches."""

    INFO = "info"
    WARNING = "warning"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True)
class Line:
    """A line, open and of one or more segments, whose crossings are counted in both directions.

    Walking along it from the first point to the last, whoever crosses to the right-hand side goes `forward`. A line
    drawn from left to right is crossed forward by who comes down the picture.

    Attributes:
        name: unique in the camera.
        points: two or more; or `horizontal` or `vertical`: through the middle, forward is down or to the right.
        forward, backward: names of the two directions.
        anchor: the point of a box that has to cross.
        classes: names of the classes that count; None for all.
        band: a crossing counts once the anchor is farther from the line than this part of the box's height,
        settle_s: or has not crossed again for so long; jitter on the line counts once or not at all.
        cool_down_s: a track that crosses again in the same direction within this time is not counted again.
    """

    name: str
    points: tuple[Point, ...] | Across
    forward: str = "in"
    backward: str = "out"
    anchor: Anchor = Anchor.FOOT
    classes: tuple[str, ...] | None = None
    band: float = 0.1
    settle_s: float = 2.0
    cool_down_s: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.points, Across):
            _check_line(self.points)
        if not self.forward or not self.backward:
            raise RuleError("a direction has an empty name; give both a name, or leave `directions` out for in and out")
        if self.forward == self.backward:
            raise RuleError(f"both directions are called {self.forward!r}; give them two names")

    def placed(self, size: Size | None) -> Line:
        """The line with its points, in a picture of this width and height.

        Raises:
            RuleError: it lies outside the picture, or goes through its middle and the size is not known.
        """
        if not isinstance(self.points, Across):
            _check_inside(self.points, size, closed=False)
            return self
        if size is None:
            raise RuleError(f"the picture's size is not known: give the camera a `crop`, or points for {self.points}")
        width, height = float(size[0]), float(size[1])
        if self.points is Across.HORIZONTAL:
            return replace(self, points=((0.0, height / 2), (width, height / 2)))
        return replace(self, points=((width / 2, height), (width / 2, 0.0)))


@dataclass(frozen=True, slots=True)
class Crowding:
    """More than so many at once for so long."""

    more_than: int
    for_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Proximity:
    """Two people nearer to each other than so many metres for so long."""

    closer_m: float
    for_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Zone:
    """A polygon. Entries, exits, dwell and occupancy are always counted; what else is an incident is said here.

    Attributes:
        name: unique in the camera.
        points: three or more corners; the last is joined to the first.
        anchor, classes, band, settle_s: as for lines: who has crossed the edge is in or out once he is farther from it
            than `band`, or has stayed on that side for `settle_s`.
        severity: of this zone's incidents.
        restricted: being inside is an incident (break-in).
        confined: leaving is one, for who was inside.
        loitering_s: so is staying for longer than this;
        stopped_s: standing still for longer than this (illegal parking);
        direction: moving against the direction from the first point to the second;
        max_speed: going faster, metres a second (needs a homography);
        crowding, proximity: see there (proximity needs a homography).
    """

    name: str
    points: tuple[Point, ...]
    anchor: Anchor = Anchor.FOOT
    classes: tuple[str, ...] | None = None
    band: float = 0.1
    settle_s: float = 2.0
    severity: Severity = Severity.WARNING
    restricted: bool = False
    confined: bool = False
    loitering_s: float | None = None
    stopped_s: float | None = None
    direction: tuple[Point, Point] | None = None
    max_speed: float | None = None
    crowding: Crowding | None = None
    proximity: Proximity | None = None

    def __post_init__(self) -> None:
        check_polygon(self.points)
        if self.direction is not None and self.direction[0] == self.direction[1]:
            raise RuleError("`direction` needs two different points: from where to where traffic goes")

    def placed(self, size: Size | None) -> Zone:
        """The zone itself.

        Raises:
            RuleError: no part of it lies in a picture of this width and height.
        """
        _check_inside(self.points, size, closed=True)
        return self

    @property
    def needs_ground(self) -> bool:
        """Whether some of it is in metres."""
        return self.max_speed is not None or self.proximity is not None


@dataclass(frozen=True, slots=True)
class Rules:
    """All that is looked for in one camera.

    Attributes:
        lines, zones: with names that differ.
        interval_s: length of the intervals that are counted, seconds; None for no such counts.
        max_gap_s: a track unseen for so long has left; if it comes back, it has come anew.
    """

    lines: tuple[Line, ...] = ()
    zones: tuple[Zone, ...] = ()
    interval_s: float | None = None
    max_gap_s: float = 5.0

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for name in [line.name for line in self.lines] + [zone.name for zone in self.zones]:
            if name in seen:
                raise RuleError(f"{name!r} is the name of two lines or zones; names must differ within a camera")
            seen.add(name)

    def __bool__(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self.lines or self.zones or self.interval_s)

    def placed(self, size: Size | None) -> tuple[Rules, list[str]]:
        """The rules with all points in place, and a sentence for each that had to be left out."""
        lines, zones, wrong = [], [], []
        for line in self.lines:
            try:
                lines.append(line.placed(size))
            except RuleError as error:
                wrong.append(f"line {line.name!r}: {error}")
        for zone in self.zones:
            try:
                zones.append(zone.placed(size))
            except RuleError as error:
                wrong.append(f"zone {zone.name!r}: {error}")
        return replace(self, lines=tuple(lines), zones=tuple(zones)), wrong


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in one camera.

    Attributes:
        type: crossing, entry, exit, counts or incident.
        time_ns: event time, UTC nanoseconds; between two frames for what happened between them.
        fields: what belongs to the type, JSON values.
    """

    type: str
    time_ns: int
    fields: dict[str, Any] = field(default_factory=dict)


def check_polygon(points: Sequence[Point]) -> None:
    """Raise a `RuleError` unless the points are a polygon with an inside.

    Validity is GEOS's, through shapely.
    """
    from shapely.geometry import Polygon
    from shapely.validation import explain_validity

    if len(set(points)) < 3:
        raise RuleError(f"a zone needs at least three different points, this one has {len(set(points))}")
    polygon = Polygon(points)
    if polygon.convex_hull.area <= 0:
        raise RuleError("all points of this zone lie on one line; give it a width")
    if not polygon.is_valid:
        where = explain_validity(polygon)
        at = where[where.find("[") + 1 : where.find("]")].replace(" ", ", ") if "[" in where else "one point"
        raise RuleError(f"its outline crosses or touches itself at {at}; order the corners along the outline")


def _check_line(points: Sequence[Point]) -> None:
    if len(points) < 2:
        raise RuleError(f"a line needs at least two points, this one has {len(points)}")
    for one, other in pairwise(points):
        if math.dist(one, other) == 0:
            raise RuleError(f"two points in a row are the same: {list(one)}; take one of them out")


def _check_inside(points: Sequence[Point], size: Size | None, *, closed: bool) -> None:
    from shapely.geometry import LineString, Polygon, box

    if size is None:
        return
    shape = Polygon(points) if closed else LineString(points)
    if not shape.intersects(box(0, 0, *size)):
        x1, y1, x2, y2 = shape.bounds
        raise RuleError(
            f"it lies outside the picture (x {x1:g} to {x2:g}, y {y1:g} to {y2:g}; the picture is {size[0]} x "
            f"{size[1]}); points are pixels of the cropped picture, x first"
        )
