"""One camera of a shard: its reader, its chain, and its batches on their way."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from mtmct.records import CameraBatch
from operators.looking_back import Before
from operators.records import Detections
from pipeline.camera import CameraChain, Delivery
from pipeline.reader import Reader
from pipeline.thumbnails import Thumbnails

# Batches a camera may have on their way: bounds memory when fusion or another camera is slow.
MAX_UNACKNOWLEDGED = 8


@dataclass(slots=True)
class Member:
    """One camera of the shard.

    Attributes:
        seen: for a detector that looks back, the last picture with what was found in it, and its interval.
        thumbnails: of whom it tracks; None where none are kept.
    """

    camera: str
    epoch: int
    chain: CameraChain
    reader: Reader
    outstanding: deque[tuple[CameraBatch, Any]] = field(default_factory=deque)
    ended: bool = False
    lost: bool = False
    failure: str | None = None
    seen: tuple[Before, int] | None = None
    thumbnails: Thumbnails | None = None

    @property
    def live(self) -> bool:
        return self.reader.source.live

    @property
    def has_room(self) -> bool:
        return len(self.outstanding) < MAX_UNACKNOWLEDGED

    @property
    def over(self) -> bool:
        return self.ended and not self.outstanding

    @property
    def connected(self) -> bool:
        return not (self.lost or self.failure)

    @property
    def counts(self) -> dict[str, int]:
        """Frame accounting as of now, with what has been read and not taken."""
        return self.chain.counts_with(self.reader.frames)

    @property
    def frames_waiting(self) -> int:
        return self.reader.waiting

    @property
    def unacknowledged(self) -> int:
        return len(self.outstanding)

    def committed(self, sequence: int) -> None:
        """Its batches up to that number stand."""
        if self.thumbnails is not None:
            self.thumbnails.committed(sequence)

    def flush(self, seconds: float) -> None:
        """It is left: wait for what is being written beside the ledger, no longer than that."""
        if self.thumbnails is not None:
            self.thumbnails.flush(seconds)

    def before(self, delivery: Delivery) -> Before | None:
        """What a detector that looks back is shown beside a picture.

        Nothing beside the first of an interval: pictures are not kept with a worker's state, and one that takes over at
        the beginning of an interval is to find the same as one that has been there all the time.
        """
        if self.seen is None or self.seen[1] != self.chain.interval_of(delivery.frame.time_ns):
            return None
        return self.seen[0]

    def remember(self, delivery: Delivery, detections: Detections) -> None:
        """Keep a picture for the one after it."""
        if delivery.frame.image is not None:
            interval = self.chain.interval_of(delivery.frame.time_ns)
            self.seen = (Before(delivery.frame.image, detections), interval)
