"""A thread a camera that reads its source ahead: files wait for the worker, live cameras lose their oldest frames."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from operators.records import SECOND_NS, CrosscamError
from pipeline.camera import Delivery
from pipeline.sources.base import End, Interrupted, Rejected, Restored, Source
from pipeline.sources.masking import mask

# Frames of a file decoded ahead: enough to keep the predictor fed, few enough to stay small at 4K.
READ_AHEAD = 4
# A live camera's frames wait for so long, event time: a network delivers several at once, a thread wakes late, and a
# worker that keeps up on the whole is to lose none for it. One that does not keep up is half a second behind, no more.
LIVE_WAIT_NS = SECOND_NS // 2
# So many bytes of pictures, whatever their rate: ten of 1080p, two of 4K.
LIVE_BYTES = 64 * 2**20
# So many notes: whoever connects and loses again, time after time, fills no memory meanwhile.
LIVE_NOTES = 64


def most_waiting(live: bool, rate_hz: float, frame_bytes: int) -> int:
    """How many frames of a camera wait for its worker at most."""
    if not live:
        return READ_AHEAD
    return max(1, min(int(rate_hz * LIVE_WAIT_NS / SECOND_NS) + 1, LIVE_BYTES // frame_bytes))


@dataclass(frozen=True, slots=True)
class Ended:
    """The source has ended; what it counted and rejected since the last delivery."""

    counts: dict[str, int]
    rejected: tuple[Rejected, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """The source cannot be read any further: why, and what it counted and rejected since the last delivery."""

    reason: str
    counts: dict[str, int]
    rejected: tuple[Rejected, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """A live source was `lost` or `restored`, `interruptions` times so far."""

    state: str
    detail: str
    time_ns: int
    interruptions: int


Item = Delivery | Note | Ended | Failed


class Reader:
    """Reads one source in a thread of its own.

    Args:
        source: opened in the thread, closed by it.
        position: where to go on; None from the start.
        news: called from the thread whenever something can be taken.

    Attributes:
        behind: why a live camera's frames are not taken in time, as the reason the oldest are dropped for: `stale`
            where the worker is slow.
    """

    def __init__(self, source: Source, position: bytes | None, news: Callable[[], None]) -> None:
        self.source = source
        self._position = position
        self._news = news
        self.behind = "stale"
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
        self._stopped = False
        self._rejected: list[Rejected] = []
        self._thread = threading.Thread(target=self._run, name=f"read-{source.camera}", daemon=True)
        self._thread.start()

    def take(self) -> Item | None:
        """The next item, or None if there is none yet. Never blocks."""
        with self._changed:
            item = self._items.popleft() if self._items else None
            self._changed.notify()
            return item

    def has_items(self) -> bool:
        """Whether `take` would give something."""
        return bool(self._items)

    @property
    def waiting(self) -> int:
        """How many items can be taken."""
        return len(self._items)

    @property
    def frames(self) -> list[Delivery]:
        """The frames that can be taken, oldest first; they stay where they are."""
        with self._changed:
            return [item for item in self._items if isinstance(item, Delivery)]

    def stop(self) -> None:
        """Stop reading and wait for the thread, a few seconds at most."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self.source.interrupt()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        try:
            self.source.open(self._position)
            while not self._stopped:
                item = self.source.read()
                self._rejected += self.source.take_rejected()
                if item is None:
                    continue
                if isinstance(item, End):
                    self._put(Ended(dict(self.source.counts), tuple(self._rejected)))
                    return
                if isinstance(item, Interrupted):
                    self._put(Note("lost", item.detail, item.time_ns, self._interruptions()))
                elif isinstance(item, Restored):
                    self._put(Note("restored", item.detail, item.time_ns, self._interruptions()))
                else:
                    counts = dict(self.source.counts)
                    self._put(Delivery(item, self.source.position(), counts, {}, tuple(self._rejected)))
                    self._rejected.clear()
        except CrosscamError as error:
            self._fail(str(error))
        except Exception as error:  # a decoder's own errors must not end the other cameras
            self._fail(mask(f"camera {self.source.camera!r}: reading broke ({type(error).__name__}: {error})"))
        finally:
            self.source.close()

    def _fail(self, reason: str) -> None:
        self._put(Failed(reason, dict(self.source.counts), (*self._rejected, *self.source.take_rejected())))

    def _interruptions(self) -> int:
        return self.source.counts.get("interruptions", 0)

    def _put(self, item: Item) -> None:
        with self._changed:
            while self._full(item) and not self._stopped:
                self._changed.wait()
            self._items.append(item)
            if self.source.live and isinstance(item, Delivery):
                self._drop_oldest()
        self._news()

    def _full(self, item: Item) -> bool:
        """Whether the source has to wait; a live camera's frame never does."""
        if not self.source.live:
            return len(self._items) >= READ_AHEAD
        return not isinstance(item, Delivery) and sum(not isinstance(i, Delivery) for i in self._items) >= LIVE_NOTES

    def _drop_oldest(self) -> None:
        """Let go of what has waited too long or is too large; the next frame tells of it, and takes what it carried."""
        frames = [item for item in self._items if isinstance(item, Delivery)]
        newest_ns, size, kept = frames[-1].frame.time_ns, 0, 0
        for delivery in reversed(frames):
            size += 0 if delivery.frame.image is None else delivery.frame.image.nbytes
            if kept and (size > LIVE_BYTES or newest_ns - delivery.frame.time_ns > LIVE_WAIT_NS):
                break
            kept += 1
        lost, heir = frames[:-kept], frames[-kept]
        if not lost:
            return
        skipped, rejected = Counter({self.behind: len(lost)}), list[Rejected]()
        for delivery in (*lost, heir):
            skipped.update(delivery.skipped)
            rejected += delivery.rejected
        gone = {id(delivery) for delivery in lost}
        told = replace(heir, skipped=dict(skipped), rejected=tuple(rejected))
        self._items = deque(told if item is heir else item for item in self._items if id(item) not in gone)
