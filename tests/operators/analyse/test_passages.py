"""Through a zone between two frames: counted as if there had been frames between."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import LineString, Polygon
from walks import run, straight

from operators.analyse import Event, Rules, Zone

SQUARE = ((200, 200), (400, 200), (400, 400), (200, 400))
HOOK = ((150, 150), (450, 150), (450, 250), (250, 250), (250, 350), (450, 350), (450, 450), (150, 450))
Walk = list[tuple[float, float]]


def moves(events: list[Event]) -> list[tuple[str, int, int]]:
    """Entries and exits: which, when (milliseconds), and who is inside afterwards."""
    found = [e for e in events if e.type in ("entry", "exit")]
    return [(e.type, round(e.time_ns / 1e6), e.fields["occupancy"]) for e in found]


def zone(points: tuple[tuple[float, float], ...] = SQUARE, **more: object) -> Rules:
    return Rules(zones=(Zone("z", points, **more),), interval_s=10)  # type: ignore[arg-type]


def slowed(corners: Walk, fps: int) -> Walk:
    """A walk from corner to corner, 0.2 seconds each, at some frame rate."""
    parts = [straight(one, other, fps // 5 + 1)[:-1] for one, other in pairwise(corners)]
    return [place for part in parts for place in part] + corners[-1:]


def test_who_runs_through_between_two_frames_has_come_and_gone() -> None:
    events = run(zone(), {1: [(100, 300), (150, 300), (450, 300), (500, 300)]})
    assert moves(events) == [("entry", 117, 1), ("exit", 183, 0)]
    (out,) = (e for e in events if e.type == "exit")
    assert out.fields["dwell"] == pytest.approx(0.067, abs=1e-3) and not out.fields["lost"]
    (told,) = (e for e in events if e.type == "counts")
    assert (told.fields["zones"]["z"]["entries"], told.fields["zones"]["z"]["peak"]) == (1, 1)


def test_who_steps_out_and_in_again_between_two_frames_was_out() -> None:
    # From one arm of the hook to the other, straight over the gap between them.
    events = run(zone(HOOK), {1: [(350, 200)] * 2 + [(350, 400)] * 2})
    assert [kind for kind, _, _ in moves(events)] == ["entry", "exit", "entry", "exit"]
    assert moves(events)[1:3] == [("exit", 125, 0), ("entry", 175, 1)]


def test_cutting_a_corner_within_the_band_is_no_visit_at_any_rate() -> None:
    shallow, deep = [(180.0, 230.0), (230.0, 180.0)], [(180.0, 270.0), (270.0, 180.0)]
    for fps in (5, 50):
        assert moves(run(zone(), {1: slowed(shallow, fps)}, fps=fps)) == []
        assert [kind for kind, _, _ in moves(run(zone(), {1: slowed(deep, fps)}, fps=fps))] == ["entry", "exit"]


def test_two_who_pass_at_once_are_both_inside_for_a_moment() -> None:
    paths = {1: [(100.0, 300.0), (500.0, 300.0)], 2: [(500.0, 350.0), (100.0, 350.0)]}
    assert moves(run(zone(), paths)) == [("entry", 25, 1), ("entry", 25, 2), ("exit", 75, 1), ("exit", 75, 0)]


def test_a_break_in_between_two_frames_is_an_incident_with_its_own_times() -> None:
    events = run(zone(restricted=True), {1: [(100, 300), (150, 300), (450, 300), (500, 300)]})
    started, ended = (e for e in events if e.type == "incident")
    assert (started.fields["state"], ended.fields["state"]) == ("started", "ended")
    assert started.fields["start"] == pytest.approx(116_667, abs=1)
    assert ended.fields["end"] == pytest.approx(183_333, abs=1)
    assert started.fields["incident"] == ended.fields["incident"]
    assert started.fields["snapshot"]["frame"] == 3


def test_who_was_inside_between_two_frames_has_left_a_zone_that_confines() -> None:
    events = run(zone(confined=True), {1: [(100, 300), (150, 300), (450, 300), (500, 300)]})
    assert [e.fields["kind"] for e in events if e.type == "incident"] == ["confined", "confined"]


place = st.tuples(st.integers(100, 500), st.integers(100, 500)).map(lambda p: (p[0] + 0.25, p[1] + 0.375))


@given(st.lists(place, min_size=2, max_size=10), st.sampled_from([SQUARE, HOOK]))
@settings(deadline=None, max_examples=60)
def test_five_frames_a_second_count_what_fifty_do(corners: Walk, outline: tuple[tuple[float, float], ...]) -> None:
    rules = zone(outline, band=0.0)
    slow, fast = (moves(run(rules, {1: slowed(corners, fps)}, fps=fps)) for fps in (5, 50))
    assert [(kind, inside) for kind, _, inside in slow] == [(kind, inside) for kind, _, inside in fast]
    assert all(abs(one[1] - other[1]) <= 2 for one, other in zip(slow, fast, strict=True))


@given(st.lists(place, min_size=2, max_size=10), st.sampled_from([SQUARE, HOOK]))
@settings(deadline=None, max_examples=60)
def test_visits_are_the_pieces_of_the_way_that_lie_inside(
    corners: Walk, outline: tuple[tuple[float, float], ...]
) -> None:
    """Against GEOS: how long, at an even pace from corner to corner, the way leads through the polygon."""
    polygon = Polygon(outline)
    seconds = 0.0
    for one, other in pairwise(corners):
        step = LineString([one, other])
        if step.length:
            seconds += 0.2 * step.intersection(polygon).length / step.length
        else:
            seconds += 0.2 * polygon.contains(step.centroid)
    events = run(zone(outline, band=0.0), {1: slowed(corners, 5)}, fps=5)
    kinds = Counter(kind for kind, _, _ in moves(events))
    assert kinds["entry"] == kinds["exit"]
    dwelt = sum(e.fields["dwell"] for e in events if e.type == "exit")
    assert dwelt == pytest.approx(seconds, abs=2e-3 * (1 + kinds["exit"]))


@given(st.lists(place, min_size=3, max_size=10))
@settings(deadline=None, max_examples=60)
def test_in_the_mirror_the_same_visits_backwards_in_time_entries_are_exits(corners: Walk) -> None:
    there = moves(run(zone(HOOK, band=0.0), {1: slowed(corners, 5)}, fps=5))
    back = moves(run(zone(HOOK, band=0.0), {1: slowed(corners[::-1], 5)}, fps=5))
    end = 200 * (len(corners) - 1)
    turned = [({"entry": "exit", "exit": "entry"}[kind], end - time) for kind, time, _ in reversed(back)]
    assert [kind for kind, _, _ in there] == [kind for kind, _ in turned]
    assert np.allclose([time for _, time, _ in there], [time for _, time in turned], atol=2)


def test_a_hundred_who_pass_through_twenty_zones_at_once_are_all_told() -> None:
    outlines = [((200 + 10 * n, 0), (205 + 10 * n, 0), (205 + 10 * n, 600), (200 + 10 * n, 600)) for n in range(20)]
    rules = Rules(zones=tuple(Zone(f"z{n}", outline, band=0.0) for n, outline in enumerate(outlines)))
    paths = {track: [(100.0, 100.0 + track), (500.0, 100.0 + track)] for track in range(100)}
    assert Counter(kind for kind, _, _ in moves(run(rules, paths))) == {"entry": 2000, "exit": 2000}


def test_with_the_usual_band_only_visits_about_as_shallow_as_it_can_differ() -> None:
    random = np.random.default_rng(4)
    counts = []
    corners = np.clip(np.cumsum(random.normal(0, 60, (300, 2)), axis=0) % 400 + 100, 100, 500)
    walk = [(float(x), float(y)) for x, y in corners]
    for fps in (5, 50):
        events = moves(run(zone(), {1: slowed(walk, fps)}, fps=fps))
        counts.append(sum(kind == "entry" for kind, _, _ in events))
    assert counts[1] > 50
    assert abs(counts[0] - counts[1]) <= 1
