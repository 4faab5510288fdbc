"""Noise tables of the reference filters, in the shape `motion` wants: (5, 2, 4) float64."""

from __future__ import annotations

import numpy as np

from operators.track.core.types import Floats


def scaled_noise(position: float, velocity: float, *, aspect: bool) -> Floats:
    """Noise that grows with the object (DeepSORT; Wojke et al. 2017), as its relatives have it.

    Args:
        position, velocity: standard deviations as shares of the scale (references: 1/20 and 1/160).
        aspect: the third position is width / height, with its own fixed noise (DeepSORT, ByteTrack); else all four
            positions are pixels (BoT-SORT).
    """
    noise = np.zeros((5, 2, 4))
    noise[:, 1] = np.array([2 * position, 10 * velocity, position, velocity, position])[:, None]
    if aspect:
        noise[:, 1, 2] = 0.0
        noise[:, 0, 2] = [1e-2, 1e-5, 1e-2, 1e-5, 1e-1]
    return noise


def fixed_noise() -> Floats:
    """SORT's constant noise (Bewley et al. 2016): centre, area and aspect; the aspect has no velocity."""
    variances = np.array(
        [
            [10.0, 10.0, 10.0, 10.0],
            [1e4, 1e4, 1e4, 0.0],
            [1.0, 1.0, 1.0, 1.0],
            [1e-2, 1e-2, 1e-4, 0.0],
            [1.0, 1.0, 10.0, 10.0],
        ]
    )
    noise = np.zeros((5, 2, 4))
    noise[:, 0] = np.sqrt(variances)
    return noise
