"""Training ReID: losses against plain NumPy, and small people of one colour each learnt, resumed and exported."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import paddle
import pytest

from operators.embed import open_embedder
from operators.networks.training import reid
from operators.networks.training.errors import TrainingError
from operators.networks.training.identities import Crops, joined, read_crops
from operators.networks.training.loop import fit
from operators.networks.training.losses import hardest_triplets, smoothed_cross_entropy
from operators.networks.training.retrieval import evaluate
from operators.networks.training.schedule import warm_cosine

PLAN = replace(reid.PLAN, epochs=2, rate=3e-3, warm=1)
RECIPE = reid.Recipe(scale=0.35, embedding=16, hidden=32, plan=PLAN, people=4, crops=3)


def people(count: int = 4, each: int = 6) -> Crops:
    random = np.random.default_rng(5)
    colours = random.integers(30, 226, (count, 2, 3))
    identities = np.repeat(np.arange(count), each)
    clothes = np.repeat(colours[identities], 32, axis=1)[:, :, None]  # shirt above, trousers below
    images = np.clip(clothes + random.normal(0, 12, (count * each, 64, 32, 3)), 0, 255).astype(np.uint8)
    return Crops(images, identities, np.tile(np.arange(each), count), count)


def plain_cross_entropy(logits: np.ndarray, targets: np.ndarray, smoothing: float) -> float:
    total = 0.0
    for row, target in zip(logits, targets, strict=True):
        logs = row - np.log(np.exp(row).sum())
        total -= (1 - smoothing) * logs[target] + smoothing * logs.mean()
    return total / len(logits)


def plain_triplets(looks: np.ndarray, targets: np.ndarray, margin: float) -> float:
    found = []
    for row in range(len(looks)):
        distances = np.linalg.norm(looks - looks[row], axis=1)
        same = [distances[k] for k in range(len(looks)) if k != row and targets[k] == targets[row]]
        other = [distances[k] for k in range(len(looks)) if targets[k] != targets[row]]
        if same:
            found.append(max(0.0, margin + max(same) - min(other)))
    return float(np.mean(found))


TARGETS = np.array([0, 0, 1, 1, 2, 1])


@pytest.mark.parametrize(
    ("loss", "plain", "number"),
    [(smoothed_cross_entropy, plain_cross_entropy, 0.1), (hardest_triplets, plain_triplets, 0.7)],
)
def test_losses_and_their_gradients_are_those_of_plain_numpy(loss: object, plain: object, number: float) -> None:
    values = np.random.default_rng(3).normal(size=(6, 3))
    given = paddle.to_tensor(values, stop_gradient=False)
    found = loss(given, paddle.to_tensor(TARGETS), number)  # type: ignore[operator]
    found.backward()
    assert float(found) == pytest.approx(plain(values, TARGETS, number), rel=1e-6)  # type: ignore[operator]
    for place in np.ndindex(*values.shape):
        up, down = values.copy(), values.copy()
        up[place] += 1e-5
        down[place] -= 1e-5
        slope = (plain(up, TARGETS, number) - plain(down, TARGETS, number)) / 2e-5  # type: ignore[operator]
        assert given.grad.numpy()[place] == pytest.approx(slope, abs=1e-5)


def test_retrieval_counted_by_hand() -> None:
    angles = np.deg2rad([0, 10, 5, 90])
    looks = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    score = evaluate(looks, np.array([0, 0, 1, 1]), np.array([0, 9, 9, 0]), 5)
    # Query 0 sees rows 1 and 2, nearest first 2 and 1; query 1 sees 0 and 3; query 2 sees 0 and 3; query 3 sees 1, 2.
    assert score.mean_ap == pytest.approx((1 / 2 + 1 + 1 / 2 + 1 / 2) / 4)
    assert (score.rank1, score.rank5, score.queries) == (0.25, 1.0, 4)
    assert evaluate(looks, np.arange(4), np.arange(4), 1).queries == 0


def test_the_rate_rises_in_a_line_and_falls_along_a_cosine() -> None:
    rates = [warm_cosine(step, 11, 2, 1.0, 0.0) for step in range(11)]
    np.testing.assert_allclose(rates[:3] + rates[-1:], [0.5, 1, 1, 0], atol=1e-12)
    assert rates[6] == pytest.approx(0.5)
    assert (np.diff(rates[2:]) < 0).all()


def test_it_learns_who_is_who_and_its_export_says_the_same(tmp_path: Path) -> None:
    data = people()
    recipe = replace(RECIPE, plan=replace(PLAN, epochs=40, every=40))
    best = reid.train(recipe, data, data, tmp_path)
    assert best.mean_ap > 0.7  # of random weights it is about 0.4
    losses = [float(row["loss"]) for row in csv.DictReader((tmp_path / "log.csv").open())]
    assert losses[-1] < losses[0] / 2
    embedder = open_embedder(tmp_path / "model")
    assert embedder is not None
    network = reid.Job(recipe, data, data).blueprint.build()
    network.set_state_dict(paddle.load(str(tmp_path / "best.pdparams")))
    own = reid.embed(network, data)
    look, _ = embedder.embed(data.images[7], np.float32([[0, 0, 32, 64]]))
    np.testing.assert_allclose(look[0], own[7], atol=1e-3)


def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    data = people()

    def run(folder: Path, resume: bool = False, stop: int = 0, recipe: reid.Recipe = RECIPE) -> None:
        def interrupt(entry: dict[str, float]) -> None:
            if entry["epoch"] == stop:
                raise KeyboardInterrupt

        paddle.seed(0)
        job = reid.Job(recipe, data, data)
        fit(job, recipe.plan, folder, facts={"recipe": repr(recipe)}, resume=resume, on_epoch=interrupt)

    run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", stop=1)
    run(tmp_path / "parts", resume=True)
    assert (tmp_path / "parts" / "log.csv").read_text() == (tmp_path / "whole" / "log.csv").read_text()
    with pytest.raises(TrainingError, match="another recipe"):
        run(tmp_path / "parts", resume=True, recipe=replace(RECIPE, gap=2))


def test_a_loss_that_is_no_number_stops_with_a_sentence(tmp_path: Path) -> None:
    data = people()
    with pytest.raises(
        TrainingError, match=r"no number any more \(epoch 1, step \d, learning rate .*\): lower the rate"
    ):
        reid.train(replace(RECIPE, plan=replace(PLAN, rate=1e38)), data, data, tmp_path)


def test_crops_come_from_rows_that_count(tmp_path: Path) -> None:
    for number in (1, 2):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((60, 80, 3), 100 * number, np.uint8))
    labels = tmp_path / "gt.txt"
    labels.write_text("1,7,10,10,20,40,1\n2,7,70,-5,30,40,1\n2,9,0,0,20,40,1\n2,4,0,0,20,40,0\n1,3,0,0,3,3,1\n")
    crops = read_crops(labels, tmp_path, height=16, width=8)
    assert crops.images.shape == (3, 16, 8, 3)
    assert [int(image[0, 0, 0]) for image in crops.images] == [100, 200, 200]
    assert (crops.identities.tolist(), crops.frames.tolist(), crops.people) == ([0, 0, 1], [1, 2, 2], 2)
    both = joined([crops, crops])
    assert (both.identities.tolist(), both.people) == ([0, 0, 1, 2, 2, 3], 4)


def test_ids_of_one_object_are_one_identity(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "1.png"), np.full((60, 80, 3), 100, np.uint8))
    labels, same = tmp_path / "gt.txt", tmp_path / "people.txt"
    labels.write_text("1,7,10,10,20,40,1\n1,9,0,0,20,40,1\n1,4,30,0,20,40,1\n")
    same.write_text("# by eye\n9 7 12\n5\n")
    crops = read_crops(labels, tmp_path, height=16, width=8, same=same)
    assert (crops.identities.tolist(), crops.people) == ([1, 1, 0], 2)
    for text, says in (("1 2\n3 1\n", "line 2: an id of '3 1'"), ("1 two\n", "line 1: '1 two' is no list")):
        same.write_text(text)
        with pytest.raises(TrainingError, match=says):
            read_crops(labels, tmp_path, height=16, width=8, same=same)
    with pytest.raises(TrainingError, match="cannot be read"):
        read_crops(labels, tmp_path, height=16, width=8, same=tmp_path / "none.txt")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "no such file of labels"),
        ("", "nothing to train on"),
        ("1,7,10,10\n", "line 1: '1,7,10,10' is no row"),
        ("5,7,10,10,20,40,1\n", "ends at frame 0"),
        ("1,7,10,10,20,40,0\n", "nothing to train on"),
    ],
)
def test_labels_that_cannot_be_used_say_why(text: str | None, says: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "gt.txt").write_text(text)
    with pytest.raises(TrainingError, match=says):
        read_crops(tmp_path / "gt.txt", tmp_path, height=16, width=8)
