"""A site on recordings, run through its cameras once, and through fusion as often as one likes: no Ray, no ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from mtmct.fusion import END_OF_TIME, FusionEngine
from mtmct.records import CameraBatch, Record
from operators.records import CrosscamError
from pipeline.assembly import build_shard, build_source
from pipeline.config import Site
from pipeline.lane import Resume
from pipeline.link import FusionLink

Step = tuple[int, list[CameraBatch]]


class ReplayError(CrosscamError):
    """The site is not one of recordings, or a recording cannot be read."""


class _Collector(FusionLink):
    """Takes batches instead of fusion, and acknowledges all of them."""

    def __init__(self, progress: Callable[[int], None]) -> None:
        self.batches: list[CameraBatch] = []
        self._progress = progress

    def start_camera(self, camera: str) -> Resume:
        return Resume(1, 0, None, False)

    def attach(self, camera: str, epoch: int) -> int:
        return 0

    def send(self, batch: CameraBatch) -> int:
        self.batches.append(replace(batch, state=b""))
        self._progress(len(self.batches))
        return len(self.batches)

    def done(self, tickets: Sequence[Any], timeout: float) -> list[Any]:
        return list(tickets)

    def result(self, ticket: Any) -> None:
        return None


def record(site: Site, progress: Callable[[int], None] = lambda batches: None) -> list[CameraBatch]:
    """What the site's cameras say of their recordings: tracked, with embeddings, an interval a batch.

    Args:
        site: its cameras are files.
        progress: told the number of batches so far.

    Raises:
        ReplayError: a camera is live, or its recording cannot be read.
    """
    for camera in site.cameras:
        if build_source(site, camera).live:
            raise ReplayError(f"camera {camera.id!r} of site {site.site!r} is live: give a site of recordings")
    link = _Collector(progress)
    failures = build_shard(site, tuple(camera.id for camera in site.cameras), link).run()
    for camera_id, reason in sorted(failures.items()):
        raise ReplayError(f"camera {camera_id!r} of site {site.site!r}: {reason}")
    return link.batches


def steps(batches: Iterable[CameraBatch], interval_ns: int) -> list[Step]:
    """Watermarks and batches as fusion gets them in a run: an interval a step, then the end."""
    by_interval: dict[int, list[CameraBatch]] = {}
    for batch in batches:
        by_interval.setdefault(batch.interval, []).append(batch)
    ordered = [((interval + 1) * interval_ns, by_interval[interval]) for interval in sorted(by_interval)]
    return [*ordered, (END_OF_TIME, [])]


def fuse(engine: FusionEngine, todo: Sequence[Step]) -> list[Record]:
    """All that an engine says, in order."""
    return [record for watermark, batches in todo for record in engine.advance(batches, watermark).records]
