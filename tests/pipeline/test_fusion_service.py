"""Order, acknowledgement and recovery of fusion, with an engine that only notes what it was given."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mtmct.records import TRACKS, CameraBatch, Commit, Record
from mtmct.tracklets import Tracklet
from operators.records import CrosscamError, StateError
from pipeline.commit_order import CommitOrder
from pipeline.fusion_service import END_OF_TIME, FusionService
from pipeline.lane import OutOfStepError, StoppedError, SupersededError
from pipeline.ledger.base import FencedError
from pipeline.schema.codec import open_codec
from pipeline.testing import MemoryLedger, MemoryReader, MemoryWriter

SECOND = 1_000_000_000


class NotingEngine:
    """Writes one `tracks` record a tracklet, and remembers how it was called."""

    def __init__(self) -> None:
        self.calls: list[tuple[tuple[str, ...], int]] = []

    def advance(self, batches: Sequence[CameraBatch], watermark_ns: int) -> Commit:
        self.calls.append((tuple(batch.camera for batch in batches), watermark_ns))
        records = [
            Record(TRACKS, "t", {"schema": "crosscam.tracks/1", "camera": t.camera, "track": t.track}, 0)
            for batch in batches
            for t in batch.tracklets
        ]
        letters = [letter for batch in batches for letter in batch.deadletters]
        return Commit(watermark_ns, (*records, *letters), {})

    def restore(self, state: Mapping[str, bytes]) -> None:
        self.restored = dict(state)


class Clock:
    """Seconds that stand still until they are set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """A service on a ledger in memory."""

    def __init__(
        self, cameras: Mapping[str, bool], ledger: MemoryLedger | None = None, interval_ns: int = SECOND
    ) -> None:
        self.ledger = ledger or MemoryLedger()
        self.engine = NotingEngine()
        self.clock = Clock()
        self.service = FusionService(
            order=CommitOrder("plaza", cameras, interval_ns, 0.2, self.clock),
            engine=self.engine,
            ledger=MemoryWriter(self.ledger),
            encode=open_codec().encode,
        )

    def values(self, topic: str) -> list[dict[str, Any]]:
        return [stored.value for stored in MemoryReader(self.ledger).read(topic)]


def batch(camera: str, sequence: int, interval: int, *, epoch: int = 1, final: bool = False) -> CameraBatch:
    at = interval * SECOND
    tracklet = Tracklet(
        camera,
        interval + 1,
        "person",
        *(np.array([n]) for n in (1, at)),
        np.zeros((1, 4), np.float32),
        np.ones(1, np.float32),
    )
    watermark = END_OF_TIME if final else at + SECOND
    return CameraBatch(camera, epoch, sequence, interval, watermark, (tracklet,), state=b"s%d" % sequence, final=final)


def failed(camera: str, sequence: int, interval: int) -> CameraBatch:
    last = batch(camera, sequence, interval)
    return replace(last, watermark_ns=END_OF_TIME, failed="bad.mp4: this is no video")


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 20))


def test_an_interval_waits_for_every_camera_and_takes_them_in_order_of_id() -> None:
    async def scenario() -> None:
        bench = Bench({"b": False, "a": False})
        for camera in ("b", "a"):
            await bench.service.start_camera(camera)
        first = asyncio.create_task(bench.service.submit(batch("b", 0, 5)))
        await asyncio.sleep(0)
        assert not first.done() and not bench.engine.calls
        await asyncio.gather(first, bench.service.submit(batch("a", 0, 5)))
        assert bench.engine.calls == [(("a", "b"), 6 * SECOND)]

    run(scenario())


def test_the_output_ends_with_a_flush_once_all_cameras_have_ended() -> None:
    async def scenario() -> None:
        bench = Bench({"a": False})
        await bench.service.start_camera("a")
        await bench.service.submit(batch("a", 0, 0, final=True))
        await bench.service.finished()
        assert bench.engine.calls[-1] == ((), END_OF_TIME)
        assert await bench.service.complete()

    run(scenario())


def test_a_repeated_delivery_is_acknowledged_and_not_written_twice() -> None:
    async def scenario() -> None:
        bench = Bench({"a": False})
        await bench.service.start_camera("a")
        once = batch("a", 0, 0)
        await asyncio.gather(bench.service.submit(once), bench.service.submit(once))
        await bench.service.submit(once)
        assert len(bench.values(TRACKS)) == 1

    run(scenario())


def test_batches_that_overtake_one_another_are_put_in_order() -> None:
    async def scenario() -> None:
        bench = Bench({"a": False})
        await bench.service.start_camera("a")
        early = asyncio.create_task(bench.service.submit(batch("a", 1, 1)))
        again = asyncio.create_task(bench.service.submit(batch("a", 1, 1)))
        await asyncio.sleep(0.01)
        assert not early.done() and not bench.engine.calls
        await asyncio.gather(bench.service.submit(batch("a", 0, 0)), early, again)
        assert [value["track"] for value in bench.values(TRACKS)] == [1, 2]

    run(scenario())


