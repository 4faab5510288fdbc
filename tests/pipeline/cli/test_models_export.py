"""`crosscam models export`: a training's weights or official ones, to a folder that opens; and ONNX."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import paddle
import pytest
from typer.testing import CliRunner

from operators.class_names import COCO
from operators.detect import open_detector
from operators.embed import open_embedder
from operators.exported_model import read_configuration
from operators.networks.blueprint import Blueprint
from operators.networks.official_names import OWN, names_for
from operators.networks.picodet import PicoDet
from operators.networks.reid import LCNetEmbedding
from operators.networks.to_onnx import TOO_NEW, to_onnx
from operators.records import CrosscamError
from pipeline.cli import app

IMAGE = cv2.GaussianBlur(np.random.default_rng(2).integers(0, 256, (90, 160, 3), dtype=np.uint8), (9, 9), 2)
TINY = Blueprint("PicoDet", {"classes": 1, "size": {"scale": 0.25, "width": 16, "depth": 1}}, 64, 64, ("person",))


def export(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["models", "export", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def livened(network: PicoDet) -> PicoDet:
    """Random weights that see something."""
    for branch in network.branches:
        branch.predict_class.bias.set_value(np.full(network.classes, 0.5, np.float32))
    network.eval()
    return network


@pytest.fixture
def training(tmp_path: Path) -> Path:
    """What a training has left that was interrupted after its first epoch."""
    paddle.seed(1)
    folder = tmp_path / "detector"
    folder.mkdir()
    TINY.write(folder)
    network = TINY.build()
    assert isinstance(network, PicoDet)
    paddle.save(livened(network).state_dict(), str(folder / "best.pdparams"))
    return folder


def test_the_best_epoch_of_an_unfinished_training(training: Path) -> None:
    assert f"{training / 'model'}: exported" in export(training)
    detector = open_detector(training / "model", score_threshold=0.3)
    assert detector.classes == ("person",)
    assert len(detector.detect([IMAGE])[0]) > 3


def test_official_weights_by_the_name_of_their_file(tmp_path: Path) -> None:
    paddle.seed(2)
    network = livened(PicoDet(80, "xs"))
    renamed = names_for(network)
    assert renamed is not None
    state = {renamed(name): value.numpy() for name, value in network.state_dict().items() if name not in OWN}
    paddle.save(state, str(tmp_path / "picodet_xs_320_coco_lcnet.pdparams"))
    export(tmp_path / "picodet_xs_320_coco_lcnet.pdparams", "--size", "96x64", "--to", tmp_path / "m")
    found = read_configuration(tmp_path / "m" / "infer_cfg.yml")
    assert (found.architecture, found.labels) == ("GFL", COCO)
    assert (found.preprocessing.resizing.height, found.preprocessing.resizing.width) == (64, 96)
    assert len(open_detector(tmp_path / "m", score_threshold=0.3).detect([IMAGE])[0]) > 3


def test_a_reid_network_opens_as_embedder(tmp_path: Path) -> None:
    blueprint = Blueprint("LCNetEmbedding", {"scale": 0.25, "embedding": 16, "hidden": 24}, 64, 32)
    blueprint.write(tmp_path)
    network = blueprint.build()
    assert isinstance(network, LCNetEmbedding)
    paddle.save(network.state_dict(), str(tmp_path / "best.pdparams"))
    export(tmp_path, "--to", tmp_path / "m")
    embedder = open_embedder(tmp_path / "m")
    assert embedder is not None
    assert embedder.dim == 16


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("{0}", "--like", "picodet_s_416"), "says itself what its network is"),
        (("{0}/best.pdparams", "--like", "picodet_s_416"), "not the weights of this PicoDet: .* are missing"),
        (("{0}/best.pdparams",), "best: no network here is called so"),
        (("{0}/nothing.pdparams", "--like", "picodet_s_416"), "there is no such file of weights"),
        (("{0}/..",), "network.json is missing: .* is no folder that crosscam train has written"),
        (("{0}", "--size", "100x100"), "say WIDTHxHEIGHT, both multiples of 32"),
    ],
)
def test_what_cannot_be_exported(arguments: tuple[str, ...], says: str, training: Path) -> None:
    with pytest.raises(CrosscamError, match=says):
        export(*(argument.format(training) for argument in arguments))


def test_a_training_that_has_not_evaluated_anything_yet(training: Path) -> None:
    (training / "best.pdparams").unlink()
    with pytest.raises(CrosscamError, match="has not evaluated an epoch yet"):
        export(training)


def test_weights_of_a_network_that_was_another_one_then_are_refused(training: Path) -> None:
    older = Blueprint(
        "PicoDet", {**TINY.arguments, "size": {"scale": 0.25, "width": 24, "depth": 1}}, 64, 64, ("person",)
    )
    paddle.save(older.build().state_dict(), str(training / "best.pdparams"))
    with pytest.raises(
        CrosscamError, match=r"best\.pdparams .* a version of crosscam whose network was .* differ in shape"
    ):
        export(training)
    (training / "best.pdparams").write_bytes(b"no weights")
    with pytest.raises(CrosscamError, match="cannot be read as Paddle's weights"):
        export(training)


def test_onnx_needs_an_extra(training: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paddle2onnx", None)
    monkeypatch.setattr(sys, "version_info", (3, 11, 9))
    with pytest.raises(CrosscamError, match=r"pip install 'crosscam\[onnx-export\]'"):
        to_onnx(training)
    monkeypatch.setattr(sys, "version_info", (3, 12, 0))
    with pytest.raises(CrosscamError, match=r"published for Python 3\.11 and earlier, so export there"):
        to_onnx(training)


def test_onnx_says_what_the_folder_says(training: Path) -> None:
    if sys.version_info >= TOO_NEW:
        pytest.skip("paddle2onnx is not published for this Python")
    pytest.importorskip("paddle2onnx", reason="needs paddle2onnx: pip install 'crosscam[onnx-export]'")
    export(training)
    assert f"{training / 'model' / 'model.onnx'}: written" in export(training / "model", "--onnx")
    (own,), (found,) = (
        open_detector(training / "model" / file, score_threshold=0.3).detect([IMAGE])
        for file in ("model.json", "model.onnx")
    )
    assert len(own) > 3
    np.testing.assert_allclose(found.boxes, own.boxes, atol=1e-2)
    np.testing.assert_allclose(found.scores, own.scores, atol=1e-4)
