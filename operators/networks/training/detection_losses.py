"""What detectors are trained by: how sure a class is, how well a box lies, and where each of its sides is."""

from __future__ import annotations

import paddle
import paddle.nn.functional as F  # noqa: N812 - the name the field uses
from paddle import Tensor

_TINY = 1e-7


def varifocal(scores: Tensor, quality: Tensor, share: float = 0.75, power: float = 2.0) -> Tensor:
    """The varifocal loss (Zhang et al. 2021), summed: what is an object counts by its quality, what is none the less
    the surer the network is of that.

    Args:
        scores: (..., C) in [0, 1].
        quality: the same shape: 0 where the class is not, else how well the box there fits, in (0, 1].
        share, power: weight and focus of what is no object.
    """
    objects = (quality > 0).astype(scores.dtype)
    weight = share * scores**power * (1 - objects) + quality
    return (weight * _cross_entropy(scores, quality)).sum()


def quality_focal(scores: Tensor, quality: Tensor, power: float = 2.0) -> Tensor:
    """The quality focal loss (Li et al. 2020), summed: the cross-entropy counts by how far off the score is.

    Args:
        scores, quality: as `varifocal`'s.
        power: of the difference.
    """
    return (paddle.abs(quality - scores) ** power * _cross_entropy(scores, quality)).sum()


def generalised_iou(found: Tensor, truth: Tensor) -> Tensor:
    """1 - GIoU (Rezatofighi et al. 2019) of (P, 4) boxes, xyxy: (P,) in [0, 2]."""
    common = paddle.minimum(found[:, 2:], truth[:, 2:]) - paddle.maximum(found[:, :2], truth[:, :2])
    hull = paddle.maximum(found[:, 2:], truth[:, 2:]) - paddle.minimum(found[:, :2], truth[:, :2])
    inside = _area(F.relu(common))
    union = _area(found[:, 2:] - found[:, :2]) + _area(truth[:, 2:] - truth[:, :2]) - inside
    whole = paddle.clip(_area(hull), min=_TINY)
    return 1 - inside / paddle.clip(union, min=_TINY) + (whole - union) / whole


def distribution_focal(sides: Tensor, distances: Tensor) -> Tensor:
    """The distribution focal loss (Li et al. 2020): cross-entropy of a side's bins against the two around the truth.

    Args:
        sides: (P, 4, N) logits of bins 0 to N - 1.
        distances: (P, 4) of left, top, right, bottom, in bins; what is beyond the bins is taken to be at their end.

    Returns:
        (P,) mean over the sides.
    """
    last = sides.shape[2] - 1
    distances = paddle.clip(distances, 0, last - 0.01)
    low = paddle.floor(distances)
    above = distances - low
    logs = F.log_softmax(sides, axis=2)
    low = low.astype("int64").unsqueeze(2)
    left, right = (paddle.take_along_axis(logs, at, axis=2).squeeze(2) for at in (low, low + 1))
    return -((1 - above) * left + above * right).mean(axis=1)


def _area(sides: Tensor) -> Tensor:
    return sides[:, 0] * sides[:, 1]  # the gradient of prod() is no number where a side is 0


def _cross_entropy(scores: Tensor, truth: Tensor) -> Tensor:
    scores = paddle.clip(scores, _TINY, 1 - _TINY)
    return -(truth * paddle.log(scores) + (1 - truth) * paddle.log(1 - scores))