def test_a_worker_thought_dead_is_refused_once_another_has_its_camera() -> None:
    async def scenario() -> None:
        bench = Bench({"a": False, "b": False})
        await bench.service.start_camera("a")
        waiting = asyncio.create_task(bench.service.submit(batch("a", 0, 0)))
        await asyncio.sleep(0)
        resume = await bench.service.start_camera("a")
        assert (resume.epoch, resume.sequence, resume.state) == (2, 0, None)
        with pytest.raises(SupersededError):
            await waiting
        with pytest.raises(SupersededError):
            await bench.service.submit(batch("a", 0, 0, epoch=1))
        with pytest.raises(SupersededError):
            await bench.service.attach("a", 1)

    run(scenario())


def test_what_a_dead_worker_had_said_does_not_let_the_others_run_ahead() -> None:
    async def scenario() -> None:
        bench = Bench({"a": False, "b": False})
        await bench.service.start_camera("a")
        await bench.service.start_camera("b")
        ahead = [asyncio.create_task(bench.service.submit(batch("a", n, n))) for n in range(3)]
        await asyncio.sleep(0)
        await bench.service.start_camera("a")
        late = asyncio.create_task(bench.service.submit(batch("b", 0, 0)))
        await asyncio.sleep(0.05)
        assert not late.done() and not bench.engine.calls
        await asyncio.gather(late, bench.service.submit(batch("a", 0, 0, epoch=2)))
        assert bench.engine.calls == [(("a", "b"), SECOND)]
        assert all(isinstance(error, SupersededError) for error in await asyncio.gather(*ahead, return_exceptions=True))

    run(scenario())


def test_a_restarted_service_goes_on_from_the_last_commit() -> None:
    async def scenario() -> None:
        bench = Bench({"a": False})
        await bench.service.start_camera("a")
        await bench.service.submit(batch("a", 0, 0))
        again = Bench({"a": False}, bench.ledger)
        with pytest.raises(OutOfStepError):
            await again.service.submit(batch("a", 1, 1))
        assert await again.service.attach("a", 1) == 1
        await again.service.submit(batch("a", 1, 1))
        resume = await again.service.start_camera("a")
        assert resume.epoch > 1
        assert (resume.sequence, resume.state) == (2, b"s1")
        assert [value["track"] for value in again.values(TRACKS)] == [1, 2]

    run(scenario())


def test_a_worker_of_a_fusion_that_died_before_its_first_commit_is_told_from_its_replacement() -> None:
    async def scenario() -> None:
        bench = Bench({"a": False})
        thought_dead = (await bench.service.start_camera("a")).epoch
        again = Bench({"a": False}, bench.ledger)  # nothing was committed: the ledger knows of no epoch of the camera
        replacement = (await again.service.start_camera("a")).epoch
        with pytest.raises(SupersededError):
            await again.service.attach("a", thought_dead)
        with pytest.raises(SupersededError):
            await again.service.submit(batch("a", 0, 0, epoch=thought_dead))
        await again.service.submit(batch("a", 0, 0, epoch=replacement))
        assert [value["track"] for value in again.values(TRACKS)] == [1]

    run(scenario())


def test_a_service_whose_ledger_was_taken_over_says_so_and_writes_nothing() -> None:
    async def scenario() -> None:
        bench = Bench({"a": False})
        await bench.service.start_camera("a")
        await Bench({"a": False}, bench.ledger).service.start()
        with pytest.raises(FencedError):
            await bench.service.submit(batch("a", 0, 0))
        with pytest.raises(FencedError):
            await bench.service.finished()
        assert not bench.ledger.records

    run(scenario())


def test_a_silent_live_camera_stops_holding_the_others_back_and_what_comes_late_is_kept() -> None:
    async def scenario() -> None:
        bench = Bench({"live": True, "other": True})
        await bench.service.start_camera("live")
        await bench.service.start_camera("other")
        waiting = asyncio.create_task(bench.service.submit(batch("other", 0, 7)))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        bench.clock.now = 0.5
        await waiting
        assert bench.engine.calls == [(("other",), 8 * SECOND)]
        late = asyncio.create_task(bench.service.submit(batch("live", 0, 6)))
        await asyncio.gather(
            late, bench.service.submit(batch("other", 1, 8)), bench.service.submit(batch("live", 1, 8))
        )
        letters = bench.values("deadletter")
        assert [letter["reason"] for letter in letters] == ["late"]
        assert letters[0]["payload"]["track"] == 7
        assert (await bench.service.status())["cameras"]["live"]["late"] == 1

    run(scenario())


def test_a_silent_file_holds_the_others_back_for_ever() -> None:
    async def scenario() -> None:
        bench = Bench({"file": False, "live": True})
        await bench.service.start_camera("file")
        await bench.service.start_camera("live")
        waiting = asyncio.create_task(bench.service.submit(batch("live", 0, 0)))
        bench.clock.now = 1e6
        await asyncio.sleep(0.2)
        assert not waiting.done()
        await bench.service.submit(batch("file", 0, 0))
        await waiting

    run(scenario())


