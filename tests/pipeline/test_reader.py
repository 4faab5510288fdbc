"""Reading ahead: what a worker that looks away for a moment finds of a live camera, and what it has lost."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from operators.records import SECOND_NS, Frame
from pipeline.camera import Delivery
from pipeline.reader import LIVE_BYTES, LIVE_NOTES, READ_AHEAD, Ended, Item, Note, Reader, most_waiting
from pipeline.sources import base
from pipeline.sources.base import End, Interrupted, Rejected, Source

FPS = 10


class Camera(Source):
    """Live; gives what it is told to, and says when it is waited for again."""

    live = True

    def __init__(self) -> None:
        super().__init__("north")
        self.told: queue.SimpleQueue[base.Item | None] = queue.SimpleQueue()
        self.asked = threading.Semaphore(0)
        self.unreadable: list[Rejected] = []

    def open(self, position: bytes | None) -> None:
        pass

    def read(self) -> base.Item | None:
        self.asked.release()
        item = self.told.get()
        if isinstance(item, Frame):
            self._tally.decoded()
        elif isinstance(item, Interrupted):
            self._tally.add("interruptions")
        return item

    def position(self) -> bytes:
        return b""

    def take_rejected(self) -> list[Rejected]:
        taken, self.unreadable = self.unreadable, []
        return taken

    def interrupt(self) -> None:
        self.told.put(None)

    def close(self) -> None:
        pass


class Bench:
    """A reader, and what is put before it."""

    def __init__(self) -> None:
        self.camera = Camera()
        self.reader = Reader(self.camera, None, lambda: None)
        self.camera.asked.acquire()

    def give(self, item: base.Item) -> None:
        """Until the reader has put it where it can be taken."""
        self.camera.told.put(item)
        assert self.camera.asked.acquire(timeout=10)

    def film(self, frames: int, *, first: int = 1, pixels: tuple[int, int] | None = None) -> None:
        image = None if pixels is None else np.zeros((*pixels, 3), np.uint8)
        for number in range(first, first + frames):
            self.give(Frame("north", number, number * SECOND_NS // FPS, image))

    def take(self) -> list[Item]:
        items = []
        while (item := self.reader.take()) is not None:
            items.append(item)
        return items


@pytest.fixture
def bench() -> Iterator[Bench]:
    one = Bench()
    yield one
    one.reader.stop()


def numbers(items: list[Item]) -> list[int]:
    return [item.frame.index for item in items if isinstance(item, Delivery)]


def away(attempt: int) -> Interrupted:
    return Interrupted(f"nobody answers, {attempt}", attempt, 1.0, attempt * SECOND_NS)


def test_frames_that_come_all_at_once_are_all_there_a_moment_later(bench: Bench) -> None:
    bench.film(5)
    assert bench.reader.waiting == 5
    taken = bench.take()
    assert numbers(taken) == [1, 2, 3, 4, 5]
    assert not any(item.skipped for item in taken if isinstance(item, Delivery))


def test_of_a_worker_that_is_away_for_longer_the_oldest_go_and_the_next_one_says_so(bench: Bench) -> None:
    bench.camera.unreadable = [Rejected("bad_box", "a box of no size", "", 0)]
    bench.film(8)
    bench.reader.behind = "ledger_backpressure"
    bench.film(1, first=9)
    assert [d.frame.index for d in bench.reader.frames] == [4, 5, 6, 7, 8, 9], "half a second"
    first, *rest = (item for item in bench.take() if isinstance(item, Delivery))
    assert first.skipped == {"stale": 2, "ledger_backpressure": 1}
    assert [letter.reason for letter in first.rejected] == ["bad_box"]
    assert not any(item.skipped or item.rejected for item in rest)
    decoded = first.counts["decoded"]
    assert decoded == first.frame.index == 1 + sum(first.skipped.values()), "every frame is in one of the two"


def test_large_pictures_are_fewer_and_the_newest_is_always_there(bench: Bench) -> None:
    half = (LIVE_BYTES // 2 // 3 // 1000, 1000)
    bench.film(4, pixels=half)
    assert numbers(bench.take()) == [3, 4]
    bench.film(2, first=5, pixels=(half[0] * 3, 1000))
    assert numbers(bench.take()) == [6]


def test_what_can_wait_is_known_beforehand() -> None:
    assert most_waiting(False, 25.0, 10) == READ_AHEAD
    assert most_waiting(True, float(FPS), 10) == 6, "as in half a second"
    assert most_waiting(True, 25.0, LIVE_BYTES // 2) == 2, "as of large pictures"
    assert most_waiting(True, 25.0, 2 * LIVE_BYTES) == 1


def test_what_became_of_the_camera_stays_where_it_was_among_the_frames(bench: Bench) -> None:
    bench.film(2)
    bench.give(away(1))
    bench.film(6, first=3)
    taken = bench.take()
    assert [item.state if isinstance(item, Note) else numbers([item])[0] for item in taken] == ["lost", *range(3, 9)]
    assert isinstance(taken[1], Delivery) and taken[1].skipped == {"stale": 2}


def test_a_camera_that_is_lost_again_and_again_waits_before_it_fills_the_memory(bench: Bench) -> None:
    for attempt in range(1, LIVE_NOTES + 1):
        bench.give(away(attempt))
    bench.camera.told.put(away(LIVE_NOTES + 1))
    assert not bench.camera.asked.acquire(timeout=0.1), "it is not read on"
    assert isinstance(bench.reader.take(), Note)
    assert bench.camera.asked.acquire(timeout=10)
    assert len(bench.take()) == LIVE_NOTES


def test_a_stream_that_ends_loses_nothing_of_what_waits(bench: Bench) -> None:
    bench.film(5)
    bench.camera.told.put(End())
    taken: list[Item] = []
    while not (taken and isinstance(taken[-1], Ended)):
        taken += bench.take()
    assert numbers(taken) == [1, 2, 3, 4, 5]
