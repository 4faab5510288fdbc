"""For tests, ours and users': a ledger in memory, a line to fusion without Ray, a site run in this process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from typing import Any

from mtmct.records import CameraBatch
from pipeline.fusion_service import FusionService
from pipeline.lane import Resume
from pipeline.ledger.base import Encoded, FencedError, LedgerReader, LedgerWriter, Stored
from pipeline.link import FusionLink, FusionLostError
from pipeline.metrics.catalogue import Metric
from pipeline.schema.codec import decode


class MemoryLedger:
    """What a ledger holds, in memory. Outlives the writers that are opened on it."""

    def __init__(self) -> None:
        self.records: list[Encoded] = []
        self.state: dict[str, bytes] = {}
        self.commits = 0
        self.epoch = 0


class MemoryWriter(LedgerWriter):
    """Writes to a `MemoryLedger`.

    Args:
        before_commit: called with the number of the commit about to be made; may raise, as a crash would.
    """

    def __init__(self, ledger: MemoryLedger, before_commit: Callable[[int], None] = lambda number: None) -> None:
        self._ledger = ledger
        self._before_commit = before_commit
        self._epoch = 0

    @property
    def epoch(self) -> int:
        return self._epoch

    def open(self) -> dict[str, bytes]:
        self._ledger.epoch += 1
        self._epoch = self._ledger.epoch
        return dict(self._ledger.state)

    def commit(self, records: Sequence[Encoded], state: Mapping[str, bytes | None]) -> None:
        if self._epoch != self._ledger.epoch:
            raise FencedError("another writer has opened this ledger; stop this one")
        self._before_commit(self._ledger.commits)
        self._ledger.records += records
        self._ledger.state.update({key: value for key, value in state.items() if value is not None})
        for key in [key for key, value in state.items() if value is None]:
            self._ledger.state.pop(key, None)
        self._ledger.commits += 1

    def close(self) -> None:
        pass


class MemoryReader(LedgerReader):
    """Reads a `MemoryLedger`; never waits for more."""

    def __init__(self, ledger: MemoryLedger) -> None:
        self._ledger = ledger

    def pages(
        self, topic: str, *, after: str | None = None, follow: bool = False, stop: Callable[[], bool] = lambda: False
    ) -> Iterator[list[Stored]]:
        first = 0 if after is None else int(after) + 1
        some = [
            Stored(topic, record.key, decode(topic, record.value), record.value, record.time_ns, str(position))
            for position, record in enumerate(self._ledger.records[first:], first)
            if record.topic == topic
        ]
        if some:
            yield some

    def end(self, topic: str) -> str | None:
        positions = [i for i, record in enumerate(self._ledger.records) if record.topic == topic]
        return str(positions[-1]) if positions else None

    def state(self) -> dict[str, bytes]:
        return dict(self._ledger.state)

    def close(self) -> None:
        pass


class Noted:
    """A recorder that keeps what it is given.

    Attributes:
        values: by the metric's name and its tags in order; of a counter the sum, of a gauge the last, of a histogram
            how many.
    """

    def __init__(self) -> None:
        self.values: dict[tuple[str, ...], float] = {}

    def record(self, metric: Metric, value: float, **tags: str) -> None:
        if set(tags) != set(metric.tags):
            raise AssertionError(f"{metric.name} has the tags {metric.tags}, not {tuple(tags)}")
        key = (metric.name, *(tags[name] for name in metric.tags))
        before = self.values.get(key, 0.0)
        self.values[key] = {"counter": before + value, "gauge": value, "histogram": before + 1}[metric.kind]

    def of(self, metric: Metric, *tags: str) -> float | None:
        """The value under these tags; None where there is none."""
        return self.values.get((metric.name, *tags))


class LocalFusion:
    """A FusionService in a thread of this process, which can be killed and replaced like an actor.

    Args:
        build: makes the service; called anew by `restart`.
    """

    def __init__(self, build: Callable[[], FusionService]) -> None:
        self._build = build
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._generation = 0
        self._service = build()
        self._calls: set[Future[Any]] = set()

    def call(self, coroutine: Callable[[FusionService], Coroutine[Any, Any, Any]]) -> Future[Any]:
        """Start a call of the service; the future is cancelled if the service is killed first."""
        future = asyncio.run_coroutine_threadsafe(coroutine(self._service), self._loop)
        self._calls.add(future)
        future.add_done_callback(self._calls.discard)
        return future

    def restart(self) -> None:
        """Kill the service as a crash would, and put a new one in its place."""
        old, self._service = self._service, self._build()
        for call in list(self._calls):
            call.cancel()
        asyncio.run_coroutine_threadsafe(old.stop(), self._loop).result(10)

    def close(self) -> None:
        """Stop the service and its thread."""
        asyncio.run_coroutine_threadsafe(self._service.stop(), self._loop).result(10)
        asyncio.run_coroutine_threadsafe(_cancel_the_rest(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


async def _cancel_the_rest() -> None:
    rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


class LocalLink(FusionLink):
    """A shard's line to a `LocalFusion`."""

    def __init__(self, fusion: LocalFusion) -> None:
        self._fusion = fusion

    def start_camera(self, camera: str) -> Resume:
        resume: Resume = self._fusion.call(lambda service: service.start_camera(camera)).result()
        return resume

    def attach(self, camera: str, epoch: int) -> int:
        return int(self._fusion.call(lambda service: service.attach(camera, epoch)).result())

    def send(self, batch: CameraBatch) -> Any:
        return self._fusion.call(lambda service: service.submit(batch))

    def backpressure(self) -> str:
        try:
            return str(self._fusion.call(lambda service: service.backpressure()).result())
        except CancelledError:  # it is killed meanwhile
            return super().backpressure()

    def done(self, tickets: Sequence[Any], timeout: float) -> list[Any]:
        return list(wait(tickets, timeout, FIRST_COMPLETED).done) if tickets else []

    def result(self, ticket: Any) -> None:
        try:
            ticket.result()
        except CancelledError:
            raise FusionLostError("fusion was killed") from None
