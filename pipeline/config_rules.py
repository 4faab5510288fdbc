"""Lines and zones as a site's file says them, and the rules of analysis that they become."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ByteSize, ConfigDict, Field, field_validator, model_validator

from operators.analyse.rules import Across, Anchor, Crowding, Line, Point, Proximity, RuleError, Severity, Zone
from pipeline.durations import Seconds


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)


def _points(value: Any) -> tuple[Point, ...]:
    """Pairs of numbers.

    Raises:
        ValueError: they are none.
    """
    if not isinstance(value, list | tuple) or not all(
        isinstance(pair, list | tuple)
        and len(pair) == 2
        and all(isinstance(v, int | float) and not isinstance(v, bool) for v in pair)
        for pair in value
    ):
        raise ValueError("write points as [[x, y], [x, y], ...], pixels of the cropped picture")
    return tuple((float(x), float(y)) for x, y in value)


class LineRule(_Rule):
    """A line: its points alone, `horizontal` or `vertical` (through the middle of the picture), or with more said.

    Attributes:
        points: two or more, or one of the two words.
        directions: names of crossing it to the right-hand side of who walks along it, and to the left-hand side.
        anchor: foot, centre or head of a box; the centre for the two words.
        classes: names that count; all if not given.
        band: part of a box's height that the anchor has to be away from the line before a crossing counts.
        settle: or so long without crossing again.
        cool_down: who crosses again in the same direction within this time is not counted again.
    """

    points: Any
    directions: tuple[str, str] = ("in", "out")
    anchor: Anchor | None = None
    classes: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    band: Annotated[float, Field(ge=0, le=1)] = 0.1
    settle: Annotated[Seconds, Field(gt=0, le=60)] = 2.0
    cool_down: Annotated[Seconds, Field(ge=0)] = 1.0

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return value if isinstance(value, dict | LineRule) else {"points": value}

    @field_validator("points")
    @classmethod
    def _drawn(cls, value: Any) -> Any:
        if isinstance(value, str):
            if value not in set(Across):
                raise ValueError(f"{value!r} is no line: write points, or `horizontal` or `vertical`")
            return Across(value)
        return _points(value)

    @model_validator(mode="after")
    def _proper(self) -> Self:
        _tried(lambda: self.rule("line"))
        return self

    def rule(self, name: str) -> Line:
        """What the analysis takes."""
        usual = Anchor.CENTRE if isinstance(self.points, Across) else Anchor.FOOT
        return Line(
            name=name,
            points=self.points,
            forward=self.directions[0],
            backward=self.directions[1],
            anchor=self.anchor or usual,
            classes=self.classes,
            band=self.band,
            settle_s=self.settle,
            cool_down_s=self.cool_down,
        )


class CrowdingRule(_Rule):
    """More than so many at once, for so long."""

    more_than: Annotated[int, Field(ge=0)]
    for_: Annotated[Seconds, Field(ge=0, alias="for")] = 0.0


class ProximityRule(_Rule):
    """Two nearer to each other than so many metres, for so long."""

    closer: Annotated[float, Field(gt=0)]
    for_: Annotated[Seconds, Field(ge=0, alias="for")] = 0.0


class ZoneRule(_Rule):
    """A zone: its corners alone, or with what is an incident in it; see `operators.analyse.Zone`."""

    points: Any
    anchor: Anchor = Anchor.FOOT
    classes: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    band: Annotated[float, Field(ge=0, le=1)] = 0.1
    settle: Annotated[Seconds, Field(gt=0, le=60)] = 2.0
    severity: Severity = Severity.WARNING
    restricted: bool = False
    confined: bool = False
    loitering: Annotated[Seconds, Field(gt=0)] | None = None
    stopped: Annotated[Seconds, Field(gt=0)] | None = None
    direction: Any = None
    max_speed: Annotated[float, Field(gt=0)] | None = None
    crowding: CrowdingRule | None = None
    proximity: ProximityRule | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return value if isinstance(value, dict | ZoneRule) else {"points": value}

    @field_validator("points")
    @classmethod
    def _drawn(cls, value: Any) -> Any:
        return _points(value)

    @field_validator("direction")
    @classmethod
    def _an_arrow(cls, value: Any) -> Any:
        if value is None:
            return None
        points = _points(value)
        if len(points) != 2:
            raise ValueError("write two points: from where to where traffic goes")
        return points

    @model_validator(mode="after")
    def _proper(self) -> Self:
        _tried(lambda: self.rule("zone"))
        return self

    def rule(self, name: str) -> Zone:
        """What the analysis takes."""
        return Zone(
            name=name,
            points=self.points,
            anchor=self.anchor,
            classes=self.classes,
            band=self.band,
            settle_s=self.settle,
            severity=self.severity,
            restricted=self.restricted,
            confined=self.confined,
            loitering_s=self.loitering,
            stopped_s=self.stopped,
            direction=self.direction,
            max_speed=self.max_speed,
            crowding=None if self.crowding is None else Crowding(self.crowding.more_than, self.crowding.for_),
            proximity=None if self.proximity is None else Proximity(self.proximity.closer, self.proximity.for_),
        )


class Snapshots(_Rule):
    """Where the picture of each incident is kept as it begins; the folder alone will do, too.

    Attributes:
        folder: relative to where the command runs, as the ledger's path; on a cluster one that all nodes share.
        blur: what is made unrecognisable of everyone tracked: nothing, face, head, or whole.
        keep: event time after which a picture is removed.
        most: how much all cameras' pictures take up, an equal share each; the oldest go first. Such as 500MB or 10GB.
    """

    folder: Path
    blur: Literal["none", "face", "head", "whole"] = "none"
    keep: Annotated[Seconds, Field(gt=0)] = 30 * 86400.0
    most: Annotated[ByteSize, Field(gt=0)] = ByteSize(10_000_000_000)

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"folder": value} if isinstance(value, str | Path) else value


class Thumbnails(_Rule):
    """Small pictures of whom live cameras track, for the service's pages; `{}` has them as they are usual.

    Attributes:
        blur: what is made unrecognisable in them: nothing, face, head, or whole.
        keep: event time after which a picture is removed.
        most: how much all cameras' pictures take up, an equal share each; the oldest go first.
        folder: where the ledger is in Kafka, one that all nodes share, if there are several. They lie beside the ledger
            if not given: `run/<site>/ledger.sqlite.thumbnails`, `run/<site>.thumbnails`.
    """

    blur: Literal["none", "face", "head", "whole"] = "none"
    keep: Annotated[Seconds, Field(gt=0)] = 86400.0
    most: Annotated[ByteSize, Field(gt=0)] = ByteSize(1_000_000_000)
    folder: Path | None = None


def _tried(make: Any) -> None:
    """Pydantic takes a `ValueError` for a mistake in the file."""
    try:
        make()
    except RuleError as error:
        raise ValueError(str(error)) from None
