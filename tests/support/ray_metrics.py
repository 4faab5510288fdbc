"""What Prometheus finds of a site, on the Ray of this process."""

from __future__ import annotations

import re
import urllib.request
from collections import Counter
from contextlib import suppress

import ray

from pipeline.metrics.catalogue import Metric


class Scraped:
    """Samples of one look at every node's metrics.

    Args:
        site: those of this one only.
    """

    def __init__(self, site: str) -> None:
        self._sums: Counter[tuple[str, ...]] = Counter()
        for node in ray.nodes():
            address = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
            with suppress(OSError), urllib.request.urlopen(address, timeout=5) as answer:
                self._take(answer.read().decode(), site)

    def _take(self, text: str, site: str) -> None:
        for name, labels, value in re.findall(r"^(ray_crosscam_\w+)\{(.*)\} (\S+)$", text, re.M):
            tags = dict(re.findall(r'(\w+)="(.*?)"', labels))
            if tags.get("site") == site:
                tagged = tuple(tags[name] for name in ("camera", "reason") if name in tags)
                self._sums[(name, *tagged)] += float(value)

    def of(self, metric: Metric, *tags: str, part: str = "") -> float | None:
        """The value under these tags, of a histogram its part (`_count`, ...); None where there is none."""
        return self._sums.get((metric.exported + part, *tags))
