"""What embeddings are trained by: classes of identities, and triplets of the hardest (Hermans et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
import paddle.nn.functional as F  # noqa: N812 - the name the field uses
from paddle import Tensor


def smoothed_cross_entropy(logits: Tensor, targets: Tensor, smoothing: float = 0.1) -> Tensor:
    """Mean cross-entropy of (N, C) logits against (N,) classes; `smoothing` of the truth is spread over all classes."""
    logs = F.log_softmax(logits, axis=1)
    truth = F.one_hot(targets, logits.shape[1]) * (1 - smoothing) + smoothing / logits.shape[1]
    return -(truth * logs).sum(axis=1).mean()


def hardest_triplets(looks: Tensor, targets: Tensor, margin: float = 0.3) -> Tensor:
    """Mean over a batch of max(0, margin + distance to the farthest of the same - to the nearest of another identity).

    Args:
        looks: (N, D).
        targets: (N,) identities; an item that has no other of its own, or none of another, counts nothing.
        margin: in the looks' own distance.
    """
    squares = (looks * looks).sum(axis=1)
    squared = squares.unsqueeze(1) + squares.unsqueeze(0) - 2 * looks @ looks.T
    distances = paddle.sqrt(paddle.clip(squared, min=1e-6))
    same = (targets.unsqueeze(1) == targets.unsqueeze(0)).astype(distances.dtype)
    others = same - paddle.eye(looks.shape[0], dtype=distances.dtype)
    farthest = (distances * others).max(axis=1)
    nearest = (distances + same * 1e6).min(axis=1)
    counted = (others.sum(axis=1) > 0).astype(distances.dtype)  # without another identity `nearest` is far away
    return (F.relu(margin + farthest - nearest) * counted).sum() / paddle.clip(counted.sum(), min=1.0)


def heat_focal(heat: Tensor, truth: Tensor) -> Tensor:
    """The focal loss of heat maps (Law and Deng 2018), powers 2 and 4, a centre's share.

    Args:
        heat: (B, C, H, W) in [0, 1].
        truth: the same shape; 1 at centres, and the closer to 1 the less a high heat is held against it.
    """
    heat = paddle.clip(heat, 1e-4, 1 - 1e-4)
    centre = (truth == 1).astype(heat.dtype)
    hit = centre * (1 - heat) ** 2 * paddle.log(heat)
    alarm = (1 - centre) * (1 - truth) ** 4 * heat**2 * paddle.log(1 - heat)
    return -(hit + alarm).sum() / paddle.clip(centre.sum(), min=1.0)


def weighed(losses: Sequence[Tensor], logs: Sequence[Tensor]) -> Tensor:
    """The sum of tasks' losses, each weighed by exp(-s) with its learned log variance s (Kendall et al. 2018), half."""
    return sum((paddle.exp(-s) * loss + s).sum() for loss, s in zip(losses, logs, strict=True)) / 2
