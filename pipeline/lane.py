"""One camera as fusion sees it: what of it is committed, what waits, and who may speak for it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mtmct.records import CameraBatch
from operators.records import CrosscamError, StateError, pack, unpack

VERSION = 1


class SupersededError(CrosscamError):
    """Another worker has taken over this camera; this one must let go of it."""


class StoppedError(CrosscamError):
    """The service was stopped; nothing more is committed."""


class OutOfStepError(CrosscamError):
    """Fusion does not expect this batch: attach again and send what is not committed."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Where a camera goes on.

    Attributes:
        epoch: the camera's new epoch.
        sequence: number of its next batch.
        state: its worker's state as of the last commit; None at the very start.
        final: it had ended; there is nothing left to do.
    """

    epoch: int
    sequence: int
    state: bytes | None
    final: bool


Entry = tuple[CameraBatch, "asyncio.Future[None]"]


@dataclass(slots=True)
class Lane:
    """One camera, as fusion sees it.

    Attributes:
        live: it may fall silent without holding the others back for ever.
        epoch: of the worker that speaks for it.
        committed: sequence number after the last committed batch.
        attached: that worker is known to this fusion, which may have restarted.
        state, counts, final, failed: as of the last committed batch.
        watermark_ns: up to where the camera has said everything, queued batches included.
        committed_watermark_ns: the same without what is queued.
        late: tracklets that came after their interval was out.
        heard: monotonic seconds of its last sign of life.
        queue: batches in order, waiting for their interval.
        early: batches that have overtaken one that is still to come, by sequence number.
    """

    live: bool
    epoch: int = 0
    committed: int = 0
    attached: bool = False
    state: bytes | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    watermark_ns: int = 0
    committed_watermark_ns: int = 0
    final: bool = False
    failed: str | None = None
    late: int = 0
    heard: float = 0.0
    queue: deque[Entry] = field(default_factory=deque)
    early: dict[int, Entry] = field(default_factory=dict)

    @property
    def expected(self) -> int:
        """Sequence number of the batch that comes next."""
        return self.committed + len(self.queue)

    def waiting_for(self, sequence: int) -> asyncio.Future[None] | None:
        """The future of a batch that is here already."""
        if sequence in self.early:
            return self.early[sequence][1]
        return self.queue[sequence - self.committed][1] if self.committed <= sequence < self.expected else None

    def put(self, batch: CameraBatch) -> asyncio.Future[None]:
        """Take a batch, which may have overtaken others; the future is done once it is committed."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.early[batch.sequence] = (batch, waiting)
        while self.expected in self.early:
            entry = self.early.pop(self.expected)
            self.queue.append(entry)
            self.watermark_ns = max(self.watermark_ns, entry[0].watermark_ns)
        return waiting

    def drop_queue(self, error: CrosscamError) -> None:
        """Forget what is not committed; who waits for it gets `error`."""
        for _, waiting in (*self.queue, *self.early.values()):
            if not waiting.done():
                waiting.set_exception(error)
                waiting.exception()  # whoever waited may be dead; do not warn of an unread one
        self.queue.clear()
        self.early.clear()
        self.watermark_ns = self.committed_watermark_ns

    @property
    def over(self) -> bool:
        """Nothing more is to be expected of it in this run."""
        return (self.final or self.failed is not None) and not self.queue and not self.early

    def take_up_again(self, watermark_ns: int) -> None:
        """Its source had failed in an earlier run and is tried once more; it holds nobody back for what is past."""
        self.failed = None
        self.watermark_ns = self.committed_watermark_ns = watermark_ns

    def acknowledge(self, entry: Entry) -> None:
        """The batch is committed: remember what it says, and tell its worker."""
        batch, waiting = entry
        if self.queue and self.queue[0][0] is batch:
            self.queue.popleft()
        self.committed = batch.sequence + 1
        self.state, self.counts, self.final, self.failed = batch.state, batch.counts, batch.final, batch.failed
        self.committed_watermark_ns = batch.watermark_ns
        if not waiting.done():
            waiting.set_result(None)

    def packed_after(self, batch: CameraBatch) -> bytes:
        """What the ledger keeps of the camera once `batch` is committed."""
        after = replace(
            self,
            epoch=batch.epoch,
            committed=batch.sequence + 1,
            state=batch.state,
            counts=batch.counts,
            committed_watermark_ns=batch.watermark_ns,
            final=batch.final,
            failed=batch.failed,
        )
        return after.packed()

    def packed(self) -> bytes:
        """What the ledger keeps of the camera as of its last committed batch."""
        return pack(
            {
                "version": VERSION,
                "epoch": self.epoch,
                "sequence": self.committed,
                "state": self.state,
                "counts": dict(self.counts),
                "watermark_ns": self.committed_watermark_ns,
                "late": self.late,
                "final": self.final,
                "failed": self.failed,
            }
        )

    def restore(self, data: bytes) -> None:
        """Go on from what the ledger kept."""
        kept = unpack(data)
        if kept["version"] != VERSION:
            raise StateError(
                f"the ledger holds a camera's state of version {kept['version']}, this build reads {VERSION}; go on "
                "with the build that wrote it, or start a new ledger"
            )
        self.epoch, self.committed, self.late = int(kept["epoch"]), int(kept["sequence"]), int(kept["late"])
        self.state = None if kept["state"] is None else bytes(kept["state"])
        self.counts = {str(name): int(count) for name, count in kept["counts"].items()}
        self.watermark_ns = self.committed_watermark_ns = int(kept["watermark_ns"])
        self.final = bool(kept["final"])
        self.failed = None if kept["failed"] is None else str(kept["failed"])
