"""A site's two kinds of Ray actors: the one that fuses, and those that look."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from mtmct.records import CameraBatch
from mtmct.warm_up import warm_up
from pipeline import logs
from pipeline.assembly import build_opening, build_parts, build_service, build_shard
from pipeline.changes import Changes
from pipeline.config import Site
from pipeline.fusion_service import FusionService
from pipeline.lane import Resume
from pipeline.link import RayLink
from pipeline.metrics.ray_recorder import RayRecorder
from pipeline.shard import Shard
from pipeline.sighting import Tracked

# A worker that is asked for a change while it is still loading its models.
_LOADING_S = 120.0


class FusionActor:
    """The site's one FusionService as a Ray actor.

    Which site that is comes with `begin` and not when it is made: Ray makes an actor that died anew as it was first
    made, and the site may have been changed since. Whoever calls before waits.
    """

    def __init__(self) -> None:
        collect_rarely()
        self._service: FusionService | None = None
        self._built = asyncio.Event()

    async def begin(self, site: Site) -> bool:
        """Take up the site, if that has not been done; whether its ledger holds a finished run."""
        if self._service is None:
            logs.configure(site)
            warm_up()  # before cameras begin: while something is compiled, live ones would lose frames
            self._service = build_service(site, recorder=RayRecorder(site.site))
            keep_what_is_loaded()
            self._built.set()
        return await self._service.complete()

    async def finished(self, site: Site) -> None:
        await self.begin(site)
        await (await self._ready()).finished()

    async def change(self, site: Site, changes: Changes) -> None:
        """See `FusionService.change`."""
        await (await self._ready()).change(build_parts(site), changes)

    async def start_camera(self, camera: str, retry_failed: bool) -> Resume:
        return await (await self._ready()).start_camera(camera, retry_failed)

    async def attach(self, camera: str, epoch: int) -> int:
        return await (await self._ready()).attach(camera, epoch)

    async def submit(self, batch: CameraBatch) -> None:
        await (await self._ready()).submit(batch)

    async def backpressure(self) -> str:
        return await (await self._ready()).backpressure()

    async def status(self) -> dict[str, Any]:
        return {**await (await self._ready()).status(), "pid": os.getpid()}

    async def erase(self, number: int, last_said: Mapping[str, Any] | None) -> str | None:
        return await (await self._ready()).erase(number, last_said)

    async def stop(self) -> None:
        if self._service is not None:
            await self._service.stop()

    async def _ready(self) -> FusionService:
        await self._built.wait()
        assert self._service is not None
        return self._service


def collect_rarely() -> None:
    """Tune this process's garbage collector to commits.

    A commit of a large site makes some hundred thousand lists that hold no cycles and live until it is written. With
    Python's own thresholds that looks like growth: the collector walks all of fusion's memory again and again, for
    a fifth of a commit's time (tests/benchmarks/fusion_speed.py --own-thresholds).
    """
    keep_what_is_loaded()
    gc.set_threshold(1_000_000, 20, 50)  # so rarely that most of them are gone before it comes


def keep_what_is_loaded() -> None:
    """Have the garbage collector leave alone what is there now: libraries and models, some 200,000 objects.

    A full collection stops all threads while it walks them, for a tenth of a second and more: in a worker that is a
    frame of each of its live cameras.
    """
    gc.collect()
    gc.freeze()


class CameraWorker:
    """A Shard as a Ray actor."""

    def __init__(self) -> None:
        self._stopped = False
        self._shard: Shard | None = None

    def run(self, site: Site, cameras: tuple[str, ...], fusion: Any, first: bool) -> dict[str, str]:
        """Run the shard to its end; see `Shard.run`. `first`: no worker has run it before in this run of the site."""
        # Built here rather than in __init__, so that a model that cannot be loaded is a sentence, not a dead actor.
        logs.configure(site)
        link = RayLink(fusion, lambda: self._stopped, retry_failed=first)
        self._shard = build_shard(site, cameras, link, RayRecorder(site.site))
        keep_what_is_loaded()
        return self._shard.run()

    def change(self, site: Site, leaving: Sequence[str], opening: Sequence[str], fusion: Any) -> bool:
        """See `Shard.change`; false where the shard has come to its end before."""
        until = time.monotonic() + _LOADING_S
        while self._shard is None and time.monotonic() < until:
            time.sleep(0.05)
        if self._shard is None:
            return False
        link = RayLink(fusion, lambda: self._stopped)
        return self._shard.change(leaving, opening, *build_opening(site, tuple(opening), link))

    def status(self) -> dict[str, Any]:
        return {"pid": os.getpid(), "cameras": {} if self._shard is None else self._shard.status()}

    def picture(self, camera: str) -> tuple[bytes, int, list[Tracked]] | None:
        return None if self._shard is None else self._shard.picture(camera)

    def stop(self) -> None:
        self._stopped = True
        if self._shard is not None:
            self._shard.stop()
