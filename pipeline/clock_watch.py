"""What is known of the cameras' clocks while a site runs, for `FusionService.status`.

Two things may be wrong with a clock. It may be off by seconds: people who walk through two views show that
(`mtmct.clocks`), and the skew is kept here as last said. Or it may be off by minutes: then a camera's batches come
together with those of the others, yet speak of another time. Such a camera holds the site back, or waits for it, and
nobody is seen by two cameras at once. It is counted, and said once, with what to do.
"""

from __future__ import annotations

import logging
import statistics
from bisect import bisect_left
from collections.abc import Mapping, Sequence

from mtmct.clocks import clocks_of
from mtmct.records import EVENTS, Record
from operators.records import SECOND_NS
from pipeline.lane import Lane

APART_S = 60.0  # no queue, no reconnection and no slow link makes live cameras differ by as much
_NEVER_NS = 2**62  # the end of a recording, not a time
_EVERY_S = 1.0  # how often all cameras are looked at
_TOGETHER_S = 5.0  # cameras heard within so long of each other speak of the same moment

_log = logging.getLogger(__name__)


class ClockWatch:
    """Looks after the clocks of one site.

    Attributes:
        skew_ms: by how much clocks are ahead, by camera, as last said; without those that have not been measured.
        apart_s: by how much the time of live cameras is ahead of the others', as last heard, where it is far away.
        batches_apart: how many batches of a camera were far away in time.
    """

    def __init__(self) -> None:
        self.skew_ms: dict[str, float] = {}
        self.apart_s: dict[str, float] = {}
        self.batches_apart: dict[str, int] = {}
        self._surveyed: float | None = None
        self._time_of: dict[str, int] = {}
        self._times: list[int] = []

    def restored(self, state: Mapping[str, bytes]) -> None:
        """Fusion goes on from this state."""
        self.skew_ms = {camera: round(1e3 * found.seconds, 1) for camera, (found, _) in clocks_of(state).items()}

    def committed(self, records: Sequence[Record]) -> None:
        """Take note of what a commit says of clocks."""
        for record in records:
            if record.topic == EVENTS and record.value["type"] == "clock_skew":
                self.skew_ms[record.value["camera"]] = round(1e3 * record.value["skew"], 1)

    def heard(self, camera: str, time_ns: int, lanes: Mapping[str, Lane]) -> None:
        """Compare a batch that has just come, complete up to event time `time_ns`, with the other live cameras.

        Far from most of those that are heard now, or whose batches wait: its clock is wrong, or theirs. Of two cameras
        it is said of both, as nobody can tell.
        """
        lane = lanes[camera]
        if not lane.live or time_ns >= _NEVER_NS:
            return
        if self._surveyed is None or lane.heard - self._surveyed >= _EVERY_S:
            self._survey(lanes, lane.heard)
        others = len(self._times) - (camera in self._time_of)
        low, high = (bisect_left(self._times, time_ns + sign * round(APART_S * SECOND_NS)) for sign in (-1, 1))
        own = self._time_of.get(camera)
        near = high - low - (own is not None and low <= bisect_left(self._times, own) < high)
        if 2 * near >= others:
            self.apart_s.pop(camera, None)
            return
        far = [(time_ns - other) / SECOND_NS for name, other in self._time_of.items() if name != camera]
        seconds = statistics.median(each for each in far if abs(each) > APART_S)
        self.batches_apart[camera] = self.batches_apart.get(camera, 0) + 1
        if camera not in self.apart_s:
            _log.warning(_apart(camera, seconds), extra={"fields": {"camera": camera}})
        self.apart_s[camera] = round(seconds, 1)

    def _survey(self, lanes: Mapping[str, Lane], now: float) -> None:
        """Which time the live cameras have that are heard now, or whose batches wait."""
        self._surveyed = now
        self._time_of = {
            camera: lane.watermark_ns
            for camera, lane in lanes.items()
            if lane.live and lane.attached and 0 < lane.watermark_ns < _NEVER_NS
            if lane.queue or now - lane.heard <= _TOGETHER_S
        }
        self._times = sorted(self._time_of.values())


def _apart(camera: str, seconds: float) -> str:
    side = "ahead of" if seconds > 0 else "behind"
    return (
        f"the time of camera {camera} is {abs(seconds):.0f} s {side} that of the cameras heard at the same moment: set "
        f"its clock, or give it `clock_offset_ms: {round(-1e3 * seconds)}`; if theirs are wrong, set those"
    )
