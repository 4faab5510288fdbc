"""`crosscam train`: from a YAML file to a folder that `open_detector` opens, and what it says where it cannot."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from operators.detect import open_detector
from operators.networks.training.errors import TrainingError
from pipeline.cli import app
from pipeline.cli.train import watched
from pipeline.config import ConfigError

RUNNER = CliRunner()
JDE = """
train: [{labels: gt.txt, pictures: img}]
test: [{labels: gt.txt, pictures: img}]
height: 64
width: 64
network: {width: 4, depths: [1, 1, 1, 1, 1], embedding: 8}
recipe: {epochs: 1, batch: 2}
"""

DETECTOR = """
classes: [person]
train: [{mot: gt.txt, pictures: img}]
test: [{mot: gt.txt, pictures: img}]
height: 64
width: 64
network: {size: xs}
recipe: {epochs: 1, batch: 2, threads: 1}
"""


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """Two people, two frames, and a training of them."""
    (tmp_path / "img").mkdir()
    for number in (1, 2):
        image = np.full((64, 64, 3), 60, np.uint8)
        image[8:32, 8:20] = image[30:54, 40:52] = 250
        cv2.imwrite(str(tmp_path / "img" / f"{number}.png"), image)
    (tmp_path / "gt.txt").write_text("".join(f"{n},1,8,8,12,24,1\n{n},2,40,30,12,24,1\n" for n in (1, 2)))
    (tmp_path / "jde.yaml").write_text(JDE)
    (tmp_path / "detector.yaml").write_text(DETECTOR)
    return tmp_path


@pytest.mark.parametrize(
    ("kind", "counted", "used"),
    [
        ("jde", "2 pictures, identities: 2 person", "profile: jde, detector: {model: "),
        ("detector", "2 pictures, 4 boxes", "use it as detector: {model: "),
    ],
)
def test_a_trained_folder_is_a_detector(kind: str, counted: str, used: str, scene: Path) -> None:
    result = RUNNER.invoke(app, ["train", kind, str(scene / f"{kind}.yaml"), "--to", str(scene / "out")])
    assert result.exit_code == 0, result.output
    assert counted in result.output
    assert used in result.output
    assert open_detector(scene / "out" / "model", score_threshold=0.4).classes == ("person",)
    assert "epoch" in (scene / "out" / "log.csv").read_text()


@pytest.mark.parametrize(
    ("file", "was", "becomes", "error", "says"),
    [
        ("jde.yaml", "recipe: {epochs", "recipe: {epoch", ConfigError, "recipe.epoch: there is no such field"),
        ("jde.yaml", "height: 64", "height: 60", ConfigError, "height: .*multiple of 32"),
        ("jde.yaml", "pictures: img", "pictures: none", TrainingError, "none: there is no such video or folder"),
        ("gt.txt", "", None, TrainingError, "nothing to train on"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    scene: Path, file: str, was: str, becomes: str | None, error: type[Exception], says: str
) -> None:
    path = scene / file
    path.write_text("\n" if becomes is None else path.read_text().replace(was, becomes))
    with pytest.raises(error, match=says):
        RUNNER.invoke(app, ["train", "jde", str(scene / "jde.yaml"), "--to", str(scene / "o")], catch_exceptions=False)


@pytest.mark.parametrize(
    ("finished", "says"),
    [(True, "holds all up to the last whole epoch; --resume goes on"), (False, "no epoch was finished")],
)
def test_an_interrupted_training_says_how_to_go_on(finished: bool, says: str, tmp_path: Path) -> None:
    out = io.StringIO()

    def training(on_step: Callable[..., None], on_epoch: Callable[..., None]) -> None:
        on_step(1, 1, {"loss": 2.0})
        if finished:
            (tmp_path / "checkpoint.pdparams").touch()
            on_epoch({"epoch": 1, "rate": 0.1, "loss": 2.0})
        raise KeyboardInterrupt

    with pytest.raises(typer.Exit) as ended:
        watched(tmp_path, 3, training, Console(file=out, width=500))
    assert ended.value.exit_code == 130
    *before, last = out.getvalue().splitlines()
    assert before == (["epoch 1/3: rate 0.1, loss 2"] if finished else [])
    assert last.startswith("interrupted: ")
    assert last.endswith(says)
