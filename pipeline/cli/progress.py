"""The progress of a run: on a terminal a bar a camera with frames, frames a second and drops; in a log, lines."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from pipeline.progress import Progress as SiteProgress

# Time over which frames a second are averaged.
WINDOW_S = 3.0
# A log gets a line about how far the run is this often.
REPORT_S = 60.0


class RunProgress:
    """Shows a running site on `console`.

    Args:
        console: where to draw.
        lengths: frames of each camera's source, None where it does not end or does not say.
        clock: monotonic seconds.
    """

    def __init__(
        self, console: Console, lengths: Mapping[str, int | None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[frames]}"),
            TextColumn("{task.fields[rate]}"),
            TextColumn("{task.fields[drops]}"),
            TimeElapsedColumn(),
            console=console,
            expand=True,
        )
        self._site: TaskID = self._progress.add_task("starting Ray", total=None, frames="", rate="", drops="")
        self._cameras = {
            camera: self._progress.add_task(camera, total=length, frames="", rate="", drops="", visible=False)
            for camera, length in lengths.items()
        }
        self._lengths = dict(lengths)
        self._history: dict[str, list[tuple[float, int]]] = {camera: [] for camera in lengths}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def update(self, site: SiteProgress) -> None:
        """Draw the newest state."""
        text = site.waiting_for or f"{site.commits} commits" + (f", {site.restarts} restarts" if site.restarts else "")
        if not site.pids:
            text = "starting"
        self._progress.update(self._site, description=text)
        for camera, task in self._cameras.items():
            counts = site.counts.get(camera)
            if counts is None:
                continue
            decoded = counts.get("decoded", 0)
            drops = sum(n for key, n in counts.items() if key.startswith("dropped."))
            length = self._lengths[camera]
            self._progress.update(
                task,
                completed=decoded,
                visible=True,
                frames=f"{decoded}/{length} frames" if length else f"{decoded} frames",
                rate=f"{self._rate(camera, decoded):.1f} fps",
                drops=f"{drops} dropped",
            )

    def _rate(self, camera: str, decoded: int) -> float:
        now = self._clock()
        history = self._history[camera]
        history.append((now, decoded))
        while len(history) > 2 and now - history[0][0] > WINDOW_S:
            history.pop(0)
        (t0, n0), (t1, n1) = history[0], history[-1]
        return (n1 - n0) / (t1 - t0) if t1 > t0 else 0.0


class PlainProgress:
    """Tells of a running site in lines, for logs (systemd, containers, CI): what changes, and how far it is.

    Args:
        console: where to print.
        name: the site's.
        clock: monotonic seconds.
    """

    def __init__(self, console: Console, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._name = name
        self._clock = clock
        self._reported = clock()
        self._started = False
        self._waiting_for: str | None = None
        self._restarts = 0

    def __enter__(self) -> Self:
        self._say("starting Ray")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def update(self, site: SiteProgress) -> None:
        """Print what has changed since the last time."""
        if site.pids and not self._started:
            self._started = True
            self._say("started")
        if site.restarts != self._restarts:
            self._restarts = site.restarts
            self._say(f"an actor died and was restarted ({site.restarts} so far)")
        if site.waiting_for != self._waiting_for:
            self._waiting_for = site.waiting_for
            self._say(site.waiting_for or "the ledger is there again")
        now = self._clock()
        if now - self._reported >= REPORT_S:
            self._reported = now
            decoded = sum(counts.get("decoded", 0) for counts in site.counts.values())
            self._say(f"{site.commits} commits, {decoded} frames")

    def _say(self, text: str) -> None:
        self._console.print(f"{self._name}: {text}", markup=False)


class LogProgress(PlainProgress):
    """The same as log lines, which `pipeline.logs` formats."""

    def _say(self, text: str) -> None:
        logging.getLogger(__name__).info(text)
