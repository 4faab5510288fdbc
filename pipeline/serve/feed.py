"""Threads that read a ledger's topics into a view, and the ring of newest records that live watchers read from.

One thread a topic reads once for everybody: a hundred watchers cost the ledger no more than one does.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from mtmct.records import DEADLETTER, EVENTS, IDENTITIES, TRACKS
from operators.records import CrosscamError
from pipeline.ledger.base import LedgerReader, Stored
from pipeline.serve.view import SiteView

# Read in this order where order can be chosen: who is merged is known before the tracks are.
TOPICS = (IDENTITIES, TRACKS, EVENTS, DEADLETTER)
RING = 20_000
# One frame of a watcher holds so many at most, so that none of them holds up the event loop.
FRAME = 2_000


@dataclass(frozen=True, slots=True)
class Numbered:
    """A record and its place in the ring."""

    number: int
    stored: Stored


class TooFarBehindError(CrosscamError):
    """What a watcher wants next is no longer in the ring."""


class Ring:
    """The newest records of all topics, in the order in which they were read.

    Args:
        size: how many are held.
    """

    def __init__(self, size: int = RING) -> None:
        self._held: deque[Numbered] = deque(maxlen=size)
        self._lock = threading.Lock()
        self._next = 0
        self._reached: dict[str, str] = {}
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    @property
    def end(self) -> int:
        """The number that the next record will have."""
        return self._next

    def add(self, some: Sequence[Stored]) -> None:
        """Take in records, and wake who waits."""
        with self._lock:
            for stored in some:
                self._held.append(Numbered(self._next, stored))
                self._next += 1
                self._reached[stored.topic] = stored.position
            waiting = list(self._waiting)
        for loop, event in waiting:
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(event.set)

    def since(self, number: int) -> list[Numbered]:
        """Records from that number on, `FRAME` at most.

        Raises:
            TooFarBehindError: some of them are gone.
        """
        with self._lock:
            first = self._held[0].number if self._held else self._next
            if number < first:
                raise TooFarBehindError("the newest records have overtaken this watcher: resume from its last position")
            start = number - first
            return [self._held[row] for row in range(start, min(start + FRAME, len(self._held)))]

    def reached(self) -> dict[str, str]:
        """By topic, the position of the newest record that was taken in."""
        with self._lock:
            return dict(self._reached)

    def numbers(self, positions: Mapping[str, str]) -> dict[str, int] | None:
        """The numbers of the records at these positions, by topic; None if one of them is not held."""
        with self._lock:
            found = {
                held.stored.topic: held.number
                for held in self._held
                if positions.get(held.stored.topic) == held.stored.position
            }
            return found if len(found) == len(positions) else None

    async def news(self, number: int) -> None:
        """Wait until there is a record of that number."""
        event = asyncio.Event()
        entry = (asyncio.get_running_loop(), event)
        with self._lock:
            if self._next > number:
                return
            self._waiting.add(entry)
        try:
            await event.wait()
        finally:
            with self._lock:
                self._waiting.discard(entry)


class Feed:
    """Reads a ledger into a view and a ring until it is closed.

    Args:
        open_reader: opens the ledger; once a topic, each read in a thread of its own.
        view: what is read is folded into it.
        batch: records a thread takes at once, at most.
    """

    def __init__(self, open_reader: Callable[[], LedgerReader], view: SiteView, *, batch: int = 500) -> None:
        self.view = view
        self.ring = Ring()
        self._open_reader = open_reader
        self._batch = batch
        self._stop = threading.Event()
        self._caught_up = {topic: threading.Event() for topic in TOPICS}
        self._errors: dict[str, str] = {}
        self._threads = [
            threading.Thread(target=self._run, args=(topic,), name=f"feed-{topic}", daemon=True) for topic in TOPICS
        ]

    def start(self) -> None:
        """Begin to read."""
        for thread in self._threads:
            thread.start()

    def wait_until_caught_up(self, timeout_s: float | None = None) -> bool:
        """Wait until everything that was there at the start has been read."""
        return all(event.wait(timeout_s) for event in self._caught_up.values())

    @property
    def ready(self) -> bool:
        """Everything that was there at the start has been read, and nothing stands in the way of reading on."""
        return not self._errors and all(event.is_set() for event in self._caught_up.values())

    @property
    def error(self) -> str | None:
        """Why the ledger is not being read, for people."""
        return next(iter(self._errors.values()), None)

    def close(self) -> None:
        """Stop reading."""
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=5)

    def _run(self, topic: str) -> None:
        after: str | None = None
        while not self._stop.is_set():
            reader: LedgerReader | None = None
            try:
                reader = self._open_reader()
                end = reader.end(topic) if after is None else None
                if end is None:
                    self._caught_up[topic].set()
                for some in self._batches(reader, topic, after, end):
                    self._errors.pop(topic, None)
                    for stored in some:
                        self.view.take(stored)
                    self.ring.add(some)
                    after = some[-1].position
                    if after == end:
                        self._caught_up[topic].set()
            except CrosscamError as error:
                self._errors[topic] = str(error)
                self._stop.wait(1.0)
            finally:
                if reader is not None:
                    reader.close()

    def _batches(
        self, reader: LedgerReader, topic: str, after: str | None, end: str | None
    ) -> Iterator[Sequence[Stored]]:
        """Records as they come: in batches until `end`, so that a long past is read fast, then each as it comes."""
        held: list[Stored] = []
        behind = end is not None
        for stored in reader.read(topic, after=after, follow=True, stop=self._stop.is_set):
            held.append(stored)
            if stored.position == end:
                behind = False
            if not behind or len(held) >= self._batch:
                yield held
                held = []
