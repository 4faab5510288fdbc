"""Every family as its users own it: our network, exported, loaded and decoded, against the network's own decoding."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import families
import numpy as np
import paddle
import pytest
from families import FAMILIES, LABELS, ONE_SHOTS, SIDE
from ruamel.yaml import YAML

from operators.detect import open_detector
from operators.embed import open_embedder
from operators.looking_back import Before, heat_before
from operators.networks.export import IMAGENET, PERMUTE, UNIT, Suppressing, letterbox, normalise, resize, save
from operators.networks.in_graph import suppress_in_graph
from operators.networks.jde import Jde
from operators.networks.ppyoloe import SIZES, PPYoloE
from operators.paddle_program import joins_found_rows
from operators.records import Detections

pytestmark = pytest.mark.timeout(900)  # the first of each format waits for another process, which has much to export
IMAGE = cv2.GaussianBlur(np.random.default_rng(2).integers(0, 256, (90, 160, 3), dtype=np.uint8), (9, 9), 2)
Saved = Callable[[str], tuple[paddle.nn.Layer, Path]]


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders by family, in the format of Paddle 2."""
    folder = tmp_path_factory.mktemp("pdmodel")
    root = str(Path(__file__).resolve().parents[3])
    environment = {**os.environ, "PYTHONPATH": root, "FLAGS_enable_pir_api": "0"}
    command = [sys.executable, "-W", "ignore", families.__file__, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(params=[".json", ".pdmodel"])
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> Saved:
    """A family's network and its export, in both of Paddle's formats."""

    def save_one(name: str) -> tuple[paddle.nn.Layer, Path]:
        family = FAMILIES[name]
        network = family.build()
        if request.param == ".json":
            family.save(network, tmp_path)
            return network, tmp_path / "model.json"
        return network, request.getfixturevalue("old") / name / "model.pdmodel"

    return save_one


def stretched(side: int = SIDE) -> paddle.Tensor:
    prepared = cv2.resize(IMAGE, (side, side), interpolation=2)[:, :, ::-1].astype(np.float32) / 255
    return paddle.to_tensor(np.ascontiguousarray(prepared.transpose(2, 0, 1)[None]))


def rows_of(detections: Detections) -> np.ndarray:
    return np.column_stack([detections.classes, detections.scores, detections.boxes])


def expected(rows: np.ndarray, floor: float) -> np.ndarray:
    """Rows as a detector is to give them: clipped to the picture, best first."""
    rows = rows[rows[:, 1] >= floor]
    rows = rows[np.argsort(-rows[:, 1], kind="stable")]
    rows[:, 2:] = np.clip(rows[:, 2:], 0, [160, 90, 160, 90])
    return rows[(rows[:, 4] > rows[:, 2]) & (rows[:, 5] > rows[:, 3])]


def test_a_detector_that_suppresses_by_itself(saved: Saved) -> None:
    network, file = saved("PP-YOLOE")
    rows, counts = Suppressing(network, floor=0.3)(stretched(), paddle.to_tensor([[SIDE / 90, SIDE / 160]]))
    assert int(counts) > 3
    found, again = open_detector(file, score_threshold=0.35, max_batch=2).detect([IMAGE, IMAGE])
    np.testing.assert_allclose(rows_of(found), expected(rows.numpy(), 0.35), atol=2e-3)
    np.testing.assert_array_equal(rows_of(again), rows_of(found))


@pytest.mark.parametrize("family", ["PicoDet", "PicoDet, raw heads"])
def test_picodet_without_suppression_and_with_raw_heads(family: str, saved: Saved) -> None:
    network, file = saved(family)
    mean, std = (np.float32(IMAGENET[key]).reshape(1, 3, 1, 1) for key in ("mean", "std"))
    image = paddle.to_tensor((stretched().numpy() - mean) / std)
    own, _ = Suppressing(network, floor=0.3, iou=0.5)(image, paddle.to_tensor([[SIDE / 90, SIDE / 160]]))
    (found,) = open_detector(file, score_threshold=0.3, iou_threshold=0.5, classes=["bus"]).detect([IMAGE])
    buses = own.numpy()[own.numpy()[:, 0] == 2] * [0, 1, 1, 1, 1, 1]
    assert len(found) > 3
    np.testing.assert_allclose(rows_of(found), expected(buses, 0.3), atol=2e-3)


def boxed(height: int, width: int) -> tuple[paddle.Tensor, paddle.Tensor, paddle.Tensor]:
    """The picture in the middle of grey, its size and its scale."""
    ratio = min(height / 90, width / 160)
    size = (round(90 * ratio), round(160 * ratio))
    canvas = np.full((height, width, 3), 127.5, np.float32)
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    canvas[top : top + size[0], left : left + size[1]] = cv2.resize(IMAGE, size[::-1], interpolation=3)[:, :, ::-1]
    image = np.ascontiguousarray(canvas.transpose(2, 0, 1)[None] / np.float32(255))
    values = (image, np.float32([size]), np.float32([[size[0] / 90, size[1] / 160]]))
    return tuple(paddle.to_tensor(value) for value in values)  # type: ignore[return-value]


@pytest.mark.parametrize("family", ONE_SHOTS)
def test_one_shot_trackers_give_looks_with_their_boxes(family: str, saved: Saved) -> None:
    network, file = saved(family)
    rows, looks = (output.numpy() for output in network(*boxed(64, 96)))
    floor = float(np.median(rows[:, 1]))
    (found,) = open_detector(file, score_threshold=floor).detect([IMAGE])
    wanted = expected(rows, floor)
    assert len(found) > 3
    np.testing.assert_allclose(rows_of(found), wanted, atol=2e-2)
    assert found.embeddings is not None
    nearest = looks[[np.abs(rows[:, 1] - score).argmin() for score in wanted[:, 1]]]
    np.testing.assert_allclose((found.embeddings * nearest).sum(axis=1), 1, atol=1e-3)


STEP_OPTIONS = {
    "Resize": {"target_size", "keep_ratio", "interp"},
    "LetterBoxResize": {"target_size"},
    "NormalizeImage": {"mean", "std", "is_scale", "norm_type"},
    "Permute": set(),
    "WarpAffine": {"keep_res", "pad", "input_h", "input_w", "shift"},
}


@pytest.mark.parametrize("family", FAMILIES)
def test_paddle_detections_own_tools_find_what_they_ask_for(family: str, old: Path) -> None:
    """They read these keys without asking whether they are there, and make each step of its options."""
    told = YAML(typ="safe").load(old / family / "infer_cfg.yml")
    assert told.keys() >= {"mode", "arch", "Preprocess", "min_subgraph_size", "label_list", "use_dynamic_shape"}
    assert told.keys() >= {"draw_threshold", "metric"}
    for step in told["Preprocess"]:
        assert step.keys() - {"type"} <= STEP_OPTIONS[step["type"]]


class Concatenating(paddle.nn.Layer):
    """A detector as others export it: what suppression leaves is put together from pieces once more."""

    def __init__(self) -> None:
        super().__init__()
        self.box = self.create_parameter([1, 1, 4])
        self.box.set_value(np.float32([[[8, 16, 24, 48]]]))

    def forward(self, image: paddle.Tensor, scale_factor: paddle.Tensor) -> tuple[paddle.Tensor, paddle.Tensor]:
        score = image.mean(axis=[1, 2, 3]).reshape([1, 1, 1])
        rows, _, counts = suppress_in_graph(self.box + 0 * score, score, 0.3, 0.5, 10)
        return paddle.concat([rows[:, :2], rows[:, 2:] / scale_factor.flip([1]).tile([1, 2])], axis=1), counts


def test_nobody_in_the_picture_ends_no_process_where_found_rows_are_concatenated(tmp_path: Path) -> None:
    inputs: dict[str, Sequence[int | None]] = {"image": [1, 3, SIDE, SIDE], "scale_factor": [1, 2]}
    save(
        Concatenating(),
        tmp_path,
        inputs=inputs,
        architecture="YOLO",
        labels=LABELS[:1],
        preprocess=[resize(SIDE, SIDE), normalise(UNIT), PERMUTE],
    )
    assert joins_found_rows(tmp_path / "model.json")
    detector = open_detector(tmp_path)
    dark, bright = detector.detect([np.zeros_like(IMAGE), np.full_like(IMAGE, 255)])
    assert len(dark) == 0
    np.testing.assert_allclose(rows_of(bright), [[0, 1, 8 * 2.5, 16 * 90 / 64, 24 * 2.5, 48 * 90 / 64]], rtol=1e-5)


def test_an_untrained_jde_that_sees_nobody_can_be_opened_and_run(tmp_path: Path) -> None:
    network = Jde(4, (1, 1, 1, 1, 1), embedding=16)
    for predictor in network.predictors:
        bias = predictor.bias.numpy().reshape(4, 6)
        bias[:, 4:] = [5, -5]  # background everywhere
        predictor.bias.set_value(bias.reshape(-1))
    inputs = {"image": [1, 3, 64, 96], "im_shape": [1, 2], "scale_factor": [1, 2]}
    steps = [letterbox(64, 96), normalise(UNIT), PERMUTE]
    save(network, tmp_path, inputs=inputs, architecture="JDE", labels=LABELS[:1], preprocess=steps)
    assert not joins_found_rows(tmp_path / "model.json"), "it is fast, too: it may go through oneDNN"
    (found,) = open_detector(tmp_path).detect([IMAGE])
    assert len(found) == 0
    assert found.embeddings is not None


def test_centertrack_looks_at_one_picture_alone_when_there_is_no_other(saved: Saved) -> None:
    network, file = saved("CenterTrack")
    ratio, top = SIDE / 160, (SIDE - 90 * SIDE / 160) / 2
    warped = cv2.warpAffine(IMAGE, np.float64([[ratio, 0, 0], [0, ratio, top]]), (SIDE, SIDE)).astype(np.float32) / 255
    image = paddle.to_tensor(np.ascontiguousarray(warped.transpose(2, 0, 1)[None]))
    rows = network(image, image, paddle.zeros([1, 1, SIDE, SIDE]))[0].numpy()
    rows[:, 2:] = (rows[:, 2:] * 4 - [0, top, 0, top]) / ratio
    (found,) = open_detector(file, score_threshold=0.01).detect([IMAGE])
    assert len(found) > 3
    np.testing.assert_allclose(rows_of(found), expected(rows, 0.01), atol=2e-2)
    assert found.embeddings is None

    # And with a picture before, in which one object was sure and one was not.
    earlier = np.ascontiguousarray(IMAGE[:, ::-1])
    warped = (
        cv2.warpAffine(earlier, np.float64([[ratio, 0, 0], [0, ratio, top]]), (SIDE, SIDE)).astype(np.float32) / 255
    )
    pre = paddle.to_tensor(np.ascontiguousarray(warped.transpose(2, 0, 1)[None]))
    boxes = np.float32([[40, 20, 60, 70], [90, 10, 120, 50]])
    was = Detections(boxes, np.float32([0.9, 0.4]), np.zeros(2, np.int32))
    heat = heat_before(boxes[:1] * np.float32(ratio) + np.float32([0, top, 0, top]), (SIDE, SIDE))
    assert heat.max() == heat[0, 0, int(45 * ratio + top), int(50 * ratio)] == 1.0
    assert 0 < (heat > 0).sum() < SIDE * SIDE / 4
    rows, _, moved = (output.numpy() for output in network(image, pre, paddle.to_tensor(heat)))
    rows[:, 2:] = (rows[:, 2:] * 4 - [0, top, 0, top]) / ratio
    (found,) = open_detector(file, score_threshold=0.01).detect([IMAGE], [Before(earlier, was)])
    np.testing.assert_allclose(rows_of(found), expected(rows, 0.01), atol=2e-2)
    assert found.offsets is not None
    nearest = [np.abs(rows[:, 1] - score).argmin() for score in found.scores]
    np.testing.assert_allclose(found.offsets, moved[nearest] * 4 / ratio, atol=2e-2)


@pytest.mark.parametrize(("family", "dim"), [("PP-LCNet", 64), ("PCB", 168)])
def test_reid_networks(family: str, dim: int, saved: Saved) -> None:
    network, file = saved(family)
    (_, _, height, width), *_ = FAMILIES[family].inputs.values()
    embedder = open_embedder(file)
    assert embedder is not None
    assert embedder.dim == dim
    boxes = np.float32([[10, 10, 40, 80], [50, 5, 90, 85]])
    looks, _ = embedder.embed(IMAGE, boxes)
    for look, (x1, y1, x2, y2) in zip(looks, boxes.astype(int), strict=True):
        crop = cv2.resize(IMAGE[y1:y2, x1:x2], (width, height))[:, :, ::-1] / np.float32(255)
        crop = (crop - np.float32(IMAGENET["mean"])) / np.float32(IMAGENET["std"])
        own = network(paddle.to_tensor(np.ascontiguousarray(crop.transpose(2, 0, 1)[None], np.float32))).numpy()[0]
        np.testing.assert_allclose(look, own / np.linalg.norm(own), atol=1e-3)


@pytest.mark.parametrize(("size", "millions"), [("s", 7.93), ("m", 23.43)])
def test_pp_yoloe_has_its_published_number_of_parameters(size: str, millions: float) -> None:
    assert size in SIZES
    network = PPYoloE(80, size)
    ours = sum(int(np.prod(p.shape)) for p in network.parameters() if not p.stop_gradient) / 1e6
    assert ours == pytest.approx(millions, rel=0.06)
