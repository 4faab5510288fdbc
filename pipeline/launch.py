"""Placement and supervision: actors on Ray, restarted when they die, until the site has ended or is stopped."""

from __future__ import annotations

import base64
import gc
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, RayActorError, RayError, RayTaskError

from mtmct.records import CameraBatch
from operators.records import CrosscamError
from pipeline import logs
from pipeline.assembly import build_service, build_shard
from pipeline.config import Site
from pipeline.lane import Resume
from pipeline.link import RayLink
from pipeline.metrics.ray_recorder import RayRecorder
from pipeline.running import Door
from pipeline.shard import Shard

NAMESPACE = "crosscam"
POLL_S = 0.25
_PICTURE_S = 5.0
# More deaths of one actor within that time are no accident, and restarting it again helps nobody.
MAX_DEATHS, DEATHS_WITHIN_S = 5, 300.0


class LaunchError(CrosscamError):
    """The site cannot be run on this Ray."""


class FusionActor:
    """The site's one FusionService as a Ray actor."""

    def __init__(self, site: Site) -> None:
        collect_rarely()
        logs.configure(site)
        self._service = build_service(site, recorder=RayRecorder(site.site))

    async def start_camera(self, camera: str, retry_failed: bool) -> Resume:
        return await self._service.start_camera(camera, retry_failed)

    async def attach(self, camera: str, epoch: int) -> int:
        return await self._service.attach(camera, epoch)

    async def submit(self, batch: CameraBatch) -> None:
        await self._service.submit(batch)

    async def backpressure(self) -> str:
        return await self._service.backpressure()

    async def finished(self) -> None:
        await self._service.finished()

    async def complete(self) -> bool:
        return await self._service.complete()

    async def status(self) -> dict[str, Any]:
        return {**await self._service.status(), "pid": os.getpid()}

    async def erase(self, number: int, last_said: Mapping[str, Any] | None) -> str | None:
        return await self._service.erase(number, last_said)

    async def stop(self) -> None:
        await self._service.stop()


def collect_rarely() -> None:
    """Tune this process's garbage collector to commits.

    A commit of a large site makes some hundred thousand lists that hold no cycles and live until it is written. With
    Python's own thresholds that looks like growth: the collector walks all of fusion's memory again and again, for
    a fifth of a commit's time (tests/benchmarks/fusion_speed.py --own-thresholds).
    """
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


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
        return self._shard.run()

    def status(self) -> dict[str, Any]:
        return {"pid": os.getpid(), "cameras": {} if self._shard is None else self._shard.status()}

    def picture(self, camera: str) -> tuple[bytes, int] | None:
        return None if self._shard is None else self._shard.picture(camera)

    def stop(self) -> None:
        self._stopped = True
        if self._shard is not None:
            self._shard.stop()


@dataclass(slots=True)
class Progress:
    """How far a running site is.

    Attributes:
        counts: frame accounting per camera, the newest that is known.
        commits: made by the present FusionActor.
        waiting_for: what the ledger waits for, as a sentence; None when it does not.
        restarts: actors that have come back under another process id.
        pids: process ids of the actors: `fusion`, `worker-0`, ...
    """

    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    commits: int = 0
    waiting_for: str | None = None
    restarts: int = 0
    pids: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        failures: per camera whose source could not be used: why.
        commits: made in this run.
        already_complete: the ledger held a finished run of this site; nothing was done.
    """

    failures: Mapping[str, str]
    commits: int
    already_complete: bool


def connect(site: Site, workers: int) -> bool:
    """Attach to the site's cluster, or start a Ray of its own; true if one was started.

    Raises:
        LaunchError: the cluster does not answer.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if ray.is_initialized():
        return False
    options: dict[str, Any] = {"namespace": NAMESPACE, "log_to_driver": False, "logging_level": logging.ERROR}
    if site.ray_address is None:
        # One logical CPU a worker: on a small machine workers share the cores rather than wait for ever.
        cpus = max(os.cpu_count() or 1, workers * site.resources.threads)
        options |= {"num_cpus": cpus, "include_dashboard": False, "object_store_memory": 200_000_000}
        options["address"] = "local"
    else:
        options["address"] = site.ray_address
    try:
        ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        where = site.ray_address or "this machine"
        raise LaunchError(f"Ray on {where} does not answer ({error}); check ray_address, or leave it out") from None
    return site.ray_address is None


