"""What every trainer does once its job is set up: train, keep what it takes to build the network again, export."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from operators.networks.blueprint import Blueprint
from operators.networks.training.loop import Entry, Job, Plan, best, fit
from operators.networks.training.parallel import join

OnStep = Callable[[int, int, Entry], None]
OnEpoch = Callable[[Entry], None]


class BuildableJob(Job, Protocol):
    """A job whose `kept` can be built again.

    Attributes:
        blueprint: how.
    """

    blueprint: Blueprint


def unwatched(*_: object) -> None:
    """For whoever wants to hear of no step and no epoch."""


def run(
    job: BuildableJob,
    plan: Plan,
    folder: Path,
    *,
    facts: Mapping[str, Any],
    resume: bool,
    on_step: OnStep,
    on_epoch: OnEpoch,
) -> Entry:
    """Train, and export the best epoch as `folder/model`; arguments and errors as `fit`'s.

    Returns:
        The best epoch's entry of the log.
    """
    team = join()
    if team.first:
        folder.mkdir(parents=True, exist_ok=True)
        job.blueprint.write(folder)
    log = fit(job, plan, folder, facts=facts, resume=resume, team=team, on_step=on_step, on_epoch=on_epoch)
    if team.first:
        job.blueprint.export(job.kept, folder / "model")
    return best(log, job.score)
