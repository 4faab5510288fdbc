"""Event time of frames, and the cap on how many of them are looked at."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from fractions import Fraction

from operators.records import SECOND_NS
from pipeline.sources.base import Clock

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A live stream whose clock and ours are further apart than this is anchored afresh. As long as the read time-out:
# a stall that is longer is an interruption, and a shorter one must not bend time.
MAX_DRIFT_NS = 5 * SECOND_NS
# Frames need distinct times; this much apart where the source claims otherwise.
LEAST_STEP_NS = 1_000_000
# A camera's clock is followed by at most a thousandth of the time that passes (crystals are off by a tenth of that),
# but quickly out of the future, where no frame can have been taken.
SLEW = 1000
SLEW_FROM_FUTURE = 10


def start_of(start: datetime | None) -> int:
    """Nanoseconds since 1970 of a configured start; without a time zone it is UTC."""
    if start is None:
        return 0
    since = (start if start.tzinfo else start.replace(tzinfo=UTC)) - EPOCH
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000


# Pictures that come so much later than their timestamps say are skipped up to the next keyframe that is on time:
# better a gap than to fall behind for ever.
TOO_LATE_NS = 2 * SECOND_NS
ON_TIME_NS = SECOND_NS // 2


class FpsCap:
    """Chooses frames so that on average no more than `fps` a second remain.

    Due times stay on a grid, and of the frames around a due time the nearest is kept: 25 frames a second capped to
    10 give exactly 10. Jitter of up to an eighth of an interval loses none of a stream that runs at the cap. After a
    gap longer than an interval the grid starts anew.

    Args:
        fps: frames a second; None keeps all.
    """

    def __init__(self, fps: float | None) -> None:
        self._interval = None if fps is None else round(SECOND_NS / fps)
        self._due_ns: int | None = None
        self._last_ns = 0

    def keeps(self, time_ns: int) -> bool:
        """Whether the frame of this time is kept; times must increase."""
        if self._interval is None:
            return True
        spacing, self._last_ns = time_ns - self._last_ns, time_ns
        if self._due_ns is None:
            self._due_ns = time_ns + self._interval
            return True
        # The next frame is expected as far away as the one before was.
        if time_ns <= self._due_ns - min(self._interval // 4, spacing // 2):
            return False
        late = time_ns - self._due_ns
        self._due_ns += self._interval if late < self._interval else late + self._interval
        return True

    @property
    def state(self) -> list[int | None]:
        """For `restore`."""
        return [self._due_ns, self._last_ns]

    def restore(self, state: list[int | None]) -> None:
        """Go on as the cap that gave `state`."""
        self._due_ns, self._last_ns = state[0], state[1] or 0


class FileTimeline:
    """Event time of a file's frames: its start plus their presentation time counted from the first one's.

    Timestamps that do not increase (joined recordings, damage) are bridged: the frame follows its predecessor by the
    nominal frame interval and time goes on from there.

    Attributes:
        bridged: such a timestamp has been seen, so timestamps no longer tell frames apart.
        last_ns: the last frame's event time; None before the first.

    Args:
        start_ns: event time of the first frame.
        time_base: seconds a timestamp unit.
        frame_interval_ns: nominal.
    """

    def __init__(self, start_ns: int, time_base: Fraction, frame_interval_ns: int) -> None:
        self._start_ns = start_ns
        self._unit = time_base * SECOND_NS
        self._frame_interval_ns = frame_interval_ns
        self._origin: int | None = None
        self._shift_ns = 0
        self.last_ns: int | None = None
        self.bridged = False

    def time_of(self, timestamp: int | None) -> int:
        """Event time in nanoseconds of the next frame."""
        if self._origin is None and timestamp is not None:
            self._origin = timestamp
            if self.last_ns is not None:
                self._shift_ns = self.last_ns + self._frame_interval_ns - self._start_ns
        if timestamp is None or self._origin is None:
            self.bridged = True
            time_ns = self._start_ns if self.last_ns is None else self.last_ns + self._frame_interval_ns
        else:
            time_ns = self._start_ns + self._shift_ns + round((timestamp - self._origin) * self._unit)
            if self.last_ns is not None and time_ns <= self.last_ns:
                self.bridged = True
                self._shift_ns += self.last_ns + self._frame_interval_ns - time_ns
                time_ns = self.last_ns + self._frame_interval_ns
        self.last_ns = time_ns
        return time_ns

    @property
    def state(self) -> list[int | bool | None]:
        """For `restore`."""
        return [self._origin, self._shift_ns, self.last_ns, self.bridged]

    def restore(self, state: list[int | bool | None]) -> None:
        """Go on as the timeline that gave `state`."""
        origin, shift, last, bridged = state
        self._origin, self._shift_ns, self.last_ns, self.bridged = origin, int(shift or 0), last, bool(bridged)


class LiveTimeline:
    """Event time of a live stream: the wall clock at its first frame, then the spacing of its own timestamps.

    Arrival times jitter with the network, timestamps do not. The slow difference between the camera's clock and
    ours is followed by the median of arrivals, a little at a time; a jump beyond `MAX_DRIFT_NS` is taken at once.
    """

    def __init__(self) -> None:
        self._anchor: tuple[int, int] | None = None  # timestamp and event time, both nanoseconds
        self.last_ns: int | None = None

    def disconnect(self) -> None:
        """The next frame is of a new connection, whose timestamps have nothing to do with the former ones."""
        self._anchor = None

    def time_of(self, timestamp_ns: int | None, arrival_ns: int) -> int:
        """Event time in nanoseconds of a frame: later than all before.

        Args:
            timestamp_ns: the stream's own; None where it gives none.
            arrival_ns: wall clock.
        """
        time_ns = arrival_ns
        if timestamp_ns is not None:
            if self._anchor is None or timestamp_ns <= self._anchor[0]:
                self._anchor = (timestamp_ns, arrival_ns)
            else:
                then, event = self._anchor
                passed = timestamp_ns - then
                error = arrival_ns - (event + passed)
                if abs(error) > MAX_DRIFT_NS:
                    time_ns = arrival_ns
                else:
                    most = passed // (SLEW_FROM_FUTURE if error < 0 else SLEW)
                    time_ns = event + passed + max(-most, min(most, error))
                self._anchor = (timestamp_ns, time_ns)
        if self.last_ns is not None and time_ns <= self.last_ns:
            time_ns = self.last_ns + LEAST_STEP_NS
        self.last_ns = time_ns
        return time_ns

    def lateness_ns(self, timestamp_ns: int | None, arrival_ns: int) -> int:
        """How much later than expected something with this timestamp has come; 0 where nothing is expected."""
        if timestamp_ns is None or self._anchor is None:
            return 0
        then, event = self._anchor
        return arrival_ns - (event + timestamp_ns - then)


class ForwardClock:
    """A clock whose wall time never goes back. Safe to ask from several threads.

    Where the clock it follows is set back, it goes on by monotonic time, a tenth slower, until the other has caught up;
    one that is set forward it follows at once.

    Args:
        clock: to follow.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last: tuple[int, float] | None = None

    def now_ns(self) -> int:
        """See `Clock.now_ns`."""
        with self._lock:
            wall, at = self._clock.now_ns(), self._clock.monotonic()
            if self._last is not None and wall < self._last[0]:
                then, since = self._last
                passed = max(0, round((at - since) * SECOND_NS))
                wall = then + passed - passed // SLEW_FROM_FUTURE
            self._last = (wall, at)
            return wall

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return self._clock.monotonic()

    def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`."""
        self._clock.sleep(seconds)


class CatchUp:
    """Decides which packets of a live stream are skipped so that it does not fall behind.

    Skipping costs next to nothing, so a backlog melts while it lasts. Lateness that does not melt is none: the
    stream's timestamps have jumped, and it has to be anchored afresh.

    Attributes:
        in_vain: the last packet ended a skip that did not help.
    """

    def __init__(self) -> None:
        self._late_at_first: int | None = None
        self.in_vain = False

    def skips(self, late_ns: int, keyframe: bool) -> bool:
        """Whether the packet, which comes so late, is not decoded."""
        self.in_vain = False
        if self._late_at_first is None:
            if late_ns <= TOO_LATE_NS:
                return False
            self._late_at_first = late_ns
        if not keyframe:
            return True
        self.in_vain = late_ns > self._late_at_first - ON_TIME_NS
        if late_ns > ON_TIME_NS and not self.in_vain:
            return True
        self._late_at_first = None
        return False
