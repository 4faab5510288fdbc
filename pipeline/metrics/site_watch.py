"""What fusion tells of the site: commits and how long they take, identities, watermarks, and what waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

from mtmct.records import DEADLETTER, EVENTS, IDENTITIES, TRACKS, Record
from mtmct.state import IDENTITY
from operators.records import SECOND_NS
from pipeline.lane import Lane
from pipeline.metrics import catalogue as metrics
from pipeline.metrics.catalogue import Metric
from pipeline.metrics.recorder import Growth, Recorder

EVERY_S = 1.0
CORRECTIONS = frozenset({"merged", "split", "retracted"})
# Latencies observed of one commit; a large site's commit has thousands.
_SAMPLE = 64
# Watermarks beyond this belong to cameras that have ended or failed.
_NEVER = 2**62


class SiteWatch:
    """Records what one site's fusion does.

    Args:
        recorder: takes the values.
        by_the_clock: cameras whose event time is the wall clock's, so that lag and latency mean something.
        clock: monotonic seconds.
        now_ns: wall clock, nanoseconds UTC.
    """

    def __init__(
        self,
        recorder: Recorder,
        by_the_clock: Collection[str] = (),
        *,
        clock: Callable[[], float] = time.monotonic,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._record = recorder.record
        self._by_the_clock = frozenset(by_the_clock)
        self._clock = clock
        self._now_ns = now_ns
        self._growth = Growth()
        self._alive: set[str] = set()

    @contextmanager
    def timed(self, metric: Metric) -> Iterator[None]:
        """Observe how long the block takes, however it ends."""
        began = self._clock()
        try:
            yield
        finally:
            self._record(metric, self._clock() - began)

    def restored(self, state: Mapping[str, bytes], lanes: Mapping[str, Lane]) -> None:
        """Fusion goes on from this state."""
        self._alive = {key for key in state if key.startswith(IDENTITY)}
        for camera, lane in lanes.items():
            self._growth.begin(camera, lane.late)

    def keep_to(self, by_the_clock: Collection[str]) -> None:
        """The cameras have changed: these keep to the wall clock now."""
        self._by_the_clock = frozenset(by_the_clock)

    def taken_over(self, camera: str) -> None:
        """A worker has taken the camera over."""
        self._record(metrics.TAKEOVERS, 1, camera=camera)

    def committed(self, records: Sequence[Record], state: Mapping[str, bytes | None]) -> None:
        """A commit has been made."""
        self._record(metrics.COMMITS, 1)
        for key, value in state.items():
            if key.startswith(IDENTITY):
                (self._alive.discard if value is None else self._alive.add)(key)
        self._record(metrics.IDENTITIES_ALIVE, len(self._alive))
        topics: dict[str, int] = {}
        for record in records:
            topics[record.topic] = topics.get(record.topic, 0) + 1
            if record.topic == IDENTITIES and record.value["event"] in CORRECTIONS:
                self._record(metrics.CORRECTIONS, 1, kind=record.value["event"])
            elif record.topic == DEADLETTER:
                self._record(metrics.DEAD_LETTERS, 1, reason=record.value["reason"])
            elif record.topic == EVENTS and record.value["type"] == "clock_skew":
                self._record(metrics.CLOCK_SKEW, record.value["skew"], camera=record.value["camera"])
        for topic, count in topics.items():
            self._record(metrics.RECORDS, count, topic=topic)
        self._observe_latency(records)

    def look(self, lanes: Mapping[str, Lane], *, waiting: bool, ready: bool) -> None:
        """Record what stands still as well, once every `EVERY_S`.

        Args:
            lanes: the site's cameras.
            waiting: the ledger does not answer.
            ready: the site commits, and every camera has its worker.
        """
        self._record(metrics.LEDGER_WAITING, float(waiting))
        self._record(metrics.READY, float(ready))
        now_ns = self._now_ns()
        for camera, lane in lanes.items():
            self._record(metrics.BATCHES_WAITING, len(lane.queue) + len(lane.early), camera=camera)
            self._record(metrics.CAMERA_FAILED, float(lane.failed is not None), camera=camera)
            self._record(metrics.LATE_TRACKLETS, self._growth.of(camera, lane.late), camera=camera)
            if camera in self._by_the_clock and 0 < lane.watermark_ns < _NEVER:
                self._record(metrics.WATERMARK_LAG, (now_ns - lane.watermark_ns) / SECOND_NS, camera=camera)

    def _observe_latency(self, records: Sequence[Record]) -> None:
        now_ns = self._now_ns()
        live = [r.time_ns for r in records if r.topic == TRACKS and r.value["camera"] in self._by_the_clock]
        for time_ns in live[:: 1 + len(live) // _SAMPLE]:
            self._record(metrics.LATENCY_SECONDS, (now_ns - time_ns) / SECOND_NS)
