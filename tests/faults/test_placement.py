"""Workers that share GPUs: spread over the nodes that have one, and together on the last that is left."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

sys.path.insert(0, str(Path(__file__).parent))
from bench import Bench, sqlite

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
WORKERS = 4
NODES = ({"num_cpus": 2}, {"num_cpus": 4, "num_gpus": 1}, {"num_cpus": 4, "num_gpus": 1})


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A node without a GPU, and two with one each, as far as Ray knows."""
    with contextlib.closing(Bench(tmp_path, with_kafka=False, nodes=NODES)) as made:
        ray.init(made.cluster.address, log_to_driver=False)
        yield made
        ray.shutdown()


def free_gpus() -> float:
    return float(ray.available_resources().get("GPU", 0.0))


def test_four_workers_share_two_gpus_and_after_the_loss_of_a_node_one(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "plaza.yaml"
    cameras = "".join(
        f"  - {{id: c{n}, source: 'simulated:people=2,cameras=4,seconds=0,paced=1,tracks=1,camera={n}', fps: 5}}\n"
        for n in range(1, WORKERS + 1)
    )
    file.write_text(
        f"site: plaza\nray_address: '{bench.cluster.address}'\ncameras:\n{cameras}interval: 200ms\nidle_timeout: 2s\n"
        f"resources: {{cameras_per_worker: 1, gpus_per_worker: 0.25}}\nledger: {sqlite(tmp_path / 'ledger.sqlite')}\n"
    )
    _, *with_gpu = bench.cluster.list_all_nodes()
    run = bench.run(file)

    def where() -> dict[str, object]:
        return {name: bench.node_of(pid) for name, pid in run.pids.items() if name != "fusion"}

    try:
        run.under_way(1 + WORKERS)
        first = where()
        assert set(first.values()) == set(with_gpu), "on every node with a GPU, and on no other"
        run.until(lambda: free_gpus() == 1.0, "four quarters of two are taken")

        lost = next(node for node in with_gpu if node is not bench.node_of(run.pids["fusion"]))
        moved = [name for name, node in first.items() if node is lost]
        goes_on = run.goes_on(*moved)
        bench.cluster.remove_node(lost, allow_graceful=False)
        run.until(goes_on, "the site goes on without the node")
        (left,) = (node for node in with_gpu if node is not lost)
        assert set(where().values()) == {left}
        run.until(lambda: free_gpus() == 0.0, "four quarters of one are taken")
    finally:
        run.close()
