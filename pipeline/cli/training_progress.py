"""The progress of a training: a line an epoch, and on a terminal a bar below."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class TrainingProgress:
    """Shows a training on `console`.

    Args:
        console: where.
        epochs: most of them.
    """

    def __init__(self, console: Console, epochs: int) -> None:
        self._console, self._epochs = console, epochs
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("epochs", total=epochs)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def step(self, epoch: int, step: int, numbers: Mapping[str, float]) -> None:
        """A step of an epoch, both from 1, and its losses."""
        self._bar.update(
            self._task, completed=epoch - 1, description=f"epoch {epoch}, step {step}, loss {numbers['loss']:.3f}"
        )

    def epoch(self, entry: Mapping[str, float]) -> None:
        """What the log says of an epoch."""
        done = int(entry["epoch"])
        self._bar.update(self._task, completed=done)
        told = ", ".join(f"{name} {value:.4g}" for name, value in entry.items() if name != "epoch")
        self.say(f"epoch {done}/{self._epochs}: {told}")

    def say(self, text: str) -> None:
        """A line above the bar."""
        self._console.print(text, markup=False)
