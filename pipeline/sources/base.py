"""The contract of a source: where one camera's frames come from, whatever it is made of.

    Source
    ├── VideoFile          a file that PyAV reads
    ├── ImageFolder        pictures in the order of their names
    ├── MotTextFile        detections made elsewhere: no picture, no detector
    ├── RowFile            the same as JSONL or Parquet
    ├── SimulatedCamera    a camera of a simulated site
    ├── LiveVideo          RTSP, HTTP, a device: reconnects for ever
    └── Paced              any of the above at its own speed

A source is used by one thread (a camera's reader), except for `interrupt`.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from operators.records import CrosscamError, Frame, StateError, pack, unpack

POSITION_VERSION = 1
# The names that class indices refer to where nobody chose others: what moves in a street, by COCO's names.
DEFAULT_CLASSES = ("person", "bicycle", "car", "motorcycle", "bus", "truck")

Brings = Literal["frames", "boxes", "tracks"]
Crop = tuple[int, int, int, int]


class SourceError(CrosscamError):
    """A source cannot be used; the sentence says what, where, and what to do."""


class Clock(Protocol):
    """What live sources know of time."""

    def now_ns(self) -> int:
        """Wall-clock time, nanoseconds UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """This machine's clock."""

    def now_ns(self) -> int:
        """Wall-clock time, nanoseconds UTC."""
        return time.time_ns()

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


@dataclass(frozen=True, slots=True)
class End:
    """A file has been read to its end. Every further `read` gives it again."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A live source is away. It goes on trying by itself; every failed try is one of these.

    Attributes:
        detail: a sentence for people, without passwords.
        attempt: how many tries in a row have failed, from 1.
        retry_in_s: how long the source waits before the next try.
        time_ns: wall-clock time, nanoseconds UTC.
    """

    detail: str
    attempt: int
    retry_in_s: float
    time_ns: int


@dataclass(frozen=True, slots=True)
class Restored:
    """A live source is back; its next frame follows.

    Attributes:
        detail: a sentence for people, without passwords.
        attempts: how many tries it took.
        time_ns: wall-clock time, nanoseconds UTC.
    """

    detail: str
    attempts: int
    time_ns: int


Item = Frame | Interrupted | Restored | End


@dataclass(frozen=True, slots=True)
class Rejected:
    """Input that could not be read, kept for the dead letters.

    Attributes:
        reason: a short code such as `bad_box`.
        detail: a sentence for people: which file and line, and what is wrong with it.
        payload: the input itself as text, cut off where it is very long.
        time_ns: event time of the frame it belongs to, or of the last one before it.
    """

    reason: str
    detail: str
    payload: str
    time_ns: int


