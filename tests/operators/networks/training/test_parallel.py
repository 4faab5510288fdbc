"""Two processes that train one network: as one process that takes the mean of both batches' gradients."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest
from paddle import nn

from operators.networks.layers import ConvNorm
from operators.networks.training.loop import BEST, Plan, rate_at
from operators.networks.training.parallel import Team, separate, synchronised

ROOT = Path(__file__).resolve().parents[4]
WORKER = Path(__file__).with_name("parallel_worker.py")


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, object]]]:
    """What two processes on CPUs reached."""
    folder = tmp_path_factory.mktemp("two")
    launch = [sys.executable, "-m", "paddle.distributed.launch", "--nproc_per_node", "2", "--backend", "gloo"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*launch, "--log_dir", str(folder / "logs"), str(WORKER), str(folder)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def test_a_step_of_two_processes_is_the_mean_of_their_gradients(said: tuple[Path, list[dict[str, object]]]) -> None:
    folder, (first, second) = said
    assert (first["seen"], second["seen"]) == ([0, 2] * 2, [1, 3] * 2)
    plan, w, b, speed = Plan(epochs=2, rate=0.1, clip=1.0), 0.0, 0.0, np.zeros(2)
    for step in range(4):
        slopes = []
        for rank in range(2):
            x = np.random.default_rng([step // 2, step % 2 * 2 + rank]).normal(size=8).astype(np.float32)
            off = w * x + b - 2 * x - 1
            slopes.append([2 * (off * x).mean(), 2 * off.mean()])
        slope = np.mean(slopes, axis=0)
        slope *= min(1.0, 1.0 / np.linalg.norm(slope))
        speed = 0.9 * speed + slope + plan.decay * np.array([w, b])
        w, b = np.array([w, b]) - rate_at(plan, step, 2) * speed
    assert first["log"] == second["log"]
    assert first["weight"] == second["weight"]
    log = first["log"]
    assert isinstance(log, list)
    assert log[-1]["nearness"] == pytest.approx(-abs(w - 2), abs=1e-5)
    assert (folder / BEST).is_file()


def test_a_loss_that_one_process_loses_stops_both(said: tuple[Path, list[dict[str, object]]]) -> None:
    folder, _ = said
    assert all("no number any more (epoch 1, step 1" in (folder / f"{rank}.txt").read_text() for rank in range(2))


def test_one_process_alone_changes_nothing() -> None:
    layer = nn.Linear(1, 1)
    (layer(paddle.ones([1, 1])) * 3).sum().backward()
    assert Team().average(layer.parameters(), {"loss": 2.0}) == {"loss": 2.0}
    assert layer.weight.grad.item() == 3


def test_norms_are_synchronised_and_back_without_losing_anything() -> None:
    network = nn.Sequential(ConvNorm(3, 4), nn.Sequential(ConvNorm(4, 2)))
    image = paddle.randn([2, 3, 8, 8])
    network(image)
    network.eval()
    before, state = network(image).numpy(), {name: id(value) for name, value in network.state_dict().items()}
    synchronised(network)
    assert sum(isinstance(layer, nn.SyncBatchNorm) for layer in network.sublayers()) == 2
    assert {name: id(value) for name, value in network.state_dict().items()} == state
    separate(network)
    assert not any(isinstance(layer, nn.SyncBatchNorm) for layer in network.sublayers())
    np.testing.assert_array_equal(network(image).numpy(), before)
