"""What a worker tells of its cameras: frames by what became of them, connections, buffers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from pipeline.metrics import catalogue as metrics
from pipeline.metrics.recorder import Growth, Recorder

EVERY_S = 1.0


class Watched(Protocol):
    """What is asked of a camera."""

    @property
    def camera(self) -> str: ...
    @property
    def connected(self) -> bool: ...
    @property
    def counts(self) -> Mapping[str, int]: ...
    @property
    def frames_waiting(self) -> int: ...
    @property
    def unacknowledged(self) -> int: ...


class ShardWatch:
    """Records the state of a shard's cameras once a second.

    Args:
        recorder: takes the values.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._growth = Growth()
        self._due = 0.0

    def begin(self, member: Watched) -> None:
        """A camera was taken over: what it had counted before, an earlier worker has recorded."""
        for name, total in member.counts.items():
            self._growth.begin((member.camera, name), total)

    def look(self, members: Sequence[Watched], now: float) -> None:
        """Record everything, if it is time to.

        Args:
            members: the shard's cameras.
            now: monotonic seconds.
        """
        if now < self._due:
            return
        self._due = now + EVERY_S
        for member in members:
            self._record(member)

    def _record(self, member: Watched) -> None:
        record, camera = self._recorder.record, member.camera
        for name, total in member.counts.items():
            grown = self._growth.of((camera, name), total)
            if not grown:
                continue
            kind, _, reason = name.partition(".")
            if name == "decoded":
                record(metrics.FRAMES_DECODED, grown, camera=camera)
            elif name == "tracked":
                record(metrics.FRAMES_TRACKED, grown, camera=camera)
            elif name == "interruptions":
                record(metrics.INTERRUPTIONS, grown, camera=camera)
            elif kind == "dropped":
                record(metrics.FRAMES_DROPPED, grown, camera=camera, reason=reason)
            else:
                record(metrics.BOXES_LEFT_OUT, grown, camera=camera, reason=name)
        record(metrics.CONNECTED, float(member.connected), camera=camera)
        record(metrics.FRAMES_WAITING, member.frames_waiting, camera=camera)
        record(metrics.BATCHES_UNACKNOWLEDGED, member.unacknowledged, camera=camera)
