"""Boxes for the frames in which somebody was not found: straight lines between the boxes before and after a gap.

As the evaluations of ByteTrack (Zhang et al., 2022) and StrongSORT (Du et al., 2023) do it, but for identities, after
all corrections: also across a track that was lost and found again. What is filled in was never seen; so nothing but an
export does it, and only on request.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from operators.records import Int64


@dataclass(frozen=True, slots=True)
class Filled:
    """What fills the gaps.

    Attributes:
        frames: (F,) int64.
        before, after: (F,) int64, the rows between which each one lies.
        shares: (F,) float64, how far it is from the one to the other, above 0 and below 1.
    """

    frames: Int64
    before: Int64
    after: Int64
    shares: NDArray[np.float64]

    def between(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values of rows, (N, ...), on the way from the row before to the row after: (F, ...)."""
        shares = self.shares.reshape(-1, *[1] * (values.ndim - 1))
        found: NDArray[np.float64] = values[self.before] * (1 - shares) + values[self.after] * shares
        return found


def fill_gaps(frames: Int64, numbers: Int64, longest: int) -> Filled:
    """Every gap of at most `longest` frames between two rows of one number; longer ones stay.

    Args:
        frames: (N,) int64, in any order; a number stands in a frame once.
        numbers: (N,) int64, whose each row is.
        longest: frames.
    """
    order = np.lexsort((frames, numbers))
    missing = np.diff(frames[order]).astype(np.int64) - 1
    heads = np.flatnonzero((np.diff(numbers[order]) == 0) & (missing > 0) & (missing <= longest))
    counts = missing[heads]
    head = np.repeat(heads, counts)
    steps = np.arange(len(head)) - np.repeat(np.cumsum(counts) - counts, counts) + 1
    before, after = order[head], order[head + 1]
    return Filled(frames[before] + steps, before, after, steps / (frames[after] - frames[before]))
