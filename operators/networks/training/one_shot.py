"""Training of one-shot trackers, FairMOT (MCFairMOT with several classes) and JDE, in the loop of `loop.fit`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle import Tensor, nn

from operators.networks import fairmot as fairmot_network
from operators.networks.blueprint import Blueprint
from operators.networks.jde import Jde
from operators.networks.training import fairmot, jde
from operators.networks.training.errors import TrainingError
from operators.networks.training.loop import Plan
from operators.networks.training.run import OnEpoch, OnStep, run, unwatched
from operators.networks.training.scenes import Shots, changed
from operators.networks.training.tracking_score import TrackingScore, score
from operators.records import Detections, Float32

PLAN = Plan(epochs=30, patience=10, rate=1e-4, warm=1, optimiser="adam", decay=0.0, clip=10.0)
"""Adam at 1e-4 for 30 epochs as the reference has it; down along a cosine."""


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
        plan: how the weights are moved.
        batch: pictures a step.
        augment: mirror, move, scale and relight the pictures, see `changed`.
        fps: of the test pictures as they are (after `every`), for the tracker.
    """

    network: FairMotShape | JdeShape
    plan: Plan = field(default=PLAN)
    batch: int = 4
    augment: bool = True
    fps: float = 30.0

    @property
    def tracker(self) -> str:
        """The association that goes with the network."""
        return "fairmot" if isinstance(self.network, FairMotShape) else "jde"


class Job:
    """What `fit` trains; arguments as `train`'s."""

    score = "mean"

    def __init__(self, recipe: Recipe, data: Shots, test: Shots) -> None:
        self.recipe, self.data, self.test = recipe, data, test
        self.blueprint = blueprint(recipe.network, data)
        self.kept = self.blueprint.build()
        self.loss_of = _loss(recipe.network, data)
        self.layer = nn.LayerDict({"network": self.kept, "loss": self.loss_of})
        self.steps = -(-len(data.shots) // recipe.batch)

    def train_mode(self) -> None:
        """All of it learns."""
        self.layer.train()

    def losses(self, epoch: int, step: int) -> Mapping[str, Tensor]:
        """Of one batch; an epoch shows every picture once, some twice to fill its last batch."""
        seed, batch = self.recipe.plan.seed, self.recipe.batch
        order = np.random.default_rng([seed, epoch]).permutation(len(self.data.shots))
        rows = np.resize(order, self.steps * batch)[step * batch : (step + 1) * batch]
        random = np.random.default_rng([seed, epoch, step]) if self.recipe.augment else None
        return {"loss": _loss_of_batch(self.kept, self.loss_of, self.data, rows, random)}

    def evaluate(self) -> Mapping[str, float]:
        """AP and what the tracker reaches; `mean` of AP and IDF1 chooses."""
        found = score(detect(self.kept, self.test), self.test, self.recipe.tracker, self.recipe.fps)
        return {**asdict(found), "mean": found.mean}


def blueprint(shape: FairMotShape | JdeShape, data: Shots) -> Blueprint:
    """The network for the classes and the input of `data`."""
    height, width = data.shots[0].placement.shape
    arguments = asdict(shape)
    if isinstance(shape, FairMotShape):
        return Blueprint("FairMot", {"classes": len(data.classes), **arguments}, height, width, data.classes)
    return Blueprint("Jde", arguments, height, width, data.classes)


def train(
    recipe: Recipe,
    data: Shots,
    test: Shots,
    folder: Path,
    *,
    resume: bool = False,
    on_step: OnStep = unwatched,
    on_epoch: OnEpoch = unwatched,
) -> TrackingScore:
    """Train, and export the epoch whose mean of AP and IDF1 was best.

    Args:
        recipe: how.
        data: what to learn from; every class has two identities or more.
        test: what to choose the best epoch by; of the same classes and input size.
        folder: gets what `fit` writes, and `model/`.
        resume: go on from the folder's checkpoint, where there is one.
        on_step, on_epoch: as `fit`'s.

    Raises:
        TrainingError: too few identities or classes, a checkpoint of another recipe, or a loss that is no number.
    """
    _check(recipe, data, test)
    paddle.seed(recipe.plan.seed)
    job = Job(recipe, data, test)
    facts = {"recipe": repr(recipe), "people": list(data.people), "pictures": len(data.shots)}
    found = run(job, recipe.plan, folder, facts=facts, resume=resume, on_step=on_step, on_epoch=on_epoch)
    return TrackingScore(found["ap50"], found["mota"], found["idf1"], int(found["switches"]))


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
