"""The loop that every trainer shares: steps, schedule, averaging, checkpoints, the best epoch, and when to stop.

A `Job` draws what a step needs from generators of its own, seeded with the run's seed, the epoch and the step; so a
training that goes on from a checkpoint equals one that was never interrupted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import paddle
from paddle import Tensor, nn

from operators.networks.tensor_file import read_saved
from operators.networks.training.averaging import Average
from operators.networks.training.errors import TrainingError
from operators.networks.training.logbook import Logbook
from operators.networks.training.parallel import Team, join, separate, synchronised
from operators.networks.training.schedule import warm_cosine, warm_steps
from operators.networks.weights import put, read_state

CHECKPOINT = "checkpoint.pdparams"
BEST = "best.pdparams"
Entry = dict[str, float]


@dataclass(frozen=True, slots=True)
class Plan:
    """How the weights are moved, whatever is learnt.

    Attributes:
        epochs: most of them; `patience`: stop after so many without a better score.
        every: epochs from one evaluation to the next; the last epoch has one anyway.
        rate: the highest learning rate; `warm`: epochs until it is reached, also a part of one.
        schedule: `cosine`, or `steps`: `factor` times the rate from each epoch of `drops` on (epochs from 0).
        optimiser: `momentum` (0.9), `adam` or `adamw`.
        decay: L2 penalty, or AdamW's weight decay.
        clip: longest gradient over all weights; None for any.
        average: decay of the weights' moving average, which is what is evaluated and kept; None for none.
        synchronise: of several processes on GPUs, norms take their statistics over all (SyncBN).
        seed: of everything random.
    """

    epochs: int = 60
    patience: int = 60
    every: int = 1
    rate: float = 1e-3
    warm: float = 0.0
    schedule: str = "cosine"
    drops: tuple[int, ...] = ()
    factor: float = 0.1
    optimiser: str = "momentum"
    decay: float = 4e-5
    clip: float | None = None
    average: float | None = None
    synchronise: bool = False
    seed: int = 0


class Job(Protocol):
    """What is learnt.

    Attributes:
        layer: everything that has weights.
        kept: the part of it that is of use after training; `evaluate` uses nothing else.
        steps: an epoch.
        score: the one of `evaluate`'s numbers by which the best epoch is chosen; more is better.
    """

    layer: nn.Layer
    kept: nn.Layer
    steps: int
    score: str

    def train_mode(self) -> None:
        """Make the layer ready to learn, some of it perhaps kept as it is."""

    def losses(self, epoch: int, step: int) -> Mapping[str, Tensor]:
        """Of one batch; `loss` is what is minimised."""
        ...

    def evaluate(self) -> Mapping[str, float]:
        """How good the layer is now; may leave it in `eval` mode."""
        ...


def fit(
    job: Job,
    plan: Plan,
    folder: Path,
    *,
    facts: Mapping[str, Any],
    resume: bool = False,
    team: Team | None = None,
    on_step: Callable[[int, int, Entry], None] = lambda epoch, step, numbers: None,
    on_epoch: Callable[[Entry], None] = lambda entry: None,
) -> list[Entry]:
    """Train; afterwards `job.kept` holds the best epoch's weights.

    Args:
        job: what.
        plan: how.
        folder: gets `checkpoint.pdparams`, `log.csv` and events for TensorBoard after every epoch, and `best.pdparams`.
        facts: what must be the same for a checkpoint to be gone on from, beside the plan; plain values.
        resume: go on from the folder's checkpoint, where there is one.
        team: the processes that train together; those that this one was started with, if None. `steps` batches an
            epoch are shared out among them, and the first one evaluates and writes.
        on_step: called after every step with epoch and step from 1, and the losses.
        on_epoch: called after every epoch with what the log says of it.

    Returns:
        The log, an entry an epoch: `epoch`, `rate` (the last), the mean losses, and the evaluation's numbers.

    Raises:
        TrainingError: a checkpoint of another training, or a loss that is no number any more.
        ModelError: a checkpoint whose weights are not this network's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    team = team or join()
    team.same_start(job.layer)
    if plan.synchronise and team.size > 1 and paddle.is_compiled_with_cuda():
        synchronised(job.layer)
    optimiser = _optimiser(plan, job.layer)
    average = None if plan.average is None else Average(job.layer, plan.average)
    about = {"plan": asdict(plan), "facts": dict(facts)}
    log: list[Entry] = []
    if resume and (folder / CHECKPOINT).is_file():
        log = _restore(folder / CHECKPOINT, about, job.layer, optimiser, average)
    with Logbook(folder, log, team.first) as book:
        while len(log) < plan.epochs and not _stalled(log, job.score, plan.patience):
            entry = _epoch(job, plan, len(log), optimiser, average, folder, team, on_step)
            if entry["epoch"] % plan.every == 0 or entry["epoch"] == plan.epochs:
                with nullcontext() if average is None else average.used():
                    found = job.evaluate() if team.first else {}
                    entry.update(team.told({name: float(value) for name, value in found.items()}))
                    if team.first and entry[job.score] > max(_scores(log, job.score).values(), default=-math.inf):
                        store(job.kept.state_dict(), folder / BEST)
            log.append(entry)
            if team.first:
                store(_state(about, job.layer, optimiser, average, log), folder / CHECKPOINT)
            book.write(entry)
            on_epoch(entry)
    separate(job.layer)
    team.wait()
    if (folder / BEST).is_file():
        put(job.kept, read_state(folder / BEST), folder / BEST)
    return log


