"""How fast to learn, over time."""

from __future__ import annotations

import math
from collections.abc import Sequence


def warm_cosine(step: int, steps: int, warm: int, peak: float, share: float = 0.01) -> float:
    """The learning rate of a step: up in a straight line, then down along half a cosine.

    Args:
        step: from 0.
        steps: in all.
        warm: steps until the peak.
        peak: the highest rate.
        share: of the peak, at the end.
    """
    if step < warm:
        return peak * (step + 1) / warm
    way = min((step - warm) / max(steps - 1 - warm, 1), 1.0)
    return peak * (share + (1 - share) * (1 + math.cos(math.pi * way)) / 2)


def warm_steps(step: int, warm: int, peak: float, drops: Sequence[int], factor: float = 0.1) -> float:
    """The learning rate of a step: up in a straight line, then `peak`, times `factor` from each of `drops` on.

    Args:
        step: from 0.
        warm: steps until the peak.
        peak: the highest rate.
        drops: steps.
        factor: what the rate is multiplied by.
    """
    if step < warm:
        return peak * (step + 1) / warm
    return float(peak * factor ** sum(step >= drop for drop in drops))