class Source(ABC):
    """Frames of one camera in time order.

    Frame accounting, true after every `read`: `counts["decoded"]` is the number of frames given so far plus the sum
    of all `counts["dropped.<reason>"]`. Frame numbers count what the source holds, skipped frames as well, from 1.
    Event times of frames strictly increase.

    Attributes:
        camera: camera id, stamped on every frame.
        live: frames may be lost while nobody reads, and the source never ends by itself. What is not live never
            loses a frame, and the same file gives the same frames every time.
    """

    live: bool = False

    def __init__(self, camera: str) -> None:
        self.camera = camera
        self._tally = Tally()
        self._rejected: list[Rejected] = []

    @property
    def brings(self) -> Brings:
        """frames: pictures. boxes: `Frame.given`, no detector is needed. tracks: with ids, nor is a tracker.

        May be asked before `open`. Where a file has to be looked into and cannot be read it says `boxes`; `open`
        then says what is wrong.
        """
        return "frames"

    @property
    def brings_embeddings(self) -> bool:
        """Whether `Frame.given.embeddings` is there. A row of NaN stands for a box without one."""
        return False

    @property
    def calibration(self) -> tuple[float, float] | None:
        """Slope and offset of the log-likelihood ratio "same" against "another" over the embeddings' cosine, nats.

        None where the source does not know: then it is that of the model that the embeddings are taken to be from.
        """
        return None

    @property
    def classes(self) -> tuple[str, ...]:
        """Names that the class indices in `Frame.given` refer to; empty where the source brings frames."""
        return ()

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of the (cropped) picture in pixels; None while unknown."""
        return None

    def now_ns(self) -> int | None:
        """Event time of now, for a live source that has nothing to show: what it has not given up to here it never
        will. None for files, and while a live source does not know yet. From any thread."""
        return None

    def length(self) -> int | None:
        """How many frames the source holds, for a progress bar; None where it does not end or does not say."""
        return None

    def rate(self) -> float | None:
        """Frames a second that it gives, nominally: what trackers count in. None where it does not say."""
        return None

    def check(self) -> None:
        """Find out what would fail, without keeping anything open. Live sources are not tried.

        Raises:
            SourceError: `open` would raise it.
        """
        if not self.live:
            self.open(None)
            self.close()

    @abstractmethod
    def open(self, position: bytes | None) -> None:
        """Get ready to read: from the start, or after the frame that `position` was taken after.

        A file goes on exactly as though it had never stopped: same frames, times, counts. A live source goes on
        counting, and connects with the first `read`. May be called again after `close`.

        Raises:
            SourceError: the file is missing, empty, not readable, or no longer what it was.
            StateError: `position` was taken from a source of another kind or by a newer version.
        """

    @abstractmethod
    def read(self) -> Item | None:
        """The next frame or event; None where a live source has nothing yet (ask again at once).

        Blocks while a file is decoded. A live source blocks at most for its connect or read time-out.
        """

    @abstractmethod
    def position(self) -> bytes:
        """Where to go on after the last frame given; to be taken before the next `read`."""

    @property
    def counts(self) -> dict[str, int]:
        """Cumulative, across resumes: `decoded`, `dropped.<reason>`, and besides frames `rows.<reason>` (rows of a
        detections file that are not in any frame) and `interruptions`."""
        return self._tally.counts

    def take_rejected(self) -> list[Rejected]:
        """What could not be read since the last call, in order; also to be asked after `End`."""
        taken, self._rejected = self._rejected, []
        return taken

    def skip_to(self, time_ns: int) -> None:  # noqa: B027  (sources that cannot seek are read through)
        """Leave out what lies well before that event time, if the source can: for whoever looks at single pictures.

        To be called right after `open(None)`. Frame numbers and counts mean nothing afterwards.
        """

    def interrupt(self) -> None:  # noqa: B027  (sources that never wait need not do anything)
        """Make a waiting `read` return soon. From any thread."""

    def close(self) -> None:  # noqa: B027
        """Release what is held; safe to call twice."""


@dataclass(slots=True)
class Tally:
    """Counts of one source."""

    _counts: dict[str, int] = field(default_factory=lambda: {"decoded": 0})

    @property
    def counts(self) -> dict[str, int]:
        """A copy."""
        return dict(self._counts)

    def decoded(self) -> None:
        """One more frame has come out of the source."""
        self._counts["decoded"] += 1

    def add(self, name: str) -> None:
        """One more of something."""
        self._counts[name] = self._counts.get(name, 0) + 1

    def put(self, name: str, count: int) -> None:
        """So many of something, where that is known; none is not mentioned."""
        if count:
            self._counts[name] = count

    def dropped(self, reason: str) -> None:
        """The frame just decoded will not be given."""
        self.add(f"dropped.{reason}")

    def restore(self, counts: Mapping[str, int]) -> None:
        """Go on from here."""
        self._counts = {"decoded": 0, **counts}


def write_position(kind: str, **fields: Any) -> bytes:
    """A position as bytes; `kind` keeps sources of different kinds apart."""
    return pack({"version": POSITION_VERSION, "kind": kind, **fields})


def read_position(kind: str, camera: str, position: bytes) -> dict[str, Any]:
    """The fields of a position.

    Raises:
        StateError: it is damaged, or was taken from a source of another kind or by another version.
    """
    fields = unpack(position)
    if not isinstance(fields, dict) or fields.get("version") != POSITION_VERSION:
        raise StateError(
            f"camera {camera!r}: the stored position in its source is of a version that this build does not read; "
            "go on with the build that wrote it, or start a new ledger"
        )
    if fields.get("kind") != kind:
        raise StateError(
            f"camera {camera!r}: the stored position belongs to a source of another kind ({fields.get('kind')}, now "
            f"{kind}); go on with the source it had, or give the camera a new id"
        )
    return fields
