"""Reading a ledger once for everybody who watches."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from two_people import write

from pipeline.ledger.base import Stored
from pipeline.ledger.sqlite import SqliteReader, SqliteWriter
from pipeline.serve.feed import Feed, Ring, TooFarBehindError
from pipeline.serve.view import SiteView


def stored(topic: str, position: int) -> Stored:
    return Stored(topic, "", {}, b"{}", 0, str(position))


def test_a_watcher_gets_what_comes_after_he_asked_in_order() -> None:
    ring = Ring(size=10)
    ring.add([stored("tracks", 1)])

    async def watch() -> list[str]:
        number = ring.end
        waiting = asyncio.create_task(ring.news(number))
        await asyncio.sleep(0)
        await asyncio.to_thread(ring.add, [stored("tracks", 2), stored("events", 3)])
        await asyncio.wait_for(waiting, 5)
        return [one.stored.position for one in ring.since(number)]

    assert asyncio.run(watch()) == ["2", "3"]


def test_a_watcher_who_is_overtaken_is_told_so() -> None:
    ring = Ring(size=3)
    for position in range(5):
        ring.add([stored("tracks", position)])
    with pytest.raises(TooFarBehindError, match="resume"):
        ring.since(0)
    assert [one.stored.position for one in ring.since(2)] == ["2", "3", "4"]


def test_a_watcher_gets_whole_pages_and_no_more_of_them_at_once_than_make_a_frame(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pipeline.serve.feed.FRAME", 4)
    ring = Ring()
    for first in range(0, 12, 3):
        ring.add([stored("tracks", position) for position in range(first, first + 3)])
    frames, number = [], 1
    while some := ring.since(number):
        frames.append([int(one.stored.position) for one in some])
        number = some[-1].number + 1
    assert frames == [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]


def test_all_watchers_of_a_page_are_woken_at_one_go() -> None:
    ring = Ring()

    async def watch() -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        watching = [asyncio.create_task(ring.news(ring.end)) for _ in range(100)]
        await asyncio.sleep(0)
        wakeups, call = 0, loop.call_soon_threadsafe

        def counted(*args: object) -> object:
            nonlocal wakeups
            wakeups += 1
            return call(*args)  # type: ignore[arg-type]

        loop.call_soon_threadsafe = counted  # type: ignore[method-assign,assignment]
        ring.add([stored("tracks", position) for position in range(40)])
        del loop.call_soon_threadsafe
        await asyncio.wait_for(asyncio.gather(*watching), 5)
        return wakeups, len(ring.since(0))

    assert asyncio.run(watch()) == (1, 40)


def test_positions_are_found_only_as_far_back_as_the_ring_reaches() -> None:
    ring = Ring(size=3)
    for page in (("tracks", 1),), (("events", 2), ("tracks", 3)), (("tracks", 4),):
        ring.add([stored(*one) for one in page])
    assert ring.numbers({"tracks": "3", "events": "2"}) == {"events": 1, "tracks": 2}
    assert ring.numbers({"tracks": "1"}) is None
    assert ring.now() == (4, {"tracks": "4", "events": "2"})


def test_everything_that_is_there_is_read_and_then_what_comes(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    write(SqliteWriter(path, "plaza"), seconds=5, end=False)
    view = SiteView()
    feed = Feed(lambda: SqliteReader(path), view)
    feed.start()
    assert feed.wait_until_caught_up(30) and feed.ready
    assert {one.camera for one in view.in_view()} == {"east"}
    feed.close()
    assert view.site == "plaza" and feed.ring.end == view.version


def test_a_ledger_that_is_not_there_yet_is_waited_for_and_said(tmp_path: Path) -> None:
    feed = Feed(lambda: SqliteReader(tmp_path / "ledger.sqlite"), SiteView())
    feed.start()
    assert not feed.wait_until_caught_up(0.3) and not feed.ready
    assert feed.error is not None and "there is no ledger" in feed.error
    feed.close()
