"""A thread a camera that reads its source ahead: files wait for the worker, live cameras keep only the newest frame."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from operators.records import CrosscamError
from pipeline.camera import Delivery
from pipeline.sources.base import End, Interrupted, Rejected, Restored, Source
from pipeline.sources.masking import mask

# Frames of a file decoded ahead: enough to keep the predictor fed, few enough to stay small at 4K.
READ_AHEAD = 4


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
        behind: why a live camera's frame is replaced by a newer one before it was taken, as the reason it is dropped
            for: `stale` where the worker is slow.
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
    def newest(self) -> Delivery | None:
        """The last frame that can be taken; it stays where it is."""
        with self._changed:
            return next((item for item in reversed(self._items) if isinstance(item, Delivery)), None)

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
            if self.source.live and isinstance(item, Delivery):
                self._replace_stale(item)
            else:
                while len(self._items) >= READ_AHEAD and not self._stopped:
                    self._changed.wait()
                self._items.append(item)
        self._news()

    def _replace_stale(self, item: Delivery) -> None:
        """Keep the newest frame only; the one it replaces is counted, and what it carried goes along."""
        rejected = list(item.rejected)
        skipped: Counter[str] = Counter()
        kept: deque[Item] = deque()
        for old in self._items:
            if isinstance(old, Delivery):
                skipped.update(old.skipped)
                skipped[self.behind] += 1
                rejected = [*old.rejected, *rejected]
            else:
                kept.append(old)
        kept.append(Delivery(item.frame, item.position, item.counts, dict(skipped), tuple(rejected)))
        self._items = kept
