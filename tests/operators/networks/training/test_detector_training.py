"""Training detectors: the whole loss against its parts, precision by hand, weights to start with, small runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import paddle
import pytest
from paddle import nn

from operators.class_names import COCO
from operators.detect import open_detector
from operators.networks.layers import ConvNorm
from operators.networks.picodet import PicoDet
from operators.networks.picodet import Size as PicoDetSize
from operators.networks.ppyoloe import PPYoloE
from operators.networks.ppyoloe import Size as PPYoloESize
from operators.networks.training import detector
from operators.networks.training.assignment import lattice
from operators.networks.training.augmentation import NOTHING, Augmentation
from operators.networks.training.batches import Pictures
from operators.networks.training.detection_loss import assigned, detection_loss, heads
from operators.networks.training.detection_losses import distribution_focal, generalised_iou, varifocal
from operators.networks.training.detector import PicoDetShape, Recipe
from operators.networks.training.errors import TrainingError
from operators.networks.training.labelled import Labelled, gathered
from operators.networks.training.loop import fit
from operators.networks.training.precision import precision
from operators.networks.training.start import begin, unfold_norms
from operators.records import Detections

MODELS = Path(__file__).resolve().parents[4] / ".." / "shared" / "models"
TINY = PicoDetShape(PicoDetSize(0.25, 16, 1))
PLAN = replace(detector.PLAN, epochs=2, rate=0.02, warm=0, average=None)
RECIPE = Recipe(TINY, PLAN, batch=2, height=64, width=64, still=1, augment=NOTHING)
NAMES = ("person", "car")


@pytest.fixture
def data(tmp_path: Path) -> Labelled:
    """Four pictures, each with a red person and a blue car."""
    random = np.random.default_rng(0)
    pictures = []
    for number in range(4):
        image = random.integers(60, 120, (64, 64, 3)).astype(np.uint8)
        rows = []
        for kind, (x, y, w, h, colour) in enumerate(
            [(6 + 6 * number, 8, 14, 30, (0, 0, 250)), (30, 40, 28, 18, (250, 90, 0))]
        ):
            image[y : y + h, x : x + w] = colour
            rows.append([x, y, x + w, y + h, kind, -1])
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
        pictures.append((tmp_path / f"{number}.png", -1, rows))
    return gathered(pictures, NAMES, tmp_path)


TRUTH = [
    (np.float32([[8, 8, 30, 50], [30, 36, 60, 60]]), np.array([0, 1])),
    (np.zeros((0, 4), np.float32), np.zeros(0, np.int64)),
]


@pytest.mark.parametrize("aligned", [False, True], ids=["ATSS", "TAL"])
@pytest.mark.parametrize(
    "make",
    [lambda: PicoDet(2, PicoDetSize(0.25, 16, 1)), lambda: PPYoloE(2, PPYoloESize(0.33, 0.0625))],
    ids=["PicoDet", "PP-YOLOE"],
)
def test_the_whole_loss_is_that_of_its_parts_and_reaches_every_weight(make: object, aligned: bool) -> None:
    paddle.seed(1)
    network = make()  # type: ignore[operator]
    image = paddle.randn([2, 3, 64, 64])
    parts = detection_loss(network, image, TRUTH, aligned=aligned)
    scores, sides, strides = heads(network, image)
    cells = lattice(64, 64, strides)
    bins = paddle.nn.functional.softmax(sides.reshape([2, len(cells.strides), 4, -1]), axis=3).numpy()
    distances = (bins * np.arange(bins.shape[3])).sum(axis=3) * cells.strides[:, None]
    boxes = np.concatenate([cells.centres - distances[..., :2], cells.centres + distances[..., 2:]], axis=2)
    told = assigned(cells, TRUTH, scores.numpy(), boxes.astype(np.float32), aligned)
    quality = np.zeros(scores.shape, np.float32)
    box = off = 0.0
    for cell, row in enumerate(told[0].rows):
        if row < 0:
            continue
        have, weight = TRUTH[0][0][row], told[0].quality[cell]
        quality[0, cell, TRUTH[0][1][row]] = weight
        box += weight * float(generalised_iou(paddle.to_tensor(boxes[:1, cell]), paddle.to_tensor(have[None])))
        middle = cells.centres[cell]
        away = np.r_[middle - have[:2], have[2:] - middle] / cells.strides[cell]
        logits = sides.reshape([2, len(cells.strides), 4, -1])[0, cell].unsqueeze(0)
        off += weight * float(distribution_focal(logits, paddle.to_tensor(away[None].astype(np.float32))))
    whole = max(quality.sum(), 1)
    assert (told[0].rows >= 0).sum() > 5
    assert float(parts["class"]) == pytest.approx(float(varifocal(scores, paddle.to_tensor(quality))) / whole, rel=1e-3)
    assert float(parts["box"]) == pytest.approx(2.5 * box / whole, rel=1e-3)
    assert float(parts["sides"]) == pytest.approx(0.5 * off / whole, rel=1e-3)
    parts["loss"].backward()
    unreached = [name for name, one in network.named_parameters() if one.grad is None and not one.stop_gradient]
    assert not unreached
    assert all(np.isfinite(one.grad.numpy()).all() for one in network.parameters() if one.grad is not None)


def test_average_precision_counted_by_hand(data: Labelled) -> None:
    def found(keep: slice, shift: float = 0.0) -> list[Detections]:
        rows = [data.rows(picture) for picture in range(len(data))]
        return [
            Detections(
                data.boxes[r][keep] + np.float32(shift), np.full(2, 0.9, np.float32)[keep], data.classes[r][keep]
            )
            for r in rows
        ]

    every = precision(found(slice(None)), data)
    assert (every.ap, every.ap50, every.ap75, every.recall) == pytest.approx((1, 1, 1, 1))
    assert precision(found(slice(0, 1)), data).ap50 == pytest.approx(0.5)  # every person, no car
    # 14 x 30 moved by 3 both ways: 11 x 27 of 543 in common, 0.547; the car's 28 x 18: 25 x 15 of 633, 0.592.
    moved = precision(found(slice(None), 3.0), data)
    assert (moved.ap50, moved.ap75, moved.ap) == pytest.approx((1, 0, 0.15))
    assert precision([Detections.empty()] * 4, data).ap == 0


def test_norms_unfolded_on_pictures_compute_the_same_and_can_be_trained() -> None:
    paddle.seed(2)
    network = nn.Sequential(ConvNorm(3, 8, 3), ConvNorm(8, 4, 3, activation=None))
    for block in network:
        block.norm.bias.set_value(paddle.randn([block.norm.bias.shape[0]]))
    sample = paddle.randn([4, 3, 16, 16])
    network.eval()
    before = network(sample).numpy()
    unfold_norms(network, sample)
    np.testing.assert_allclose(network(sample).numpy(), before, atol=1e-4)
    network.train()
    np.testing.assert_allclose(network(sample).numpy(), before, atol=1e-3)


def tiny(names: tuple[str, ...]) -> nn.Layer:
    return detector.blueprint(RECIPE, names).build()


def test_published_weights_begin_where_they_fit(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    file = MODELS / "picodet_s_416_coco.onnx"
    if not file.is_file():
        pytest.skip("needs shared/models/picodet_s_416_coco.onnx")
    network = PicoDet(3, "s", version=1)
    sample = paddle.randn([2, 3, 64, 64])
    taken = begin(
        network, ("pedestrian", "tram", "car"), file, lambda names: PicoDet(len(names), "s", version=1), sample
    )
    assert taken == len(network.state_dict())
    whole = PicoDet(80, "s", version=1)
    begin(whole, COCO, file, lambda names: PicoDet(len(names), "s", version=1), sample)
    network.eval()
    whole.eval()
    (ours, _), (theirs, _) = network.levels(sample), whole.levels(sample)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one.numpy()[..., [0, 2]], other.numpy()[..., [0, 2]], atol=1e-4)


def test_a_training_of_ours_is_gone_on_with_for_other_pictures(tmp_path: Path) -> None:
    paddle.save(tiny(NAMES).state_dict(), str(tmp_path / "best.pdparams"))
    network = tiny(NAMES)
    given = paddle.load(str(tmp_path / "best.pdparams"))
    taken = begin(network, NAMES, tmp_path / "best.pdparams", tiny, paddle.zeros([1]))
    assert taken == len(given)
    np.testing.assert_array_equal(
        network.branches[0].predict_class.weight.numpy(), given["branches.0.predict_class.weight"]
    )
    with pytest.raises(TrainingError, match="there is no such file of weights"):
        begin(network, NAMES, tmp_path / "none.onnx", tiny, paddle.zeros([1]))
    with pytest.raises(TrainingError, match="holds no weight of this network"):
        other = nn.Linear(1, 1)
        begin(other, NAMES, tmp_path / "best.pdparams", lambda _: other, paddle.zeros([1]))


def test_it_learns_two_kinds_of_squares_and_its_export_says_the_same(data: Labelled, tmp_path: Path) -> None:
    paddle.seed(0)
    plan = replace(PLAN, epochs=20, every=20, optimiser="adam")
    job = detector.Job(replace(RECIPE, plan=plan, batch=4, still=2), data, data)
    for layer in job.kept.sublayers():
        if isinstance(layer, nn.BatchNorm2D):
            layer._momentum = 0.3  # the usual one is for hundreds of steps
    log = fit(job, plan, tmp_path, facts={})
    assert log[-1]["box"] < log[0]["box"] / 2
    assert log[-1]["ap50"] > 0.4  # about 0.8; of random weights 0
    own = detector.detect(job.kept, Pictures(data), 64, 64)
    job.blueprint.export(job.kept, tmp_path / "model")
    opened = open_detector(tmp_path / "model", score_threshold=0.3)
    assert opened.classes == NAMES
    for picture in range(len(data)):
        (found,) = opened.detect([data.read(picture)])
        sure = own[picture].scores > 0.3
        assert found.classes.tolist() == own[picture].classes[sure].tolist()
        np.testing.assert_allclose(found.scores, own[picture].scores[sure], atol=1e-3)
        np.testing.assert_allclose(found.boxes, np.clip(own[picture].boxes[sure], 0, 64), atol=0.05)


def test_a_resumed_training_equals_an_uninterrupted_one(data: Labelled, tmp_path: Path) -> None:
    recipe = replace(
        RECIPE, augment=Augmentation(largest=2.0), scales=(1.0, 1.5), plan=replace(PLAN, average=0.9, every=2)
    )

    def run(folder: Path, resume: bool = False, stop: int = 0) -> None:
        def interrupt(entry: dict[str, float]) -> None:
            if entry["epoch"] == stop:
                raise KeyboardInterrupt

        paddle.seed(0)
        fit(detector.Job(recipe, data, data), recipe.plan, folder, facts={}, resume=resume, on_epoch=interrupt)

    run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", stop=1)
    run(tmp_path / "parts", resume=True)
    assert (tmp_path / "parts" / "log.csv").read_text() == (tmp_path / "whole" / "log.csv").read_text()


@pytest.mark.parametrize(
    ("recipe", "names", "says"),
    [
        (replace(RECIPE, plan=replace(PLAN, rate=1e38, epochs=9)), NAMES, "no number any more"),
        (replace(RECIPE, height=50), NAMES, "multiples of 32"),
        (replace(RECIPE, loss="focal"), NAMES, "there is no loss 'focal'"),
        (RECIPE, ("person", "bus"), "trained on person, car, tested on person, bus"),
    ],
)
def test_what_cannot_be_trained_says_why(
    recipe: Recipe, names: tuple[str, ...], says: str, data: Labelled, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=says):
        detector.train(recipe, data, replace(data, names=names), tmp_path / "out")
