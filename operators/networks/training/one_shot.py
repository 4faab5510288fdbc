"""Training of one-shot trackers, FairMOT (MCFairMOT with several classes) and JDE: one loop for both.

Every epoch draws its order and its augmentation from a generator seeded with the run's seed and the epoch's number,
so a training that goes on from a checkpoint equals one that was never interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle import Tensor, nn

from operators.networks import fairmot as fairmot_network
from operators.networks.export import PERMUTE, UNIT, letterbox, normalise, save
from operators.networks.jde import Jde
from operators.networks.training import fairmot, jde
from operators.networks.training.checkpoints import parameters, restore, snapshot, store, write_log
from operators.networks.training.errors import TrainingError
from operators.networks.training.scenes import Shots, changed
from operators.networks.training.schedule import warm_cosine
from operators.networks.training.tracking_score import TrackingScore, score
from operators.records import Detections, Float32

_CHECKPOINT, _BEST = "checkpoint.pdparams", "best.pdparams"
_LONGEST = 10.0  # of the gradient


@dataclass(frozen=True, slots=True)
class FairMotShape:
    """A FairMOT network: arguments of `FairMot`; as published DLA-34 with scale 1, 256 hidden, 128 of embedding."""

    backbone: str = "dla34"
    scale: float = 1.0
    hidden: int = 256
    embedding: int = 128
    top: int = fairmot_network.TOP


@dataclass(frozen=True, slots=True)
class JdeShape:
    """A JDE network: arguments of `Jde`; the defaults are the published DarkNet53."""

    width: int = 32
    depths: tuple[int, ...] = (1, 2, 8, 8, 4)
    embedding: int = 512


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train.

    Attributes:
        network: the kind and size of network.
        epochs: most of them; `patience`: stop after so many evaluations without a better score.
        batch: pictures a step.
        rate: the highest learning rate, of Adam; `warm`: epochs until it is reached.
        augment: mirror, move, scale and relight the pictures, see `changed`.
        evaluate_every: epochs from one evaluation to the next; the last epoch has one anyway.
        fps: of the test pictures as they are (after `every`), for the tracker.
        seed: of everything random.
    """

    network: FairMotShape | JdeShape
    epochs: int = 30
    patience: int = 10
    batch: int = 4
    rate: float = 1e-4
    warm: int = 1
    augment: bool = True
    evaluate_every: int = 1
    fps: float = 30.0
    seed: int = 0

    @property
    def tracker(self) -> str:
        """The association that goes with the network."""
        return "fairmot" if isinstance(self.network, FairMotShape) else "jde"


def build(shape: FairMotShape | JdeShape, classes: int) -> nn.Layer:
    """The network, with random weights."""
    if isinstance(shape, FairMotShape):
        return fairmot_network.FairMot(
            classes, shape.backbone, shape.embedding, shape.top, scale=shape.scale, hidden=shape.hidden
        )
    return Jde(shape.width, shape.depths, shape.embedding)


