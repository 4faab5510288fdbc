"""Metrics through Ray: every node serves those of its actors to Prometheus."""

from __future__ import annotations

from typing import Any

from ray.util import metrics as ray_metrics

from pipeline.metrics.catalogue import Metric


class RayRecorder:
    """Hands values to Ray's metrics agent. For the process of an actor, or a driver that is connected.

    A value costs about a tenth of a millisecond: it is for what happens a few times a second, not for every frame.

    Args:
        site: the tag that all carry.
    """

    def __init__(self, site: str) -> None:
        self._site = site
        self._known: dict[str, Any] = {}

    def record(self, metric: Metric, value: float, **tags: str) -> None:
        """See `Recorder.record`."""
        found = self._known.get(metric.name) or self._make(metric)
        if metric.kind == "counter":
            if value > 0:
                found.inc(value, tags=tags)
        elif metric.kind == "gauge":
            found.set(value, tags=tags)
        else:
            found.observe(value, tags=tags)

    def _make(self, metric: Metric) -> Any:
        options: dict[str, Any] = {
            "description": f"{metric.help} Unit: {metric.unit}.",
            "tag_keys": ("site", *metric.tags),
        }
        made: Any
        if metric.kind == "histogram":
            made = ray_metrics.Histogram(metric.name, boundaries=list(metric.buckets), **options)
        else:
            kind = ray_metrics.Counter if metric.kind == "counter" else ray_metrics.Gauge
            made = kind(metric.name, **options)
        made.set_default_tags({"site": self._site})
        self._known[metric.name] = made
        return made
