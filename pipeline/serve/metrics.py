"""`/metrics`: the service and what it serves, for Prometheus. The site's own actors tell theirs through Ray."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from pipeline.serve.context import Served, served

router = APIRouter(tags=["health"])

_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)  # seconds
Sample = tuple[dict[str, str], float]


class Requests:
    """Counts what is asked of the service. Used by one event loop."""

    def __init__(self) -> None:
        self.by_status: Counter[int] = Counter()
        self.watchers = 0
        self.seconds = 0.0
        self._buckets = [0] * (len(_BOUNDS) + 1)

    def answered(self, status: int, seconds: float) -> None:
        """One was, up to the head of its answer."""
        self.by_status[status] += 1
        self.seconds += seconds
        self._buckets[bisect_left(_BOUNDS, seconds)] += 1

    def histogram(self) -> list[tuple[str, int]]:
        """How many took so long at most, by the bound as Prometheus writes it."""
        total, told = 0, []
        for bound, count in zip((*map(str, _BOUNDS), "+Inf"), self._buckets, strict=True):
            total += count
            told.append((bound, total))
        return told


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

    def collect(self) -> Iterator[Metric]:
        yield from _of_site(self._of)
        yield from _of_service(self._asked)


def _of_service(asked: Requests) -> Iterator[Metric]:
    statuses = [({"status": str(status)}, count) for status, count in sorted(asked.by_status.items())]
    yield _counter("serve_requests", "Answered requests.", statuses)
    seconds = HistogramMetricFamily("crosscam_serve_request_seconds", "Time to the head of an answer.")
    seconds.add_metric([], asked.histogram(), asked.seconds)
    yield seconds
    yield _gauge("serve_watchers", "WebSockets that are open on /v1/live.", [({}, asked.watchers)])


def _of_site(of: Served) -> Iterator[Metric]:
    view = of.view
    yield _gauge("serve_ready", "1 while the ledger is read on.", [({}, float(of.feed.ready))])
    yield _counter("serve_records", "Records read of the ledger.", [({}, view.version)])
    yield _gauge("serve_newest_seconds", "Newest event time that was read.", [({}, view.newest / 1e6)])
    states = Counter(one.state for one in view.identities())
    told = [({"state": state}, states[state]) for state in ("open", "closed", "merged", "retracted")]
    yield _gauge("serve_identities", "Identities, by what has become of them.", told)
    cameras = view.cameras()
    every: dict[str, list[Sample]] = {name: [] for name in ("behind", "view", "incidents", "lines", "zones", "letters")}
    for camera, state in cameras.items():
        at = {"camera": camera}
        every["behind"].append((at, max(view.newest - state.last, 0) / 1e6))
        every["view"].append((at, len(view.in_view(camera))))
        every["incidents"].append((at, len(state.open_incidents)))
        every["letters"].append((at, state.rejected))
        every["zones"] += [({**at, "zone": zone}, inside) for zone, inside in state.zones.items()]
        for line, total in state.lines.items():
            every["lines"] += [({**at, "line": line, "direction": way}, n) for way, n in total.items()]
    yield _gauge("serve_camera_behind_seconds", "Event time behind the newest.", every["behind"])
    yield _gauge("serve_camera_in_view", "Tracks in view.", every["view"])
    yield _gauge("serve_camera_open_incidents", "Incidents that are going on.", every["incidents"])
    yield _counter("serve_camera_rejected", "Dead letters.", every["letters"])
    yield _counter("serve_line_crossings", "Crossings, by line and direction.", every["lines"])
    yield _gauge("serve_zone_inside", "Tracks inside, by zone.", every["zones"])
    frames = of.workings.frames()
    counts: list[Sample] = []
    for camera, some in frames.items():
        counts += [
            ({"camera": camera, "what": "decoded"}, some.decoded),
            ({"camera": camera, "what": "tracked"}, some.tracked),
        ]
        counts += [({"camera": camera, "what": "dropped", "reason": why}, n) for why, n in some.dropped.items()]
    yield _counter("serve_frames", "Frames decoded, tracked, and dropped by reason.", counts)
    rates = [({"camera": camera}, some.fps) for camera, some in frames.items() if some.fps is not None]
    yield _gauge("serve_frames_per_second", "Frames tracked a second, of a running site.", rates)


def _counter(name: str, about: str, samples: Iterable[Sample]) -> Metric:
    counter = CounterMetricFamily(f"crosscam_{name}", about)
    for labels, value in samples:
        counter.add_sample(f"{counter.name}_total", labels, value)
    return counter


def _gauge(name: str, about: str, samples: Iterable[Sample]) -> Metric:
    gauge = GaugeMetricFamily(f"crosscam_{name}", about)
    for labels, value in samples:
        gauge.add_sample(gauge.name, labels, value)
    return gauge
