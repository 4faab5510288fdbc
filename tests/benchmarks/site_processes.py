"""A simulated site run as its user runs it, by `crosscam run`, and what its processes take meanwhile."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import chdir, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from operators.records import CrosscamError
from pipeline.address import Place
from pipeline.config_file import load
from pipeline.running import ask
from pipeline.simulate import camera_names
from pipeline.sources.simulation.settings import Settings
from pipeline.sources.simulation.site import site_of

_TICKS = os.sysconf("SC_CLK_TCK")
_PATIENCE_S = 600.0


def write_site(
    folder: Path,
    name: str,
    settings: list[Settings],
    *,
    fps: float,
    ledger: str,
    workers: int,
    start: str | None = None,
    more: str = "",
) -> Path:
    """The YAML file of a simulated site, calibrated, with a line and a zone in each camera.

    Args:
        settings: of each camera.
        ledger: what stands after `ledger:`.
        workers: over which the cameras are spread.
        start: event time of the first frame; the start of 1970 if not given.
        more: further lines.
    """
    lines = [f"site: {name}", "profile: pedestrian", "cameras:"]
    for camera, each in zip(camera_names(len(settings)), settings, strict=True):
        matrix = [[float(f"{value:.9g}") for value in row] for row in site_of(each).camera(each.camera).homography]
        low = round(each.height * 0.6)
        lines += [
            f"  - id: {camera}",
            f"    source: '{each.text()}'",
            f"    fps: {fps}",
            f"    homography: {json.dumps(matrix)}",
            f"    lines: {{across: [[0, {low}], [{each.width}, {low}]]}}",
            f"    zones: {{front: {[[0, low], [each.width, low], [each.width, each.height], [0, each.height]]}}}",
            *([f"    start: {start}"] if start else []),
        ]
    lines += [f"resources: {{cameras_per_worker: {-(-len(settings) // workers)}}}", f"ledger: {ledger}", more]
    path = folder / f"{name}.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@contextmanager
def kafka(folder: Path) -> Iterator[str]:
    """HOST:PORT of a Kafka of one node, started for this."""
    path = Path(__file__).resolve().parents[2] / "deploy" / "kafka" / "server.py"
    spec = importlib.util.spec_from_file_location("deploy_kafka_server", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    with module.KafkaServer(folder / "kafka") as server:
        yield server.bootstrap


@contextmanager
def ledger_in(folder: Path, kind: str) -> Iterator[str]:
    """What stands after `ledger:` for one of a kind that nothing has been written to."""
    if kind == "sqlite":
        yield f"{{sqlite: {{path: '{folder / 'ledger.sqlite'}'}}}}"
        return
    with kafka(folder) as servers:
        yield f"{{kafka: {{bootstrap_servers: '{servers}'}}}}"


@dataclass(frozen=True)
class Process:
    """What one process takes: resident megabytes, open files, threads, CPU seconds so far."""

    rss_mb: float
    fds: int
    threads: int
    cpu_s: float

    @classmethod
    def of(cls, pid: int) -> Self:
        """As of now.

        Raises:
            OSError: it is not there any more.
        """
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return cls(
            rss_mb=int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 2**20,
            fds=sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()),
            threads=int(fields[17]),
            cpu_s=(int(fields[11]) + int(fields[12])) / _TICKS,
        )


def cpu_of_tree(pid: int) -> float:
    """CPU seconds of a process and of all that descend from it."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    total = 0.0
    for each in parents:
        at = each
        while at not in (0, pid):
            at = parents.get(at, 0)
        if at == pid:
            with suppress(OSError):
                total += Process.of(each).cpu_s
    return total


class Run:
    """`crosscam run` in a process of its own; stopped when this is left.

    Args:
        site: its YAML file.
    """

    def __init__(self, site: Path) -> None:
        self.site = site
        self._place = Place.of(load(site))

    def __enter__(self) -> Self:
        # A file and not a pipe: a pipe that nobody reads fills up, and then the run waits.
        self._said = tempfile.TemporaryFile()
        command = [sys.executable, "-m", "pipeline.cli", "run", str(self.site)]
        self.process = subprocess.Popen(command, cwd=self.site.parent, stdout=self._said, stderr=self._said)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self._said.close()

    @property
    def over(self) -> bool:
        """Whether it has ended.

        Raises:
            RuntimeError: it has failed.
        """
        status = self.process.poll()
        if status not in (None, 0):
            self._said.seek(0)
            raise RuntimeError(f"crosscam run ended with {status}: {self._said.read().decode()[-2000:]}")
        return status is not None

    def status(self, *, committed: bool = True) -> dict[str, Any] | None:
        """As `crosscam status` tells; None while it has not begun (has not `committed`), or has ended."""
        try:
            with chdir(self.site.parent):  # where the note of a run on Kafka lies
                told: dict[str, Any] = ask(self._place, "status")
        except CrosscamError:
            return None
        begun = told.get("pids") and (not committed or told.get("watermark") is not None)
        return told if begun else None

    def under_way(self, workers: int) -> dict[str, Any]:
        """Wait until every actor is there and has committed."""
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until and not self.over:
            told = self.status()
            if told is not None and len(told["pids"]) == 1 + workers and told["commits"] > 2:
                return told
            time.sleep(0.1)
        raise RuntimeError("the site did not begin to commit")
