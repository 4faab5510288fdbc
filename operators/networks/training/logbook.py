"""What a training says of itself: log.csv always, and events for TensorBoard where tensorboardX is installed."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class Logbook:
    """Writes entries into a folder.

    Args:
        folder: gets `log.csv`, and `events/` for `tensorboard --logdir`.
        past: entries of a training that is gone on with.
        writes: False to write nothing.
    """

    def __init__(self, folder: Path, past: Sequence[dict[str, float]], writes: bool = True) -> None:
        self._file = folder / "log.csv"
        self._entries = list(past)
        self._writes = writes
        self._events: Any = None
        if writes:
            try:
                from tensorboardX import SummaryWriter
            except ImportError:
                return
            self._events = SummaryWriter(str(folder / "events"), purge_step=len(self._entries) + 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._events is not None:
            self._events.close()

    def write(self, entry: dict[str, float]) -> None:
        """Add an epoch's numbers; they must have an `epoch`."""
        self._entries.append(entry)
        if not self._writes:
            return
        with self._file.open("w", encoding="utf-8", newline="") as file:
            # An epoch that was not evaluated lacks the scores.
            names = list(dict.fromkeys(name for entry in self._entries for name in entry))
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(self._entries)
        if self._events is not None:
            for name, value in entry.items():
                if name != "epoch":
                    self._events.add_scalar(name, value, int(entry["epoch"]))
