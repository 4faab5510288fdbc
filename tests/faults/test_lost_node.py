"""A raylet of two is killed with -9: the cameras that ran there go on on the other, and nothing is lost or twice."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import ray
from ray.cluster_utils import Cluster

from mtmct.records import TOPICS
from pipeline.assembly import build_reader
from pipeline.config import Site
from pipeline.config_file import load
from pipeline.launch import NAMESPACE, Progress, Supervisor

FPS = 10
pytestmark = pytest.mark.faults


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    made = Cluster(
        initialize_head=True, connect=False, head_node_args={"num_cpus": 2, "object_store_memory": 100_000_000}
    )
    made.add_node(num_cpus=2, object_store_memory=100_000_000)
    ray.init(address=made.address, namespace=NAMESPACE, log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()


def site(folder: Path, ledger: str) -> Site:
    """Two cameras of boxes, a worker each."""
    for seed, name in enumerate(("east", "west")):
        random = np.random.default_rng(seed)
        rows = []
        for frame in range(1, 300 * FPS + 1):
            for person in range(2):
                x = 300 + 250 * np.sin(frame / 60 + 2 * person + seed) + random.normal(0, 1)
                rows.append(f"{frame},-1,{x:.2f},{120 + 150 * person},40,100,0.9")
        (folder / f"{name}.txt").write_text("\n".join(rows) + "\n")
    file = folder / "plaza.yaml"
    cameras = "".join(f"  - {{id: {name}, source: 'detections:{name}.txt', fps: {FPS}}}\n" for name in ("east", "west"))
    file.write_text(
        f"site: plaza\ncameras:\n{cameras}resources: {{cameras_per_worker: 1}}\n"
        f"ledger: {{sqlite: {{path: {folder / ledger}.sqlite}}}}\n"
    )
    return load(file)


def contents(site: Site) -> dict[str, list[tuple[str, bytes]]]:
    reader = build_reader(site)
    try:
        return {topic: [(stored.key, stored.raw) for stored in reader.read(topic)] for topic in TOPICS}
    finally:
        reader.close()


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


class RayletKiller:
    """Kills the second raylet with -9 once a few commits are made, and notes whose parent it was."""

    def __init__(self, cluster: Cluster) -> None:
        (node,) = cluster.worker_nodes
        self._raylet = node.all_processes["raylet"][0].process.pid
        self.lost: list[str] | None = None

    def __call__(self, progress: Progress) -> None:
        if progress.commits >= 3 and {"worker-0", "worker-1"} <= set(progress.pids) and self.lost is None:
            self.lost = [name for name, pid in progress.pids.items() if parent_of(pid) == self._raylet]
            os.kill(self._raylet, signal.SIGKILL)


def test_cameras_of_a_lost_node_go_on_on_another_from_the_ledger(cluster: Cluster, tmp_path: Path) -> None:
    whole = site(tmp_path, "whole")
    Supervisor(whole).run()
    killed = site(tmp_path, "killed")
    killer = RayletKiller(cluster)
    outcome = Supervisor(killed, killer).run()
    assert killer.lost and any(name.startswith("worker") for name in killer.lost), "workers are spread over the nodes"
    assert not outcome.failures
    assert contents(killed) == contents(whole)
