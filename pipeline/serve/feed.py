"""Threads that read a ledger's topics into a view, and the ring of newest records that live watchers read from.

One thread a topic reads once for everybody: a hundred watchers cost the ledger no more than one does.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile

from mtmct.records import DEADLETTER, EVENTS, IDENTITIES, TRACKS
from operators.records import CrosscamError
from pipeline.ledger.base import LedgerReader, Stored
from pipeline.serve.view import SiteView

# Read in this order where order can be chosen: who is merged is known before the tracks are.
TOPICS = (IDENTITIES, TRACKS, EVENTS, DEADLETTER)
RING = 20_000
# A watcher takes no further page once it has so many records, so that none of them holds up the event loop.
FRAME = 2_000


@dataclass(frozen=True, slots=True)
class Numbered:
    """A record and its place in the ring."""

    number: int
    stored: Stored


class TooFarBehindError(CrosscamError):
    """What a watcher wants next is no longer in the ring."""


class Ring:
    """The newest records of all topics, page by page in the order in which they were read.

    Args:
        size: how many records are held, the newest page at least.
    """

    def __init__(self, size: int = RING) -> None:
        self._size = size
        self._pages: deque[list[Numbered]] = deque()
        self._lock = threading.Lock()
        self._next = 0
        self._reached: dict[str, str] = {}
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    @property
    def end(self) -> int:
        """The number that the next record will have."""
        return self._next

    def add(self, page: Sequence[Stored]) -> None:
        """Take in a page, which is not empty, and wake who waits: each event loop once."""
        with self._lock:
            self._pages.append([Numbered(number, stored) for number, stored in enumerate(page, self._next)])
            self._next += len(page)
            self._reached.update((stored.topic, stored.position) for stored in page)
            while len(self._pages) > 1 and self._next - self._pages[0][0].number > self._size:
                self._pages.popleft()
            woken = defaultdict(list)
            for loop, event in self._waiting:
                woken[loop].append(event)
        for loop, events in woken.items():
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(_set_all, events)

    def since(self, number: int) -> list[Numbered]:
        """Records from that number on: whole pages, until there are `FRAME` or more.

        Raises:
            TooFarBehindError: some of them are gone.
        """
        with self._lock:
            if number < (self._pages[0][0].number if self._pages else self._next):
                raise TooFarBehindError("the newest records have overtaken this watcher: resume from its last position")
            pages = list(takewhile(lambda page: page[-1].number >= number, reversed(self._pages)))
        found: list[Numbered] = []
        while pages and len(found) < FRAME:
            found += pages.pop()
        return found[max(number - found[0].number, 0) :] if found else []

    def now(self) -> tuple[int, dict[str, str]]:
        """The end, and by topic the position of the newest record before it."""
        with self._lock:
            return self._next, dict(self._reached)

    def numbers(self, positions: Mapping[str, str]) -> dict[str, int] | None:
        """The numbers of the records at these positions, by topic; None if one of them is not held."""
        with self._lock:
            found = {
                held.stored.topic: held.number
                for page in self._pages
                for held in page
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
    """

    def __init__(self, open_reader: Callable[[], LedgerReader], view: SiteView) -> None:
        self.view = view
        self.ring = Ring()
        self._open_reader = open_reader
        self._stop = threading.Event()
        self._caught_up = {topic: threading.Event() for topic in TOPICS}
        self._after: dict[str, str] = {}
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
        while not self._stop.is_set():
            reader: LedgerReader | None = None
            try:
                reader = self._open_reader()
                self._take(reader, topic, follow=False)
                self._errors.pop(topic, None)
                if not self._stop.is_set():
                    self._caught_up[topic].set()
                self._take(reader, topic, follow=True)
            except CrosscamError as error:
                self._errors[topic] = str(error)
                self._stop.wait(1.0)
            finally:
                if reader is not None:
                    reader.close()

    def _take(self, reader: LedgerReader, topic: str, *, follow: bool) -> None:
        """Read a topic on from where it was left."""
        for page in reader.pages(topic, after=self._after.get(topic), follow=follow, stop=self._stop.is_set):
            self.view.take(page)
            self.ring.add(page)
            self._after[topic] = page[-1].position


def _set_all(events: Iterable[asyncio.Event]) -> None:
    for event in events:
        event.set()
