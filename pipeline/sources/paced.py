"""A file as though it were live."""

from __future__ import annotations

from operators.records import SECOND_NS, Frame
from pipeline.sources.base import Brings, Clock, Item, Rejected, Source

_SLICE_S = 0.2


class Paced(Source):
    """Gives the frames of a file when they are due, counted from the first `read`; late ones at once.

    Event times stay those of the file. Where its first frame is yet to come, by the wall clock, they are counted from
    there: then they are the wall clock's, and those of several cameras go together. It is live, so whoever is too slow
    loses frames; unlike a camera it ends.

    Args:
        source: a file.
        clock: for waiting.
    """

    live = True

    def __init__(self, source: Source, clock: Clock) -> None:
        super().__init__(source.camera)
        self._source = source
        self._clock = clock
        self._began: tuple[float, int] | None = None

    @property
    def brings(self) -> Brings:
        """As the file."""
        return self._source.brings

    @property
    def brings_embeddings(self) -> bool:
        """As the file."""
        return self._source.brings_embeddings

    @property
    def calibration(self) -> tuple[float, float] | None:
        """As the file."""
        return self._source.calibration

    @property
    def classes(self) -> tuple[str, ...]:
        """As the file."""
        return self._source.classes

    @property
    def size(self) -> tuple[int, int] | None:
        """As the file."""
        return self._source.size

    @property
    def counts(self) -> dict[str, int]:
        """As of the last frame given."""
        return dict(self._counts)

    def now_ns(self) -> int | None:
        """See `Source.now_ns`."""
        began = self._began
        return None if began is None else began[1] + round((self._clock.monotonic() - began[0]) * SECOND_NS)

    def length(self) -> int | None:
        """As the file."""
        return self._source.length()

    def rate(self) -> float | None:
        """As the file."""
        return self._source.rate()

    def check(self) -> None:
        """See `Source.check`."""
        self._source.check()

    def open(self, position: bytes | None) -> None:
        """See `Source.open`."""
        self._source.open(position)
        self._waiting: Item | None = None
        self._began = None
        self._stopping = False
        self._settle()

    def read(self) -> Item | None:
        """See `Source.read`."""
        if self._waiting is None:
            self._waiting = self._source.read()
        item = self._waiting
        if isinstance(item, Frame):
            now = self._clock.monotonic()
            if self._began is None:
                early = (item.time_ns - self._clock.now_ns()) / SECOND_NS
                self._began = (now + max(early, 0.0), item.time_ns)
            wait = self._began[0] + (item.time_ns - self._began[1]) / SECOND_NS - now
            if wait > 0:
                if not self._stopping:
                    self._clock.sleep(min(wait, _SLICE_S))
                return None
        self._waiting = None
        self._settle()
        return item

    def position(self) -> bytes:
        """See `Source.position`."""
        return self._position

    def take_rejected(self) -> list[Rejected]:
        """See `Source.take_rejected`."""
        return [] if self._waiting is not None else self._source.take_rejected()

    def interrupt(self) -> None:
        """See `Source.interrupt`."""
        self._stopping = True

    def close(self) -> None:
        """See `Source.close`."""
        self._source.close()

    def _settle(self) -> None:
        self._position, self._counts = self._source.position(), self._source.counts
