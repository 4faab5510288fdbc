"""The site's figures: nobody counts twice, and a correction changes what has been counted."""

from __future__ import annotations

from typing import Any

from mtmct.stays import Stay
from mtmct.visits import SiteFigures, Way

US = 1_000_000


def seen(camera: str, track: int, identity: int, start: float, end: float) -> dict[str, Any]:
    """Every half second, and at the end."""
    times = {"start": round(start * US), "end": round(end * US)}
    points = [[time] for time in (*range(times["start"], times["end"], US // 2), times["end"])]
    return {"camera": camera, "track": track, "identity": f"plaza-{identity:06d}", **times, "points": points}


def corrected(event: str, identity: int, into: int | None = None, tracks: tuple[Any, ...] = ()) -> dict[str, Any]:
    name = None if into is None else f"plaza-{into:06d}"
    value = {"event": event, "identity": f"plaza-{identity:06d}", "into": name, "tracks": [list(t) for t in tracks]}
    return {**value, "time": 60 * US}


def crossing(camera: str, track: int, time: float, direction: str = "in") -> dict[str, Any]:
    where = {"camera": camera, "track": track, "line": "door", "direction": direction}
    return {"type": "crossing", "time": round(time * US), **where}


def figures(*published: dict[str, Any]) -> SiteFigures:
    one = SiteFigures(interval_s=10)
    for value in published:
        one.published(value)
    return one


def test_who_is_seen_by_two_cameras_is_one_visitor() -> None:
    one = figures(seen("a", 1, 1, 0, 5), seen("b", 7, 1, 3, 12), seen("a", 2, 2, 4, 6))
    assert one.visitors() == [(0, 2), (10 * US, 1)]
    assert one.unique_visitors() == 2


def test_a_merge_restates_what_was_counted_and_a_split_takes_it_back() -> None:
    one = figures(seen("a", 1, 1, 0, 5), seen("b", 7, 2, 3, 8))
    assert one.visitors() == [(0, 2)]
    one.apply(corrected("merged", 2, 1))
    assert (one.visitors(), one.unique_visitors()) == ([(0, 1)], 1)
    one.apply(corrected("split", 1, 3, (("b", 7),)))
    assert (one.visitors(), one.unique_visitors()) == ([(0, 2)], 2)
    one.apply(corrected("retracted", 3))
    assert one.visitors() == [(0, 1)]


def test_one_line_seen_by_two_cameras_is_crossed_once() -> None:
    one = figures(seen("a", 1, 1, 0, 30), seen("b", 7, 1, 0, 30), seen("a", 2, 2, 0, 30))
    for value in (crossing("a", 1, 5), crossing("b", 7, 5.4), crossing("a", 2, 6), crossing("a", 1, 20)):
        one.happened(value)
    one.happened(crossing("b", 7, 21, "out"))
    one.happened(crossing("b", 99, 21, "out"))  # a track that never had an identity
    assert one.crossings() == {("door", "in"): 3, ("door", "out"): 1}


def test_a_journey_is_cameras_and_zones_in_order() -> None:
    one = figures(seen("a", 1, 1, 0, 1), seen("a", 1, 1, 1.1, 2), seen("b", 7, 1, 8, 20), seen("a", 3, 1, 100, 110))
    zone = {"type": "exit", "camera": "b", "track": 7, "zone": "till", "entered": 9 * US, "time": 15 * US}
    one.happened(zone)
    assert one.journeys() == {
        "plaza-000001": [
            Stay("a", None, 0, 2 * US),
            Stay("b", None, 8 * US, 20 * US),
            Stay("b", "till", 9 * US, 15 * US),
            Stay("a", None, 100 * US, 110 * US),
        ]
    }
    assert one.ways() == [Way("a", "b", 1, 6.0, 6.0, 6.0), Way("b", "a", 1, 80.0, 80.0, 80.0)]
    assert one.origins_and_destinations() == {("a", "a"): 1, ("a", "b"): 1}, "he came back: two visits"
    (back,) = one.returns()
    assert (back.identity, back.left.place, back.back.place, back.away) == ("plaza-000001", "b", "a", 80.0)
    assert one.origins_and_destinations(zones=True) == {("b/till", "b/till"): 1}


def test_travel_times_between_zones_are_medians() -> None:
    one = figures(*(seen("a", n, n, 0, 60) for n in (1, 2, 3)))
    for track, pause in ((1, 4), (2, 6), (3, 20)):
        for zone, entered, left in (("till", 1, 5), ("exit", 5 + pause, 40)):
            times = {"entered": entered * US, "time": left * US}
            one.happened({"type": "exit", "camera": "a", "track": track, "zone": zone, **times})
    assert one.ways_between_zones() == [Way("a/till", "a/exit", 3, 6.0, 4.4, 17.2)]
    assert one.origins_and_destinations(zones=True) == {("a/till", "a/exit"): 3}
