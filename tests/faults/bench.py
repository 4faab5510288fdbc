"""What faults are tried on: a Ray cluster of three raylets, a Kafka, a site, and what it writes undisturbed."""

from __future__ import annotations

import contextlib
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_AUTH_MODE", "disabled")
os.environ.setdefault("RAY_enable_worker_prestart", "0")  # processes in store that nobody asks for
os.environ.setdefault("RAY_prestart_worker_first_driver", "0")

from ray.cluster_utils import Cluster

from mtmct.records import TOPICS
from pipeline.config_file import load

HERE = Path(__file__).resolve().parent
for folder in (
    HERE,
    HERE.parent / "support",
    HERE.parent / "pipeline" / "ledger",
    HERE.parents[1] / "deploy" / "kafka",
):
    sys.path.insert(0, str(folder))
import server as kafka  # noqa: E402
from driver import Run  # noqa: E402
from faulty_link import FaultyLink  # noqa: E402
from recorded_site import FPS, Contents, contents, parent_of, sqlite, undisturbed, write_walkers  # noqa: E402
from waiting import FaultError  # noqa: E402

CAMERAS = ("east", "west")
ACTORS = 1 + len(CAMERAS)
# Long enough for a run to be still going on when something is done to it: a commit to a file takes a few milliseconds.
EVENT_S = {"sqlite": 400, "kafka": 200}


@dataclass(frozen=True)
class Recovery:
    """How a run came back.

    Attributes:
        down_s: how long the fault lasted: 0 for a kill, until it was ended for what has to be ended.
        recovery_s: from then on to the next commit; the driver's start included where it was the driver.
        moved: actors that are on another node than before.
    """

    down_s: float
    recovery_s: float
    moved: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """One cell of the matrix.

    Attributes:
        lost, duplicated: records, against the run that nothing has happened to.
        same_bytes: in the same order, too.
    """

    kind: str
    ledger: str
    seed: int
    lost: int
    duplicated: int
    same_bytes: bool
    recovery: Recovery


TRIES = 4
NODE = {"num_cpus": 2}

Fault = Callable[["Bench", Path, Any], Recovery]


def write_site(folder: Path, name: str, seed: int, seconds: int, ledger: str, address: str | None = None) -> Path:
    """A site of two cameras, a worker each, with so many seconds of boxes; the same ones for the same seed."""
    cameras = ""
    for number, camera in enumerate(CAMERAS):
        file = folder / f"{camera}-{seed}-{seconds}.txt"
        if not file.exists():
            write_walkers(file, 10 * seed + number, seconds)
        cameras += f"  - {{id: {camera}, source: 'detections:{file.name}', fps: {FPS}, "
        cameras += (
            f"homography: [[0.01,0,{3 * number}],[0,0.01,0],[0,0,1]], lines: {{door: [[300, 0], [300, 500]]}}}}\n"
        )
    text = f"site: {name}\ncameras:\n{cameras}resources: {{cameras_per_worker: 1}}\nledger: {ledger}\n"
    text += f"ray_address: '{address}'\n" if address else ""
    site = folder / f"{name}.yaml"
    site.write_text(text)
    return site


class Bench:
    """The cluster, the Kafka, and the folder of all runs.

    Args:
        folder: for everything.
        with_kafka: start one.
        nodes: what each is told to have.
    """

    def __init__(self, folder: Path, *, with_kafka: bool, nodes: Sequence[Mapping[str, int]] = 3 * (NODE,)) -> None:
        self.folder = folder
        self.cluster = Cluster()
        for node in nodes:
            self.add_node(node)
        # Looks for transactions that have timed out twice a second instead of every ten.
        extra = {"transaction.abort.timed.out.transaction.cleanup.interval.ms": "500"}
        made = kafka.KafkaServer(folder / "kafka", detour=kafka.free_port(), extra=extra) if with_kafka else None
        self.kafka = made and made.start()
        self._whole: dict[tuple[int, int], Contents] = {}
        self._runs = 0
        self._open: list[Run] = []

    def close(self) -> None:
        """Stop everything."""
        if self.kafka is not None:
            self.kafka.stop()
        self.cluster.shutdown()

    def add_node(self, node: Mapping[str, int] = NODE) -> None:
        """One more raylet. A machine that is much too busy starts it too slowly for Ray: then once more."""
        for _ in range(TRIES):
            try:
                self.cluster.add_node(**node, object_store_memory=80_000_000, include_dashboard=False)
                return
            except Exception as error:  # a bare one
                said = error
        raise FaultError(f"no raylet starts: {said}")

    def node_of(self, pid: int) -> Any:
        """The cluster's node whose raylet has started this actor."""
        raylet = parent_of(pid)
        nodes = self.cluster.list_all_nodes()
        return next((node for node in nodes if node.all_processes["raylet"][0].process.pid == raylet), None)

    def run(self, file: Path, namespace: str | None = None) -> Run:
        """A driver; ended with the cell at the latest."""
        self._open.append(Run(file, namespace))
        return self._open[-1]

    def started(self, file: Path) -> Run:
        """A driver whose site is under way."""
        run = self.run(file)
        run.under_way(ACTORS)
        return run

    def cell(self, kind: str, ledger: str, seed: int, fault: Fault) -> Result:
        """One fault in one run.

        Raises:
            FaultError: it does not come back.
        """
        self._runs += 1
        name = f"site-{os.getpid()}-{self._runs}"
        where = sqlite(self.folder / f"{name}.sqlite")
        detour = kind.startswith("commit")
        if ledger == "kafka":
            servers = f"127.0.0.1:{self.kafka.detour}" if detour else self.kafka.bootstrap
            where = f"{{kafka: {{bootstrap_servers: '{servers}', request_timeout_ms: 2000}}}}"
        kept = seed, EVENT_S[ledger]
        file = write_site(self.folder, name, *kept, where, self.cluster.address)
        try:
            with self._line(detour) as line:
                recovery = fault(self, file, line)
                found = contents(load(file))
        finally:
            while self._open:
                self._open.pop().close()
        if kept not in self._whole:
            path = self.folder / f"whole-{seed}-{EVENT_S[ledger]}.sqlite"
            self._whole[kept] = undisturbed(load(write_site(self.folder, "whole", *kept, sqlite(path))))
        whole = self._whole[kept]
        expected = Counter((topic, *row) for topic in TOPICS for row in whole[topic])
        got = Counter((topic, *row) for topic in TOPICS for row in found[topic])
        lost, duplicated = (expected - got).total(), (got - expected).total()
        return Result(kind, ledger, seed, lost, duplicated, found == whole, recovery)

    @contextlib.contextmanager
    def _line(self, detour: bool) -> Iterator[FaultyLink | None]:
        if not detour:
            yield None
            return
        with contextlib.closing(FaultyLink(self.kafka.detour, self.kafka.behind_detour)) as line:
            yield line
