"""Training of detectors, PicoDet and PP-YOLOE, in the loop of `loop.fit`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import paddle
from paddle import Tensor, nn

from operators.networks.blueprint import Blueprint
from operators.networks.export import FLOOR, IOU, LIMIT
from operators.networks.picodet import Size as PicoDetSize
from operators.networks.ppyoloe import Size as PPYoloESize
from operators.networks.training.augmentation import Augmentation
from operators.networks.training.batches import Batches, Pictures, prepared
from operators.networks.training.detection_loss import LOSSES, detection_loss
from operators.networks.training.errors import TrainingError
from operators.networks.training.labelled import Labelled
from operators.networks.training.loop import Plan
from operators.networks.training.parallel import join
from operators.networks.training.precision import Precision, precision
from operators.networks.training.run import OnEpoch, OnStep, run, unwatched
from operators.networks.training.start import begin
from operators.nms import suppress
from operators.records import Detections

PLAN = Plan(epochs=100, patience=20, rate=0.01, warm=1, decay=4e-5, average=0.9998)
"""The reference has rates of 0.32 at 512 pictures a step (PicoDet): for 16, 0.01."""
_SAMPLE = 16  # pictures whose statistics the norms of published weights get


@dataclass(frozen=True, slots=True)
class PicoDetShape:
    """A PicoDet: a published size, and version 2 or 1; as `PicoDet`'s arguments."""

    size: str | PicoDetSize = "s"
    version: int = 2


@dataclass(frozen=True, slots=True)
class PPYoloEShape:
    """A PP-YOLOE: a published size; as `PPYoloE`'s argument."""

    size: str | PPYoloESize = "s"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train.

    Attributes:
        network: the kind and size of network.
        plan: how the weights are moved.
        batch: pictures a step.
        height, width: of the network's input, pixels; multiples of 32. Pictures are stretched to it.
        scales: factors of that size, of which every batch draws one.
        still: epochs in which ATSS assigns cells to objects; task-aligned learning does so afterwards.
        loss: of the classes, `varifocal` or `quality`.
        augment: what is done to the pictures.
        start: weights to begin with, see `begin`; None for random ones.
        threads: that prepare pictures.
    """

    network: PicoDetShape | PPYoloEShape
    plan: Plan = field(default=PLAN)
    batch: int = 16
    height: int = 416
    width: int = 416
    scales: tuple[float, ...] = (1.0,)
    still: int = 4
    loss: str = "varifocal"
    augment: Augmentation = field(default=Augmentation())
    start: Path | None = None
    threads: int = 0


class Job:
    """What `fit` trains; arguments as `train`'s."""

    score = "ap"

    def __init__(self, recipe: Recipe, data: Labelled, test: Labelled) -> None:
        self.recipe, self.names = recipe, data.names
        self.test = Pictures(test)
        self.batches = Batches(
            Pictures(data),
            recipe.batch,
            height=recipe.height,
            width=recipe.width,
            scales=recipe.scales,
            how=recipe.augment,
            seed=recipe.plan.seed,
            threads=recipe.threads,
            stride=join().size,
        )
        self.steps = self.batches.steps
        self.blueprint = blueprint(recipe, data.names)
        self.layer = self.kept = self.blueprint.build()
        if recipe.start is not None:
            rows = np.linspace(0, len(data) - 1, min(_SAMPLE, len(data))).astype(int)
            parts = [prepared(self.batches.pictures.sample(row), recipe.height, recipe.width)[0] for row in rows]
            sample = paddle.to_tensor(np.stack(parts))
            begin(self.kept, data.names, recipe.start, lambda names: blueprint(recipe, names).build(), sample)

    def train_mode(self) -> None:
        """All of it learns."""
        self.layer.train()

    def losses(self, epoch: int, step: int) -> Mapping[str, Tensor]:
        """Of one batch."""
        image, truth = self.batches.get(epoch, step)
        aligned = epoch >= self.recipe.still
        return detection_loss(self.kept, paddle.to_tensor(image), truth, aligned=aligned, kind=self.recipe.loss)

    def evaluate(self) -> Mapping[str, float]:
        """COCO's average precision; `ap` chooses."""
        found = detect(self.kept, self.test, self.recipe.height, self.recipe.width, self.recipe.batch)
        return asdict(precision(found, self.test.data))


def blueprint(recipe: Recipe, names: tuple[str, ...]) -> Blueprint:
    """The recipe's network for classes of those names."""
    kind = "PicoDet" if isinstance(recipe.network, PicoDetShape) else "PPYoloE"
    arguments = {"classes": len(names), **asdict(recipe.network)}
    return Blueprint(kind, arguments, recipe.height, recipe.width, names)


def train(
    recipe: Recipe,
    data: Labelled,
    test: Labelled,
    folder: Path,
    *,
    resume: bool = False,
    on_step: OnStep = unwatched,
    on_epoch: OnEpoch = unwatched,
) -> Precision:
    """Train, and export the epoch whose average precision was highest.

    Args:
        recipe: how.
        data: what to learn from.
        test: what to choose the best epoch by; of the same classes.
        folder: gets what `fit` writes, and `model/`.
        resume: go on from the folder's checkpoint, where there is one.
        on_step, on_epoch: as `fit`'s.

    Raises:
        TrainingError: classes or sizes that do not fit, a picture that cannot be read, a checkpoint of another recipe,
            or a loss that is no number.
        ModelError: weights to start with that are of another network.
    """
    if recipe.height % 32 or recipe.width % 32:
        raise TrainingError(f"the input is {recipe.width}x{recipe.height} pixels; both must be multiples of 32")
    if data.names != test.names:
        raise TrainingError(f"trained on {', '.join(data.names)}, tested on {', '.join(test.names)}: name the same")
    if recipe.loss not in LOSSES:
        raise TrainingError(f"there is no loss {recipe.loss!r}: take {' or '.join(LOSSES)}")
    paddle.seed(recipe.plan.seed)
    job = Job(recipe, data, test)
    facts = {"recipe": repr(recipe), "classes": list(data.names), "pictures": len(data), "boxes": len(data.boxes)}
    found = run(job, recipe.plan, folder, facts=facts, resume=resume, on_step=on_step, on_epoch=on_epoch)
    return Precision(*(found[name] for name in ("ap", "ap50", "ap75", "recall")))


def detect(network: nn.Layer, pictures: Pictures, height: int, width: int, batch: int = 16) -> list[Detections]:
    """What the network finds in every picture, in its pixels; it is in `eval` mode afterwards."""
    network.eval()
    found: list[Detections] = []
    for start in range(0, len(pictures), batch):
        samples = [pictures.sample(row) for row in range(start, min(start + batch, len(pictures)))]
        image = np.stack([prepared(sample, height, width)[0] for sample in samples])
        with paddle.no_grad():
            boxes, scores = (output.numpy() for output in network(paddle.to_tensor(image)))
        for row, (picture, _, _) in enumerate(samples):
            kinds, cells = np.nonzero(scores[row] > FLOOR)
            sure, classes = scores[row][kinds, cells], kinds.astype(np.int32)
            order = np.argsort(-sure, kind="stable")[:1000]
            sure, classes, cells = sure[order], classes[order], cells[order]
            kept = suppress(boxes[row][cells], sure, classes, IOU, LIMIT, across=1.0)
            scale = np.array([picture.shape[1] / width, picture.shape[0] / height] * 2, np.float32)
            found.append(Detections((boxes[row][cells[kept]] * scale).astype(np.float32), sure[kept], classes[kept]))
    return found
