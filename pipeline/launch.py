"""Placement and supervision: actors on Ray, restarted when they die, until the site has ended or is stopped."""

from __future__ import annotations

import base64
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, RayActorError, RayError, RayTaskError

from operators.records import CrosscamError
from pipeline.actors import CameraWorker, FusionActor
from pipeline.assembly import build_source
from pipeline.changes import Changes, compare
from pipeline.checks import check
from pipeline.cluster import LaunchError, check_room, connect
from pipeline.config import Site
from pipeline.config_file import load
from pipeline.placement import after_changes, shards_of
from pipeline.progress import Progress, Told
from pipeline.running import Door

POLL_S = 0.25
RESTART = {"max_restarts": -1, "max_task_retries": 0}
# How long a run that has just ended may still have its name, how long a change may take, and a picture.
_NAME_FREE_S, _CHANGED_S, _PICTURE_S = 10.0, 300.0, 5.0
# More deaths of one actor within that time are no accident, and restarting it again helps nobody.
MAX_DEATHS, DEATHS_WITHIN_S = 5, 300.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        failures: per camera whose source could not be used: why.
        commits: made in this run.
        already_complete: the ledger held a finished run of this site; nothing was done.
        stopped: somebody asked for it at the door.
    """

    failures: Mapping[str, str]
    commits: int
    already_complete: bool
    stopped: bool = False


def already_runs(site: str) -> str:
    """The sentence for who would run it twice."""
    return (
        f"site {site!r} runs already: `crosscam status` tells how it is, `crosscam apply` changes it, and `crosscam "
        "stop` ends it"
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
        self._told = Told(site.site)
        self._deaths: dict[str, list[float]] = {}
        self._door: Door | None = None
        self._stop_asked = threading.Event()
        self._changes: queue.SimpleQueue[tuple[Site, Future[Changes]]] = queue.SimpleQueue()
        self._runs: dict[Any, int] = {}
        self._shards = shards_of([camera.id for camera in site.cameras], site.resources.cameras_per_worker)

    @property
    def methods(self) -> Mapping[str, Callable[..., Any]]:
        """What may be asked from other threads while the site runs; each takes and gives JSON types."""
        return {
            "erase": self._erase,
            "status": lambda: self._told.status,
            "stop": self._stop_asked.set,
            "apply": self._apply,
            "picture": self._picture,
        }

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
        self._fusion = self._launch_fusion()
        self._door = Door(self._site, self.methods)
        for _ in self._shards:
            self._add_worker()

    def _launch_fusion(self) -> Any:
        """Under the site's name, which nobody else on this Ray may have.

        Raises:
            LaunchError: somebody else has it.
        """
        options = {"name": f"fusion-{self._site.site}", "num_cpus": 0, "max_concurrency": 10_000, **RESTART}
        until = self._clock() + _NAME_FREE_S
        while True:
            try:
                return ray.remote(FusionActor).options(**options).remote()
            except ValueError:
                if self._clock() > until:
                    raise LaunchError(already_runs(self._site.site)) from None
                time.sleep(POLL_S)  # a run that has just ended gives its name back in a moment

    def _add_worker(self) -> None:
        resources = self._site.resources
        options = {"num_cpus": resources.threads, "num_gpus": resources.gpus_per_worker, "max_concurrency": 4}
        # Over the nodes evenly, so that losing one costs few cameras.
        self._workers.append(
            ray.remote(CameraWorker).options(scheduling_strategy="SPREAD", **options, **RESTART).remote()
        )

    def _supervise(self) -> Outcome:
        complete = self._already_complete()
        self._runs = {} if complete else {self._run_shard(i, first=True): i for i in range(len(self._shards))}
        finished = self._fusion.finished.remote(self._site)
        asked: dict[Any, str] = {}
        while not self._stop_asked.is_set():
            runs = self._runs
            done, _ = ray.wait([finished, *runs], num_returns=1, timeout=POLL_S)
            for ref in done:
                if ref == finished:
                    if self._answer(ref, "fusion") is not None:
                        self._note_status("fusion", self._fusion.status.remote())
                        self._report()
                        return Outcome(dict(self._told.failures), self._told.progress.commits, complete)
                    finished = self._fusion.finished.remote(self._site)
                else:
                    index = runs.pop(ref)
                    if self._answer(ref, f"worker-{index}") is None:
                        runs[self._run_shard(index, first=False)] = index
            self._poll(asked)
            self._report()
            while not self._changes.empty():
                self._answer_change(*self._changes.get())
        return Outcome(dict(self._told.failures), self._told.progress.commits, complete, stopped=True)

    def _report(self) -> None:
        self._on_progress(self._told.report())

    def _run_shard(self, index: int, *, first: bool) -> Any:
        return self._workers[index].run.remote(self._site, self._shards[index], self._fusion, first)

    def _already_complete(self) -> bool:
        """Whether the ledger holds a finished run. Waits for the ledger, reporting what it waits for."""
        asked: dict[Any, str] = {}
        ref = self._fusion.begin.remote(self._site)
        while not self._stop_asked.is_set():
            done, _ = ray.wait([ref], timeout=POLL_S)
            if done:
                answer = self._answer(ref, "fusion")
                if answer is not None:
                    return bool(answer[0])
                ref = self._fusion.begin.remote(self._site)
            self._poll(asked)
            self._report()
        return False

    def _apply(self, file: str) -> dict[str, list[str]]:
        """For whoever asks at the door: go on as the site's file says now."""
        return self.apply(load(Path(file)))

    def apply(self, site: Site) -> dict[str, list[str]]:
        """Go on as another description of the same site says; from another thread than `run`'s.

        Returns:
            Ids of cameras that were added, removed and changed.

        Raises:
            CrosscamError: it cannot be done; then nothing was changed.
        """
        check(site)
        done: Future[Changes] = Future()
        self._changes.put((site, done))
        return {name: list(ids) for name, ids in asdict(done.result(_CHANGED_S)).items()}

    def _answer_change(self, site: Site, done: Future[Changes]) -> None:
        try:
            done.set_result(self._change(site))
        except CrosscamError as error:
            done.set_exception(error)
        except RayError as error:
            done.set_exception(LaunchError(f"an actor of site {site.site!r} was lost meanwhile ({error}); ask again"))

    def _change(self, site: Site) -> Changes:
        live = {camera.id: build_source(self._site, camera).live for camera in self._site.cameras}
        changes = compare(self._site, site, live)
        if not changes:
            return changes
        size = site.resources.cameras_per_worker
        shards = after_changes(self._shards, changes.removed, changes.added, size)
        check_room(site, len(shards))
        # Those that go end in good order, in time for the commit from which on they are not there.
        self._ask_workers(site, lambda camera: camera in changes.removed, ())
        self._called(self._fusion.change.remote(site, changes))
        old, self._site, self._shards = self._shards, site, shards
        self._told.forget(changes.removed)
        self._ask_workers(site, lambda camera: False, (*changes.changed, *changes.added), len(old))
        for index in range(len(old), len(shards)):
            self._add_worker()
            self._runs[self._run_shard(index, first=True)] = index
        return changes

    def _ask_workers(
        self, site: Site, leaves: Callable[[str], bool], opening: Sequence[str], workers: int | None = None
    ) -> None:
        for index, shard in enumerate(self._shards[:workers]):
            leaving = [camera for camera in shard if leaves(camera)]
            mine = [camera for camera in opening if camera in shard]
            if not (leaving or mine):
                continue
            try:
                taken = self._called(self._workers[index].change.remote(site, leaving, mine, self._fusion))
            except RayActorError:
                continue  # it comes back with the site as it is then
            if not taken and mine and index not in self._runs.values():
                self._runs[self._run_shard(index, first=True)] = index

    def _called(self, ref: Any) -> Any:
        """What an actor answered; its sentence where it could not do it."""
        try:
            return ray.get(ref)
        except RayTaskError as error:
            raise error.cause if isinstance(error.cause, CrosscamError) else error from None

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

    def _picture(self, camera: str) -> list[Any] | None:
        """A camera's newest picture, as JPEG in base64, its event time, and the tracks in it, for whoever asks."""
        worker = next((w for w, shard in zip(self._workers, self._shards, strict=False) if camera in shard), None)
        if worker is None:
            raise LaunchError(f"site {self._site.site!r} runs no camera {camera!r}")
        try:
            found = ray.get(worker.picture.remote(camera), timeout=_PICTURE_S)
        except RayError:
            return None  # the worker is being restarted
        return None if found is None else [base64.b64encode(found[0]).decode("ascii"), *found[1:]]

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
        with suppress(RayActorError, RayTaskError):  # its death is handled where its work is awaited
            self._told.take(name, ray.get(ref))

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