def check_room(site: Site, workers: int) -> None:
    """Find out before launching what would otherwise wait for ever.

    Raises:
        LaunchError: the cluster has not enough CPUs or GPUs for the site's workers.
    """
    there = ray.cluster_resources()
    for kind, each in (("CPU", float(site.resources.threads)), ("GPU", site.resources.gpus_per_worker)):
        if workers * each > there.get(kind, 0.0):
            raise LaunchError(
                f"site {site.site!r} needs {workers * each:g} {kind}s for {workers} workers, Ray has "
                f"{there.get(kind, 0.0):g}; add nodes, raise cameras_per_worker, or lower threads or gpus_per_worker"
            )


class Supervisor:
    """Launches a site's actors and keeps them alive.

    Args:
        site: what to run.
        on_progress: called a few times a second.
        on_connected: called once Ray is there, which takes some signal handlers for itself.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        site: Site,
        on_progress: Callable[[Progress], None] = lambda progress: None,
        *,
        on_connected: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._site = site
        self._on_progress = on_progress
        self._workers: list[Any] = []
        self._fusion: Any = None
        self._on_connected = on_connected
        self._clock = clock
        self._progress = Progress()
        self._failures: dict[str, str] = {}
        self._deaths: dict[str, list[float]] = {}
        self._door: Door | None = None
        self._asked_to_stop = threading.Event()
        ids = [camera.id for camera in site.cameras]
        size = site.resources.cameras_per_worker
        self._shards = [tuple(ids[i : i + size]) for i in range(0, len(ids), size)]

    def run(self) -> Outcome:
        """Run the site until its sources end.

        Raises:
            CrosscamError: it cannot go on; the sentence says why.
            KeyboardInterrupt: as it came; the actors have been stopped, and what was committed stays.
        """
        started = connect(self._site, len(self._shards))
        self._on_connected()
        try:
            check_room(self._site, len(self._shards))
            self._launch()
            return self._supervise()
        finally:
            self._stop()
            if started:
                ray.shutdown()

    def _launch(self) -> None:
        gpus = self._site.resources.gpus_per_worker
        restart = {"max_restarts": -1, "max_task_retries": 0}
        self._fusion = ray.remote(FusionActor).options(num_cpus=0, max_concurrency=10_000, **restart).remote(self._site)
        self._door = Door(
            self._site,
            {"erase": self._erase, "status": self._status, "stop": self._asked_to_stop.set, "picture": self._picture},
        )
        cpus = self._site.resources.threads
        worker = ray.remote(CameraWorker).options(num_cpus=cpus, num_gpus=gpus, max_concurrency=4, **restart)
        self._workers = [worker.remote() for _ in self._shards]

    def _supervise(self) -> Outcome:
        complete = self._already_complete()
        runs = {} if complete else {self._run_shard(index, first=True): index for index in range(len(self._shards))}
        finished = self._fusion.finished.remote()
        asked: dict[Any, str] = {}
        while True:
            if self._asked_to_stop.is_set():
                raise KeyboardInterrupt  # whoever asked at the door wants what Ctrl-C does
            done, _ = ray.wait([finished, *runs], num_returns=1, timeout=POLL_S)
            for ref in done:
                if ref == finished:
                    if self._answer(ref, "fusion") is not None:
                        self._note_status("fusion", self._fusion.status.remote())
                        self._on_progress(self._progress)
                        return Outcome(dict(self._failures), self._progress.commits, complete)
                    finished = self._fusion.finished.remote()
                else:
                    index = runs.pop(ref)
                    if self._answer(ref, f"worker-{index}") is None:
                        runs[self._run_shard(index, first=False)] = index
            self._poll(asked)
            self._on_progress(self._progress)

    def _run_shard(self, index: int, *, first: bool) -> Any:
        return self._workers[index].run.remote(self._site, self._shards[index], self._fusion, first)

    def _already_complete(self) -> bool:
        """Whether the ledger holds a finished run. Waits for the ledger, reporting what it waits for."""
        asked: dict[Any, str] = {}
        ref = self._fusion.complete.remote()
        while True:
            done, _ = ray.wait([ref], timeout=POLL_S)
            if done:
                answer = self._answer(ref, "fusion")
                if answer is not None:
                    return bool(answer[0])
                ref = self._fusion.complete.remote()
            self._poll(asked)
            self._on_progress(self._progress)

    def _erase(self, number: int, last_said: Mapping[str, Any] | None) -> str | None:
        """For whoever asks at the door, in a thread of the door's."""
        try:
            left: str | None = ray.get(self._fusion.erase.remote(number, last_said))
        except RayTaskError as error:
            if isinstance(error.cause, CrosscamError):
                raise error.cause from None
            raise LaunchError(f"fusion of site {self._site.site!r} broke ({error.cause}); see Ray's logs") from None
        except RayError as error:
            raise LaunchError(f"fusion of site {self._site.site!r} did not answer ({error}); ask again") from None
        return left

    def _status(self) -> dict[str, Any]:
        """How far the run is, for whoever asks at the door."""
        return asdict(self._progress) | {"failures": dict(self._failures), "driver": os.getpid()}

    def _picture(self, camera: str) -> list[Any] | None:
        """A camera's newest picture, as JPEG in base64, and its event time, for whoever asks at the door."""
        worker = next((w for w, shard in zip(self._workers, self._shards, strict=False) if camera in shard), None)
        if worker is None:
            raise LaunchError(f"site {self._site.site!r} runs no camera {camera!r}")
        try:
            found = ray.get(worker.picture.remote(camera), timeout=_PICTURE_S)
        except RayError:
            return None  # the worker is being restarted
        return None if found is None else [base64.b64encode(found[0]).decode("ascii"), found[1]]

    def _answer(self, ref: Any, actor: str) -> tuple[Any] | None:
        """What the actor answered; None where it died, after giving it time to come back.

        Raises:
            CrosscamError: the actor said that it cannot go on, or dies again and again.
        """
        try:
            return (ray.get(ref),)
        except RayTaskError as error:
            if isinstance(error.cause, CrosscamError):
                raise error.cause from None
            what = f"{type(error.cause).__name__}: {error.cause}"
            raise LaunchError(f"{actor} of site {self._site.site!r} broke ({what}); see Ray's logs") from None
        except ActorUnavailableError:
            time.sleep(POLL_S)  # it is being restarted, which may take as long as finding another node does
            return None
        except RayActorError as error:
            now = self._clock()
            deaths = [*(at for at in self._deaths.get(actor, ()) if now - at < DEATHS_WITHIN_S), now]
            self._deaths[actor] = deaths
            if len(deaths) > MAX_DEATHS:
                raise LaunchError(
                    f"{actor} of site {self._site.site!r} died {len(deaths)} times within minutes ({error}); "
                    "look at Ray's logs for the cause, memory first"
                ) from None
            time.sleep(min(0.25 * 2 ** len(deaths), 4.0))
            return None
        except RayError as error:
            raise LaunchError(f"{actor} of site {self._site.site!r} cannot go on ({error})") from None

    def _poll(self, asked: dict[Any, str]) -> None:
        """Take the status answers that have come, and ask again whom we are not waiting for."""
        if asked:
            done, _ = ray.wait(list(asked), num_returns=len(asked), timeout=0)
            for ref in done:
                self._note_status(asked.pop(ref), ref)
        waiting = set(asked.values())
        actors = {"fusion": self._fusion, **{f"worker-{i}": w for i, w in enumerate(self._workers)}}
        for name, actor in actors.items():
            if name not in waiting:
                asked[actor.status.remote()] = name

    def _note_status(self, name: str, ref: Any) -> None:
        try:
            status = ray.get(ref)
        except (RayActorError, RayTaskError):
            return  # its death is handled where its work is awaited
        self._progress.restarts += self._progress.pids.get(name, status["pid"]) != status["pid"]
        self._progress.pids[name] = status["pid"]
        if name == "fusion":
            self._progress.commits = status["commits"]
            self._progress.waiting_for = status["waiting_for"]
            for camera, lane in status["cameras"].items():
                self._take_counts(camera, lane["counts"])
                if lane["failed"] is not None:
                    self._failures[camera] = lane["failed"]
        else:
            for camera, counts in status["cameras"].items():
                self._take_counts(camera, counts)

    def _take_counts(self, camera: str, counts: Mapping[str, int]) -> None:
        known = self._progress.counts.get(camera, {})
        if counts.get("decoded", 0) >= known.get("decoded", 0) and counts:
            self._progress.counts[camera] = dict(counts)

    def _stop(self) -> None:
        """Let every actor put its things in order, then end it."""
        if self._fusion is None:
            return
        if self._door is not None:
            self._door.close()
        stops = [worker.stop.remote() for worker in self._workers]
        ray.wait(stops, num_returns=len(stops), timeout=3)
        ray.wait([self._fusion.stop.remote()], timeout=5)
        for actor in (*self._workers, self._fusion):
            ray.kill(actor)
