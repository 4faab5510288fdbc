"""The order of commits: what is known of a site's cameras, which interval can be committed, and what goes into it.

An interval is complete once every camera has said everything about it. Live cameras that fall silent stop holding the
others back after `idle_timeout`; files never do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mtmct.records import CameraBatch
from operators.records import CrosscamError, StateError, pack, reading_state, unpack
from pipeline.lane import VERSION, Entry, Lane, OutOfStepError, Resume, SupersededError
from pipeline.notes import late_letter

SITE_KEY = "site"
CAMERA = "camera/"
# Ray does not promise that calls of an async actor begin in the order they were made: so many may overtake one.
MAX_EARLY = 64


class CommitOrder:
    """What of a site's commits does not depend on who makes them, or where they go.

    Args:
        site: site name.
        cameras: id of every camera, and whether it is live.
        interval_ns: length of a commit interval.
        idle_timeout: seconds after which a silent live camera stops holding the others back.
        clock: monotonic seconds.

    Attributes:
        site, clock: as given.
        lanes: the site's cameras.
        last_interval: that has been committed; None before the first.
        finished: the ledger holds a run that has come to its end.
    """

    def __init__(
        self,
        site: str,
        cameras: Mapping[str, bool],
        interval_ns: int,
        idle_timeout: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.site = site
        self._interval_ns = interval_ns
        self._idle_timeout = idle_timeout
        self.clock = clock
        self.lanes = {camera: Lane(live) for camera, live in cameras.items()}
        self._gone: dict[str, bytes] = {}  # what the ledger keeps of cameras that are not part of the site any more
        self.last_interval: int | None = None
        self.finished = False
        # By whom which interval was held up when everybody was looked at last, and the earliest heard of since then.
        self._held_up: tuple[Lane, int] | None = None
        self._earliest: int | None = None

    @property
    def now_ns(self) -> int | None:
        """Event time up to which everything is committed; None before the first commit."""
        return None if self.last_interval is None else self.end_ns(self.last_interval)

    @property
    def over(self) -> bool:
        """Nothing more is to be expected in this run."""
        return self.finished or all(lane.over for lane in self.lanes.values())

    def lane(self, camera: str) -> Lane:
        """One of the site's cameras.

        Raises:
            SupersededError: it was one, and is no more.
            CrosscamError: it never was one.
        """
        if camera in self._gone and camera not in self.lanes:
            raise SupersededError(f"camera {camera!r} is not part of site {self.site!r} any more")
        if camera not in self.lanes:
            raise CrosscamError(f"camera {camera!r} is not part of site {self.site!r}; add it to the site's file")
        return self.lanes[camera]

    @property
    def look_again_s(self) -> float | None:
        """Seconds after which to ask again what is ready: nothing else would notice that a live camera is silent."""
        return min(1.0, self._idle_timeout / 4) if any(lane.live for lane in self.lanes.values()) else None

    def end_ns(self, interval: int) -> int:
        """Event time at which an interval ends."""
        return (interval + 1) * self._interval_ns

    def take_over(self, camera: str, first_epoch: int, retry_failed: bool) -> Resume:
        """A new worker takes the camera over; what an earlier one sent and is not committed is forgotten.

        Args:
            camera: camera id.
            first_epoch: the lowest that it may have.
            retry_failed: try a source again that has failed before.
        """
        lane = self.lane(camera)
        lane.drop_queue(_superseded(camera))
        lane.epoch, lane.attached, lane.heard = max(lane.epoch + 1, first_epoch), True, self.clock()
        if lane.failed is not None and retry_failed and not self.finished:
            lane.take_up_again(self.now_ns or 0)
        nothing_left = self.finished or lane.final or lane.failed is not None
        return Resume(lane.epoch, lane.committed, lane.state, nothing_left)

    def attach(self, camera: str, epoch: int) -> int:
        """A worker goes on with a fusion that was restarted: the sequence number that it shall send from.

        Raises:
            SupersededError: a later worker has the camera.
        """
        lane = self.lane(camera)
        if epoch < lane.epoch:
            raise _superseded(camera)
        lane.drop_queue(OutOfStepError(f"camera {camera!r}: attached anew"))
        lane.epoch, lane.attached, lane.heard = epoch, True, self.clock()
        return lane.committed

    def heard(self, batch: CameraBatch) -> Lane:
        """A batch has come: the lane that it is for.

        Raises:
            SupersededError: a later worker has the camera.
            OutOfStepError: its worker has not attached, or batches are missing before it.
        """
        lane = self.lane(batch.camera)
        if batch.epoch < lane.epoch:
            raise _superseded(batch.camera)
        if not lane.attached or batch.epoch > lane.epoch or batch.sequence > lane.expected + MAX_EARLY:
            raise OutOfStepError(f"camera {batch.camera!r}: batch {batch.sequence} is not expected now")
        lane.heard = self.clock()
        self._earliest = batch.interval if self._earliest is None else min(self._earliest, batch.interval)
        return lane

    def ready(self) -> int | None:
        """The interval that can be committed now.

        It is asked with every batch. To look at everybody each time would take a thousand cameras a million looks a
        commit: while one that held it up still does, and nothing earlier has come, nobody else is looked at.
        """
        if self._held_up is not None:
            lane, interval = self._held_up
            later = self._earliest is None or self._earliest >= interval
            if later and not self._lets_pass(lane, self.end_ns(interval)):
                return None
        self._held_up = self._earliest = None
        next_interval = self._next_interval()
        if next_interval is None:
            return None
        behind = [lane for lane in self.lanes.values() if not self._lets_pass(lane, self.end_ns(next_interval))]
        if not behind:
            return next_interval
        # A camera that was added catches up: what it sends of intervals that are out would else wait for itself.
        if any(lane.queue and lane.queue[0][0].interval < next_interval for lane in self.lanes.values()):
            return self.last_interval
        # Cameras speak in turn: who was heard last of these will most likely be the last again.
        self._held_up = max(behind, key=lambda lane: lane.heard), next_interval
        return None

    def entries(self, interval: int) -> list[Entry]:
        """Every batch up to this interval, in order of cameras."""
        return [
            entry
            for camera in sorted(self.lanes)
            for entry in self.lanes[camera].queue
            if entry[0].interval <= interval
        ]

    def on_time(self, batch: CameraBatch, interval: int) -> CameraBatch:
        """The batch itself, or, where its interval is already out, an empty one with its tracklets as dead letters."""
        if self.last_interval is None or batch.interval > self.last_interval:
            return batch
        lane = self.lanes[batch.camera]
        lane.late += len(batch.tracklets)
        letters = tuple(late_letter(self.site, tracklet) for tracklet in batch.tracklets if len(tracklet))
        return replace(batch, interval=interval, tracklets=(), deadletters=(*batch.deadletters, *letters))

    def committed(self, entries: Sequence[Entry], interval: int) -> None:
        """This is true now: remember it, and acknowledge the batches."""
        for entry in entries:
            self.lanes[entry[0].camera].acknowledge(entry)
        self.last_interval = interval
        self._held_up = None

    def joining(self, camera: str, live: bool) -> Lane:
        """A camera that is added; one that was here before goes on as it was."""
        lane = Lane(live)
        if camera in self._gone:
            lane.restore(self._gone[camera])
            lane.final = False
        lane.take_up_again(self.now_ns or 0)
        lane.heard = self.clock()
        return lane

    def change(self, cameras: Mapping[str, bool], added: Mapping[str, Lane], removed: Sequence[str]) -> None:
        """Go on with these cameras.

        Args:
            cameras: all of them, and whether each is live.
            added: by `joining`.
            removed: whose batches that are not committed are forgotten.
        """
        lanes = {**self.lanes, **added}
        for camera in removed:
            lane = lanes[camera]
            lane.drop_queue(SupersededError(f"camera {camera!r} is not part of site {self.site!r} any more"))
            self._gone[camera] = lane.packed()
        self.lanes = {camera: lanes[camera] for camera in cameras}
        self._held_up = None
        for camera, live in cameras.items():
            self.lanes[camera].live = live

    def state_after(
        self, batches: Sequence[CameraBatch], interval: int | None, *, finished: bool = False
    ) -> dict[str, bytes | None]:
        """What the ledger is to keep once these are committed."""
        state: dict[str, bytes | None] = {
            CAMERA + batch.camera: self.lanes[batch.camera].packed_after(batch) for batch in batches
        }
        state[SITE_KEY] = self.packed(interval, finished=finished, cameras=list(self.lanes))
        return state

    def packed(self, interval: int | None, *, finished: bool, cameras: Sequence[str]) -> bytes:
        """What the ledger keeps of the site."""
        return pack(
            {
                "version": VERSION,
                "interval_ns": self._interval_ns,
                "interval": interval,
                "finished": finished,
                "cameras": list(cameras),
            }
        )

    def restore(self, state: Mapping[str, bytes]) -> None:
        """Go on from what the ledger kept; silence counts from now on.

        Raises:
            StateError: it is damaged, or of another version or interval.
        """
        with reading_state(f"site {self.site!r}"):
            known = self._restore_site(state)
            for key, data in state.items():
                if key.startswith(CAMERA):
                    camera = key.removeprefix(CAMERA)
                    if camera in self.lanes:
                        self.lanes[camera].restore(data)
                        # One that was taken out had ended with that, and not because there was no more of it.
                        self.lanes[camera].final &= camera in known
                    else:
                        self._gone[camera] = data
        for lane in self.lanes.values():
            lane.heard = self.clock()

    def _restore_site(self, state: Mapping[str, bytes]) -> Sequence[str]:
        known: Sequence[str] = list(self.lanes)
        if SITE_KEY in state:
            site = unpack(state[SITE_KEY])
            if site["version"] != VERSION or site["interval_ns"] != self._interval_ns:
                raise StateError(
                    f"site {self.site!r}: its ledger was written with interval {site['interval_ns'] / 1e9:g}s (state "
                    f"version {site['version']}), this run has {self._interval_ns / 1e9:g}s (state version {VERSION}); "
                    "use the same interval and build, or start a new ledger"
                )
            self.last_interval = None if site["interval"] is None else int(site["interval"])
            self.finished = bool(site["finished"])
            known = site.get("cameras", known)
        return known

    def status(self) -> dict[str, dict[str, Any]]:
        """Of each camera: counts, batches waiting, late tracklets, how it ended, and its epoch."""
        return {
            camera: {
                "counts": dict(lane.counts),
                "waiting": len(lane.queue),
                "late": lane.late,
                "final": lane.final,
                "failed": lane.failed,
                "epoch": lane.epoch,
            }
            for camera, lane in self.lanes.items()
        }

    def _next_interval(self) -> int | None:
        heads = [lane.queue[0][0].interval for lane in self.lanes.values() if lane.queue]
        if not heads:
            return None
        after_last = -(2**62) if self.last_interval is None else self.last_interval + 1
        return max(min(heads), after_last)

    def _lets_pass(self, lane: Lane, end_ns: int) -> bool:
        if lane.watermark_ns >= end_ns:
            return True
        return lane.live and self.clock() - lane.heard > self._idle_timeout


def _superseded(camera: str) -> SupersededError:
    return SupersededError(f"camera {camera!r}: another worker has taken it over")
