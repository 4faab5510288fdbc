"""What travels between a camera, fusion and the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mtmct.tracklets import Tracklet

TRACKS = "tracks"
IDENTITIES = "identities"
EVENTS = "events"
DEADLETTER = "deadletter"
TOPICS = (TRACKS, IDENTITIES, EVENTS, DEADLETTER)


class Record(NamedTuple):
    """One line of a topic. `value` holds JSON types only, floats already rounded to what they mean.

    A commit makes tens of thousands: a named tuple costs a third of a frozen dataclass.
    """

    topic: str
    key: str
    value: dict[str, Any]
    time_ns: int


@dataclass(frozen=True, slots=True)
class CameraBatch:
    """All that one camera has to say about one commit interval of event time.

    The batch is the checkpoint barrier: it carries the worker's own state after the interval, and
    `(camera, epoch, sequence)` tells a repeated delivery from a new one.

    Attributes:
        camera: camera id.
        epoch: how often this camera has been started; a lower one is a worker thought dead.
        sequence: counts the camera's batches from 0, across epochs, without gaps.
        interval: which commit interval; it covers event time `[interval * length, (interval + 1) * length)`.
        watermark_ns: event time up to which the camera has said everything.
        tracklets: one per track seen, in order of track id; columns (`Tracklets`), unless their arrays do not fit
            together. Any sequence of tracklets will do, and is made columns when it is fused.
        events: records for the `events` topic.
        deadletters: records for the `deadletter` topic.
        counts: cumulative frame accounting: decoded, tracked, and `dropped.<reason>`.
        state: the worker's state after this interval (tracker, counters, source position), opaque here.
        final: the source has ended; nothing follows.
        failed: why the source cannot be read any further, as a sentence; nothing follows in this run.
    """

    camera: str
    epoch: int
    sequence: int
    interval: int
    watermark_ns: int
    tracklets: Sequence[Tracklet] = ()
    events: tuple[Record, ...] = ()
    deadletters: tuple[Record, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    state: bytes = b""
    final: bool = False
    failed: str | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """What becomes visible at once.

    Attributes:
        watermark_ns: event time up to which the site's output is complete.
        records: in the order in which consumers shall see them.
        state: changed keys of the state; None deletes a key.
    """

    watermark_ns: int
    records: tuple[Record, ...] = ()
    state: Mapping[str, bytes | None] = field(default_factory=dict)
