"""Records of the whole site as lines for people."""

from __future__ import annotations

from typing import Any

from pipeline.cli.read import Topic, describe

US = 1_000_000


def stay(camera: str, zone: str | None, start: int, end: int) -> dict[str, Any]:
    return {"camera": camera, "zone": zone, "start": start * US, "end": end * US}


def journey(**fields: Any) -> str:
    common = {"site": "plaza", "camera": "", "type": "journey", "time": 60 * US, "identity": "plaza-000017"}
    return describe(Topic.EVENTS, {**common, "revision": 2, "into": None, **fields})


def test_a_journey_is_its_places_and_times_or_says_whose_it_was() -> None:
    stays = [stay("north", None, 0, 20), stay("north", "till", 5, 12), stay("yard", None, 50, 60)]
    assert journey(visits=1, stays=stays) == (
        "1970-01-01 00:01:00.000 plaza-000017 journey: north 20.0 s, north/till 7.0 s, yard 10.0 s (revision 2)"
    )
    assert "journey in 2 visits: north" in journey(visits=2, stays=stays)
    assert journey(visits=0, stays=[], into="plaza-000003").endswith(
        "plaza-000017 journey taken back: it was plaza-000003 (revision 2)"
    )


def test_counts_of_the_site_stand_under_its_name() -> None:
    value = {"schema": "crosscam.events/1", "site": "plaza", "camera": "", "type": "site_counts", "time": 60 * US}
    line = describe(Topic.EVENTS, {**value, "unique": 3})
    assert line == "1970-01-01 00:01:00.000 plaza site_counts: unique 3"
