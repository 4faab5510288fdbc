"""The shared loop on one small layer: resumed bit for bit, averaged, stopped early, clear where the loss is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import paddle
import pytest
from paddle import Tensor, nn

from operators.inference import ModelError
from operators.networks.training.averaging import Average
from operators.networks.training.errors import TrainingError
from operators.networks.training.loop import BEST, CHECKPOINT, Plan, best, fit, rate_at
from operators.networks.training.schedule import warm_steps

PLAN = Plan(epochs=4, patience=4, rate=0.1, warm=2 / 3, clip=1.0, average=0.9, seed=3)


class Line:
    """Learns y = 2x + 1."""

    steps = 3
    score = "nearness"

    def __init__(self, start: float = 0.0) -> None:
        self.layer = self.kept = nn.Linear(1, 1)
        self.layer.weight.set_value(np.full((1, 1), start, np.float32))

    def train_mode(self) -> None:
        self.layer.train()

    def losses(self, epoch: int, step: int) -> dict[str, Tensor]:
        x = paddle.to_tensor(np.random.default_rng([epoch, step]).normal(size=(8, 1)).astype(np.float32))
        return {"loss": ((self.layer(x) - 2 * x - 1) ** 2).mean()}

    def evaluate(self) -> dict[str, float]:
        return {"nearness": -abs(self.layer.weight.item() - 2)}


@pytest.mark.parametrize("optimiser", ["momentum", "adam", "adamw"])
def test_a_resumed_training_equals_an_uninterrupted_one_byte_for_byte(optimiser: str, tmp_path: Path) -> None:
    plan = replace(PLAN, optimiser=optimiser)

    def interrupt(entry: dict[str, float]) -> None:
        if entry["epoch"] == 2:
            raise KeyboardInterrupt

    whole, parts = Line(), Line()
    log = fit(whole, plan, tmp_path / "whole", facts={})
    with pytest.raises(KeyboardInterrupt):
        fit(parts, plan, tmp_path / "parts", facts={}, on_epoch=interrupt)
    again = Line(start=5.0)
    assert fit(again, plan, tmp_path / "parts", facts={}, resume=True) == log
    assert (tmp_path / "parts" / "log.csv").read_bytes() == (tmp_path / "whole" / "log.csv").read_bytes()
    states = [paddle.load(str(tmp_path / part / CHECKPOINT)) for part in ("whole", "parts")]
    for one, other in zip(*(state["layer"].values() for state in states), strict=True):
        assert one.numpy().tobytes() == other.numpy().tobytes()
    with pytest.raises(TrainingError, match="another recipe"):
        fit(Line(), replace(plan, seed=4), tmp_path / "parts", facts={}, resume=True)


def test_weights_of_a_network_that_has_changed_since_are_not_half_loaded(tmp_path: Path) -> None:
    fit(Line(), PLAN, tmp_path, facts={})
    state = paddle.load(str(tmp_path / CHECKPOINT))
    state["layer"] = {"weight": state["layer"]["weight"], "slope": state["layer"]["bias"]}
    paddle.save(state, str(tmp_path / CHECKPOINT))
    again = Line(start=5.0)
    with pytest.raises(
        ModelError, match=r"1 are missing \(bias\); 1 have no place in it \(slope\); export it with that"
    ):
        fit(again, PLAN, tmp_path, facts={}, resume=True)
    assert again.layer.weight.item() == 5.0


def test_the_best_epoch_is_kept_and_nothing_better_stops(tmp_path: Path) -> None:
    job = Line()
    scores = iter([0.1, 0.5, 0.4, 0.3])
    job.evaluate = lambda: {"nearness": next(scores)}  # type: ignore[method-assign]
    seen: list[float] = []
    log = fit(
        job,
        replace(PLAN, epochs=9, patience=2, average=None),
        tmp_path,
        facts={},
        on_epoch=lambda entry: seen.append(job.layer.weight.item()),
    )
    assert [entry["nearness"] for entry in log] == [0.1, 0.5, 0.4, 0.3]
    assert job.layer.weight.item() == seen[1]
    assert paddle.load(str(tmp_path / BEST))["weight"].item() == seen[1]


def test_between_evaluations_the_log_has_no_score_and_patience_counts_epochs(tmp_path: Path) -> None:
    job = Line()
    scores = iter([0.5, 0.6, 0.1])
    job.evaluate = lambda: {"nearness": next(scores)}  # type: ignore[method-assign]
    log = fit(job, replace(PLAN, epochs=9, every=2, patience=2), tmp_path, facts={})
    assert [entry.get("nearness") for entry in log] == [None, 0.5, None, 0.6, None, 0.1]
    assert best(log, "nearness")["epoch"] == 4
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert [line.rpartition(",")[2] for line in lines] == ["nearness", "", "0.5", "", "0.6", "", "0.1"]


def test_a_loss_that_is_no_number_names_step_and_rate(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no number any more \(epoch 1, step [23], learning rate 1e\+30\)"):
        fit(Line(), replace(PLAN, rate=1e30, warm=0, clip=None, schedule="steps"), tmp_path, facts={})


def test_gradients_are_clipped_over_all_weights(tmp_path: Path) -> None:
    job = Line()
    before = np.array([job.layer.weight.item(), job.layer.bias.item()])
    fit(job, Plan(epochs=1, rate=1.0, schedule="steps", clip=0.01, decay=0.0), tmp_path, facts={})
    after = np.array([job.layer.weight.item(), job.layer.bias.item()])
    # Three steps of Momentum 0.9 with gradients of length 0.01: at most 0.01 (1 + 1.9 + 2.71).
    assert 0 < np.linalg.norm(after - before) <= 0.0562


def test_the_average_follows_plain_arithmetic_and_swaps_back() -> None:
    layer = nn.Linear(1, 1)
    layer.weight.set_value(np.float32([[1.0]]))
    average = Average(layer, 0.5)
    expected = 1.0
    for number, value in enumerate((2.0, 3.0, 7.0), 1):
        layer.weight.set_value(np.float32([[value]]))
        average.update()
        past = min(0.5, (1 + number) / (10 + number))
        expected = past * expected + (1 - past) * value
    average.swap()
    assert layer.weight.item() == pytest.approx(expected)
    average.swap()
    assert layer.weight.item() == 7.0


def test_rates_fall_in_steps_after_warming_up() -> None:
    rates = [warm_steps(step, 2, 1.0, [4, 6]) for step in range(8)]
    np.testing.assert_allclose(rates, [0.5, 1, 1, 1, 0.1, 0.1, 0.01, 0.01])
    plan = Plan(epochs=4, rate=1.0, warm=1, schedule="steps", drops=(2,))
    assert [round(rate_at(plan, step, 2), 6) for step in range(8)] == [0.5, 1, 1, 1, 0.1, 0.1, 0.1, 0.1]


def test_events_for_tensorboard_hold_every_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tensorboard: Callable[..., object] = pytest.importorskip("tensorboardX").SummaryWriter
    written: list[tuple[str, float, int]] = []

    class Watched(tensorboard):  # type: ignore[misc, valid-type]
        def add_scalar(self, name: str, value: float, step: int) -> None:
            written.append((name, value, step))
            super().add_scalar(name, value, step)

    monkeypatch.setattr("tensorboardX.SummaryWriter", Watched)
    log = fit(Line(), PLAN, tmp_path, facts={})
    assert [entry for entry in written if entry[0] == "loss"] == [
        ("loss", entry["loss"], entry["epoch"]) for entry in log
    ]
    assert any((tmp_path / "events").iterdir())
