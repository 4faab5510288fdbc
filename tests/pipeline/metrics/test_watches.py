"""What a worker and fusion tell of themselves, through a recorder that keeps it."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from mtmct.records import EVENTS, IDENTITIES, TRACKS, Record
from pipeline.lane import Lane
from pipeline.metrics import catalogue as metrics
from pipeline.metrics.shard_watch import ShardWatch
from pipeline.metrics.site_watch import SiteWatch
from pipeline.notes import dead_letter
from pipeline.testing import Noted

SECOND = 1_000_000_000


@dataclass
class Camera:
    camera: str = "north"
    connected: bool = True
    counts: dict[str, int] = field(default_factory=dict)
    frames_waiting: int = 0
    unacknowledged: int = 0


def test_frames_are_counted_by_what_became_of_them_once_a_second() -> None:
    noted, camera = Noted(), Camera(frames_waiting=1, unacknowledged=3)
    watch = ShardWatch(noted)
    watch.begin(camera)
    camera.counts = {"decoded": 10, "tracked": 7, "dropped.stale": 3, "interruptions": 2, "boxes.off_floor": 5}
    watch.look([camera], 100.0)
    camera.counts = {**camera.counts, "decoded": 20, "dropped.ledger_backpressure": 10}
    watch.look([camera], 100.5)
    assert noted.of(metrics.FRAMES_DECODED, "north") == 10, "half a second later nothing is told"
    watch.look([camera], 101.0)
    assert noted.of(metrics.FRAMES_DECODED, "north") == 20
    assert noted.of(metrics.FRAMES_TRACKED, "north") == 7
    assert noted.of(metrics.FRAMES_DROPPED, "north", "stale") == 3
    assert noted.of(metrics.FRAMES_DROPPED, "north", "ledger_backpressure") == 10
    assert noted.of(metrics.BOXES_LEFT_OUT, "north", "boxes.off_floor") == 5
    assert noted.of(metrics.INTERRUPTIONS, "north") == 2
    assert noted.of(metrics.FRAMES_WAITING, "north") == 1
    assert noted.of(metrics.BATCHES_UNACKNOWLEDGED, "north") == 3


def test_a_worker_that_takes_over_does_not_count_its_predecessors_frames_again() -> None:
    noted, camera = Noted(), Camera(counts={"decoded": 1000, "tracked": 1000})
    watch = ShardWatch(noted)
    watch.begin(camera)
    camera.counts = {"decoded": 1010, "tracked": 1009}
    watch.look([camera], 1.0)
    assert noted.of(metrics.FRAMES_DECODED, "north") == 10
    assert noted.of(metrics.FRAMES_TRACKED, "north") == 9


def test_a_lost_camera_shows() -> None:
    noted = Noted()
    ShardWatch(noted).look([Camera(connected=False)], 0.0)
    assert noted.of(metrics.CONNECTED, "north") == 0


def track(camera: str, time_ns: int) -> Record:
    return Record(TRACKS, "plaza-000001", {"camera": camera}, time_ns)


def test_a_commit_is_counted_by_topic_correction_and_dead_letter() -> None:
    noted = Noted()
    watch = SiteWatch(noted)
    changes = [Record(IDENTITIES, "k", {"event": event}, 0) for event in ("created", "created", "merged", "closed")]
    skew = Record(EVENTS, "north", {"type": "clock_skew", "skew": -1.5, "camera": "north"}, 0)
    letter = dead_letter("plaza", "north", "bad_box", "a box is upside down", "1,2", 0)
    watch.committed([track("north", 0), *changes, skew, letter], {})
    assert noted.of(metrics.COMMITS) == 1
    assert {t: noted.of(metrics.RECORDS, t) for t in ("tracks", "identities", "events", "deadletter")} == {
        "tracks": 1, "identities": 4, "events": 1, "deadletter": 1,
    }  # fmt: skip
    assert noted.of(metrics.CORRECTIONS, "merged") == 1
    assert noted.of(metrics.CORRECTIONS, "created") is None
    assert noted.of(metrics.DEAD_LETTERS, "bad_box") == 1
    assert noted.of(metrics.CLOCK_SKEW, "north") == -1.5


def test_identities_alive_follow_the_state_across_a_restart() -> None:
    noted = Noted()
    watch = SiteWatch(noted)
    watch.restored({"fusion/identity/000001": b"", "fusion/meta": b""}, {})
    watch.committed([], {"fusion/identity/000002": b"x", "fusion/identity/000003": b"x"})
    assert noted.of(metrics.IDENTITIES_ALIVE) == 3
    watch.committed([], {"fusion/identity/000001": None, "fusion/identity/000002": b"y"})
    assert noted.of(metrics.IDENTITIES_ALIVE) == 2


@pytest.mark.parametrize(("by_the_clock", "observed"), [(["north"], 1), ([], None)])
def test_latency_is_told_of_cameras_whose_time_is_the_clocks(by_the_clock: list[str], observed: int | None) -> None:
    noted = Noted()
    watch = SiteWatch(noted, by_the_clock, now_ns=lambda: 1000 * SECOND)
    watch.committed([track("north", 999 * SECOND), track("recording", 5 * SECOND)], {})
    assert noted.of(metrics.LATENCY_SECONDS) == observed


def test_a_large_commit_gives_a_sample_of_latencies() -> None:
    noted = Noted()
    watch = SiteWatch(noted, ["north"], now_ns=lambda: 10 * SECOND)
    watch.committed([track("north", 9 * SECOND)] * 1000, {})
    assert 32 <= (noted.of(metrics.LATENCY_SECONDS) or 0) <= 64


def test_watermarks_buffers_and_the_ledger_show_while_nothing_moves() -> None:
    noted = Noted()
    watch = SiteWatch(noted, ["north", "ended"], now_ns=lambda: 100 * SECOND)
    lanes = {
        "north": Lane(True, watermark_ns=97 * SECOND, late=2),
        "ended": Lane(True, watermark_ns=2**63 - 1),
        "bad": Lane(False, failed="no video"),
    }
    watch.look(lanes, waiting=True, ready=False)
    watch.look(lanes, waiting=True, ready=False)
    assert noted.of(metrics.WATERMARK_LAG, "north") == 3
    assert noted.of(metrics.WATERMARK_LAG, "ended") is None
    assert noted.of(metrics.LATE_TRACKLETS, "north") == 2
    assert noted.of(metrics.CAMERA_FAILED, "bad") == 1
    assert noted.of(metrics.BATCHES_WAITING, "bad") == 0
    assert (noted.of(metrics.LEDGER_WAITING), noted.of(metrics.READY)) == (1, 0)
