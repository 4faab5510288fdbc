"""Kills every part of a running site, on a real cluster and a real Kafka, and compares what is written with a run that
nothing has happened to.

    python tests/faults/matrix.py [--seeds 3] [--only worker,broker] [--ledger sqlite]      prints JSON

Three raylets on this machine (`ray.cluster_utils`), and the Kafka of deploy/kafka. The site reads detections, so that
the same bytes are to come out: of live cameras no two runs see the same frames.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_AUTH_MODE", "disabled")

import numpy as np
from ray.cluster_utils import Cluster

from mtmct.records import TOPICS
from pipeline.assembly import build_reader, build_service, build_shard
from pipeline.config import Site
from pipeline.config_file import load
from pipeline.testing import LocalFusion, LocalLink

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "pipeline" / "ledger"))
from faulty_link import END_TXN, Fault, FaultyLink  # noqa: E402

CAMERAS = ("east", "west")
FPS, EVENT_S = 10, 400
NAME = b"plaza"
PATIENCE_S = 180.0
Contents = dict[str, list[tuple[bytes, bytes]]]


def write_detections(path: Path, seed: int) -> None:
    """Three people who walk to and fro, with noise and misses, as MOT text."""
    random = np.random.default_rng(seed)
    rows = []
    for frame in range(1, EVENT_S * FPS + 1):
        for person in range(3):
            if random.random() < 0.05:
                continue
            x = 300 + 250 * np.sin(frame / 90 + 2 * person) + random.normal(0, 1)
            y = 120 + 90 * person + random.normal(0, 1)
            rows.append(f"{frame},-1,{x:.2f},{y:.2f},40,100,{random.uniform(0.65, 0.95):.3f}")
    path.write_text("\n".join(rows) + "\n")


def write_site(folder: Path, name: str, seed: int, ledger: str, address: str | None = None) -> Path:
    """A site of two cameras, a worker each."""
    cameras = ""
    for number, camera in enumerate(CAMERAS):
        file = folder / f"{camera}-{seed}.txt"
        if not file.exists():
            write_detections(file, 10 * seed + number)
        shift = 3 * number
        cameras += f"  - {{id: {camera}, source: 'detections:{file.name}', fps: {FPS}, "
        cameras += f"homography: [[0.01,0,{shift}],[0,0.01,0],[0,0,1]], lines: {{door: [[300, 0], [300, 500]]}}}}\n"
    text = f"site: {name}\ncameras:\n{cameras}resources: {{cameras_per_worker: 1}}\nledger: {ledger}\n"
    text += f"ray_address: '{address}'\n" if address else ""
    site = folder / f"{name}.yaml"
    site.write_text(text)
    return site


def contents(site: Site) -> Contents:
    """Every record of the site's ledger, as bytes, without the site's name."""
    mine = site.site.encode()
    with contextlib.closing(build_reader(site)) as reader:
        return {
            topic: [(r.key.encode().replace(mine, NAME), r.raw.replace(mine, NAME)) for r in reader.read(topic)]
            for topic in TOPICS
        }


def undisturbed(folder: Path, seed: int) -> Contents:
    """What is to be written: the same site in this process, without Ray and without a fault."""
    path = folder / f"whole-{seed}.sqlite"
    site = load(write_site(folder, "whole", seed, f"{{sqlite: {{path: '{path}'}}}}"))
    with contextlib.closing(LocalFusion(lambda: build_service(site))) as fusion:
        shards = [build_shard(site, (camera,), LocalLink(fusion)) for camera in CAMERAS]
        threads = [threading.Thread(target=shard.run) for shard in shards]
        for thread in threads:
            thread.start()
        fusion.call(lambda service: service.finished()).result(PATIENCE_S)
        for thread in threads:
            thread.join()
    return contents(site)


class Run:
    """A driver in a process of its own, as its user starts it.

    Attributes:
        commits: of the present fusion actor, as last told.
        pids: of the actors.
        waits: what the ledger waits for.
    """

    def __init__(self, site: Path) -> None:
        self.commits = 0
        self.pids: dict[str, int] = {}
        self.waits: str | None = None
        self._heard = threading.Condition()
        self.process = subprocess.Popen(
            [sys.executable, HERE / "run_site.py", site], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if not line.startswith("{"):
                continue  # Ray's own
            said = json.loads(line)
            with self._heard:
                self.commits, self.pids = said.get("commits", self.commits), said.get("pids", self.pids)
                self.waits = said.get("waits")
                self._heard.notify_all()
        with self._heard:
            self._heard.notify_all()

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that the driver tells."""
        with self._heard:
            met = self._heard.wait_for(lambda: condition() or self.process.poll() is not None, PATIENCE_S)
        if not condition():
            raise AssertionError(f"{'the run has ended' if met else 'nothing happens'}: {self.error()}")

    def under_way(self) -> None:
        """Wait until a few commits are made."""
        self.until(lambda: self.commits >= 3 and len(self.pids) == 1 + len(CAMERAS))

    def goes_on(self, *dead: str) -> Callable[[], bool]:
        """Whether there are more commits, once whoever is dead has come back under another process id."""
        before = dict(self.pids)
        since: list[int] = [] if dead else [self.commits]

        def answer() -> bool:
            if not since:
                if any(self.pids[name] == before[name] for name in dead):
                    return False
                since.append(0 if "fusion" in dead else self.commits)
            return self.commits > since[0]

        return answer

    def error(self) -> str:
        if self.process.poll() is None:
            return "it is still running"
        assert self.process.stderr is not None
        return f"status {self.process.returncode}, {self.process.stderr.read()[-2000:]}"

    def wait(self) -> int:
        return self.process.wait(PATIENCE_S)

    def signal(self, how: signal.Signals) -> None:
        self.process.send_signal(how)


