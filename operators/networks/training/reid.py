"""Training of ReID networks: identities as classes, and triplets of the hardest in the batch, both on the sphere.

Every epoch draws its batches and their augmentation from a generator of its own, seeded with the run's seed and the
epoch's number, so a training that goes on from a checkpoint equals one that was never interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import paddle.nn.functional as F  # noqa: N812 - the name the field uses
from numpy.typing import NDArray
from paddle import nn

from operators.networks.export import IMAGENET, PERMUTE, normalise, save
from operators.networks.reid import LCNetEmbedding
from operators.networks.training.checkpoints import parameters, restore, snapshot, store, write_log
from operators.networks.training.errors import TrainingError
from operators.networks.training.identities import Crops
from operators.networks.training.losses import hardest_triplets, smoothed_cross_entropy
from operators.networks.training.retrieval import Retrieval, evaluate
from operators.networks.training.schedule import warm_cosine
from operators.records import Float32

_SHARPNESS = 16.0  # cosines in [-1, 1] become logits
_CHECKPOINT = "checkpoint.pdparams"
_BEST = "best.pdparams"
_BATCH = 64


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train.

    Attributes:
        scale: of PP-LCNet's channels.
        embedding, hidden: length of the embedding, and channels before it.
        epochs: most of them; `patience`: stop after so many without a better mAP.
        people, crops: identities a batch, and crops of each.
        rate: the highest learning rate; `warm`: epochs until it is reached.
        gap: fewest frames between a query and what it may find, in evaluation.
        augment: mirror, move and relight the crops, see `augmented`; off to see whether a network learns by heart.
        seed: of everything random.
    """

    scale: float = 1.0
    embedding: int = 256
    hidden: int = 512
    epochs: int = 60
    patience: int = 15
    people: int = 8
    crops: int = 4
    rate: float = 1e-3
    warm: int = 3
    gap: int = 1
    augment: bool = True
    seed: int = 0


def train(
    recipe: Recipe,
    data: Crops,
    test: Crops,
    folder: Path,
    *,
    resume: bool = False,
    progress: Callable[[int, float, Retrieval], None] = lambda epoch, loss, score: None,
) -> Retrieval:
    """Train, and export the epoch that was best.

    Args:
        recipe: how.
        data: what to learn from, at least two identities.
        test: what to choose the best epoch by.
        folder: gets `checkpoint.pdparams` and `log.csv` after every epoch, `best.pdparams`, and `model/`, the export.
        resume: go on from the folder's checkpoint, where there is one.
        progress: called after every epoch with its number from 1, mean loss and score.

    Returns:
        The best score.

    Raises:
        TrainingError: fewer than two identities, a checkpoint of another recipe, nothing to evaluate, or a loss that
            is no number any more.
    """
    if data.people < 2:
        raise TrainingError("there must be at least two identities to tell apart; the labels have one")
    folder.mkdir(parents=True, exist_ok=True)
    paddle.seed(recipe.seed)
    network = LCNetEmbedding(recipe.scale, recipe.embedding, recipe.hidden)
    classes = nn.Linear(recipe.embedding, data.people, bias_attr=False)
    optimiser = paddle.optimizer.AdamW(recipe.rate, parameters=parameters([network, classes]))
    made_by = {"recipe": asdict(recipe), "people": data.people}
    log: list[dict[str, Any]] = []
    if resume and (folder / _CHECKPOINT).is_file():
        log = restore(folder / _CHECKPOINT, made_by, [network, classes], optimiser)
    per_epoch = max(len(data.images) // (recipe.people * recipe.crops), 1)
    while len(log) < recipe.epochs and not _stalled(log, recipe.patience):
        epoch = len(log)
        network.train()
        losses = []
        for number, rows in enumerate(_batches(data, recipe, epoch, per_epoch)):
            step = epoch * per_epoch + number
            optimiser.set_lr(warm_cosine(step, recipe.epochs * per_epoch, recipe.warm * per_epoch, recipe.rate))
            images = data.images[rows]
            if recipe.augment:
                images = augmented(images, np.random.default_rng([recipe.seed, epoch, number]))
            looks = F.normalize(network(paddle.to_tensor(prepared(images))))
            targets = paddle.to_tensor(data.identities[rows])
            cosines = looks @ F.normalize(classes.weight, axis=0)
            loss = smoothed_cross_entropy(_SHARPNESS * cosines, targets) + hardest_triplets(looks, targets)
            losses.append(float(loss))
            if not np.isfinite(losses[-1]):
                raise TrainingError(
                    f"the loss is no number any more (epoch {epoch + 1}, step {number + 1}): lower the rate, which is "
                    f"{recipe.rate:g}, or warm up for longer; the last good epoch is {folder / _CHECKPOINT}"
                )
            loss.backward()
            optimiser.step()
            optimiser.clear_grad()
        score = evaluate(embed(network, test), test.identities, test.frames, recipe.gap)
        if not score.queries:
            raise TrainingError(f"nobody in the test crops is seen twice {recipe.gap} frames apart: lower the gap")
        better = not log or score.mean_ap > max(entry["mean_ap"] for entry in log)
        log.append({"epoch": epoch + 1, "loss": float(np.mean(losses)), **asdict(score)})
        if better:
            store(network.state_dict(), folder / _BEST)
        store(snapshot(made_by, [network, classes], optimiser, log), folder / _CHECKPOINT)
        write_log(log, folder / "log.csv")
        progress(epoch + 1, log[-1]["loss"], score)
    network.set_state_dict(paddle.load(str(folder / _BEST)))
    shape = [None, 3, *data.images.shape[1:3]]
    steps = [normalise(IMAGENET), PERMUTE]
    save(network, folder / "model", inputs={"x": shape}, architecture="DeepSORT", preprocess=steps)
    best = max(log, key=lambda entry: float(entry["mean_ap"]))
    return Retrieval(best["mean_ap"], best["rank1"], best["rank5"], best["queries"])


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


def _batches(data: Crops, recipe: Recipe, epoch: int, count: int) -> Iterator[NDArray[np.int64]]:
    """Rows of some crops each of some identities; of an identity with few crops, some twice."""
    random = np.random.default_rng([recipe.seed, epoch])
    of = [np.flatnonzero(data.identities == identity) for identity in range(data.people)]
    for _ in range(count):
        people = random.permutation(data.people)[: recipe.people]
        yield np.concatenate(
            [random.choice(of[one], recipe.crops, replace=len(of[one]) < recipe.crops) for one in people]
        )


def _stalled(log: list[dict[str, Any]], patience: int) -> bool:
    if not log:
        return False
    scores = [entry["mean_ap"] for entry in log]
    return len(scores) - 1 - int(np.argmax(scores)) >= patience
