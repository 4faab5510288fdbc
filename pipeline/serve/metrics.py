"""`/metrics`: the service and what it serves, for Prometheus. The site's own actors tell theirs through Ray."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from pipeline.metrics import served as told
from pipeline.metrics.catalogue import Metric
from pipeline.serve.context import Served, served

router = APIRouter(tags=["health"])

Sample = tuple[Mapping[str, str], float]


class Requests:
    """Counts what is asked of the service. Used by one event loop."""

    def __init__(self) -> None:
        self.by_status: Counter[int] = Counter()
        self.watchers = 0
        self.seconds = 0.0
        self._buckets = [0] * (len(told.REQUEST_SECONDS.buckets) + 1)

    def answered(self, status: int, seconds: float) -> None:
        """One was, up to the head of its answer."""
        self.by_status[status] += 1
        self.seconds += seconds
        self._buckets[bisect_left(told.REQUEST_SECONDS.buckets, seconds)] += 1

    def histogram(self) -> list[tuple[str, int]]:
        """How many took so long at most, by the bound as Prometheus writes it."""
        total, counted = 0, []
        for bound, count in zip((*map(str, told.REQUEST_SECONDS.buckets), "+Inf"), self._buckets, strict=True):
            total += count
            counted.append((bound, total))
        return counted


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics(request: Request) -> Response:
    """Figures of the service and of its site, in Prometheus' text format."""
    asked: Requests = request.app.state.requests
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(served(request), asked))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)


class _Figures(Collector):
    """What there is at the moment at which it is asked."""

    def __init__(self, of: Served, asked: Requests) -> None:
        self._of, self._asked = of, asked

    def collect(self) -> Iterator[Family]:
        site = {"site": self._of.name}
        for metric, samples in (*_of_site(self._of), *_of_service(self._asked)):
            yield _family(metric, (({**site, **labels}, value) for labels, value in samples))
        seconds = HistogramMetricFamily(told.REQUEST_SECONDS.name, told.REQUEST_SECONDS.help, labels=["site"])
        seconds.add_metric([site["site"]], self._asked.histogram(), self._asked.seconds)
        yield seconds


def _of_service(asked: Requests) -> Iterator[tuple[Metric, list[Sample]]]:
    yield told.REQUESTS, [({"status": str(status)}, count) for status, count in sorted(asked.by_status.items())]
    yield told.WATCHERS, [({}, asked.watchers)]


def _of_site(of: Served) -> Iterator[tuple[Metric, list[Sample]]]:
    view = of.view
    yield told.READY, [({}, float(of.feed.ready))]
    yield told.RECORDS, [({}, view.version)]
    yield told.NEWEST, [({}, view.newest / 1e6)]
    states = Counter(one.state for one in view.identities())
    yield told.IDENTITIES, [({"state": state}, states[state]) for state in ("open", "closed", "merged", "retracted")]
    by_camera = (told.BEHIND, told.IN_VIEW, told.OPEN_INCIDENTS, told.REJECTED, told.INSIDE, told.CROSSINGS)
    every: dict[Metric, list[Sample]] = {metric: [] for metric in by_camera}
    for camera, state in view.cameras().items():
        at = {"camera": camera}
        every[told.BEHIND].append((at, max(view.newest - state.last, 0) / 1e6))
        every[told.IN_VIEW].append((at, len(view.in_view(camera))))
        every[told.OPEN_INCIDENTS].append((at, len(state.open_incidents)))
        every[told.REJECTED].append((at, state.rejected))
        every[told.INSIDE] += [({**at, "zone": zone}, inside) for zone, inside in state.zones.items()]
        for line, total in state.lines.items():
            every[told.CROSSINGS] += [({**at, "line": line, "direction": way}, n) for way, n in total.items()]
    yield from every.items()
    frames = of.workings.frames()
    counts: list[Sample] = []
    for camera, some in frames.items():
        counts += [
            ({"camera": camera, "what": "decoded"}, some.decoded),
            ({"camera": camera, "what": "tracked"}, some.tracked),
        ]
        counts += [({"camera": camera, "what": "dropped", "reason": why}, n) for why, n in some.dropped.items()]
    yield told.FRAMES, counts
    yield told.FRAME_RATE, [({"camera": camera}, some.fps) for camera, some in frames.items() if some.fps is not None]


def _family(metric: Metric, samples: Iterable[Sample]) -> Family:
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(metric.name, metric.help)
    for labels, value in samples:
        family.add_sample(metric.name, dict(labels), value)
    return family
