"""How a site works: frames read, tracked and dropped of each camera; of a running one also how many a second."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from operators.records import CrosscamError, unpack
from pipeline.address import Place
from pipeline.commit_order import CAMERA
from pipeline.detached import ask

_AGAIN_S = 1.0  # a running site is asked so often at most, however many want to know
_AGAIN_AT_REST_S = 10.0  # a ledger that nobody writes
_OVER_S = 10.0  # frames a second are counted over so long
_DROPPED = "dropped."


@dataclass(frozen=True, slots=True)
class Frames:
    """A camera's frames since its site began: decoded = tracked + all dropped, but for those on their way.

    Attributes:
        dropped: by reason. fps: tracked a second, as of lately; None where the site is not running or just asked.
    """

    decoded: int = 0
    tracked: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    fps: float | None = None


class Workings:
    """Asks the running site, or its ledger where it does not run. May be called from any thread.

    Args:
        place: the ledger.
        clock: monotonic seconds.
    """

    def __init__(self, place: Place, clock: Callable[[], float] = time.monotonic) -> None:
        self._place, self._clock = place, clock
        self._lock = threading.Lock()
        self._again = float("-inf")
        self._frames: dict[str, Frames] = {}
        self._seen: dict[str, deque[tuple[float, int]]] = {}

    def frames(self) -> Mapping[str, Frames]:
        """Of each camera that has said anything."""
        with self._lock:
            if self._clock() >= self._again:
                self._look()
            return self._frames

    def _look(self) -> None:
        try:
            told = ask(self._place, "status")
            counts = {camera: lane["counts"] for camera, lane in told["cameras"].items()}
            running = True
        except CrosscamError:
            counts, running = self._in_ledger(), False
        now = self._clock()
        self._again = now + (_AGAIN_S if running else _AGAIN_AT_REST_S)
        self._frames = {camera: self._of(camera, some, now, running) for camera, some in counts.items()}

    def _in_ledger(self) -> dict[str, Mapping[str, int]]:
        try:
            reader = self._place.reader()
            try:
                state = reader.state()
            finally:
                reader.close()
        except CrosscamError:
            return {}
        return {key.removeprefix(CAMERA): unpack(state[key])["counts"] for key in state if key.startswith(CAMERA)}

    def _of(self, camera: str, counts: Mapping[str, int], now: float, running: bool) -> Frames:
        tracked = counts.get("tracked", 0)
        seen = self._seen.setdefault(camera, deque())
        if not running or (seen and tracked < seen[-1][1]):
            seen.clear()  # nobody is at work, or somebody else who began anew
        fps: float | None = None
        if running:
            while len(seen) > 1 and now - seen[0][0] > _OVER_S:
                seen.popleft()
            if seen and now > seen[0][0]:
                fps = round((tracked - seen[0][1]) / (now - seen[0][0]), 2)
            seen.append((now, tracked))
        dropped = {name.removeprefix(_DROPPED): n for name, n in counts.items() if name.startswith(_DROPPED)}
        return Frames(counts.get("decoded", 0), tracked, dropped, fps)