def train(
    recipe: Recipe,
    data: Shots,
    test: Shots,
    folder: Path,
    *,
    resume: bool = False,
    progress: Callable[[int, float, TrackingScore | None], None] = lambda epoch, loss, score: None,
) -> TrackingScore:
    """Train, and export the epoch whose mean of AP and IDF1 was best.

    Args:
        recipe: how.
        data: what to learn from; every class has two identities or more.
        test: what to choose the best epoch by; of the same classes and input size.
        folder: gets `checkpoint.pdparams` and `log.csv` after every evaluation, `best.pdparams`, and `model/`.
        resume: go on from the folder's checkpoint, where there is one.
        progress: called after every epoch with its number from 1, mean loss, and the score where there is one.

    Raises:
        TrainingError: too few identities or classes, a checkpoint of another recipe, or a loss that is no number.
    """
    _check(recipe, data, test)
    folder.mkdir(parents=True, exist_ok=True)
    paddle.seed(recipe.seed)
    network = build(recipe.network, len(data.classes))
    loss_of = _loss(recipe.network, data)
    layers = [network, loss_of]
    clip = nn.ClipGradByGlobalNorm(_LONGEST)
    optimiser = paddle.optimizer.Adam(recipe.rate, parameters=parameters(layers), grad_clip=clip)
    made_by = {"recipe": repr(recipe), "people": list(data.people), "pictures": len(data.shots)}
    log: list[dict[str, Any]] = []
    if resume and (folder / _CHECKPOINT).is_file():
        log = restore(folder / _CHECKPOINT, made_by, layers, optimiser)
    per_epoch = -(-len(data.shots) // recipe.batch)
    epoch = int(log[-1]["epoch"]) if log else 0
    while epoch < recipe.epochs and not _stalled(log, recipe.patience):
        network.train()
        order = np.random.default_rng([recipe.seed, epoch]).permutation(len(data.shots))
        losses = []
        for number in range(per_epoch):
            step = epoch * per_epoch + number
            optimiser.set_lr(warm_cosine(step, recipe.epochs * per_epoch, recipe.warm * per_epoch, recipe.rate))
            rows = np.resize(order, per_epoch * recipe.batch)[number * recipe.batch : (number + 1) * recipe.batch]
            random = np.random.default_rng([recipe.seed, epoch, number]) if recipe.augment else None
            loss = _loss_of_batch(network, loss_of, data, rows, random)
            losses.append(float(loss))
            if not np.isfinite(losses[-1]):
                raise TrainingError(
                    f"the loss is no number any more (epoch {epoch + 1}, step {number + 1}): lower the rate, which is "
                    f"{recipe.rate:g}, or warm up for longer; the last good epoch is {folder / _CHECKPOINT}"
                )
            loss.backward()
            optimiser.step()
            optimiser.clear_grad()
        epoch += 1
        found = None
        if epoch % recipe.evaluate_every == 0 or epoch == recipe.epochs:
            found = score(detect(network, test), test, recipe.tracker, recipe.fps)
            if not log or found.mean > max(_mean(entry) for entry in log):
                store(network.state_dict(), folder / _BEST)
            log.append({"epoch": epoch, "loss": float(np.mean(losses)), **asdict(found)})
            store(snapshot(made_by, layers, optimiser, log), folder / _CHECKPOINT)
            write_log(log, folder / "log.csv")
        progress(epoch, float(np.mean(losses)), found)
    network.set_state_dict(paddle.load(str(folder / _BEST)))
    export(network, folder / "model", data)
    best = max(log, key=_mean)
    return TrackingScore(best["ap50"], best["mota"], best["idf1"], best["switches"])


def export(network: nn.Layer, folder: Path, data: Shots) -> Path:
    """The folder that `open_detector` and PaddleDetection's tools read, for the training's input size."""
    height, width = data.shots[0].placement.shape
    return save(
        network,
        folder,
        inputs={"image": [1, 3, height, width], "im_shape": [1, 2], "scale_factor": [1, 2]},
        architecture="JDE" if isinstance(network, Jde) else "FairMOT",
        labels=data.classes,
        preprocess=[letterbox(height, width), normalise(UNIT), PERMUTE],
    )


def detect(network: nn.Layer, data: Shots, floor: float = 0.1) -> list[Detections]:
    """What the network finds in every picture, in its pixels; it is in `eval` mode afterwards."""
    network.eval()
    found = []
    with paddle.no_grad():
        for shot in data.shots:
            image = paddle.to_tensor(_input([shot.canvas()[0]]))
            where = shot.placement
            size, scale = (paddle.to_tensor(np.array([pair], np.float32)) for pair in (where.size, where.scale))
            rows, looks = (output.numpy() for output in network(image, size, scale))
            # Of nothing the suppression makes one row of class -1 or none at all.
            sure = np.flatnonzero((rows[:, 1] >= floor) & (rows[:, 0] >= 0))
            rows, looks = rows[sure], looks[sure]
            found.append(Detections(rows[:, 2:].copy(), rows[:, 1].copy(), rows[:, 0].astype(np.int32), looks))
    return found


def _loss_of_batch(
    network: nn.Layer, loss_of: nn.Layer, data: Shots, rows: Any, random: np.random.Generator | None
) -> Tensor:
    images: list[Any] = []
    targets: list[Any] = []
    for row in rows:
        shot = data.shots[row]
        image, boxes = shot.canvas()
        if random is not None:
            image, boxes = changed(image, boxes, random)
        height, width = image.shape[:2]
        images.append(image)
        if isinstance(network, Jde):
            targets.append(jde.encode(boxes, shot.identities, height=height, width=width))
        else:
            sizes = {"count": len(data.classes), "height": height, "width": width}
            targets.append(fairmot.encode(boxes, shot.classes, shot.identities, **sizes))
    given = paddle.to_tensor(_input(images))
    return loss_of(network.levels(given) if isinstance(network, Jde) else network.maps(given), targets)


def _input(images: Sequence[Any]) -> Float32:
    """(B, 3, H, W) RGB in [0, 1]."""
    return np.ascontiguousarray(np.stack(images)[..., ::-1].transpose(0, 3, 1, 2), np.float32) / np.float32(255)


def _loss(shape: FairMotShape | JdeShape, data: Shots) -> nn.Layer:
    if isinstance(shape, FairMotShape):
        return fairmot.FairMotLoss(shape.embedding, data.people)
    return jde.JdeLoss(shape.embedding, data.people[0])


def _check(recipe: Recipe, data: Shots, test: Shots) -> None:
    for shots, name in ((data, "train"), (test, "test")):
        if not any(len(shot.boxes) for shot in shots.shots):
            raise TrainingError(f"there is no labelled object to {name} with")
    if isinstance(recipe.network, JdeShape) and len(data.classes) > 1:
        raise TrainingError(f"JDE knows one class, and {len(data.classes)} are named: train FairMOT on them")
    for name, people in zip(data.classes, data.people, strict=True):
        if people < 2:
            raise TrainingError(
                f"class {name!r} has {people} identities in the labels; there must be at least two to tell apart: "
                f"add labels, or leave the class out"
            )
    height, width = data.shots[0].placement.shape
    if height % 32 or width % 32:
        raise TrainingError(f"the input is {width}x{height} pixels; both sides must be multiples of 32")
    if test.classes != data.classes or test.shots[0].placement.shape != (height, width):
        raise TrainingError("what is trained on and what is tested on differ in classes or input size")


def _mean(entry: dict[str, Any]) -> float:
    return (float(entry["ap50"]) + float(entry["idf1"])) / 2


def _stalled(log: list[dict[str, Any]], patience: int) -> bool:
    means = [_mean(entry) for entry in log]
    return bool(means) and len(means) - 1 - int(np.argmax(means)) >= patience
