"""A camera's recorded pictures, run through once more to be drawn on."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from operators.analyse.rules import Rules
from operators.records import CrosscamError, Frame
from pipeline.sources.base import Source


class RecordingError(CrosscamError):
    """A camera has no recording to go through."""


class Pictures(Protocol):
    """What rendering needs of a source: its frames, in event-time order. Closed if it can be."""

    def __iter__(self) -> Iterator[Frame]: ...


@dataclass(frozen=True, slots=True)
class RecordedCamera:
    """One camera whose pictures are there to be read again.

    Attributes:
        camera: its id.
        open: starts its recording from the beginning.
        size: width and height of its pictures, pixels; None takes those of its first picture.
        rules: lines and zones to be drawn; what lies outside of its pictures is not.
    """

    camera: str
    open: Callable[[], Pictures]
    size: tuple[int, int] | None = None
    rules: Rules = field(default_factory=Rules)


def recording(source: Source) -> Generator[Frame, None, None]:
    """All frames of a source that ends by itself; it is closed afterwards.

    Raises:
        RecordingError: it is a live source.
        SourceError: it cannot be opened or read.
    """
    if source.live:
        raise RecordingError(
            f"camera '{source.camera}' is a live source, of which no pictures are kept: "
            "leave it out, or give its recording as the source"
        )
    try:
        source.open(None)
        while isinstance(frame := source.read(), Frame):
            yield frame
    finally:
        source.close()


class Player:
    """Runs through a recording by event time, holding one frame ahead.

    Attributes:
        camera: its id.
        first_ns, last_ns: event time of the first frame, and of the last one given; None before the first.
        size: width and height of its pictures. rules: the camera's, in place.
    """

    def __init__(self, camera: RecordedCamera) -> None:
        self.camera = camera.camera
        self.first_ns: int | None = None
        self.last_ns: int | None = None
        self._pictures = camera.open()
        self._frames = iter(self._pictures)
        self._next = next(self._frames, None)
        if self._next is not None:
            self.first_ns = self._next.time_ns
        self.size = camera.size or self._first_size()
        self.rules = camera.rules.placed(self.size)[0]

    @property
    def next_ns(self) -> int | None:
        """Event time of the frame that comes next; None after the last."""
        return None if self._next is None else self._next.time_ns

    def advance(self, until_ns: int) -> Frame | None:
        """The newest frame up to and including `until_ns` that has not been given yet; frames before it are skipped."""
        newest = None
        while self._next is not None and self._next.time_ns <= until_ns:
            newest, self._next = self._next, next(self._frames, None)
        if newest is not None:
            self.last_ns = newest.time_ns
        return newest

    def close(self) -> None:
        """Let go of the recording."""
        for held in (self._frames, self._pictures):
            close = getattr(held, "close", None)
            if close is not None:
                close()

    def _first_size(self) -> tuple[int, int]:
        if self._next is None:
            return 640, 360
        if self._next.image is not None:
            return self._next.image.shape[1], self._next.image.shape[0]
        # Boxes without pictures, of unknown size: large enough for most, and said so where it can be helped.
        return 1920, 1080
