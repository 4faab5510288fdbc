# mypy: disable-error-code="no-untyped-def, no-untyped-call, no-any-return, unused-ignore"
# The bodies for compiled code carry no types: numba infers them.
"""Lists of tracks and detections that a kernel fills. With few objects a frame's time goes into allocations."""

from __future__ import annotations

import numpy as np

from operators.track.core.compilation import both_ways
from operators.track.core.types import Ints


@both_ways
def two_lists(n: int) -> tuple[Ints, Ints]:
    """Two (n,) int64 arrays to be filled, out of one piece of memory."""
    both = np.empty((2, n), np.int64)
    return both[0], both[1]
