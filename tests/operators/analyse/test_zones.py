"""Who is in a zone, for how long, and what of it is an incident."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import Point, Polygon
from walks import SECOND, run, straight

from operators.analyse import Crowding, Event, Proximity, RuleError, Rules, Zone
from operators.analyse.kernels import _inside

SQUARE = ((200, 200), (400, 200), (400, 400), (200, 400))


def zone(**more: object) -> Rules:
    return Rules(zones=(Zone("till", SQUARE, **more),))  # type: ignore[arg-type]


def of_type(events: Sequence[Event], kind: str) -> list[Event]:
    return [event for event in events if event.type == kind]


def states(events: Sequence[Event]) -> list[tuple[str, str]]:
    return [(e.fields["kind"], e.fields["state"]) for e in of_type(events, "incident")]


def test_entry_exit_and_dwell_are_timed_at_the_edge() -> None:
    events = run(zone(), {1: straight((100, 300), (500, 300), 41)})
    (entry,), (out,) = of_type(events, "entry"), of_type(events, "exit")
    assert (entry.time_ns, out.time_ns) == (SECOND, 3 * SECOND)
    assert (out.fields["dwell"], out.fields["lost"], entry.fields["appeared"]) == (2.0, False, False)
    assert (entry.fields["occupancy"], out.fields["occupancy"]) == (1, 0)


def test_who_appears_and_vanishes_inside_counts_as_present() -> None:
    events = run(zone(), {1: [(300, 300)] * 11, 2: [(0, 0)] * 30})
    (entry,), (out,) = of_type(events, "entry"), of_type(events, "exit")
    assert entry.fields["appeared"] and out.fields["lost"] and out.fields["dwell"] == 1.0


def test_jitter_on_the_edge_is_no_coming_and_going() -> None:
    shaky = [(200 + (3 if i % 2 else -3), 300) for i in range(60)]
    path = [*straight((100, 300), (190, 300), 10), *shaky, *straight((210, 300), (300, 300), 10)]
    assert [e.type for e in run(zone(), {1: path})] == ["entry", "exit"]


def test_occupancy_counts_everyone_inside() -> None:
    paths = {n: straight((100, 230 + 20 * n), (300, 230 + 20 * n), 11) for n in range(5)}
    assert [e.fields["occupancy"] for e in of_type(run(zone(), paths), "entry")] == [1, 2, 3, 4, 5]


def test_a_restricted_zone_that_is_entered_is_an_incident_until_it_is_left() -> None:
    events = run(zone(restricted=True), {1: straight((100, 300), (500, 300), 41)})
    started, ended = of_type(events, "incident")
    assert states(events) == [("restricted", "started"), ("restricted", "ended")]
    assert started.fields["tracks"] == [1] and started.fields["start"] == 1_000_000
    assert ended.fields["end"] == 3_000_000 and ended.fields["incident"] == started.fields["incident"] == 1
    assert started.fields["snapshot"]["frame"] == 13  # the first frame clear of the edge by a tenth of a height


def test_leaving_a_zone_that_confines_is_an_incident_but_vanishing_is_not() -> None:
    assert states(run(zone(confined=True), {1: straight((300, 300), (500, 300), 21)})) == [
        ("confined", "started"),
        ("confined", "ended"),
    ]
    assert states(run(zone(confined=True), {1: [(300, 300)] * 5, 2: [(0, 0)] * 20})) == []


def test_loitering_is_told_when_it_has_lasted_and_begins_when_they_came() -> None:
    path = [*straight((100, 300), (300, 300), 11), *[(300, 300)] * 50, *straight((300, 300), (500, 300), 11)]
    started, ended = of_type(run(zone(loitering_s=3), {1: path}), "incident")
    assert started.fields["start"] == 500_000
    assert started.time_ns == round(3.5 * SECOND)
    assert ended.fields["end"] > 6_000_000


def test_standing_still_is_no_wandering_about() -> None:
    wanders = [(300 + 60 * np.cos(i / 5), 300 + 60 * np.sin(i / 5)) for i in range(80)]
    assert states(run(zone(stopped_s=3), {1: wanders})) == []
    parks = [*straight((100, 300), (300, 300), 11), *[(300 + i % 3, 300) for i in range(50)]]
    started, ended = of_type(run(zone(stopped_s=3), {1: [*parks, *straight((300, 300), (390, 300), 30)]}), "incident")
    assert started.fields["kind"] == "stopped"
    assert 800_000 <= started.fields["start"] <= 1_100_000
    assert 6_000_000 < ended.fields["end"] < 8_500_000


def test_going_against_the_direction_is_an_incident_going_along_it_is_not() -> None:
    one_way = ((200, 300), (400, 300))
    assert states(run(zone(direction=one_way), {1: straight((100, 300), (450, 300), 41)})) == []
    assert states(run(zone(direction=one_way), {1: straight((450, 300), (100, 300), 41)})) == [
        ("wrong_way", "started"),
        ("wrong_way", "ended"),
    ]


def test_speed_is_measured_in_metres_where_the_camera_is_calibrated() -> None:
    metres = np.diag([0.1, 0.1, 1.0])
    fast, slow = straight((210, 300), (390, 300), 31), straight((210, 350), (390, 350), 120)
    found = of_type(run(zone(max_speed=4), {1: fast, 2: slow}, homography=metres), "incident")
    assert {tuple(e.fields["tracks"]) for e in found} == {(1,)}
    assert found[0].fields["kind"] == "speeding" and found[0].fields["value"] > 4
    assert states(run(zone(max_speed=4), {1: fast})) == []  # no homography, no metres


def test_two_people_too_near_for_too_long_are_an_incident_of_both() -> None:
    metres = np.diag([0.01, 0.01, 1.0])
    near = zone(proximity=Proximity(1.0, for_s=1))
    together = {1: straight((210, 300), (390, 300), 40), 2: straight((250, 300), (395, 300), 40)}
    found = of_type(run(near, together, homography=metres), "incident")
    assert [e.fields["tracks"] for e in found] == [[1, 2], [1, 2]]
    passing = {1: straight((210, 300), (390, 300), 8), 2: straight((390, 300), (210, 300), 8)}
    assert states(run(near, passing, homography=metres)) == []


def test_a_crowd_is_more_than_so_many_for_so_long() -> None:
    crowd = zone(crowding=Crowding(2, for_s=1))
    paths = {n: [*[(0, 0)] * (5 * n), *[(250 + 20 * n, 300)] * (40 - 5 * n)] for n in range(3)}
    started, ended = of_type(run(crowd, paths), "incident")
    assert (started.fields["start"], started.time_ns) == (1_000_000, 2 * SECOND)
    assert started.fields["tracks"] == [0, 1, 2] and ended.fields["value"] == 3
    assert states(run(zone(crowding=Crowding(3, for_s=1)), paths)) == []


corners = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=3, max_size=8, unique=True)


@given(corners, st.lists(st.tuples(st.integers(-2, 52), st.integers(-2, 52)), max_size=20))
@settings(deadline=None)
def test_inside_is_what_geos_calls_inside(outline: list[tuple[int, int]], places: list[tuple[int, int]]) -> None:
    polygon = Polygon(outline)
    if not polygon.is_valid or polygon.area == 0:
        return
    edges = np.array([(*a, *b) for a, b in zip(outline, outline[1:] + outline[:1], strict=True)], np.float64)
    for x, y in places:
        point = Point(x + 0.25, y + 0.375)
        if polygon.boundary.distance(point) > 1e-9:
            assert _inside(edges, 0, len(edges), point.x, point.y) == polygon.contains(point)


@pytest.mark.parametrize(
    ("points", "sentence"),
    [
        (((1, 1),), "at least three different points, this one has 1"),
        (((0, 0), (9, 9), (5, 5)), "all points of this zone lie on one line"),
        (((0, 0), (10, 10), (10, 0), (0, 10)), "crosses or touches itself at 5, 5"),
    ],
)
def test_a_zone_without_a_proper_inside_is_refused(points: tuple[tuple[float, float], ...], sentence: str) -> None:
    with pytest.raises(RuleError, match=sentence):
        Zone("z", points)


def test_a_zone_outside_the_picture_is_refused_one_around_it_is_not() -> None:
    _, wrong = zone().placed((100, 100))
    assert len(wrong) == 1 and "zone 'till': it lies outside the picture" in wrong[0]
    assert Rules(zones=(Zone("all", ((-9, -9), (999, -9), (999, 999), (-9, 999))),)).placed((100, 100))[1] == []
    with pytest.raises(RuleError, match="names must differ"):
        Rules(zones=(Zone("a", SQUARE), Zone("a", SQUARE)))
