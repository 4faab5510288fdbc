# mypy: disable-error-code="no-untyped-def, no-untyped-call, no-any-return, unused-ignore"
# The bodies for compiled code carry no types: numba infers them.
"""Moving the tracks with the camera."""

from __future__ import annotations

import numpy as np

from operators.track.core.boxes import XYAH, XYSR
from operators.track.core.compilation import entry
from operators.track.core.layout import BOX, COUNT, POS, PP, PV, SEEN, VEL, VV


@entry
def warp_tracks(floats, counters, affine, form):
    """Maps states, boxes and last seen boxes of all tracks by the (2, 3) `affine`; see `Tracker.camera_moved`."""
    a, b, c, d = affine[0, 0], affine[0, 1], affine[1, 0], affine[1, 1]
    scale = np.sqrt(abs(a * d - b * c))
    for t in range(counters[COUNT]):
        x, y = floats[POS, t], floats[POS + 1, t]
        floats[POS, t], floats[POS + 1, t] = a * x + b * y + affine[0, 2], c * x + d * y + affine[1, 2]
        x, y = floats[VEL, t], floats[VEL + 1, t]
        floats[VEL, t], floats[VEL + 1, t] = a * x + b * y, c * x + d * y
        for row in (PP, PV, VV):
            x, y = floats[row, t], floats[row + 1, t]
            floats[row, t], floats[row + 1, t] = a * a * x + b * b * y, c * c * x + d * d * y
        for i in (2, 3):
            if (form == XYAH and i == 2) or (form == XYSR and i == 3):
                continue  # a ratio
            grown = scale * scale if form == XYSR else scale
            floats[POS + i, t] *= grown
            floats[VEL + i, t] *= grown
            for row in (PP, PV, VV):
                floats[row + i, t] *= grown * grown
        for first in (BOX, SEEN):
            x, y = (floats[first, t] + floats[first + 2, t]) / 2, (floats[first + 1, t] + floats[first + 3, t]) / 2
            w = scale * (floats[first + 2, t] - floats[first, t]) / 2
            h = scale * (floats[first + 3, t] - floats[first + 1, t]) / 2
            x, y = a * x + b * y + affine[0, 2], c * x + d * y + affine[1, 2]
            floats[first, t], floats[first + 1, t] = x - w, y - h
            floats[first + 2, t], floats[first + 3, t] = x + w, y + h
