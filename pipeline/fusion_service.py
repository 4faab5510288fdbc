"""What the FusionActor does, without Ray: take batches, put them in event-time order, fuse, commit, acknowledge.

One commit a commit interval, in the order that `pipeline.commit_order` finds: which worker sent what, and when, leaves
no mark on the output.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mtmct.records import CameraBatch, Commit, Record
from operators.records import CrosscamError, reading_state
from pipeline.changes import Changes
from pipeline.clock_watch import ClockWatch
from pipeline.commit_order import CAMERA, SITE_KEY, CommitOrder
from pipeline.health import HealthServer, answered_by
from pipeline.lane import Resume, StoppedError
from pipeline.ledger.base import Encoded, LedgerWriter
from pipeline.metrics.catalogue import COMMIT_SECONDS, FUSE_SECONDS
from pipeline.metrics.recorder import Silent
from pipeline.metrics.site_watch import EVERY_S, SiteWatch
from pipeline.notes import change_event
from pipeline.parts import Engine, Parts

END_OF_TIME = 2**63 - 1
# How long a camera that was taken out may take to end in good order.
LEAVING_S = 5.0
# A camera's epochs count from the ledger's, which is stored as soon as fusion opens it: a fusion that dies before it
# has committed anything leaves no epoch that its successor gives to another worker.
EPOCHS_A_FUSION = 2**24

_log = logging.getLogger(__name__)


class FusionService:
    """Orders, fuses and commits the batches of one site.

    Args:
        order: in which the site's cameras are committed.
        engine: makes identities.
        ledger: takes the commits; opened by `start`.
        encode: a record as the ledger stores it.
        watch: records how it goes; nobody does if not given.
        health: answers probes; opened by `start`.
    """

    def __init__(
        self,
        *,
        order: CommitOrder,
        engine: Engine,
        ledger: LedgerWriter,
        encode: Callable[[Record], Encoded],
        watch: SiteWatch | None = None,
        health: HealthServer | None = None,
    ) -> None:
        self._order = order
        self._engine = engine
        self._ledger = ledger
        self._encode = encode
        self._watch = watch or SiteWatch(Silent())
        self._health = health
        self._clocks = ClockWatch()
        self._commits = 0
        self._error: CrosscamError | None = None
        self._started = asyncio.Lock()
        # Nobody may take a camera over while one of its batches is being committed.
        self._committing = asyncio.Lock()
        # The engine and the ledger belong to one thread; the event loop stays free to answer.
        self._thread = ThreadPoolExecutor(1, "commit")
        self._news = asyncio.Event()
        self._done = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self.waiting_for: str | None = None
        self._storing = False
        self._stopping = False

    def on_wait(self, message: str) -> None:
        """The ledger does not answer: keep the sentence for `status` until the next commit.

        Raises:
            StoppedError: the service is stopping; this ends the wait.
        """
        self.waiting_for = message
        _log.warning(message)
        if self._stopping:
            raise StoppedError(f"site {self._order.site!r}: stopped while waiting for the ledger")

    async def start(self) -> None:
        """Open the ledger, restore the state of the last commit, begin to commit. Once; later calls wait for it.

        Raises:
            LedgerError, StateError: the ledger or what it holds cannot be used.
        """
        async with self._started:
            if self._error is not None:
                raise self._error
            if self._task is None:
                try:
                    if self._health is not None:
                        loop = asyncio.get_running_loop()
                        self._health.open(
                            alive=answered_by(loop, self.not_alive),
                            ready=answered_by(loop, self.not_ready),
                        )
                    state = await self._call(self._ledger.open)
                    self._order.restore(state)
                    with reading_state(f"site {self._order.site!r}"):
                        self._engine.restore(state)
                except CrosscamError as error:
                    self._error = error
                    raise
                self._watch.restored(state, self._order.lanes)
                self._clocks.restored(state)
                self._task = asyncio.create_task(self._run())
                self._watching = asyncio.create_task(self._look())
                _log.info("fusion goes on after commit interval %s", self._order.last_interval)

    async def start_camera(self, camera: str, retry_failed: bool = True) -> Resume:
        """A new worker takes the camera over, from its last commit; whatever an earlier one sent since is forgotten.

        Args:
            camera: camera id.
            retry_failed: try a source again that has failed before; false in a run that has seen it fail.
        """
        await self.start()
        async with self._committing:
            resume = self._order.take_over(camera, (self._ledger.epoch - 1) * EPOCHS_A_FUSION + 1, retry_failed)
            self._watch.taken_over(camera)
            _log.info("a worker has taken over camera %s", camera, extra={"fields": {"camera": camera}})
            return resume

    async def attach(self, camera: str, epoch: int) -> int:
        """A worker goes on after fusion itself was restarted: the sequence number that it shall send from.

        Raises:
            SupersededError: a later worker has the camera.
        """
        await self.start()
        async with self._committing:
            return self._order.attach(camera, epoch)

    async def submit(self, batch: CameraBatch) -> None:
        """Take one batch; returns once it is committed. A repeated delivery is recognised and waits for the first.

        Raises:
            SupersededError: a later worker has the camera.
            OutOfStepError: fusion has restarted or a batch is missing; `attach`, then send from there.
        """
        await self.start()
        lane = self._order.heard(batch)
        if batch.sequence < lane.committed:
            return
        waiting = lane.waiting_for(batch.sequence)
        if waiting is None:
            waiting = lane.put(batch)
            self._clocks.heard(batch.camera, batch.watermark_ns, self._order.lanes)
            self._news.set()
        await asyncio.shield(waiting)

    async def finished(self) -> None:
        """Wait until every camera has ended and the last commit is made.

        Raises:
            CrosscamError: committing has become impossible (another writer took over, say).
        """
        await self.start()
        await self._done.wait()
        if self._error is not None:
            raise self._error

    async def complete(self) -> bool:
        """Whether the ledger holds a finished run of this site."""
        await self.start()
        return self._order.finished

    async def backpressure(self) -> str:
        """Why batches are not acknowledged just now, as the reason that frames are dropped for meanwhile."""
        if self._storing or self._task is None:
            return "ledger_backpressure"
        return "fusion_backpressure" if self._committing.locked() else "camera_backpressure"

    def not_alive(self) -> list[str]:
        """Why the site will never commit again in this process; empty while it may."""
        return [] if self._error is None else [str(self._error)]

    def not_ready(self) -> list[str]:
        """What keeps the site from committing, a sentence each; empty while it does."""
        if self._error is not None:
            return self.not_alive()
        if self.waiting_for is not None:
            return [self.waiting_for]
        if self._task is None:
            return ["the ledger has not been opened yet"]
        missing = (camera for camera, lane in self._order.lanes.items() if not lane.attached and not lane.over)
        return [f"camera {camera!r} has no worker yet" for camera in missing]

    async def erase(self, number: int, last_said: Mapping[str, Any] | None = None) -> str | None:
        """Erase an identity, in a commit of its own between two others.

        Args:
            number: the identity's number.
            last_said: its latest `identities` record.

        Returns:
            What is left of the embeddings where, as a sentence; see `LedgerWriter.scrub`.

        Raises:
            CrosscamError: there is no such identity, or committing has become impossible.
        """
        await self.start()
        async with self._committing:
            if self._error is not None:
                raise self._error
            now_ns = self._order.now_ns or 0
            commit = await self._call(self._engine.erase, number, now_ns, last_said)
            try:
                await self._call(self._store, commit.records, commit.state)
            except CrosscamError as error:
                # The engine has forgotten what the ledger may not have: only a restart can go on from there.
                self._fail(error)
                raise
            self._commits += 1
            left: str | None = await self._call(self._ledger.scrub)
            return left

    async def change(self, parts: Parts, changes: Changes) -> None:
        """Go on with other cameras, from one commit to the next; those that stay do not notice.

        Removed cameras are waited for a moment: a worker that was told so has them end in good order. What of an added
        camera lies before this commit is late; one that was here before goes on as it was.

        Raises:
            CrosscamError: committing has become impossible.
        """
        await self.start()
        until = self._order.clock() + LEAVING_S
        while self._order.clock() < until and not all(self._order.lanes[camera].over for camera in changes.removed):
            await asyncio.sleep(0.05)
        async with self._committing:
            if self._error is not None:
                raise self._error
            if self._order.finished:
                raise CrosscamError(f"site {self._order.site!r} has just come to its end: nothing was changed")
            now_ns = self._order.now_ns or 0
            await self._call(lambda: parts.engine.restore(self._engine.snapshot()))
            added = {camera: self._order.joining(camera, parts.cameras[camera]) for camera in changes.added}
            state: dict[str, bytes | None] = {CAMERA + camera: lane.packed() for camera, lane in added.items()}
            state[SITE_KEY] = self._order.packed(self._order.last_interval, finished=False, cameras=list(parts.cameras))
            try:
                await self._call(self._store, [change_event(self._order.site, changes, now_ns)], state)
            except CrosscamError as error:
                self._fail(error)
                raise
            self._commits += 1
            self._order.change(parts.cameras, added, changes.removed)
            self._engine = parts.engine
            self._watch.keep_to(parts.by_the_clock)
        self._news.set()

    async def status(self) -> dict[str, Any]:
        """Commits so far, and per camera: counts, watermark, batches waiting, late tracklets, failure, clock.

        Of the clock: `skew_ms` by which it is ahead, as measured, None if it is not; `apart_s` by which its time is
        ahead of the other live cameras' where that is more than a minute, and `batches_apart` that were so.
        """
        return {
            "commits": self._commits,
            "waiting_for": self.waiting_for,
            "finished": self._done.is_set(),
            "watermark_ns": self._order.now_ns,
            "cameras": {
                camera: {
                    **lane,
                    "skew_ms": self._clocks.skew_ms.get(camera),
                    "apart_s": self._clocks.apart_s.get(camera),
                    "batches_apart": self._clocks.batches_apart.get(camera, 0),
                }
                for camera, lane in self._order.status().items()
            },
        }

    async def stop(self) -> None:
        """Stop committing and let go of the ledger; what is not committed will be sent again to the next one."""
        self._stopping = True
        tasks = [task for task in (self._task, self._watching) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._health is not None:
            await asyncio.to_thread(self._health.close)
        await self._call(self._ledger.close)
        self._thread.shutdown(wait=False)

    # --- inside -------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            while True:
                self._news.clear()
                while await self._commit_next():
                    pass
                if self._order.over:
                    await self._finish()
                    return
                try:
                    await asyncio.wait_for(self._news.wait(), self._order.look_again_s)
                except TimeoutError:
                    continue
        except CrosscamError as error:
            self._fail(error)
        except Exception as error:
            self._fail(CrosscamError(f"site {self._order.site!r}: fusion broke ({type(error).__name__}: {error})"))
            raise

    async def _look(self) -> None:
        while not self._done.is_set():
            self._watch.look(self._order.lanes, waiting=self.waiting_for is not None, ready=not self.not_ready())
            await asyncio.sleep(EVERY_S)

    def _fail(self, error: CrosscamError) -> None:
        _log.error(str(error))
        self._error = error
        for lane in self._order.lanes.values():
            lane.drop_queue(error)
        self._done.set()

    async def _commit_next(self) -> bool:
        """Commit the next interval if it is complete."""
        async with self._committing:
            # Asked under the lock: a camera may have been taken over, and its batches forgotten, in the meantime.
            interval = self._order.ready()
            if interval is not None:
                await self._commit_interval(interval)
            return interval is not None

    async def _commit_interval(self, interval: int) -> None:
        # 1. Every batch up to it; one whose own interval is already out counts as late and moves into this commit.
        taken = self._order.entries(interval)
        batches = [self._order.on_time(batch, interval) for batch, _ in taken]
        # 2. Fuse. 3. Commit records and state in one step.
        with self._watch.timed(FUSE_SECONDS):
            commit = await self._call(self._engine.advance, batches, self._order.end_ns(interval))
        await self._write(commit, batches, interval, finished=False)
        # 4. Only now is it true: remember, and acknowledge.
        self._order.committed(taken, interval)

    async def _finish(self) -> None:
        if not self._order.finished:
            commit = await self._call(self._engine.advance, [], END_OF_TIME)
            await self._write(commit, [], self._order.last_interval, finished=True)
            self._order.finished = True
        self._done.set()

    async def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    async def _write(
        self, commit: Commit, batches: Sequence[CameraBatch], interval: int | None, *, finished: bool
    ) -> None:
        state = {**commit.state, **self._order.state_after(batches, interval, finished=finished)}
        self._storing = True
        try:
            with self._watch.timed(COMMIT_SECONDS):
                await self._call(self._store, commit.records, state)
        finally:
            self._storing = False
        self.waiting_for = None
        self._commits += 1
        self._watch.committed(commit.records, state)
        self._clocks.committed(commit.records)

    def _store(self, records: Sequence[Record], state: Mapping[str, bytes | None]) -> None:
        """In the engine's thread: while a large commit is encoded, the event loop stays free to answer."""
        self._ledger.commit([self._encode(record) for record in records], state)
