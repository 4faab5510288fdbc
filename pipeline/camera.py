"""The chain of one camera after detection: embed, track, and gather what was seen into CameraBatches.

A batch is closed by the first frame of a later interval and carries the chain's whole state as of its last
frame, so that another worker can go on from exactly there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtmct.records import CameraBatch, Record
from operators.records import (
    SECOND_NS,
    Detections,
    Float32,
    Frame,
    Image,
    Int64,
    StateError,
    TrackState,
    pack,
    reading_state,
    unpack,
)
from pipeline.analysis import CameraAnalysis
from pipeline.chain_parts import Describer, Embedder, Mask, Tracker
from pipeline.notes import dead_letter, source_event
from pipeline.pieces import Pieces
from pipeline.sighting import Sighting
from pipeline.sources.base import Rejected
from pipeline.thumbnails import Thumbnails

VERSION = 1
END_OF_TIME = int(np.iinfo(np.int64).max)
# Ids that a source gives have no end of their own: after so long unseen a track counts as ended.
GIVEN_TRACK_LIFE_NS = 600 * SECOND_NS


@dataclass(frozen=True, slots=True)
class Delivery:
    """A frame with what the source knew right after reading it.

    Attributes:
        position: resumes the source after this frame.
        counts: the source's cumulative `decoded` and `dropped.<reason>`, this frame included.
        skipped: frames dropped between the source and here, by reason, since the last delivery.
        rejected: input that the source could not read, since the last delivery.
    """

    frame: Frame
    position: bytes
    counts: Mapping[str, int]
    skipped: Mapping[str, int] = field(default_factory=dict)
    rejected: Sequence[Rejected] = ()


class CameraChain:
    """One camera's operators and their state.

    Args:
        site: site name, for the records made here.
        camera: camera id.
        classes: names that class indices refer to.
        interval_ns: length of a commit interval.
        tracker: None where the source brings tracks.
        embedder: None where no appearance is computed here.
        embed_every: a track is embedded in every n-th of its frames.
        analysis: what is counted in its picture; None for nothing.
        thumbnails: of whom it tracks; None for none.
        describers: say what objects are like; a track is described in every `describe_every`-th of its frames.
        mask: which boxes are taken at all; the others are counted as `boxes.off_floor`. None: all.
        epoch: stamped on every batch.
        sequence: number of the next batch.
        state: as carried by the last committed batch; None at the very start.

    Attributes:
        newest: the last picture that was tracked in; None before the first, or where there are no pictures.

    Raises:
        StateError: `state` is of a version this build does not read.
    """

    def __init__(
        self,
        *,
        site: str,
        camera: str,
        classes: Sequence[str],
        interval_ns: int,
        tracker: Tracker | None,
        embedder: Embedder | None,
        embed_every: int,
        describers: Sequence[Describer] = (),
        describe_every: int = 15,
        mask: Mask | None = None,
        analysis: CameraAnalysis | None = None,
        thumbnails: Thumbnails | None = None,
        epoch: int,
        sequence: int,
        state: bytes | None = None,
    ) -> None:
        self.camera = camera
        self.newest: Sighting | None = None
        self._site = site
        self._classes = tuple(classes)
        self._interval_ns = interval_ns
        self._tracker = tracker
        self._embedder = embedder
        self._embed_every = embed_every
        self._describers = tuple(describers)
        self._describe_every = describe_every
        self._mask = mask
        self._analysis = analysis
        self._thumbnails = thumbnails
        self._off_floor = 0
        self._epoch = epoch
        self._sequence = sequence
        self._interval: int | None = None
        self._pieces = Pieces(camera, classes)
        self._events: list[Record] = []
        self._deadletters: list[Record] = []
        self._position: bytes | None = None
        self._source_counts: dict[str, int] = {}
        self._skipped: dict[str, int] = {}
        self._tracked = 0
        if state is not None:
            with reading_state(f"camera {camera!r}"):
                self._restore(state)
        if thumbnails is not None:
            thumbnails.begin(self._pieces.going_on)

    @property
    def position(self) -> bytes | None:
        """Where the source goes on; None at the start."""
        return self._position

    def interval_of(self, time_ns: int) -> int:
        """The commit interval that an instant lies in."""
        return time_ns // self._interval_ns

    @property
    def counts(self) -> dict[str, int]:
        """decoded, tracked and `dropped.<reason>`, cumulative: decoded = tracked + the sum of the dropped.

        Beside them `boxes.off_floor`, and `tracker.<reason>` for what the tracker left out or repaired.
        """
        return self._counts(self._source_counts, self._skipped)

    def counts_with(self, waiting: Sequence[Delivery]) -> dict[str, int]:
        """The same with what is said by frames that have not been taken: decoded is larger by as many as they are."""
        skipped = Counter(self._skipped)
        for delivery in waiting:
            skipped.update(delivery.skipped)
        return self._counts(waiting[-1].counts if waiting else self._source_counts, skipped)

    def _counts(self, source: Mapping[str, int], skipped: Mapping[str, int]) -> dict[str, int]:
        counts = {"decoded": 0, **source}
        for reason, n in skipped.items():
            counts[f"dropped.{reason}"] = counts.get(f"dropped.{reason}", 0) + n
        if self._mask is not None:
            counts["boxes.off_floor"] = self._off_floor
        if self._tracker is not None:
            for reason, n in self._tracker.rejected.items():
                counts[f"tracker.{reason.replace(' ', '_')}"] = n
        return {**counts, "tracked": self._tracked}

    def add(self, delivery: Delivery, detections: Detections) -> list[CameraBatch]:
        """Take one frame and what was detected in it; give the batches that it closes."""
        frame = delivery.frame
        interval = frame.time_ns // self._interval_ns
        closed = self._close_before(interval)
        self._interval = interval if self._interval is None else max(interval, self._interval)
        self._position = delivery.position
        self._source_counts = dict(delivery.counts)
        for reason, n in delivery.skipped.items():
            self._skipped[reason] = self._skipped.get(reason, 0) + n
        for rejected in delivery.rejected:
            self._reject(rejected)
        if interval < self._interval:
            # The interval was closed without it, and the watermark has said that nothing more would come.
            self._skipped["late"] = self._skipped.get("late", 0) + 1
            return closed
        self._tracked += 1
        if self._mask is not None:
            kept = self._mask.keeps(detections.boxes)
            self._off_floor += int(len(kept) - kept.sum())
            detections = detections[kept]
        if self._tracker is None:
            self._take_given(frame, detections)
        else:
            self._track(frame, detections)
        return closed

    def advance_to(self, time_ns: int) -> list[CameraBatch]:
        """A live camera has been silent up to `time_ns`: close what lies wholly before it."""
        interval = time_ns // self._interval_ns
        if self._interval is None:
            self._interval = interval
            return []
        closed = self._close_before(interval)
        self._interval = max(interval, self._interval)
        return closed

    def count_interruptions(self, interruptions: int) -> None:
        """Note how often the source has been away so far."""
        self._source_counts["interruptions"] = interruptions

    def source_event(self, state: str, detail: str, time_ns: int) -> None:
        """Note that the source was lost or restored."""
        self._events.append(source_event(self._site, self.camera, state, detail, time_ns))

    def finish(self, rejected: Sequence[Rejected] = (), counts: Mapping[str, int] | None = None) -> list[CameraBatch]:
        """The source has ended: everything that is left, as the final batch."""
        self._take_rest(rejected, counts)
        if self._thumbnails is not None:
            self._thumbnails.end(self._pieces.going_on)
        self._pieces.end_all()
        if self._analysis is not None:
            self._events += self._analysis.finish()
        return [self._close(END_OF_TIME, final=True)]

    def fail(
        self, reason: str, rejected: Sequence[Rejected] = (), counts: Mapping[str, int] | None = None
    ) -> list[CameraBatch]:
        """The source cannot be read any further: everything that is left, and why, as the last batch of this run."""
        interval = self._take_rest(rejected, counts)
        self.source_event("failed", reason, interval * self._interval_ns)
        return [self._close(END_OF_TIME, final=False, failed=reason)]

    def _take_rest(self, rejected: Sequence[Rejected], counts: Mapping[str, int] | None) -> int:
        for item in rejected:
            self._reject(item)
        if counts is not None:
            self._source_counts = dict(counts)
        self._interval = self._interval or 0
        return self._interval

    def _track(self, frame: Frame, detections: Detections) -> None:
        assert self._tracker is not None
        known = self._looks_before_tracking(frame, detections)
        if known is not None:
            detections = replace(detections, embeddings=known[0])
        tracks = self._tracker.update(detections, frame.time_ns)
        found = tracks.detections
        rows = np.flatnonzero((tracks.states == TrackState.CONFIRMED) & (found >= 0))
        found, ids, boxes, scores = found[rows], tracks.ids[rows], tracks.boxes[rows], tracks.scores[rows]
        for track, cls, box, score in zip(ids.tolist(), tracks.classes[rows].tolist(), boxes, scores, strict=True):
            self._pieces.point(track, cls, frame, box, score)
        due = np.array([self._pieces.is_due(track, self._embed_every) for track in ids.tolist()], bool)
        if known is not None:
            self._pieces.exemplars(ids, known[0][found], known[1][found])
        elif self._embedder is not None and frame.image is not None and due.any():
            # All boxes go along, though few are due: how far one hides another is part of a crop's quality.
            embeddings, qualities = self._embedder.embed(frame.image, tracks.measured[rows])
            self._pieces.exemplars(ids[due], embeddings[due], qualities[due])
        if self._describers and frame.image is not None:
            self._describe(frame.image, ids, tracks.measured[rows])
        self._pieces.end(tracks.ended.tolist())
        self._seen(frame, ids, boxes, scores, tracks.classes[rows], tracks.ended.tolist())

    def _describe(self, image: Image, ids: Int64, boxes: Float32) -> None:
        """Have said what those tracks are like whose turn it is."""
        for describer in self._describers:
            due = [
                row
                for row, track in enumerate(ids.tolist())
                if self._pieces.is_due(track, self._describe_every)
                and self._pieces.class_of(track) in describer.classes
            ]
            # All boxes go along: how far one hides another is part of what a look is worth.
            for row, votes in zip(due, describer.votes(image, boxes, due) if due else (), strict=True):
                self._pieces.vote(int(ids[row]), votes)

    def _looks_before_tracking(self, frame: Frame, detections: Detections) -> tuple[Float32, Float32] | None:
        """Embedding and quality of every detection, where the source gives them or the tracker goes by them."""
        assert self._tracker is not None
        if detections.embeddings is not None:
            return detections.embeddings, np.ones(len(detections), np.float32)
        if self._embedder is None or frame.image is None or not self._tracker.uses_appearance:
            return None
        return self._embedder.embed(frame.image, detections.boxes)

    def _take_given(self, frame: Frame, detections: Detections) -> None:
        assert detections.ids is not None
        ids, classes = detections.ids, detections.classes.tolist()
        for track, cls, box, score in zip(ids.tolist(), classes, detections.boxes, detections.scores, strict=True):
            self._pieces.point(track, cls, frame, box, score)
        if detections.embeddings is not None:
            known = np.isfinite(detections.embeddings).all(axis=1)
            self._pieces.exemplars(ids[known], detections.embeddings[known], np.ones(int(known.sum()), np.float32))
        ended = self._pieces.unseen_for(GIVEN_TRACK_LIFE_NS, frame.time_ns)
        self._pieces.end(ended)
        self._seen(frame, ids, detections.boxes, detections.scores, detections.classes, ended)

    def _seen(
        self,
        frame: Frame,
        ids: Int64,
        boxes: Float32,
        scores: Float32,
        classes: NDArray[np.integer[Any]],
        ended: Sequence[int],
    ) -> None:
        if frame.image is not None:
            self.newest = Sighting(frame.image, frame.time_ns, ids, boxes, classes.tolist(), self._classes)
        if self._thumbnails is not None:
            self._thumbnails.look(frame, ids, boxes, scores, classes.tolist())
            self._thumbnails.end(ended)
        if self._analysis is not None:
            self._events += self._analysis.frame(frame, ids, boxes, classes, ended)
            self._deadletters += self._analysis.letters
            self._analysis.letters = []

    def _reject(self, rejected: Rejected) -> None:
        letter = dead_letter(
            self._site, self.camera, rejected.reason, rejected.detail, rejected.payload, rejected.time_ns
        )
        self._deadletters.append(letter)

    def _close_before(self, interval: int) -> list[CameraBatch]:
        if self._interval is None or interval <= self._interval:
            return []
        watermark_ns = interval * self._interval_ns
        if self._analysis is not None:
            self._events += self._analysis.advance_to(watermark_ns)
        return [self._close(watermark_ns, final=False)]

    def _close(self, watermark_ns: int, *, final: bool, failed: str | None = None) -> CameraBatch:
        assert self._interval is not None
        batch = CameraBatch(
            camera=self.camera,
            epoch=self._epoch,
            sequence=self._sequence,
            interval=self._interval,
            watermark_ns=watermark_ns,
            tracklets=self._pieces.take(),
            events=tuple(self._events),
            deadletters=tuple(self._deadletters),
            counts=self.counts,
            state=self._snapshot(),
            final=final,
            failed=failed,
        )
        if self._thumbnails is not None:
            # The end of time is none to measure an age by.
            now_ns = watermark_ns if watermark_ns < END_OF_TIME else self._interval * self._interval_ns
            self._thumbnails.close(self._sequence, now_ns)
        self._sequence += 1
        self._events, self._deadletters = [], []
        return batch

    def _snapshot(self) -> bytes:
        return pack(
            {
                "version": VERSION,
                "tracker": None if self._tracker is None else self._tracker.snapshot(),
                "position": self._position,
                "known": self._pieces.snapshot(),
                "analysis": None if self._analysis is None else self._analysis.snapshot(),
                "source_counts": self._source_counts,
                "skipped": self._skipped,
                "tracked": self._tracked,
                "off_floor": self._off_floor,
            }
        )

    def _restore(self, data: bytes) -> None:
        state = unpack(data)
        if state.get("version") != VERSION:
            raise StateError(
                f"camera {self.camera!r}: its stored state is of version {state.get('version')}, this build reads "
                f"{VERSION}; go on with the build that wrote it, or start a new ledger"
            )
        if self._tracker is not None and state["tracker"] is not None:
            self._tracker.restore(state["tracker"])
        if self._analysis is not None:
            self._analysis.restore(state.get("analysis"))
        self._position = state["position"]
        self._pieces.restore(state["known"])
        self._source_counts = state["source_counts"]
        self._skipped = state["skipped"]
        self._tracked = state["tracked"]
        self._off_floor = state.get("off_floor", 0)
