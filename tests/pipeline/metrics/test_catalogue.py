"""Every metric is complete, and named as Prometheus' users expect."""

from __future__ import annotations

import re

import pytest

from pipeline.metrics.catalogue import ALL, Metric
from pipeline.metrics.served import SERVED

EVERY = (*ALL, *SERVED)


@pytest.mark.parametrize("metric", EVERY, ids=lambda metric: metric.name)
def test_a_metric_says_what_it_is_in_which_unit(metric: Metric) -> None:
    assert re.fullmatch(r"crosscam_[a-z][a-z_]*[a-z]", metric.name)
    assert metric.unit and metric.help.endswith(".")
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.name.endswith("_seconds") == (metric.unit == "seconds")
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert "site" not in metric.tags


def test_no_two_metrics_share_a_name() -> None:
    assert len({metric.name for metric in EVERY}) == len(EVERY)
