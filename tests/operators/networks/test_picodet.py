"""PicoDet with the published weights against the published exports."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import paddle
import pytest

from operators.inference import ModelError, open_predictor
from operators.networks.official import load_convolutions, read_convolutions
from operators.networks.picodet import SIZES, PicoDet
from operators.nms import suppress

ROOT = Path(__file__).resolve().parents[3]
MODELS = ROOT / ".." / "shared" / "models"
MEAN, STD = np.float32([123.675, 116.28, 103.53]), np.float32([58.395, 57.12, 57.375])


def picture(side: int) -> np.ndarray:
    """The first frame of the clip that comes along, as PicoDet wants it: (1, 3, side, side)."""
    _, frame = cv2.VideoCapture(str(ROOT / "configs" / "media" / "walkway.mp4")).read()
    frame = cv2.resize(frame, (side, side), interpolation=cv2.INTER_CUBIC)[:, :, ::-1]
    return ((frame - MEAN) / STD).astype(np.float32).transpose(2, 0, 1)[None]


def published(name: str) -> Path:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    if not (MODELS / name).is_file():
        pytest.skip(f"needs shared/models/{name}")
    return MODELS / name


def test_picodet_s_416_gives_the_published_models_outputs() -> None:
    file = published("picodet_s_416_coco.onnx")
    image = picture(416)
    network = PicoDet(80, "s", version=1)
    load_convolutions(network, read_convolutions(file), paddle.zeros([1, 3, 416, 416]))
    with paddle.no_grad():
        scores, sides = network.levels(paddle.to_tensor(image))
    for ours, theirs in zip([*scores, *sides], open_predictor(file).run([image]), strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-3)
    assert max(float(score.max()) for score in scores) > 0.5, "somebody must be seen for this to say anything"


def test_picodet_xs_320_gives_the_published_models_boxes() -> None:
    file = published("picodet_xs_320_coco_postprocessed.onnx")
    image = picture(320)
    network = PicoDet(80, "xs")
    load_convolutions(network, read_convolutions(file), paddle.zeros([1, 3, 320, 320]))
    with paddle.no_grad():
        boxes, scores = (output.numpy()[0] for output in network(paddle.to_tensor(image)))
    theirs, counts = open_predictor(file).run([image, np.ones((1, 2), np.float32)])
    theirs = theirs[: int(counts[0])]
    theirs = theirs[theirs[:, 1] > 0.3]
    assert len(theirs) >= 3
    classes, anchors = np.nonzero(scores > 0.3)
    found = boxes[anchors], scores[classes, anchors], classes.astype(np.int32)
    kept = suppress(*found, 0.5, 300, across=1.0)
    rows = np.column_stack([found[2][kept], found[1][kept], found[0][kept]])
    assert len(rows) == len(theirs)
    order = [np.lexsort((table[:, 2], -table[:, 1].round(3))) for table in (rows, theirs)]
    np.testing.assert_allclose(rows[order[0], :2], theirs[order[1], :2], atol=1e-3)
    np.testing.assert_allclose(rows[order[0], 2:], theirs[order[1], 2:], atol=0.05)


def test_weights_of_another_network_are_refused() -> None:
    network = PicoDet(80, "xs")
    example = paddle.zeros([1, 3, 64, 64])
    with pytest.raises(ModelError, match="the file holds 1 convolutions, this network"):
        load_convolutions(network, [(np.zeros((8, 3, 3, 3), np.float32), None)], example)


@pytest.mark.parametrize("size", SIZES)
def test_every_size_learns_and_has_its_published_number_of_parameters(size: str) -> None:
    published_millions = {"xs": 0.7, "s": 1.18, "m": 3.46, "l": 5.80}
    network = PicoDet(80, size)
    millions = sum(int(np.prod(p.shape)) for p in network.parameters()) / 1e6
    assert millions == pytest.approx(published_millions[size], rel=0.05)
    boxes, scores = network(paddle.randn([1, 3, 64, 96]))
    anchors = 8 * 12 + 4 * 6 + 2 * 3 + 1 * 2
    assert (boxes.shape, scores.shape) == ([1, anchors, 4], [1, 80, anchors])
    (scores.mean() + boxes.mean()).backward()
    unreached = [name for name, p in network.named_parameters() if p.grad is None and not p.stop_gradient]
    assert not unreached
