"""The seam between what is measured and who collects it: logic is given a recorder and knows nothing of Ray."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol

from pipeline.metrics.catalogue import Metric


class Recorder(Protocol):
    """Takes values of metrics. Safe to call from any thread."""

    def record(self, metric: Metric, value: float, **tags: str) -> None:
        """Add to a counter, set a gauge, or observe in a histogram: `metric.kind` says which."""
        ...


class Silent:
    """Nobody collects."""

    def record(self, metric: Metric, value: float, **tags: str) -> None:
        """Forget it."""


class Growth:
    """By how much totals have grown since they were last asked for."""

    def __init__(self) -> None:
        self._before: dict[Hashable, int] = {}

    def begin(self, name: Hashable, total: int) -> None:
        """Count from here: the part before is counted already."""
        self._before[name] = total

    def of(self, name: Hashable, total: int) -> int:
        """What has come since; from 0 where `begin` was not called."""
        grown = total - self._before.get(name, 0)
        self._before[name] = total
        return max(grown, 0)
