"""How a live camera is kept: what counts as lost, how long to wait before the next try, and when to give up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import av  # a configuration knows the options without a decoder

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 30.0
# Every so many pixels one is looked at, in both directions: narrower than anybody whom a detector finds.
_GRID = 16
# Grey levels by which a picture that is encoded anew differs from itself.
_SAME = 3


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """Bounds of one live camera.

    Attributes:
        connect_timeout_s: a camera that does not answer for so long is tried again later.
        read_timeout_s: a camera that sends no picture for so long is lost.
        frozen_after_s: a camera that shows the same picture for so long is lost; 0 lets it.
        max_reconnects: tries in a row after which the camera has failed; None tries for ever.
    """

    connect_timeout_s: float = 5.0
    read_timeout_s: float = 5.0
    frozen_after_s: float = 60.0
    max_reconnects: int | None = None


def wait_s(failed: int, jitter: Callable[[], float]) -> float:
    """How long to wait after so many tries in a row have failed: doubling from a second to thirty, less up to half.

    The cameras of a site are often lost together; jitter keeps them from coming back all at once.

    Args:
        failed: from 1.
        jitter: a random number in [0, 1).
    """
    longest = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(failed - 1, 16))
    return longest * (1 - jitter() / 2)


class StillPicture:
    """Notices that a camera shows one and the same picture: its encoder lives, its sensor does not.

    Attributes:
        told: it was found frozen, and the picture has not changed since.

    Args:
        limit_s: see `LiveOptions.frozen_after_s`.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._seen: NDArray[np.uint8] | None = None
        self._since = 0.0
        self.told = False

    def frozen(self, frame: av.VideoFrame, now: float) -> bool:
        """Whether nothing has changed for longer than the limit.

        Args:
            frame: the newest.
            now: monotonic seconds.
        """
        if not self._limit_s:
            return False
        seen = _sample(frame)
        before = self._seen
        if before is None or before.shape != seen.shape or _differ(before, seen):
            self._seen, self._since, self.told = seen, now, False
        return now - self._since > self._limit_s


def _sample(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """Brightness on a grid; of formats that do not keep it apart, some of their bytes."""
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return rows[: frame.height : _GRID, : frame.width : _GRID].copy()


def _differ(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> bool:
    return bool((np.abs(a.astype(np.int16) - b) > _SAME).any())
