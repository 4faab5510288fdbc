"""The cap, the two timelines and catching up, over whole ranges of streams."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.records import SECOND_NS
from pipeline.sources.timing import MAX_DRIFT_NS, CatchUp, FileTimeline, ForwardClock, FpsCap, LiveTimeline, start_of

MS = 1_000_000


@pytest.mark.parametrize(
    ("source_fps", "cap", "kept_a_second"),
    [(25, 10, 10), (30, 10, 10), (30, 12, 12), (10, 10, 10), (10, 25, 10), (50, 1, 1)],
)
def test_a_cap_keeps_its_rate_exactly(source_fps: int, cap: float, kept_a_second: int) -> None:
    chooser = FpsCap(cap)
    kept = [n for n in range(source_fps * 60) if chooser.keeps(n * SECOND_NS // source_fps)]
    assert len(kept) == kept_a_second * 60
    assert kept[0] == 0
    assert max(b - a for a, b in pairwise(kept)) <= source_fps / kept_a_second * 1.5


@settings(deadline=None)
@given(st.lists(st.integers(-12, 12), min_size=20, max_size=100))
def test_jitter_loses_nothing_of_a_stream_that_runs_at_the_cap(jitter: list[int]) -> None:
    chooser = FpsCap(10)
    assert all(chooser.keeps((n * 100 + shift) * MS) for n, shift in enumerate(jitter, start=1))


@settings(deadline=None)
@given(st.lists(st.integers(1, 400), min_size=2, max_size=400), st.sampled_from([1.0, 7.5, 10.0, 25.0]))
def test_no_more_than_the_cap_however_frames_come_and_the_state_is_all_of_it(steps: list[int], fps: float) -> None:
    chooser, time_ns, kept = FpsCap(fps), 0, []
    for step in steps:
        time_ns += step * MS
        resumed = FpsCap(fps)
        resumed.restore(chooser.state)
        answer = chooser.keeps(time_ns)
        assert resumed.keeps(time_ns) == answer
        assert resumed.state == chooser.state
        if answer:
            kept.append(time_ns)
    assert len(kept) <= (kept[-1] - kept[0]) * fps / SECOND_NS + 1.5


def test_without_a_cap_everything_is_kept() -> None:
    assert all(FpsCap(None).keeps(n) for n in range(5))


def test_a_start_is_read_to_the_microsecond() -> None:
    assert start_of(None) == 0
    when = datetime(2026, 7, 1, 12, 0, 0, 123_457, tzinfo=UTC)
    assert (
        start_of(when) == start_of(when.astimezone(timezone(timedelta(hours=5)))) == start_of(when.replace(tzinfo=None))
    )
    assert start_of(when) % SECOND_NS == 123_457_000


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(-(2**40), 2**40)), min_size=1, max_size=60))
def test_file_times_increase_whatever_the_timestamps(timestamps: list[int | None]) -> None:
    timeline = FileTimeline(5, Fraction(1, 90_000), 40 * MS)
    times = []
    for timestamp in timestamps:
        resumed = FileTimeline(5, Fraction(1, 90_000), 40 * MS)
        resumed.restore(timeline.state)
        times.append(timeline.time_of(timestamp))
        assert resumed.time_of(timestamp) == times[-1]
    assert times[0] == 5
    assert all(b > a for a, b in pairwise(times))


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.one_of(st.none(), st.integers(0, 2**50)), st.integers(0, 10**12)), min_size=1, max_size=60)
)
def test_live_times_increase_whatever_happens(seen: list[tuple[int | None, int]]) -> None:
    timeline = LiveTimeline()
    times = [timeline.time_of(timestamp, arrival) for timestamp, arrival in seen]
    assert all(b > a for a, b in pairwise(times))


@settings(max_examples=20, deadline=None)
@given(st.integers(-200, 200), st.integers(0, 2**32))
def test_a_camera_whose_clock_runs_wrong_is_followed_and_jitter_is_not(ppm: int, seed: int) -> None:
    chance = random.Random(seed)
    timeline = LiveTimeline()
    before = None
    for n in range(12_000):  # twenty minutes
        real = n * 100 * MS
        timestamp = real + real * ppm // 1_000_000
        time_ns = timeline.time_of(timestamp, real + round(chance.expovariate(1 / 20) * MS))
        assert n < 600 or abs(time_ns - real) < 30 * MS
        assert before is None or 85 * MS < time_ns - before < 115 * MS
        before = time_ns


def test_a_jump_of_the_streams_clock_is_taken_at_once() -> None:
    timeline = LiveTimeline()
    assert timeline.time_of(0, 10**12) == 10**12
    assert timeline.time_of(100 * MS, 10**12 + 100 * MS) == 10**12 + 100 * MS
    arrival = 10**12 + 200 * MS
    assert timeline.time_of(200 * MS + 2 * MAX_DRIFT_NS, arrival) == arrival
    assert timeline.time_of(300 * MS + 2 * MAX_DRIFT_NS, arrival + 100 * MS) == arrival + 100 * MS


def test_a_stall_shorter_than_the_time_out_does_not_bend_time() -> None:
    timeline = LiveTimeline()
    for n in range(50):
        timeline.time_of(n * 100 * MS, 10**12 + n * 100 * MS)
    late = [timeline.time_of(n * 100 * MS, 10**12 + 9_000 * MS) for n in range(50, 90)]
    assert all(abs(b - a - 100 * MS) <= MS for a, b in pairwise(late))


def test_a_new_connection_starts_at_the_clock_again() -> None:
    timeline = LiveTimeline()
    timeline.time_of(10**15, 10**12)
    timeline.disconnect()
    assert timeline.time_of(0, 2 * 10**12) == 2 * 10**12


class TestCatchUp:
    def test_on_time_nothing_is_skipped(self) -> None:
        catching_up = CatchUp()
        assert not any(catching_up.skips(late * MS, keyframe=False) for late in range(0, 2000, 50))

    def test_a_backlog_is_skipped_to_the_first_keyframe_that_is_on_time(self) -> None:
        catching_up = CatchUp()
        lateness = range(3000, -1000, -100)
        skipped = [catching_up.skips(late * MS, keyframe=n % 10 == 5) for n, late in enumerate(lateness)]
        assert skipped == [True] * 25 + [False] * 15

    def test_lateness_that_does_not_melt_is_a_jump_of_the_streams_clock(self) -> None:
        catching_up = CatchUp()
        assert catching_up.skips(3000 * MS, keyframe=False)
        assert not catching_up.skips(2900 * MS, keyframe=True)
        assert catching_up.in_vain
        assert not catching_up.skips(0, keyframe=False)
        assert not catching_up.in_vain


class SetClock:
    """A wall clock that can be set, beside one that cannot."""

    def __init__(self) -> None:
        self.wall_ns, self.seconds = 1_700_000_000 * SECOND_NS, 50.0

    def now_ns(self) -> int:
        return self.wall_ns

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.wall_ns += round(seconds * SECOND_NS)


def test_a_clock_that_is_set_back_goes_on_slower_until_the_other_has_caught_up() -> None:
    machine = SetClock()
    clock = ForwardClock(machine)
    began = clock.now_ns()
    machine.wall_ns -= 10 * SECOND_NS
    times = [clock.now_ns()]
    for _ in range(200):
        clock.sleep(1)
        times.append(clock.now_ns())
    assert times[0] == began
    assert {b - a for a, b in pairwise(times[:90])} == {900 * MS}, "a tenth slower"
    assert times[-1] == machine.wall_ns, "after a hundred seconds it has caught up"


def test_a_clock_that_is_set_forward_is_followed_at_once() -> None:
    machine = SetClock()
    clock = ForwardClock(machine)
    clock.now_ns()
    machine.wall_ns += 3600 * SECOND_NS
    assert clock.now_ns() == machine.wall_ns
