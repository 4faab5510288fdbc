"""Counting who crosses a line: once, in the right direction, at the right time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from walks import SECOND, crossings, run, straight

from operators.analyse import Across, Anchor, Line, RuleError, Rules
from operators.analyse.analyser import Analyser
from operators.records import pack

DOOR = Line("door", ((100, 300), (500, 300)))


def rules(*lines: Line) -> Rules:
    return Rules(lines=lines)


def test_down_the_picture_is_in_and_up_is_out() -> None:
    down, up = straight((200, 200), (200, 400), 11), straight((300, 400), (300, 200), 11)
    assert crossings(run(rules(DOOR), {1: down})) == ["in"]
    assert crossings(run(rules(DOOR), {2: up})) == ["out"]


def test_a_crossing_is_timed_and_placed_between_two_frames() -> None:
    (event,) = run(rules(DOOR), {1: [(200, 200), (200, 275), (200, 375), (200, 450)]})
    assert event.time_ns == SECOND // 10 + SECOND // 40
    assert event.fields["at"] == [200.0, 300.0]
    assert (event.fields["track"], event.fields["class"], event.fields["passage"]) == (1, "person", 1)


def test_who_passes_beside_the_line_has_not_crossed_it() -> None:
    assert crossings(run(rules(DOOR), {1: straight((600, 200), (600, 400), 11)})) == []


def test_who_steps_over_and_back_has_not_crossed() -> None:
    there = straight((200, 200), (200, 305), 10)
    assert crossings(run(rules(DOOR), {1: [*there, *reversed(there)]})) == []


def test_jitter_on_the_line_counts_once() -> None:
    shaky = [(200, 300 + (4 if i % 2 else -4)) for i in range(40)]
    path = [*straight((200, 200), (200, 290), 10), *shaky, *straight((200, 310), (200, 400), 10)]
    assert crossings(run(rules(DOOR), {1: path})) == ["in"]


def test_who_stops_just_behind_the_line_counts_after_a_while() -> None:
    path = [*straight((200, 200), (200, 303), 10), *[(200, 303)] * 25]
    events = run(rules(DOOR), {1: path})
    assert crossings(events) == ["in"]
    assert events[0].time_ns < SECOND


def test_a_track_that_ends_just_behind_the_line_counts() -> None:
    assert crossings(run(rules(DOOR), {1: straight((200, 200), (200, 303), 10), 2: [(0, 0)] * 12})) == ["in"]


def test_what_is_crossed_while_a_track_is_hidden_counts_when_it_is_seen_again() -> None:
    path = [(200, 250), (200, 280), *[None] * 10, (200, 380), (200, 400)]
    assert crossings(run(rules(DOOR), {1: path})) == ["in"]


def test_a_track_that_was_gone_for_long_has_come_anew() -> None:
    path = [(200, 250), (200, 280), *[None] * 80, (200, 380), (200, 400)]
    assert crossings(run(rules(DOOR), {1: path})) == []


def test_crossing_again_in_the_cool_down_is_told_but_not_counted() -> None:
    there = straight((200, 250), (200, 350), 3)
    line = Line("door", ((100, 300), (500, 300)), cool_down_s=2)
    events = [e for e in run(rules(line), {1: [*there, *there[::-1], *there]}) if e.type == "crossing"]
    assert [(e.fields["direction"], e.fields["counted"], e.fields["passage"]) for e in events] == [
        ("in", True, 1),
        ("out", True, 2),
        ("in", False, 3),
    ]
    assert events[-1].fields["total"] == {"in": 1, "out": 1}


def test_each_anchor_crosses_in_its_own_time() -> None:
    path = {1: straight((200, 200), (200, 500), 31)}
    times = [run(rules(Line("door", ((100, 300), (500, 300)), anchor=anchor)), path)[0].time_ns for anchor in Anchor]
    assert times == [SECOND, round(1.5 * SECOND), 2 * SECOND]  # foot, middle, head; the box is 100 pixels high


def test_only_the_classes_that_are_asked_for_count() -> None:
    path = {1: straight((200, 200), (200, 400), 11)}
    assert crossings(run(rules(Line("door", ((100, 300), (500, 300)), classes=("car",))), path)) == []


def test_a_line_through_the_middle_fits_the_picture() -> None:
    across, wrong = rules(Line("hall", Across.HORIZONTAL), Line("way", Across.VERTICAL)).placed((640, 480))
    assert wrong == []
    down, right = straight((100, 100), (100, 400), 11), straight((100, 100), (600, 100), 11)
    assert [e.fields["line"] for e in run(across, {1: down})] == ["hall"]
    (event,) = run(across, {1: right})
    assert (event.fields["line"], event.fields["direction"]) == ("way", "in")
    assert rules(Line("hall", Across.HORIZONTAL)).placed(None)[1] == [
        "line 'hall': the picture's size is not known: give the camera a `crop`, or points for horizontal"
    ]


coordinate = st.integers(0, 640).map(float)
place = st.tuples(coordinate, coordinate)
paths = st.lists(place, min_size=2, max_size=12)
polylines = st.lists(place, min_size=2, max_size=4).filter(lambda p: all(a != b for a, b in pairwise(p)))


@given(paths, polylines)
@settings(deadline=None, max_examples=80)
def test_in_the_mirror_in_is_out(path: list[tuple[float, float]], points: list[tuple[float, float]]) -> None:
    def mirrored(some: list[tuple[float, float]]) -> list[tuple[float, float]]:
        return [(640 - x, y) for x, y in some]

    moved = [(x + 2**-0.5 / 3, y + 3**-0.5 / 3) for x, y in path]  # so that no foot stands on the line itself
    seen = crossings(run(rules(Line("l", tuple(points), cool_down_s=0)), {1: moved}))
    there = Line("l", tuple(mirrored(points)), cool_down_s=0)
    assert crossings(run(rules(there), {1: mirrored(moved)})) == [{"in": "out", "out": "in"}[d] for d in seen]


@given(paths, place, place)
@settings(deadline=None, max_examples=80)
def test_cutting_a_segment_in_two_changes_no_count(
    path: list[tuple[float, float]], one: tuple[float, float], other: tuple[float, float]
) -> None:
    if one == other:
        return
    middle = ((one[0] + other[0]) / 2, (one[1] + other[1]) / 2)
    whole = run(rules(Line("l", (one, other))), {1: path})
    if middle not in (one, other):
        assert crossings(run(rules(Line("l", (one, middle, other))), {1: path})) == crossings(whole)


@given(st.floats(0.5, 3), st.floats(0, 6.28), st.integers(2, 8))
@settings(deadline=None, max_examples=12)
def test_the_frame_rate_changes_no_count_of_who_walks_to_and_fro(turn_s: float, phase: float, turns: int) -> None:
    """A walker swings 80 pixels to each side, far outside the band: every rate sees each of his crossings."""
    counts = set()
    for fps in (5, 12.5, 25, 50):
        times = np.arange(0, turns * 2 * turn_s, 1 / fps)
        path = [(200.0, 300 + 80 * float(np.sin(np.pi * t / (2 * turn_s) + phase))) for t in times]
        counts.add(len(crossings(run(rules(Line("l", ((0, 300), (640, 300)), cool_down_s=0)), {1: path}, fps=fps))))
    # Where the walk begins or ends within the band of the line, one crossing may be seen or not.
    assert max(counts) - min(counts) <= 1


def test_who_runs_through_both_arms_of_a_line_between_two_frames_has_come_and_gone() -> None:
    fork = Line("fork", ((200, 300), (300, 100), (400, 300)))
    events = run(rules(fork), {1: [(100.0, 280.0), (150.0, 280.0), (450.0, 280.0), (500.0, 280.0)]})
    assert [(e.fields["direction"], e.fields["passage"], e.fields["at"]) for e in events] == [
        ("in", 1, [210.0, 280.0]),
        ("out", 2, [390.0, 280.0]),
    ]
    assert [e.time_ns for e in events] == [SECOND // 10 + SECOND // 50, SECOND // 10 + 4 * SECOND // 50]


@given(paths, polylines)
@settings(deadline=None, max_examples=40)
def test_five_frames_a_second_count_what_fifty_do(
    path: list[tuple[float, float]], points: list[tuple[float, float]]
) -> None:
    moved = [(x + 2**-0.5 / 3, y + 3**-0.5 / 3) for x, y in path]
    fast = [place for one, other in pairwise(moved) for place in straight(one, other, 11)[:-1]] + moved[-1:]
    line = Line("l", tuple(points), cool_down_s=0, band=0)
    slow_events, fast_events = run(rules(line), {1: moved}, fps=5), run(rules(line), {1: fast}, fps=50)
    assert crossings(slow_events) == crossings(fast_events)
    times = [[e.time_ns for e in events] for events in (slow_events, fast_events)]
    assert np.allclose(*times, atol=2e6)


@pytest.mark.parametrize(
    ("points", "sentence"),
    [
        (((1, 1),), "at least two points"),
        (((1, 1), (1, 1)), "two points in a row are the same"),
    ],
)
def test_a_line_that_is_none_is_refused(points: tuple[tuple[float, float], ...], sentence: str) -> None:
    with pytest.raises(RuleError, match=sentence):
        Line("l", points)


def test_a_line_outside_the_picture_is_refused() -> None:
    with pytest.raises(RuleError, match="outside the picture"):
        DOOR.placed((640, 200))
    with pytest.raises(RuleError, match="two names"):
        Line("l", ((1, 1), (2, 2)), forward="in", backward="in")


def test_an_analyser_refuses_a_state_of_another_version() -> None:
    with pytest.raises(Exception, match="version 9"):
        Analyser(rules(DOOR), ("person",)).restore(pack({"version": 9}))
