"""What detectors are trained by, against numbers by hand and gradients by differences."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import paddle
import pytest
from paddle import Tensor

from operators.networks.training.detection_losses import (
    distribution_focal,
    generalised_iou,
    quality_focal,
    varifocal,
)

QUALITY = np.array([[0.0, 0.8, 0.0], [0.3, 0.0, 0.0]])


def slopes(function: Callable[[np.ndarray], float], values: np.ndarray) -> np.ndarray:
    found = np.zeros_like(values)
    for place in np.ndindex(*values.shape):
        up, down = values.copy(), values.copy()
        up[place] += 1e-6
        down[place] -= 1e-6
        found[place] = (function(up) - function(down)) / 2e-6
    return found


def check_gradient(loss: Callable[[Tensor], Tensor], values: np.ndarray) -> None:
    given = paddle.to_tensor(values, stop_gradient=False)
    loss(given).sum().backward()
    numeric = slopes(lambda changed: float(loss(paddle.to_tensor(changed)).sum()), values)
    np.testing.assert_allclose(given.grad.numpy(), numeric, atol=1e-5)
    assert np.abs(numeric).max() > 1e-3


def test_varifocal_by_hand_and_its_gradient() -> None:
    # An object of quality 0.8 seen at 0.5, and nothing seen at 0.1: 0.8 H(0.8, 0.5) + 0.75 * 0.01 * -ln 0.9.
    found = varifocal(paddle.to_tensor([[0.5, 0.1]]), paddle.to_tensor([[0.8, 0.0]]))
    assert float(found) == pytest.approx(0.8 * math.log(2) - 0.75 * 0.01 * math.log(0.9), rel=1e-5)
    scores = np.random.default_rng(1).uniform(0.1, 0.9, QUALITY.shape)
    check_gradient(lambda x: varifocal(x, paddle.to_tensor(QUALITY)), scores)


def test_quality_focal_by_hand_and_its_gradient() -> None:
    found = quality_focal(paddle.to_tensor([[0.5, 0.1]]), paddle.to_tensor([[0.8, 0.0]]))
    assert float(found) == pytest.approx(0.09 * math.log(2) - 0.01 * math.log(0.9), rel=1e-5)
    scores = np.random.default_rng(2).uniform(0.1, 0.9, QUALITY.shape)
    check_gradient(lambda x: quality_focal(x, paddle.to_tensor(QUALITY)), scores)
    same = paddle.to_tensor(QUALITY.astype(np.float32))
    assert float(quality_focal(same, same)) == 0  # nothing more is to be learnt


def test_giou_by_hand_and_its_gradient() -> None:
    truth = np.array([[0.0, 0, 4, 4]] * 3)
    found = np.array([[0.0, 0, 4, 4], [2, 0, 6, 4], [8, 0, 12, 4]])
    # The same; half of each in common, in a hull of 24; apart, in a hull of 48 with 16 empty.
    np.testing.assert_allclose(
        generalised_iou(paddle.to_tensor(found), paddle.to_tensor(truth)).numpy(), [0, 1 - 8 / 24, 1 + 16 / 48]
    )
    near = found[1:] + np.array([[0.1, -0.2, 0.3, 0.4]])
    check_gradient(lambda x: generalised_iou(x, paddle.to_tensor(truth[1:])), near)


def test_distances_between_two_bins_are_learnt_by_both() -> None:
    logits = np.log(np.array([0.1, 0.2, 0.3, 0.4]))[None, None].repeat(4, axis=1)
    distances = np.array([[1.25, 0.0, 2.5, 9.0]])
    # 1.25 is three quarters of bin 1; what is beyond the bins is taken to be 2.99.
    expected = [
        -0.75 * math.log(0.2) - 0.25 * math.log(0.3),
        -math.log(0.1),
        -0.5 * math.log(0.3) - 0.5 * math.log(0.4),
        -0.01 * math.log(0.3) - 0.99 * math.log(0.4),
    ]
    found = distribution_focal(paddle.to_tensor(logits), paddle.to_tensor(distances))
    np.testing.assert_allclose(found.numpy(), [np.mean(expected)], rtol=1e-6)
    random = np.random.default_rng(3).normal(size=(2, 4, 5))
    told = paddle.to_tensor(np.random.default_rng(4).uniform(0, 4, (2, 4)))
    check_gradient(lambda x: distribution_focal(x, told), random)
