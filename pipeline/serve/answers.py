"""The shapes of the API's answers. Times are microseconds since 1970, UTC; boxes xyxy in pixels; places in metres."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")


class Answer(BaseModel):
    """Base: may be made of the attributes of a value of the view."""

    model_config = ConfigDict(from_attributes=True)


class Page(BaseModel, Generic[T]):
    """A part of a list. `next`: give it as `after` for what follows; null at the end."""

    items: Sequence[T]
    next: str | None


class SiteAnswer(Answer):
    """The site as a whole."""

    site: str
    newest: int = Field(description="The newest event time that was read.")
    running: bool = Field(description="A run of the site can be reached from here.")
    cameras: int
    in_view: int = Field(description="Identities in a picture now.")
    identities: int = Field(description="That stand: not merged into others, nor retracted.")
    open_incidents: int
    problem: str | None = Field(description="Why the ledger is not being read, if so.")


class FramesAnswer(Answer):
    """A camera's frames since its site began."""

    decoded: int
    tracked: int
    dropped: dict[str, int] = Field(description="By reason.")
    fps: float | None = Field(description="Tracked a second, lately; of a running site that was asked before.")


class CameraAnswer(Answer):
    """One camera: what it said, and what the site's file says of it where that is at hand."""

    camera: str
    state: str = Field(description="Of its source: started, lost, restored, ended, failed; empty before it said so.")
    detail: str | None
    last: int = Field(description="Event time that it has come to.")
    behind_s: float = Field(description="Seconds of event time that it lies behind the newest camera.")
    in_view: int
    lines: dict[str, dict[str, int]] = Field(description="Crossings counted so far, by line and direction.")
    zones: dict[str, int] = Field(description="Tracks inside now.")
    open_incidents: int
    rejected: int = Field(description="Dead letters.")
    size: tuple[int, int] | None = Field(None, description="Width and height of its pictures, where known.")
    frames: FramesAnswer | None = Field(description="Since the site began; None before it has said so.")
    pictures: bool = Field(description="Pictures of it can be had from this service.")
    drawn: dict[str, Any] = Field(default_factory=dict, description="Lines and zones as in the site's file.")


class CameraFields(BaseModel):
    """What a site's file may say of a camera; its id stands in the address. Every field as in the file."""

    model_config = ConfigDict(extra="allow")
    source: str = Field(description="An address, or a file in the folder of the site's file.")


class InViewAnswer(Answer):
    """Somebody in a camera's picture now."""

    camera: str
    track: int
    identity: str
    cls: str = Field(serialization_alias="class")
    time: int
    box: tuple[float, float, float, float]
    score: float
    place: tuple[float, float] | None
    provisional: bool


class IdentityAnswer(Answer):
    """An identity in a list."""

    identity: str
    number: int
    cls: str = Field(serialization_alias="class")
    state: str = Field(description="open, closed, merged or retracted.")
    into: str | None = Field(description="Whom it was merged into.")
    revision: int
    start: int | None
    end: int | None
    cameras: Sequence[str]
    tracks: int
    attributes: dict[str, str] = Field(
        default_factory=dict, description="What it is like, by facet (bag: backpack); empty where nobody looked."
    )


class VisitAnswer(Answer):
    """One local track, as far as it is the identity's."""

    camera: str
    track: int
    start: int
    end: int
    points: int
    first: str = Field(description="The identity it was first published with.")
    provisional: int = Field(description="Tracklets that were published as a guess.")
    links: Sequence[dict[str, Any]] = Field(description="Evidence of each decision, as in the tracks topic.")
    reasons: Sequence[str] = Field(description="The same in words.")
    thumbnail: str | None = Field(description="Address of a picture of it, where pictures can be had.")


class IdentityDetail(IdentityAnswer):
    """All that is known of an identity."""

    visits: Sequence[VisitAnswer]
    corrections: Sequence[dict[str, Any]] = Field(description="The identities records that name it.")
    said: Sequence[str] = Field(description="The same in words.")
    journey: dict[str, Any] | None


class FoundAnswer(Answer):
    """Somebody who looks like what was asked for."""

    identity: str
    cosine: float
    score: float = Field(description="Log-likelihood ratio, nats.")
    open: bool
    cameras: Sequence[str] = Field(description="By which it was seen, in order of first sight.")
    thumbnails: dict[str, str] = Field(description="Address of a picture of it, by camera, where there is one.")


class ErasedAnswer(Answer):
    """What came of an erasure."""

    identity: str
    tracks: int
    records: int
    running: bool
    left: str | None


class HealthAnswer(Answer):
    """Whether the service lives, or can serve."""

    status: str
    detail: str | None = None