def best(log: Sequence[Entry], score: str) -> Entry:
    """The first entry with the highest score."""
    scores = _scores(log, score)
    return log[max(scores, key=lambda row: scores[row])]


def rate_at(plan: Plan, step: int, per_epoch: int) -> float:
    """The learning rate of a step, counted from 0 over all epochs."""
    warm = round(plan.warm * per_epoch)
    if plan.schedule == "cosine":
        return warm_cosine(step, plan.epochs * per_epoch, warm, plan.rate)
    return warm_steps(step, warm, plan.rate, [epoch * per_epoch for epoch in plan.drops], plan.factor)


def store(state: Any, path: Path) -> None:
    """Whole or not at all."""
    half = path.with_suffix(".part")
    paddle.save(state, str(half))
    half.replace(path)


def _epoch(
    job: Job,
    plan: Plan,
    epoch: int,
    optimiser: Any,
    average: Average | None,
    folder: Path,
    team: Team,
    on_step: Callable[[int, int, Entry], None],
) -> Entry:
    job.train_mode()
    seen: list[Entry] = []
    rate = 0.0
    steps = -(-job.steps // team.size)
    for step in range(steps):
        rate = rate_at(plan, epoch * steps + step, steps)
        optimiser.set_lr(rate)
        batch = step * team.size + team.rank
        paddle.seed(int(np.random.SeedSequence([plan.seed, epoch, batch]).generate_state(1)[0]))
        losses = job.losses(epoch, batch % job.steps)
        losses["loss"].backward()
        numbers = team.average(job.layer.parameters(), {name: float(value) for name, value in losses.items()})
        if not np.isfinite(numbers["loss"]):
            kept = f"the last good epoch is {folder / CHECKPOINT}" if epoch else "no epoch was finished"
            raise TrainingError(
                f"the loss is no number any more (epoch {epoch + 1}, step {step + 1}, learning rate {rate:g}): lower "
                f"the rate, warm up for longer or clip the gradient; {kept}"
            )
        optimiser.step()
        optimiser.clear_grad()
        if average is not None:
            average.update()
        seen.append(numbers)
        on_step(epoch + 1, step + 1, numbers)
    means = {name: float(np.mean([numbers[name] for numbers in seen])) for name in seen[0]}
    return {"epoch": epoch + 1, "rate": rate, **means}


def _optimiser(plan: Plan, layer: nn.Layer) -> Any:
    clip = None if plan.clip is None else nn.ClipGradByGlobalNorm(plan.clip)
    common = {"parameters": layer.parameters(), "grad_clip": clip}
    if plan.optimiser == "momentum":
        penalty = paddle.regularizer.L2Decay(plan.decay)
        return paddle.optimizer.Momentum(plan.rate, 0.9, weight_decay=penalty, **common)
    if plan.optimiser == "adam":
        penalty = paddle.regularizer.L2Decay(plan.decay) if plan.decay else None
        return paddle.optimizer.Adam(plan.rate, weight_decay=penalty, **common)
    if plan.optimiser == "adamw":
        return paddle.optimizer.AdamW(plan.rate, weight_decay=plan.decay, **common)
    raise TrainingError(f"there is no optimiser {plan.optimiser!r}: take momentum, adam or adamw")


def _stalled(log: list[Entry], score: str, patience: int) -> bool:
    scores = _scores(log, score)
    return bool(scores) and max(scores) - max(scores, key=lambda row: scores[row]) >= patience


def _scores(log: Sequence[Entry], score: str) -> dict[int, float]:
    """Of the epochs that were evaluated, by their row."""
    return {row: entry[score] for row, entry in enumerate(log) if score in entry}


def _state(about: Any, layer: nn.Layer, optimiser: Any, average: Average | None, log: list[Entry]) -> dict[str, Any]:
    # Parameters have other names in another process, so that the optimiser's state goes by their order.
    state = optimiser.state_dict()
    moments = [
        {key[len(one.name) :]: value for key, value in state.items() if key.startswith(f"{one.name}_")}
        for one in layer.parameters()
    ]
    return {
        **about,
        "layer": layer.state_dict(),
        "optimiser": moments,
        "average": None if average is None else average.state(),
        "log": log,
    }


def _restore(path: Path, about: Any, layer: nn.Layer, optimiser: Any, average: Average | None) -> list[Entry]:
    try:
        state = read_saved(path)
        known = {"plan": state["plan"], "facts": state["facts"]}
    except Exception as error:
        raise TrainingError(f"{path} is no checkpoint of a training ({error}); remove it to start anew") from None
    if known != about:
        raise TrainingError(f"{path} was trained by another recipe or on other labels; train into another folder")
    put(layer, state["layer"], path)
    moments = zip(layer.parameters(), state["optimiser"], strict=True)
    optimiser.set_state_dict({one.name + key: value for one, own in moments for key, value in own.items()})
    if average is not None:
        average.restore(state["average"])
    log: list[Entry] = state["log"]
    return log