@dataclass(frozen=True)
class Result:
    """One cell of the matrix.

    Attributes:
        lost, duplicated: records, against the run that nothing has happened to.
        same_bytes: in the same order, too.
        recovery_s: from the fault, or from the end of what lasts, to the next commit; the driver's start included
            where it was the driver.
    """

    kind: str
    ledger: str
    seed: int
    lost: int
    duplicated: int
    same_bytes: bool
    recovery_s: float


class Bench:
    """The cluster, the Kafka, and the folder of all runs."""

    def __init__(self, folder: Path, *, kafka: bool) -> None:
        self.folder = folder
        self._node = {"num_cpus": 2, "object_store_memory": 80_000_000}
        self.cluster = Cluster(initialize_head=True, head_node_args={**self._node, "include_dashboard": False})
        for _ in range(2):
            self.cluster.add_node(**self._node)
        self.kafka = self._start_kafka() if kafka else None
        self._whole: dict[int, Contents] = {}
        self._runs = 0

    def _start_kafka(self) -> Any:
        path = HERE.parents[1] / "deploy" / "kafka" / "server.py"
        spec = importlib.util.spec_from_file_location("deploy_kafka_server", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        extra = {"transaction.abort.timed.out.transaction.cleanup.interval.ms": "500"}
        return module.KafkaServer(self.folder / "kafka", detour=module.free_port(), extra=extra).start()

    def close(self) -> None:
        if self.kafka is not None:
            self.kafka.stop()
        self.cluster.shutdown()

    def add_node(self) -> None:
        self.cluster.add_node(**self._node)

    def cell(self, kind: str, ledger: str, seed: int) -> Result:
        """One fault in one run."""
        self._runs += 1
        name = f"site-{os.getpid()}-{self._runs}"
        where = f"{{sqlite: {{path: '{self.folder / name}.sqlite'}}}}"
        if ledger == "kafka":
            servers = f"127.0.0.1:{self.kafka.detour}" if kind.startswith("commit") else self.kafka.bootstrap
            where = f"{{kafka: {{bootstrap_servers: '{servers}', request_timeout_ms: 2000}}}}"
        file = write_site(self.folder, name, seed, where, self.cluster.address)
        with self._line(kind) as line:
            recovery_s = FAULTS[kind](self, file, line)
        if seed not in self._whole:
            self._whole[seed] = undisturbed(self.folder, seed)
        whole, found = self._whole[seed], contents(load(file))
        expected = Counter((topic, *row) for topic in TOPICS for row in whole[topic])
        got = Counter((topic, *row) for topic in TOPICS for row in found[topic])
        return Result(
            kind, ledger, seed, (expected - got).total(), (got - expected).total(), found == whole, round(recovery_s, 2)
        )

    @contextlib.contextmanager
    def _line(self, kind: str) -> Iterator[FaultyLink | None]:
        if not kind.startswith("commit"):
            yield None
            return
        with contextlib.closing(FaultyLink(self.kafka.detour, self.kafka.behind_detour)) as line:
            yield line


def _finish(run: Run, began: float, goes_on: Callable[[], bool]) -> float:
    run.until(goes_on)
    recovery_s = time.monotonic() - began
    assert run.wait() == 0, run.error()
    return recovery_s


def kill_actor(name: str) -> Callable[[Bench, Path, Any], float]:
    def fault(bench: Bench, file: Path, line: Any) -> float:
        run = Run(file)
        run.under_way()
        goes_on = run.goes_on(name)
        os.kill(run.pids[name], signal.SIGKILL)
        return _finish(run, time.monotonic(), goes_on)

    return fault


def end_driver(how: signal.Signals, status: int) -> Callable[[Bench, Path, Any], float]:
    def fault(bench: Bench, file: Path, line: Any) -> float:
        run = Run(file)
        run.under_way()
        run.signal(how)
        assert run.wait() == status, run.error()
        began = time.monotonic()
        again = Run(file)
        return _finish(again, began, lambda: again.commits > 0)

    return fault


def parent_of(pid: int) -> int:
    """Process id of its parent: of an actor, the raylet."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def kill_raylet(bench: Bench, file: Path, line: Any) -> float:
    run = Run(file)
    run.under_way()
    head = bench.cluster.head_node
    raylets = {node.all_processes["raylet"][0].process.pid: node for node in bench.cluster.list_all_nodes()}
    nodes = {name: raylets.get(parent_of(pid)) for name, pid in run.pids.items()}
    hit = next(node for node in nodes.values() if node not in (None, head))
    goes_on = run.goes_on(*(name for name, node in nodes.items() if node is hit))
    began = time.monotonic()
    bench.cluster.remove_node(hit, allow_graceful=False)
    try:
        return _finish(run, began, goes_on)
    finally:
        bench.add_node()


def kill_broker(bench: Bench, file: Path, line: Any) -> float:
    run = Run(file)
    run.under_way()
    bench.kafka.kill()
    run.until(lambda: run.waits is not None)
    goes_on = run.goes_on()
    began = time.monotonic()
    bench.kafka.start()
    return _finish(run, began, goes_on)


def freeze_broker(bench: Bench, file: Path, line: Any) -> float:
    run = Run(file)
    run.under_way()
    with bench.kafka.frozen():
        run.until(lambda: run.waits is not None)
        goes_on = run.goes_on()
    return _finish(run, time.monotonic(), goes_on)


def cut_commit(what: Fault) -> Callable[[Bench, Path, Any], float]:
    """The marker of a commit is under way when the fusion actor dies: lost, or written but not confirmed."""

    def fault(bench: Bench, file: Path, line: FaultyLink) -> float:
        run = Run(file)
        run.under_way()
        line.fail_next(END_TXN, what, stay_down=True)
        until = time.monotonic() + PATIENCE_S
        while not line.hits and time.monotonic() < until:
            time.sleep(0.005)
        goes_on = run.goes_on("fusion")
        os.kill(run.pids["fusion"], signal.SIGKILL)
        began = time.monotonic()
        line.mend()
        return _finish(run, began, goes_on)

    return fault


def fill_disk(bench: Bench, file: Path, line: Any) -> float:
    """No file of the fusion actor may grow any further, until there is room again."""
    run = Run(file)
    run.under_way()
    fusion = run.pids["fusion"]
    _, hard = resource.prlimit(fusion, resource.RLIMIT_FSIZE)
    resource.prlimit(fusion, resource.RLIMIT_FSIZE, (4096, hard))
    run.until(lambda: run.waits is not None)
    goes_on = run.goes_on()
    began = time.monotonic()
    resource.prlimit(fusion, resource.RLIMIT_FSIZE, (hard, hard))
    return _finish(run, began, goes_on)


FAULTS: dict[str, Callable[[Bench, Path, Any], float]] = {
    "worker": kill_actor("worker-0"),
    "fusion": kill_actor("fusion"),
    "driver": end_driver(signal.SIGKILL, -signal.SIGKILL),
    "sigterm": end_driver(signal.SIGTERM, 130),
    "ctrl-c": end_driver(signal.SIGINT, 130),
    "raylet": kill_raylet,
    "disk": fill_disk,
    "broker": kill_broker,
    "broker-frozen": freeze_broker,
    "commit-before-marker": cut_commit(Fault.LOST),
    "commit-after-marker": cut_commit(Fault.UNANSWERED),
}
KAFKA_ONLY = {"broker", "broker-frozen", "commit-before-marker", "commit-after-marker"}
SQLITE_ONLY = {"disk"}
CELLS = [
    (kind, ledger)
    for kind in FAULTS
    for ledger in ("sqlite", "kafka")
    if kind not in (SQLITE_ONLY if ledger == "kafka" else KAFKA_ONLY)
]


def main() -> int:
    """Run the matrix; 1 where a record is lost or there twice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", help="kinds, separated by commas")
    parser.add_argument("--ledger", choices=("sqlite", "kafka"))
    given = parser.parse_args()
    kinds = given.only.split(",") if given.only else list(FAULTS)
    cells = [(kind, ledger) for kind, ledger in CELLS if kind in kinds and given.ledger in (None, ledger)]
    results: list[Result] = []
    with tempfile.TemporaryDirectory() as folder:
        kafka = any(ledger == "kafka" for _, ledger in cells)
        with contextlib.closing(Bench(Path(folder), kafka=kafka)) as bench:
            for kind, ledger in cells:
                for seed in range(1, given.seeds + 1):
                    results.append(bench.cell(kind, ledger, seed))
                    print(results[-1], file=sys.stderr, flush=True)
    recovery: dict[str, list[float]] = {}
    for result in results:
        recovery.setdefault(f"{result.kind}/{result.ledger}", []).append(result.recovery_s)
    told = {
        "seeds": given.seeds,
        "runs": len(results),
        "lost": sum(result.lost for result in results),
        "duplicated": sum(result.duplicated for result in results),
        "same_bytes": all(result.same_bytes for result in results),
        "recovery_s": recovery,
    }
    print(json.dumps(told))
    return 0 if told["same_bytes"] else 1


if __name__ == "__main__":
    sys.exit(main())
