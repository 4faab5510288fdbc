"""Whatever a detector says, trackers go on, count what they left out, and say nothing that is not finite."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.records import SECOND_NS, Detections
from operators.track import TrackerError, create, names

numbers = st.one_of(
    st.floats(width=32),
    st.floats(-50, 700, width=32),
    st.sampled_from([math.nan, math.inf, -math.inf, 0.0, 1e6, 3e38]),
)
scores = st.one_of(st.floats(0, 1, width=32), st.sampled_from([math.nan, -0.1, 1.5, math.inf]))
rows = st.tuples(numbers, numbers, numbers, numbers, scores, st.integers(-2, 3))
videos = st.lists(st.tuples(st.lists(rows, max_size=6), st.integers(-2 * SECOND_NS, 2 * SECOND_NS)), max_size=6)


def frame(content: list[tuple[float, float, float, float, float, int]]) -> Detections:
    table = np.array(content, np.float64).reshape(-1, 6)
    with np.errstate(over="ignore"):
        return Detections(table[:, :4].astype(np.float32), table[:, 4].astype(np.float32), table[:, 5].astype(np.int32))


def is_usable(row: tuple[float, float, float, float, float, int]) -> bool:
    x1, y1, x2, y2, score, label = row
    return max(map(abs, row[:4])) <= 1e6 and x2 > x1 and y2 > y1 and 0 <= score <= 1 and label >= 0


@pytest.mark.parametrize("name", names())
@given(video=videos)
@settings(max_examples=25, deadline=None)
def test_bad_boxes_are_left_out_as_if_they_had_never_been(name: str, video: list) -> None:
    dirty, clean = (
        create(name, report_tentative=True, report_lost=True),
        create(name, report_tentative=True, report_lost=True),
    )
    now, dropped = 0, 0
    for content, step in video:
        now += step
        usable = [row for row in content if is_usable(row)]
        dropped += len(content) - len(usable)
        tracks, expected = dirty.update(frame(content), now), clean.update(frame(usable), now)
        assert np.array_equal(tracks.ids, expected.ids)
        assert np.array_equal(tracks.boxes, expected.boxes)
        for part in (tracks.boxes, tracks.measured, tracks.scores, tracks.velocities):
            assert np.isfinite(part).all()
        for row, measured in zip(tracks.detections.tolist(), tracks.measured, strict=True):
            assert row < 0 or np.array_equal(measured, frame(content).boxes[row])
    of_time = {"time stood still", "time ran backwards", "clock restarted"}
    assert sum(count for reason, count in dirty.rejected.items() if reason not in of_time) == dropped


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ((math.nan, 0, 10, 10, 0.9, 0), "box not finite"),
        ((0, 0, math.inf, 10, 0.9, 0), "box not finite"),
        ((0, 0, 2e6, 10, 0.9, 0), "box not finite"),
        ((10, 0, 5, 10, 0.9, 0), "box without area"),
        ((0, 5, 10, 5, 0.9, 0), "box without area"),
        ((0, 0, 10, 10, math.nan, 0), "score outside 0 to 1"),
        ((0, 0, 10, 10, 1.01, 0), "score outside 0 to 1"),
        ((0, 0, 10, 10, 0.9, -1), "class out of range"),
    ],
)
def test_each_reason_is_counted_and_survives_a_snapshot(row: tuple, reason: str) -> None:
    tracker = create("bytetrack")
    assert len(tracker.update(frame([row, (0, 0, 10, 30, 0.9, 0)]), 0)) == 1
    assert tracker.rejected == {reason: 1}
    restored = create("bytetrack")
    restored.restore(tracker.snapshot())
    assert restored.rejected == {reason: 1}


def test_time_that_stands_still_or_runs_backwards_moves_nothing() -> None:
    tracker = create("bytetrack")
    for k in range(10):
        tracks = tracker.update(frame([(10 * k, 0, 10 * k + 40, 90, 0.9, 0)]), k * 40_000_000)
    for now, reason in ((360_000_000, "time stood still"), (200_000_000, "time ran backwards")):
        again = tracker.update(frame([(90, 0, 130, 90, 0.9, 0)]), now)
        assert again.ids.tolist() == tracks.ids.tolist()
        assert np.allclose(again.boxes, tracks.boxes, atol=2)
        assert tracker.rejected[reason] == 1


def test_a_restarted_clock_ends_all_tracks_and_a_long_gap_does_too() -> None:
    tracker = create("bytetrack")
    tracker.update(frame([(0, 0, 40, 90, 0.9, 0)]), 3600 * SECOND_NS)
    fresh = tracker.update(frame([(0, 0, 40, 90, 0.9, 0)]), 0)
    assert fresh.ended.tolist() == [1]
    assert tracker.rejected == {"clock restarted": 1}
    later = tracker.update(frame([(0, 0, 40, 90, 0.9, 0)]), 60 * SECOND_NS)
    assert later.ended.tolist() == [2]


def test_embeddings_that_change_length_or_are_not_finite_are_not_used() -> None:
    tracker = create("jde")
    boxes, ones = np.array([[0, 0, 40, 90]], np.float32), np.ones(1, np.float32)
    good = np.eye(4, dtype=np.float32)[:1]
    for k, look in enumerate([good, np.ones((1, 3), np.float32), np.full((1, 4), np.nan, np.float32), good, None]):
        tracks = tracker.update(Detections(boxes, ones, np.zeros(1, np.int32), look), k * 33_000_000)
        assert tracks.ids.tolist() == [1], f"frame {k}"
    assert tracker.rejected == {"embedding not usable": 2}


def test_arrays_that_do_not_fit_together_are_refused() -> None:
    tracker = create("bytetrack")
    with pytest.raises(TrackerError, match="boxes"):
        tracker.update(Detections(np.zeros((2, 4), np.float32), np.ones(1, np.float32), np.zeros(2, np.int32)), 0)
    with pytest.raises(TrackerError, match="rows"):
        tracker.update_rows(np.zeros((2, 4)), 0)
