"""What each process of test_parallel.py does: a few steps of a line, by the shared loop."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import paddle
from paddle import Tensor, nn

from operators.networks.training.errors import TrainingError
from operators.networks.training.loop import Plan, fit
from operators.networks.training.parallel import join


class Line:
    """Learns y = 2x + 1 from four batches an epoch, one of them bad if asked for."""

    steps = 4
    score = "nearness"

    def __init__(self, start: float, bad: bool = False) -> None:
        self.layer = self.kept = nn.Linear(1, 1)
        self.layer.weight.set_value(np.full((1, 1), start, np.float32))
        self.bad = bad
        self.seen: list[int] = []

    def train_mode(self) -> None:
        self.layer.train()

    def losses(self, epoch: int, step: int) -> dict[str, Tensor]:
        self.seen.append(step)
        x = paddle.to_tensor(np.random.default_rng([epoch, step]).normal(size=(8, 1)).astype(np.float32))
        loss = ((self.layer(x) - 2 * x - 1) ** 2).mean()
        return {"loss": loss * float("nan") if self.bad and step == 1 else loss}

    def evaluate(self) -> dict[str, float]:
        return {"nearness": -abs(self.layer.weight.item() - 2)}


def main(folder: Path, plan: Plan) -> None:
    team = join()
    job = Line(start=float(team.rank))  # the first one's weights count
    log = fit(job, plan, folder, facts={}, team=team)
    said = {"log": log, "seen": job.seen, "weight": job.layer.weight.item()}
    (folder / f"{team.rank}.json").write_text(json.dumps(said))
    try:
        fit(Line(0.0, bad=True), plan, folder / "bad", facts={}, team=team)
    except TrainingError as error:
        (folder / f"{team.rank}.txt").write_text(str(error))


if __name__ == "__main__":
    paddle.set_device("cpu")
    main(Path(sys.argv[1]), Plan(epochs=2, rate=0.1, clip=1.0))
