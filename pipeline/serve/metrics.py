"""`/metrics`: the service and what it serves, for Prometheus. The site's own actors tell theirs through Ray."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator

from fastapi import APIRouter, Request, Response

from pipeline.serve.context import Served, served

router = APIRouter(tags=["health"])

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
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
    return Response("".join((*_of_site(served(request)), *_of_service(asked))), media_type=MEDIA_TYPE)


def _of_service(asked: Requests) -> Iterator[str]:
    statuses = [({"status": str(status)}, count) for status, count in sorted(asked.by_status.items())]
    yield _metric("serve_requests_total", "counter", "Answered requests.", statuses)
    name = "crosscam_serve_request_seconds"
    yield f"# HELP {name} Time to the head of an answer.\n# TYPE {name} histogram\n"
    histogram = asked.histogram()
    for bound, count in histogram:
        yield f'{name}_bucket{{le="{bound}"}} {count}\n'
    yield f"{name}_sum {asked.seconds:.6f}\n{name}_count {histogram[-1][1]}\n"
    yield _metric("serve_watchers", "gauge", "WebSockets that are open on /v1/live.", [({}, asked.watchers)])


def _of_site(of: Served) -> Iterator[str]:
    view = of.view
    yield _metric("serve_ready", "gauge", "1 while the ledger is read on.", [({}, float(of.feed.ready))])
    yield _metric("serve_records_total", "counter", "Records read of the ledger.", [({}, view.version)])
    yield _metric("serve_newest_seconds", "gauge", "Newest event time that was read.", [({}, view.newest / 1e6)])
    states = Counter(one.state for one in view.identities())
    told = [({"state": state}, states[state]) for state in ("open", "closed", "merged", "retracted")]
    yield _metric("serve_identities", "gauge", "Identities, by what has become of them.", told)
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
    yield _metric("serve_camera_behind_seconds", "gauge", "Event time behind the newest.", every["behind"])
    yield _metric("serve_camera_in_view", "gauge", "Tracks in view.", every["view"])
    yield _metric("serve_camera_open_incidents", "gauge", "Incidents that are going on.", every["incidents"])
    yield _metric("serve_camera_rejected_total", "counter", "Dead letters.", every["letters"])
    yield _metric("serve_line_crossings_total", "counter", "Crossings, by line and direction.", every["lines"])
    yield _metric("serve_zone_inside", "gauge", "Tracks inside, by zone.", every["zones"])
    frames = of.workings.frames()
    counts: list[Sample] = []
    for camera, some in frames.items():
        counts += [
            ({"camera": camera, "what": "decoded"}, some.decoded),
            ({"camera": camera, "what": "tracked"}, some.tracked),
        ]
        counts += [({"camera": camera, "what": "dropped", "reason": why}, n) for why, n in some.dropped.items()]
    yield _metric("serve_frames_total", "counter", "Frames decoded, tracked, and dropped by reason.", counts)
    rates = [({"camera": camera}, some.fps) for camera, some in frames.items() if some.fps is not None]
    yield _metric("serve_frames_per_second", "gauge", "Frames tracked a second, of a running site.", rates)


def _metric(name: str, kind: str, about: str, samples: Iterable[Sample]) -> str:
    head = f"# HELP crosscam_{name} {about}\n# TYPE crosscam_{name} {kind}\n"
    return head + "".join(f"crosscam_{name}{_labels(labels)} {value:.15g}\n" for labels, value in samples)


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
