"""Training FairMOT and JDE: targets against plain Python, losses and gradients against plain NumPy, and small runs."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import paddle
import pytest

from operators.detect import open_detector
from operators.networks.jde import ANCHORS, Jde
from operators.networks.training import fairmot, jde, one_shot
from operators.networks.training.errors import TrainingError
from operators.networks.training.loop import fit
from operators.networks.training.losses import heat_focal, weighed
from operators.networks.training.one_shot import FairMotShape, JdeShape, Recipe
from operators.networks.training.scenes import Scene, Shots, changed, read_shots
from operators.networks.training.tracking_score import score
from operators.records import Detections

BOXES = np.float32([[10, 6, 22, 34], [20, 8, 30, 30], [-30, 0, -10, 20], [40, 20, 60, 60]])
PLAN = replace(one_shot.PLAN, epochs=2, rate=1e-3)
FAIRMOT = Recipe(FairMotShape(scale=0.25, hidden=8, embedding=8, top=30), PLAN, batch=4, augment=False, fps=5.0)
JDE = replace(FAIRMOT, network=JdeShape(4, (1, 1, 1, 1, 1), 16))


def slopes(function: object, values: np.ndarray) -> np.ndarray:
    found = np.zeros_like(values)
    for place in np.ndindex(*values.shape):
        up, down = values.copy(), values.copy()
        up[place] += 1e-5
        down[place] -= 1e-5
        found[place] = (function(up) - function(down)) / 2e-5  # type: ignore[operator]
    return found


def test_heat_maps_have_a_bump_a_centre_as_plain_python_draws_it() -> None:
    kinds, people = np.array([0, 1, 0, 0]), np.array([4, 0, 1, -1])
    found = fairmot.encode(BOXES, kinds, people, count=2, height=64, width=64)
    heat = np.zeros((2, 16, 16))
    for (left, top, right, bottom), kind in zip(BOXES[[0, 1, 3]] / 4, kinds[[0, 1, 3]], strict=True):
        h, w = math.ceil(bottom - top), math.ceil(right - left)
        reach = int((math.sqrt((1.4 * (h + w)) ** 2 + 4 * 2.8 * 0.3 * h * w) - 1.4 * (h + w)) / 2)
        cx, cy, deviation = int((left + right) / 2), int((top + bottom) / 2), (2 * reach + 1) / 6
        for y in range(16):
            for x in range(16):
                if max(abs(x - cx), abs(y - cy)) <= reach:
                    far = (x - cx) ** 2 + (y - cy) ** 2
                    heat[kind, y, x] = max(heat[kind, y, x], math.exp(-far / (2 * deviation**2)))
    np.testing.assert_allclose(found.heat, heat, atol=1e-6)
    assert found.cells.tolist() == [5 * 16 + 4, 4 * 16 + 6, 10 * 16 + 12]  # the third box is outside
    assert found.identities.tolist() == [4, 0, -1]
    centres = np.stack([found.cells % 16, found.cells // 16], 1) + found.offsets
    back = np.concatenate([centres - found.sides[:, :2], centres + found.sides[:, 2:]], axis=1) * 4
    np.testing.assert_allclose(back, BOXES[[0, 1, 3]], atol=1e-4)


def test_the_heat_loss_and_its_gradient_are_those_of_plain_numpy() -> None:
    random = np.random.default_rng(1)
    heat, truth = random.uniform(0.1, 0.9, (1, 2, 3, 3)), random.uniform(0, 0.9, (1, 2, 3, 3))
    truth[0, 0, 1, 1] = truth[0, 1, 2, 0] = 1

    def plain(values: np.ndarray) -> float:
        total = 0.0
        for p, y in zip(values.ravel(), truth.ravel(), strict=True):
            total -= (1 - p) ** 2 * np.log(p) if y == 1 else (1 - y) ** 4 * p**2 * np.log(1 - p)
        return total / 2

    given = paddle.to_tensor(heat, stop_gradient=False)
    loss = heat_focal(given, paddle.to_tensor(truth))
    loss.backward()
    assert float(loss) == pytest.approx(plain(heat), rel=1e-6)
    np.testing.assert_allclose(given.grad.numpy(), slopes(plain, heat), atol=1e-6)


def test_tasks_weigh_themselves() -> None:
    log = paddle.to_tensor([0.5], stop_gradient=False)
    loss = weighed([paddle.to_tensor(3.0)], [log])
    loss.backward()
    assert float(loss) == pytest.approx((3 * math.exp(-0.5) + 0.5) / 2, rel=1e-6)
    assert float(log.grad) == pytest.approx((1 - 3 * math.exp(-0.5)) / 2, rel=1e-6)


def plain_logs(rows: np.ndarray) -> np.ndarray:
    return rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))


def test_fairmots_whole_loss_is_that_of_plain_numpy() -> None:
    random = np.random.default_rng(2)
    kinds, people = np.array([0, 1, 0, 0]), np.array([2, 0, 1, -1])
    targets = [fairmot.encode(BOXES, kinds, people, count=2, height=64, width=64)] * 2
    maps = [random.uniform(0.1, 0.9, (2, c, 16, 16)).astype(np.float32) for c in (2, 4, 2, 5)]
    loss = fairmot.FairMotLoss(5, (3, 2))
    found = float(loss([paddle.to_tensor(one) for one in maps], targets))
    detection = float(heat_focal(paddle.to_tensor(maps[0]), paddle.to_tensor(np.stack([t.heat for t in targets]))))
    sides, offsets, looks = [], [], {0: [], 1: []}
    for number, one in enumerate(targets):
        for k, cell in enumerate(one.cells):
            y, x = divmod(int(cell), 16)
            sides.append(np.abs(maps[1][number, :, y, x] - one.sides[k]).mean())
            offsets.append(np.abs(maps[2][number, :, y, x] - one.offsets[k]).mean())
            look = maps[3][number, :, y, x]
            if one.identities[k] >= 0:
                looks[int(one.classes[k])].append((look / np.linalg.norm(look), one.identities[k]))
    detection += 0.1 * np.mean(sides) + np.mean(offsets)
    identity = 0.0
    for kind, count in ((0, 3), (1, 2)):
        own = loss.classifiers[kind]
        scale = math.sqrt(2) * math.log(max(count - 1, 2))
        logits = scale * np.stack([look for look, _ in looks[kind]]) @ own.weight.numpy() + own.bias.numpy()
        identity -= np.mean([row[who] for row, (_, who) in zip(plain_logs(logits), looks[kind], strict=True)])
    wanted = (math.exp(1.85) * detection + math.exp(1.05) * identity - 1.85 - 1.05) / 2
    assert found == pytest.approx(wanted, rel=1e-5)


def plain_anchors(level: int) -> dict[tuple[int, int, int], tuple[float, ...]]:
    """x1 y1 x2 y2 of a level's anchors in an input of 64x64, by anchor, row and column."""
    stride = (32, 16, 8)[level]
    return {
        (a, y, x): (x * stride - w / 2, y * stride - h / 2, x * stride + w / 2, y * stride + h / 2)
        for a, (w, h) in enumerate(np.array(ANCHORS[level]) * 64 / 1088)
        for y in range(64 // stride)
        for x in range(64 // stride)
    }


def plain_iou(a: np.ndarray | tuple[float, ...], b: np.ndarray | tuple[float, ...]) -> float:
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(w, 0) * max(h, 0)
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def test_anchors_are_assigned_as_plain_python_does_it_and_decode_to_the_boxes() -> None:
    boxes = np.float32([[10, 6, 18, 30], [36, 30, 46, 58], [4, 28, 6, 34], [-30, 0, -10, 20]])
    people = np.array([3, 5, 7, 1])
    found = jde.encode(boxes, people, height=64, width=64)
    overlaps = {
        (level, place): [plain_iou(anchor, box) for box in boxes[:3]]
        for level in range(3)
        for place, anchor in plain_anchors(level).items()
    }
    best = [max(overlaps, key=lambda key: overlaps[key][row]) for row in range(3)]
    for (level, place), values in overlaps.items():
        kind = 1 if max(values) >= 0.5 or (level, place) in best else -1 if max(values) >= 0.4 else 0
        assert found[level].kinds[place] == kind, (level, place)
    network = Jde(4, (1, 1, 1, 1, 1), 4)
    raws = [np.zeros((1, 4, 6, *one.identities.shape), np.float32) for one in found]
    for raw, one in zip(raws, found, strict=True):
        raw[0, :, :4] = one.boxes.transpose(0, 3, 1, 2)
        raw[0, :, 5] = np.where(one.kinds == 1, 9, -9)
    looks = [paddle.ones([1, 4, *one.identities.shape]) for one in found]
    network.levels = lambda image: [(paddle.to_tensor(raw).flatten(1, 2), look) for raw, look in zip(raws, looks)]  # noqa: B905
    decoded, scores, _ = network.decode(paddle.zeros([1, 3, 64, 64]))
    sure = decoded.numpy()[0][scores.numpy()[0] > 0.5]
    assert len(sure) == sum(int((one.kinds == 1).sum()) for one in found) >= 3
    near = np.abs(sure[:, None] - boxes[:3]).max(axis=2)
    assert near.min(axis=1).max() < 1e-3 and near.min(axis=0).max() < 1e-3
    assert {int(i) for one in found for i in one.identities.ravel()} == {-1, 3, 5, 7}


def test_jdes_whole_loss_is_that_of_plain_numpy() -> None:
    random = np.random.default_rng(4)
    boxes, people = np.float32([[10, 6, 18, 30], [40, 28, 44, 40]]), np.array([1, -1])
    targets = [jde.encode(boxes, people, height=64, width=64)] * 2
    loss = jde.JdeLoss(5, 3)
    levels = [
        (random.normal(0, 1, (2, 24, n, n)).astype(np.float32), random.normal(0, 1, (2, 5, n, n)).astype(np.float32))
        for n in (2, 4, 8)
    ]
    wanted = 0.0
    for number, (raw, look) in enumerate(levels):
        box, counted, identity = [], [], []
        for picture, one in enumerate(level[number] for level in targets):
            for (a, y, x), kind in np.ndenumerate(one.kinds):
                said = raw[picture, 6 * a : 6 * a + 6, y, x]
                if kind >= 0:
                    counted.append(-plain_logs(said[None, 4:])[0, kind])
                if kind == 1:
                    off = np.abs(said[:4] - one.boxes[a, y, x])
                    box.append(np.where(off < 1, off**2 / 2, off - 0.5).mean())
            for (y, x), who in np.ndenumerate(one.identities):
                if who >= 0:
                    unit = look[picture, :, y, x] / np.linalg.norm(look[picture, :, y, x])
                    scaled = math.sqrt(2) * math.log(2) * unit
                    logits = scaled @ loss.classifier.weight.numpy() + loss.classifier.bias.numpy()
                    identity.append(-plain_logs(logits[None])[0, who])
        for values, log in ((box, -4.85), (counted, -4.15), (identity, -2.3)):
            wanted += (math.exp(-log) * (np.mean(values) if values else 0) + log) / 2
    given = [tuple(paddle.to_tensor(one) for one in level) for level in levels]
    assert float(loss(given, targets)) == pytest.approx(wanted, rel=1e-5)


def write_scene(folder: Path, rows: str = "") -> Scene:
    """Two squares on grey that walk past each other, four pictures."""
    (folder / "img").mkdir()
    text = ""
    for number in range(1, 5):
        image = np.full((64, 64, 3), 90, np.uint8)
        for identity, (x, y, colour) in enumerate(((8 + 4 * number, 8, (0, 0, 250)), (40, 30, (250, 200, 0))), 7):
            image[y : y + 24, x : x + 12] = colour
            text += f"{number},{identity},{x},{y},12,24,1,{identity - 6}\n"
        cv2.imwrite(str(folder / "img" / f"{number}.png"), image)
    (folder / "gt.txt").write_text(rows or text)
    return Scene(folder / "gt.txt", folder / "img")


def shots(folder: Path, classes: tuple[str, ...] = ("person",)) -> Shots:
    return read_shots([write_scene(folder)], classes, height=64, width=64)


def test_both_kinds_of_labels_say_the_same(tmp_path: Path) -> None:
    scene = write_scene(tmp_path)
    found = read_shots([scene], ["car", "bus"], height=32, width=64)
    assert [len(found.shots), found.people] == [4, (1, 1)]
    image, boxes = found.shots[0].canvas()
    assert image.shape == (32, 64, 3)
    np.testing.assert_allclose(boxes[0], [16 + 12 / 2, 4, 16 + 24 / 2, 16])
    assert image[10, 25, 2] > 200 > 140 > image[10, 25, 0]
    (tmp_path / "ids").mkdir()
    for number in range(1, 5):
        rows = [f"0 3 {(14 + 4 * number) / 64} {20 / 64} {12 / 64} {24 / 64}", f"1 -1 {46 / 64} {42 / 64} .1875 .375"]
        (tmp_path / "ids" / f"{number}.txt").write_text("\n".join(rows))
    other = read_shots([Scene(tmp_path / "ids", scene.pictures)], ["car", "bus"], height=32, width=64)
    for one, two in zip(found.shots, other.shots, strict=True):
        np.testing.assert_allclose(one.boxes, two.boxes, atol=1e-4)
        assert (two.classes.tolist(), two.identities.tolist()) == ([0, 1], [0, -1])


def test_boxes_move_along_with_their_pictures() -> None:
    image = np.zeros((64, 96, 3), np.uint8)
    image[20:40, 30:50] = 255
    for seed in range(8):
        moved, boxes = changed(image, np.float32([[30, 20, 50, 40]]), np.random.default_rng(seed))
        ys, xs = np.nonzero(moved[:, :, 0] > 170)  # what surrounds the picture is 127, at most 152 when lit
        inside = (xs >= boxes[0, 0] - 1) & (xs <= boxes[0, 2] + 1) & (ys >= boxes[0, 1] - 1) & (ys <= boxes[0, 3] + 1)
        assert inside.mean() > 0.95


def test_what_is_right_scores_one_and_nothing_scores_nothing(tmp_path: Path) -> None:
    data = shots(tmp_path)
    right = [
        Detections(s.boxes, np.full(2, 0.9, np.float32), np.zeros(2, np.int32), np.eye(2, 8, dtype=np.float32))
        for s in data.shots
    ]
    best = score(right, data, "fairmot", 5.0)
    assert (best.ap50, best.mota, best.idf1, best.switches) == (1, 1, 1, 0)
    assert score([Detections.empty()] * 4, data, "fairmot", 5.0).mean == 0


@pytest.mark.parametrize("recipe", [FAIRMOT, JDE], ids=["fairmot", "jde"])
def test_a_resumed_training_equals_an_uninterrupted_one(recipe: Recipe, tmp_path: Path) -> None:
    data = shots(tmp_path)
    data = replace(data, shots=data.shots[:2])

    def run(folder: Path, resume: bool = False, stop: int = 0, recipe: Recipe = recipe) -> None:
        def interrupt(entry: dict[str, float]) -> None:
            if entry["epoch"] == stop:
                raise KeyboardInterrupt

        paddle.seed(0)
        job = one_shot.Job(recipe, data, data)
        fit(job, recipe.plan, folder, facts={"recipe": repr(recipe)}, resume=resume, on_epoch=interrupt)

    recipe = replace(recipe, batch=2, augment=True, plan=replace(PLAN, every=2))
    run(tmp_path / "whole", recipe=recipe)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", stop=1, recipe=recipe)
    run(tmp_path / "parts", resume=True, recipe=recipe)
    assert (tmp_path / "parts" / "log.csv").read_text() == (tmp_path / "whole" / "log.csv").read_text()
    with pytest.raises(TrainingError, match="another recipe"):
        run(tmp_path / "parts", resume=True, recipe=replace(recipe, batch=1))


@pytest.mark.parametrize(("recipe", "epochs", "falls"), [(FAIRMOT, 8, 2.0), (JDE, 8, 1.1)], ids=["fairmot", "jde"])
def test_it_learns_two_squares_and_its_export_says_the_same(
    recipe: Recipe, epochs: int, falls: float, tmp_path: Path
) -> None:
    data = shots(tmp_path)
    recipe = replace(recipe, plan=replace(PLAN, epochs=epochs, every=epochs, rate=5e-3))
    losses: list[float] = []
    one_shot.train(recipe, data, data, tmp_path, on_epoch=lambda entry: losses.append(entry["loss"]))
    assert losses[-1] < losses[0] / falls
    network = one_shot.blueprint(recipe.network, data).build()
    network.set_state_dict(paddle.load(str(tmp_path / "best.pdparams")))
    own = one_shot.detect(network, data, 0.0)[0]
    detector = open_detector(tmp_path / "model", score_threshold=0.0)
    assert detector.classes == ("person",)
    image, _ = data.shots[0].canvas()
    (found,) = detector.detect([image])
    clipped = np.clip(own.boxes, 0, 64)
    seen = (clipped[:, 2:] > clipped[:, :2]).all(axis=1)  # a network this young gives some boxes no extent
    np.testing.assert_allclose(found.scores, np.sort(own.scores[seen])[::-1], atol=1e-3)


def test_a_loss_that_is_no_number_stops_with_a_sentence(tmp_path: Path) -> None:
    data = shots(tmp_path)
    with pytest.raises(
        TrainingError, match=r"no number any more \(epoch \d, step \d, learning rate .*\): lower the rate"
    ):
        one_shot.train(replace(FAIRMOT, plan=replace(PLAN, rate=1e38, warm=0)), data, data, tmp_path / "out")


def test_labels_that_cannot_be_trained_on_say_why(tmp_path: Path) -> None:
    data = shots(tmp_path, ("car", "bus"))
    with pytest.raises(TrainingError, match="class 'car' has 1 identities"):
        one_shot.train(FAIRMOT, data, data, tmp_path / "out")
    with pytest.raises(TrainingError, match="JDE knows one class"):
        one_shot.train(JDE, data, data, tmp_path / "out")
    scene = Scene(tmp_path / "gt.txt", tmp_path / "img")
    for size, says in (((48, 64), "multiples of 32"),):
        odd = read_shots([scene], ["person"], height=size[0], width=size[1])
        with pytest.raises(TrainingError, match=says):
            one_shot.train(FAIRMOT, odd, odd, tmp_path / "out")
    for rows, says in (("\n", "nothing to train on"), ("1,7,1,1,9,9,1,5\n", "class 5"), ("1,7,1,1,9,9,1\n", "class$")):
        (tmp_path / "gt.txt").write_text(rows)
        with pytest.raises(TrainingError, match=says):
            read_shots([scene], ["car", "bus"], height=64, width=64)
    (tmp_path / "none").mkdir()
    with pytest.raises(TrainingError, match="nothing to train on"):
        read_shots([Scene(tmp_path / "none", tmp_path / "img")], ["car"], height=64, width=64)
