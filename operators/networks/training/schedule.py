"""How fast to learn, over time."""

from __future__ import annotations

import math


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
