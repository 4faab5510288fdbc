"""What a view knows of a site, as values: tracklets, visits, identities, who is in view, cameras."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Box = tuple[float, float, float, float]


@dataclass(slots=True)
class Piece:
    """One `tracks` record, without its points.

    Attributes:
        who: the identity that it is now; None of one that was retracted.
        start, end: event times, microseconds. published: the identity it was published with.
        best: when the object was seen best, and its box then, xyxy pixels; None of a record without points.
        link: why, as in the record. attributes: what the track has looked like by then, by facet.
    """

    camera: str
    track: int
    start: int
    end: int
    cls: str
    published: str
    points: int
    provisional: bool
    link: Mapping[str, Any] | None
    best: tuple[int, Box] | None
    attributes: Mapping[str, str] = field(default_factory=dict)
    who: str | None = None


@dataclass(frozen=True, slots=True)
class InView:
    """Somebody who is in a camera's picture now.

    Attributes:
        time: event time, microseconds. box: xyxy pixels. place: X and Y, metres; None without a homography.
        trail: the last feet in the picture, pixels.
    """

    camera: str
    track: int
    identity: str
    cls: str
    time: int
    box: Box
    score: float
    place: tuple[float, float] | None
    trail: tuple[tuple[float, float], ...]
    provisional: bool


@dataclass(slots=True)
class Visit:
    """One local track as far as it is an identity's: see `pipeline.explain.Visit`.

    Attributes:
        best: when it was seen best, and its box then.
    """

    camera: str
    track: int
    start: int
    end: int
    points: int
    first: str
    provisional: int
    links: list[Mapping[str, Any]]
    best: tuple[int, Box] | None


@dataclass(frozen=True, slots=True)
class Summary:
    """An identity in a list.

    Attributes:
        state: `open`, `closed`, `merged` or `retracted`. into: whom it was merged into.
        start, end: first and last event time, microseconds; None where no track of it is kept.
        attributes: what it is like (bag: backpack), as said last.
    """

    identity: str
    number: int
    cls: str
    state: str
    into: str | None
    revision: int
    start: int | None
    end: int | None
    cameras: tuple[str, ...]
    tracks: int
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class CameraState:
    """What is known of a camera from what it said.

    Attributes:
        source: state of its source (`started`, `lost`, ...), "" before it said so. detail: why, for people.
        last: event time it has come to. lines: crossings counted so far, by line and direction. zones: tracks inside.
        incidents: how many are going on.
    """

    source: str = ""
    detail: str | None = None
    last: int = 0
    lines: dict[str, dict[str, int]] = field(default_factory=dict)
    zones: dict[str, int] = field(default_factory=dict)
    open_incidents: set[int] = field(default_factory=set)
    rejected: int = 0
