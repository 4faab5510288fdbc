"""Partitions of one topic, put back into the order in which their records were written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator
from typing import Any

# A missing number is waited for so long: it is being made visible, which takes milliseconds, or it was deleted
# (retention), which nobody tells a reader.
GAP_S = 2.0


class Sequencer:
    """Merges partitions by sequence number.

    What has been committed becomes visible partition by partition, so "the smallest number at hand" can be one
    too large. A record is let go when it is the next number, or when every partition shows a later one.

    Args:
        partitions: partition numbers.
        last: sequence number of the last record let go; None takes whatever comes first.
        clock: seconds that only grow.
    """

    def __init__(self, partitions: Collection[int], last: int | None, clock: Callable[[], float]) -> None:
        self._queues: dict[int, deque[tuple[int, Any]]] = {partition: deque() for partition in partitions}
        self._last = last
        self._clock = clock
        self._gap_since: float | None = None

    @property
    def held(self) -> int:
        """Records waiting for an earlier one."""
        return sum(map(len, self._queues.values()))

    def add(self, partition: int, sequence: int, record: Any) -> None:
        """Take a partition's next record."""
        self._queues[partition].append((sequence, record))

    def ready(self) -> Iterator[tuple[int, Any]]:
        """Sequence number and record of all that can go now, in order."""
        while queues := [queue for queue in self._queues.values() if queue]:
            first = min(queues, key=lambda queue: queue[0][0])
            sequence = first[0][0]
            certain = len(queues) == len(self._queues) or (self._last is not None and sequence == self._last + 1)
            if not certain and not self._waited():
                return
            self._gap_since = None
            self._last = sequence
            yield first.popleft()

    def _waited(self) -> bool:
        now = self._clock()
        if self._gap_since is None:
            self._gap_since = now
        return now - self._gap_since >= GAP_S
