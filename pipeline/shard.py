"""What a CameraWorker does, without Ray: the cameras of one shard, batched into one predictor call."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

from mtmct.records import CameraBatch
from operators.looking_back import Before
from operators.records import CrosscamError, Detections, Image
from pipeline.camera import Delivery
from pipeline.lane import OutOfStepError, SupersededError
from pipeline.link import FusionLink, FusionLostError
from pipeline.member import Member
from pipeline.metrics.recorder import Silent
from pipeline.metrics.shard_watch import ShardWatch
from pipeline.reader import Ended, Note
from pipeline.sighting import Tracked
from pipeline.sources.base import Rejected
from pipeline.sources.masking import mask

# How long a live camera may be silent within an interval before the interval is closed without it.
SILENCE_NS = 1_000_000_000
# How long the last thumbnails may take to be written.
_FLUSH_S = 2.0

_log = logging.getLogger(__name__)


class Detector(Protocol):
    """What a shard needs of a detector. `looks_back`: it is to be shown each camera's picture before."""

    @property
    def looks_back(self) -> bool: ...

    def detect(self, images: Sequence[Image], before: Sequence[Before | None] | None = None) -> list[Detections]: ...


OpenMember = Callable[[str, Callable[[], None]], Member | None]


@dataclass(slots=True)
class _Change:
    leaving: tuple[str, ...]
    opening: tuple[str, ...]
    open_member: OpenMember
    detector: Detector | None
    done: Future[bool] = field(default_factory=Future)


