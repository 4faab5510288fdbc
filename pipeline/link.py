"""How a worker speaks to fusion: the contract, and Ray's way of keeping it."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from mtmct.records import CameraBatch
from operators.records import CrosscamError
from pipeline.lane import Resume


class FusionLostError(CrosscamError):
    """Fusion went away before it acknowledged; attach again and send what is not committed."""


class FusionLink(ABC):
    """A worker's line to fusion. Calls that need an answer wait for a fusion that is restarting."""

    @abstractmethod
    def start_camera(self, camera: str) -> Resume:
        """Take the camera over; see `FusionService.start_camera`."""

    @abstractmethod
    def attach(self, camera: str, epoch: int) -> int:
        """Go on after fusion was restarted; see `FusionService.attach`."""

    @abstractmethod
    def send(self, batch: CameraBatch) -> Any:
        """Send a batch; the ticket is done once the batch is committed."""

    def backpressure(self) -> str:
        """Why batches are not acknowledged, as of lately; see `FusionService.backpressure`. Never waits."""
        return "fusion_backpressure"

    @abstractmethod
    def done(self, tickets: Sequence[Any], timeout: float) -> list[Any]:
        """The tickets that are done, waiting up to `timeout` seconds for the first."""

    @abstractmethod
    def result(self, ticket: Any) -> None:
        """Nothing, or the error that the ticket ended with.

        Raises:
            FusionLostError: fusion went away.
            SupersededError, OutOfStepError: see `FusionService.submit`.
        """


class RayLink(FusionLink):
    """The line to a FusionActor.

    Args:
        actor: handle of the FusionActor.
        stopped: asked while waiting for an actor that is restarting; true gives up.
        retry_failed: see `FusionService.start_camera`.
    """

    def __init__(self, actor: Any, stopped: Callable[[], bool], *, retry_failed: bool = True) -> None:
        self._actor = actor
        self._stopped = stopped
        self._retry_failed = retry_failed
        self._backpressure = "fusion_backpressure"
        self._asked: Any = None

    def start_camera(self, camera: str) -> Resume:
        resume: Resume = self._ask(lambda: self._actor.start_camera.remote(camera, self._retry_failed))
        return resume

    def attach(self, camera: str, epoch: int) -> int:
        return int(self._ask(lambda: self._actor.attach.remote(camera, epoch)))

    def send(self, batch: CameraBatch) -> Any:
        return self._actor.submit.remote(batch)

    def backpressure(self) -> str:
        if self._asked is not None and ray.wait([self._asked], timeout=0)[0]:
            with suppress(RayError):
                self._backpressure = ray.get(self._asked)
            self._asked = None
        if self._asked is None:
            self._asked = self._actor.backpressure.remote()
        return self._backpressure

    def done(self, tickets: Sequence[Any], timeout: float) -> list[Any]:
        if not tickets:
            return []
        ready, _ = ray.wait(list(tickets), num_returns=1, timeout=timeout)
        if ready and len(tickets) > 1:
            ready, _ = ray.wait(list(tickets), num_returns=len(tickets), timeout=0)
        return list(ready)

    def result(self, ticket: Any) -> None:
        try:
            ray.get(ticket)
        except RayActorError:
            raise FusionLostError("the FusionActor went away") from None
        except RayTaskError as error:
            raise error.cause if isinstance(error.cause, CrosscamError) else error from None

    def _ask(self, call: Callable[[], Any]) -> Any:
        delay = 0.1
        while True:
            try:
                return ray.get(call())
            except RayActorError:
                if self._stopped():
                    raise FusionLostError("the FusionActor went away while this worker was stopping") from None
                time.sleep(delay)
                delay = min(2 * delay, 2.0)
            except RayTaskError as error:
                raise error.cause if isinstance(error.cause, CrosscamError) else error from None