def test_a_camera_that_failed_is_said_and_the_others_go_on() -> None:
    async def scenario() -> None:
        bench = Bench({"good": False, "bad": False})
        await bench.service.start_camera("good")
        await bench.service.start_camera("bad")
        sent = [bench.service.submit(failed("bad", 0, 0)), bench.service.submit(batch("good", 0, 0, final=True))]
        await asyncio.gather(*sent)
        await bench.service.finished()
        assert (await bench.service.status())["cameras"]["bad"]["failed"] == "bad.mp4: this is no video"
        assert await bench.service.complete()

    run(scenario())


def test_a_failure_is_remembered_by_a_service_that_restarts() -> None:
    async def scenario() -> None:
        bench = Bench({"bad": False, "good": False})
        await bench.service.start_camera("bad")
        await bench.service.start_camera("good")
        await asyncio.gather(bench.service.submit(failed("bad", 0, 0)), bench.service.submit(batch("good", 0, 0)))
        again = Bench({"bad": False, "good": False}, bench.ledger)
        assert (await again.service.start_camera("bad", retry_failed=False)).final
        await again.service.attach("good", 1)
        await again.service.submit(batch("good", 1, 1, final=True))
        await again.service.finished()
        assert (await again.service.status())["cameras"]["bad"]["failed"] == "bad.mp4: this is no video"

    run(scenario())


def test_a_new_run_tries_a_failed_camera_again_where_it_left_off() -> None:
    async def scenario() -> None:
        bench = Bench({"bad": False, "good": False})
        await bench.service.start_camera("bad")
        await bench.service.start_camera("good")
        await asyncio.gather(bench.service.submit(failed("bad", 0, 0)), bench.service.submit(batch("good", 0, 0)))
        again = Bench({"bad": False, "good": False}, bench.ledger)
        resume = await again.service.start_camera("bad")
        assert (resume.final, resume.sequence, resume.state) == (False, 1, b"s0")
        await again.service.attach("good", 1)
        waiting = asyncio.create_task(again.service.submit(batch("good", 1, 1)))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        await asyncio.gather(waiting, again.service.submit(batch("bad", 1, 1, epoch=resume.epoch)))

    run(scenario())


def test_another_interval_than_the_ledgers_is_refused_in_a_sentence() -> None:
    async def scenario() -> None:
        bench = Bench({"a": False})
        await bench.service.start_camera("a")
        await bench.service.submit(batch("a", 0, 0))
        with pytest.raises(StateError, match=r"written with interval 1s .* this run has 2s"):
            await Bench({"a": False}, bench.ledger, interval_ns=2 * SECOND).service.start()

    run(scenario())


def test_an_unknown_camera_is_refused_in_a_sentence() -> None:
    async def scenario() -> None:
        with pytest.raises(CrosscamError, match="'x' is not part of site 'plaza'"):
            await Bench({"a": False}).service.start_camera("x")

    run(scenario())


def test_a_service_that_waits_for_its_ledger_can_be_stopped() -> None:
    class AwayWriter(MemoryWriter):
        def open(self) -> dict[str, bytes]:
            while True:
                bench.service.on_wait("k1:9092 does not answer; trying again in 1 s")
                waits.set()
                time.sleep(0.01)

    async def scenario() -> None:
        bench.service._ledger = AwayWriter(bench.ledger)
        starting = asyncio.create_task(bench.service.start())
        await asyncio.to_thread(waits.wait, 10)
        assert (await bench.service.status())["waiting_for"] == "k1:9092 does not answer; trying again in 1 s"
        await bench.service.stop()
        with pytest.raises(StoppedError):
            await starting

    waits = threading.Event()
    bench = Bench({"a": False})
    run(scenario())


def test_the_status_names_live_cameras_whose_clocks_are_minutes_apart() -> None:
    async def scenario() -> None:
        bench = Bench({"a": True, "b": True, "c": True})
        for camera in "abc":
            await bench.service.start_camera(camera)
        sent = []
        for second in range(3):
            bench.clock.now = 1.0 + second
            for camera, interval in (("a", 1000), ("b", 1000), ("c", 1200)):
                sent.append(asyncio.create_task(bench.service.submit(batch(camera, second, interval + second))))
                await asyncio.sleep(0)
        cameras = (await bench.service.status())["cameras"]
        assert [cameras[camera]["apart_s"] for camera in "abc"] == [None, None, pytest.approx(200, abs=2)]
        assert [cameras[camera]["batches_apart"] for camera in "abc"] == [0, 0, 3]
        assert {cameras[camera]["skew_ms"] for camera in "abc"} == {None}
        for task in sent:
            task.cancel()
        await asyncio.gather(*sent, return_exceptions=True)
        await bench.service.stop()

    run(scenario())