class Shard:
    """Runs its cameras until all have ended or `stop` is called.

    Args:
        open_member: takes a camera over and builds its chain and reader; None where the camera had already ended.
        cameras: ids, in the order of the site's file.
        detector: None where every source brings its own boxes.
        link: the line to fusion.
        watch: records how it goes; nobody does if not given.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        *,
        open_member: OpenMember,
        cameras: Sequence[str],
        detector: Detector | None,
        link: FusionLink,
        watch: ShardWatch | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open_member = open_member
        self._cameras = tuple(cameras)
        self._detector = detector
        self._link = link
        self._watch = watch or ShardWatch(Silent())
        self._clock = clock
        self._members: list[Member] = []
        self._news = threading.Event()
        self._stop = threading.Event()
        self._asked: queue.SimpleQueue[_Change] = queue.SimpleQueue()
        self._open = threading.Lock()  # held to ask for a change, and to say that none is taken any more
        self._over = False

    def stop(self) -> None:
        """Ask `run` to return; what is not committed is forgotten and read again by the next worker."""
        self._stop.set()
        self._news.set()

    def status(self) -> dict[str, dict[str, int]]:
        """Frame accounting per camera, as of now."""
        return {member.camera: member.chain.counts for member in tuple(self._members)}

    def change(
        self, leaving: Sequence[str], opening: Sequence[str], open_member: OpenMember, detector: Detector | None
    ) -> bool:
        """Let cameras go and take up others, while the rest go on; may be called from any thread.

        Args:
            leaving: they end as they do where their source ends.
            opening: taken up, or taken up anew from their last commit.
            open_member, detector: for these; see `Shard`.

        Returns:
            Whether it was done; false where the shard has come to its end before.

        Raises:
            CrosscamError: a camera cannot be opened; the others go on.
        """
        asked = _Change(tuple(leaving), tuple(opening), open_member, detector)
        with self._open:
            if self._over:
                return False
            self._asked.put(asked)
        self._news.set()
        return asked.done.result()

    def picture(self, camera: str) -> tuple[bytes, int, list[Tracked]] | None:
        """The camera's newest picture and whom it tracks in it; None where there is none. From any thread.

        Returns:
            JPEG, event time (ns), and the tracks of that very frame.
        """
        newest = next((member.chain.newest for member in tuple(self._members) if member.camera == camera), None)
        return None if newest is None else newest.told()

    def run(self) -> dict[str, str]:
        """Run to the end.

        Returns:
            For each camera whose source could not be used: why.

        Raises:
            CrosscamError: fusion cannot go on.
        """
        try:
            for camera in self._cameras:
                self._take_up(camera, self._open_member)
            while not self._stop.is_set() and not self._ends():
                self._news.clear()
                self._take_changes()
                worked = self._step()
                blocked = not worked and self._waits_for_room()
                self._collect(0.05 if blocked else 0.0)
                if not worked and not blocked:
                    self._news.wait(0.02)
                self._watch.look(self._members, self._clock())
        finally:
            self._refuse_changes()
            for member in self._members:
                member.reader.stop()
            for member in self._members:
                member.flush(_FLUSH_S)
        return {member.camera: member.failure for member in self._members if member.failure is not None}

    def _take_up(self, camera: str, open_member: OpenMember) -> None:
        member = open_member(camera, self._news.set)
        if member is not None:
            self._watch.begin(member)
            self._members.append(member)

    def _ends(self) -> bool:
        """Whether all have ended; from then on no change is taken."""
        if not all(member.over for member in self._members):
            return False
        with self._open:
            self._over = self._asked.empty()
            return self._over

    def _refuse_changes(self) -> None:
        with self._open:
            self._over = True
        while not self._asked.empty():
            self._asked.get().done.set_result(False)

    def _take_changes(self) -> None:
        while not self._asked.empty():
            asked = self._asked.get()
            try:
                for member in [member for member in self._members if member.camera in asked.leaving]:
                    self._let_go(member)
                for camera in asked.opening:
                    self._forget(camera)
                    self._take_up(camera, asked.open_member)
                self._detector = self._detector or asked.detector
            except CrosscamError as error:
                asked.done.set_exception(error)
            else:
                asked.done.set_result(True)

    def _let_go(self, member: Member) -> None:
        member.reader.stop()
        if not member.ended:
            member.ended = True
            self._send(member, member.chain.finish())

    def _forget(self, camera: str) -> None:
        """What is not committed of it is read again by the next member."""
        for member in [member for member in self._members if member.camera == camera]:
            member.reader.stop()
            member.outstanding.clear()
            member.flush(_FLUSH_S)
            self._members.remove(member)

    def _waits_for_room(self) -> bool:
        """Whether something could be taken as soon as an acknowledgement makes room."""
        return any(m.reader.has_items() and not m.has_room for m in self._members)

    def _step(self) -> bool:
        """Take at most one item of every camera, detect in all pictures at once, pass each on."""
        frames: list[tuple[Member, Delivery]] = []
        worked = False
        for member in self._members:
            if member.ended:
                continue
            member.reader.behind = "stale" if member.has_room else self._link.backpressure()
            if not member.has_room:
                continue
            item = member.reader.take()
            if item is None:
                now_ns = member.reader.source.now_ns() if member.live else None
                if now_ns is not None:
                    self._send(member, member.chain.advance_to(now_ns - SILENCE_NS))
                continue
            worked = True
            if isinstance(item, Delivery):
                member.lost = False
                frames.append((member, item))
            elif isinstance(item, Note):
                self._note(member, item)
            elif isinstance(item, Ended):
                self._send(member, member.chain.finish(item.rejected, item.counts))
                member.ended = True
            else:
                self._fail(member, item.reason, item.rejected, item.counts)
        for (member, delivery), detections in zip(frames, self._detect(frames), strict=True):
            try:
                found = detections if detections is not None else self._detect_alone(member, delivery)
                if self._looks_back:
                    member.remember(delivery, found)
                self._send(member, member.chain.add(delivery, found))
            except Exception as error:  # one camera's pictures must not end the others
                what = f"camera {member.camera!r}: frame {delivery.frame.index} cannot be processed"
                self._fail(member, mask(f"{what} ({type(error).__name__}: {error})"))
        return worked

    def _detect(self, frames: Sequence[tuple[Member, Delivery]]) -> list[Detections | None]:
        """Detections of every delivery; None for pictures in whose common call the detector failed."""
        found: list[Detections | None] = [delivery.frame.given for _, delivery in frames]
        images = {i: d.frame.image for i, (_, d) in enumerate(frames) if d.frame.given is None}
        if images:
            assert self._detector is not None
            try:
                shown = [image for image in images.values() if image is not None]
                detected = self._detector.detect(shown, self._before([frames[i] for i in images]))
            except Exception:  # `_detect_alone` finds out whose picture it was
                return found
            for i, detections in zip(images, detected, strict=True):
                found[i] = detections
        return found

    def _detect_alone(self, member: Member, delivery: Delivery) -> Detections:
        assert self._detector is not None and delivery.frame.image is not None
        return self._detector.detect([delivery.frame.image], self._before([(member, delivery)]))[0]

    @property
    def _looks_back(self) -> bool:
        return self._detector is not None and self._detector.looks_back

    def _before(self, frames: Sequence[tuple[Member, Delivery]]) -> list[Before | None] | None:
        return [member.before(delivery) for member, delivery in frames] if self._looks_back else None

    def _note(self, member: Member, note: Note) -> None:
        """A lost camera is said once and counted every time, however often connecting to it fails."""
        member.chain.count_interruptions(note.interruptions)
        if note.state == "lost" and member.lost:
            return
        member.lost = note.state == "lost"
        _log.warning(
            "camera %s %s: %s", member.camera, note.state, note.detail, extra={"fields": {"camera": member.camera}}
        )
        member.chain.source_event(note.state, note.detail, note.time_ns)

    def _fail(
        self,
        member: Member,
        reason: str,
        rejected: Sequence[Rejected] = (),
        counts: Mapping[str, int] | None = None,
    ) -> None:
        member.failure, member.ended = reason, True
        _log.error("camera %s failed: %s", member.camera, reason, extra={"fields": {"camera": member.camera}})
        self._send(member, member.chain.fail(reason, rejected, counts))

    def _send(self, member: Member, batches: Sequence[CameraBatch]) -> None:
        for batch in batches:
            member.outstanding.append((batch, self._link.send(batch)))

    def _collect(self, timeout: float) -> None:
        """Take acknowledgements; where fusion was restarted, attach again and send the rest once more."""
        tickets = [ticket for member in self._members for _, ticket in member.outstanding]
        try:
            done = set(self._link.done(tickets, timeout))
            for member in self._members:
                # In the order of sending: a later batch is never committed before an earlier one.
                while member.outstanding and member.outstanding[0][1] in done:
                    try:
                        self._link.result(member.outstanding[0][1])
                    except SupersededError:
                        self._superseded(member)
                        break
                    member.committed(member.outstanding.popleft()[0].sequence)
        except (FusionLostError, OutOfStepError):
            self._reattach()

    def _reattach(self) -> None:
        for member in self._members:
            if member.ended and not member.outstanding:
                continue
            try:
                committed = self._link.attach(member.camera, member.epoch)
            except SupersededError:
                self._superseded(member)
                continue
            member.committed(committed - 1)
            again = [batch for batch, _ in member.outstanding if batch.sequence >= committed]
            member.outstanding.clear()
            self._send(member, again)

    def _superseded(self, member: Member) -> None:
        """Somebody else has the camera, or nobody any more."""
        member.outstanding.clear()
        member.ended = True
        member.reader.stop()
