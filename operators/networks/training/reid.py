"""Training of ReID networks: identities as classes, and triplets of the hardest in the batch, both on the sphere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import paddle
import paddle.nn.functional as F  # noqa: N812 - the name the field uses
from numpy.typing import NDArray
from paddle import Tensor, nn

from operators.networks.blueprint import Blueprint
from operators.networks.export import IMAGENET
from operators.networks.training.errors import TrainingError
from operators.networks.training.identities import Crops
from operators.networks.training.loop import Plan
from operators.networks.training.losses import hardest_triplets, smoothed_cross_entropy
from operators.networks.training.retrieval import Retrieval, evaluate
from operators.networks.training.run import OnEpoch, OnStep, run, unwatched
from operators.records import Float32

_SHARPNESS = 16.0  # cosines in [-1, 1] become logits
_BATCH = 64
PLAN = Plan(epochs=60, patience=15, rate=1e-3, warm=3, optimiser="adamw", decay=0.01)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train.

    Attributes:
        scale: of PP-LCNet's channels.
        embedding, hidden: length of the embedding, and channels before it.
        plan: how the weights are moved.
        people, crops: identities a batch, and crops of each.
        gap: fewest frames between a query and what it may find, in evaluation.
        augment: mirror, move and relight the crops, see `augmented`; off to see whether a network learns by heart.
    """

    scale: float = 1.0
    embedding: int = 256
    hidden: int = 512
    plan: Plan = field(default=PLAN)
    people: int = 8
    crops: int = 4
    gap: int = 1
    augment: bool = True


class Job:
    """What `fit` trains; arguments as `train`'s."""

    score = "mean_ap"

    def __init__(self, recipe: Recipe, data: Crops, test: Crops) -> None:
        self.recipe, self.data, self.test = recipe, data, test
        arguments = {"scale": recipe.scale, "embedding": recipe.embedding, "hidden": recipe.hidden}
        self.blueprint = Blueprint("LCNetEmbedding", arguments, *data.images.shape[1:3])
        self.kept = self.blueprint.build()
        self.classes = nn.Linear(recipe.embedding, data.people, bias_attr=False)
        self.layer = nn.LayerDict({"network": self.kept, "classes": self.classes})
        self.steps = max(len(data.images) // (recipe.people * recipe.crops), 1)

    def train_mode(self) -> None:
        """All of it learns."""
        self.layer.train()

    def losses(self, epoch: int, step: int) -> Mapping[str, Tensor]:
        """Of one batch."""
        random = np.random.default_rng([self.recipe.plan.seed, epoch, step])
        rows = _batch(self.data, self.recipe, random)
        images = self.data.images[rows]
        if self.recipe.augment:
            images = augmented(images, random)
        looks = F.normalize(self.kept(paddle.to_tensor(prepared(images))))
        targets = paddle.to_tensor(self.data.identities[rows])
        cosines = looks @ F.normalize(self.classes.weight, axis=0)
        kinds, triplets = smoothed_cross_entropy(_SHARPNESS * cosines, targets), hardest_triplets(looks, targets)
        return {"loss": kinds + triplets, "classes": kinds, "triplets": triplets}

    def evaluate(self) -> Mapping[str, float]:
        """How well who is in the test crops is found again."""
        found = evaluate(embed(self.kept, self.test), self.test.identities, self.test.frames, self.recipe.gap)
        if not found.queries:
            gap = self.recipe.gap
            raise TrainingError(f"nobody in the test crops is seen twice {gap} frames apart: lower the gap")
        return asdict(found)


def train(
    recipe: Recipe,
    data: Crops,
    test: Crops,
    folder: Path,
    *,
    resume: bool = False,
    on_step: OnStep = unwatched,
    on_epoch: OnEpoch = unwatched,
) -> Retrieval:
    """Train, and export the epoch that was best.

    Args:
        recipe: how.
        data: what to learn from, at least two identities.
        test: what to choose the best epoch by.
        folder: gets what `fit` writes, and `model/`, the export.
        resume: go on from the folder's checkpoint, where there is one.
        on_step, on_epoch: as `fit`'s.

    Returns:
        The best score.

    Raises:
        TrainingError: fewer than two identities, a checkpoint of another recipe, nothing to evaluate, or a loss that
            is no number any more.
    """
    if data.people < 2:
        raise TrainingError("there must be at least two identities to tell apart; the labels have one")
    paddle.seed(recipe.plan.seed)
    job = Job(recipe, data, test)
    facts = {"recipe": repr(recipe), "people": data.people, "crops": len(data.images)}
    found = run(job, recipe.plan, folder, facts=facts, resume=resume, on_step=on_step, on_epoch=on_epoch)
    return Retrieval(found["mean_ap"], found["rank1"], found["rank5"], int(found["queries"]))


def embed(network: nn.Layer, crops: Crops) -> Float32:
    """(N, D), L2-normalised, of all crops; the network is in `eval` mode afterwards."""
    network.eval()
    parts = []
    with paddle.no_grad():
        for start in range(0, len(crops.images), _BATCH):
            looks = F.normalize(network(paddle.to_tensor(prepared(crops.images[start : start + _BATCH]))))
            parts.append(looks.numpy())
    return np.concatenate(parts)


def prepared(images: NDArray[np.uint8]) -> Float32:
    """(N, H, W, 3) BGR as (N, 3, H, W) RGB, ImageNet-normalised."""
    mean, std = (np.asarray(IMAGENET[key], np.float32) for key in ("mean", "std"))
    values = (images[..., ::-1].astype(np.float32) / 255 - mean) / std
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2), np.float32)


def augmented(images: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Half of them mirrored, each moved by up to a twelfth of its size, and its light changed by up to a fifth."""
    out = np.empty_like(images)
    height, width = images.shape[1:3]
    for row, image in enumerate(images):
        turned = image[:, ::-1] if random.random() < 0.5 else image
        down, right = (int(random.integers(-(side // 12), side // 12 + 1)) for side in (height, width))
        ys, xs = np.clip(np.arange(height) + down, 0, height - 1), np.clip(np.arange(width) + right, 0, width - 1)
        out[row] = np.clip(turned[ys][:, xs] * random.uniform(0.8, 1.2), 0, 255)
    return out


def _batch(data: Crops, recipe: Recipe, random: np.random.Generator) -> NDArray[np.int64]:
    """Rows of some crops each of some identities; of an identity with few crops, some twice."""
    of = [np.flatnonzero(data.identities == identity) for identity in range(data.people)]
    people = random.permutation(data.people)[: recipe.people]
    rows = [random.choice(of[one], recipe.crops, replace=len(of[one]) < recipe.crops) for one in people]
    return np.asarray(np.concatenate(rows), np.int64)
