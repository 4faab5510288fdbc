"""Tracks and journeys as consumers of NVIDIA's schemas read them."""

from __future__ import annotations

from typing import Any

from pipeline.nvidia import behaviors, frames, timestamp


def track(track: int, identity: str, place: tuple[float, float] | None = None) -> dict[str, Any]:
    x, y = place or (None, None)
    return {
        "camera": "north",
        "track": track,
        "class": "person",
        "identity": identity,
        "revision": 2,
        "frames": [7, 8],
        "points": [[1_000_000 + 40_000 * n, 10.5, 20.0, 30.0, 60.0, 0.9, x, y] for n in range(2)],
    }


def test_who_is_in_one_picture_is_in_one_frame() -> None:
    first, second = frames([track(1, "plaza-000001", (3.0, 4.0)), track(2, "plaza-000002")])
    assert (first["version"], first["id"], first["sensorId"]) == ("4.0", "7", "north")
    assert first["timestamp"] == "1970-01-01T00:00:01.000Z" and second["timestamp"] == "1970-01-01T00:00:01.040Z"
    one, other = first["objects"]
    assert one == {
        "id": "plaza-000001",
        "bbox": {"leftX": 10.5, "topY": 20.0, "rightX": 30.0, "bottomY": 60.0},
        "type": "Person",
        "confidence": 0.9,
        "coordinate": {"x": 3.0, "y": 4.0, "z": 0.0},
        "info": {"track": "1", "revision": "2", "provisional": "false"},
    }
    assert other["coordinate"] is None and other["id"] == "plaza-000002"


def test_every_stay_of_a_journey_is_a_behaviour() -> None:
    stays = [
        {"camera": "north", "zone": None, "start": 0, "end": 2_500_000},
        {"camera": "south", "zone": "till", "start": 4_000_000, "end": 9_000_000},
    ]
    first, second = behaviors({"identity": "plaza-000001", "class": "person", "stays": stays})
    assert first["id"] == "plaza-000001 #-# north" and first["timeInterval"] == 2.5 and first["place"] == ""
    assert (second["sensorId"], second["objectId"], second["objectType"]) == ("south", "plaza-000001", "Person")
    assert (second["timestamp"], second["end"]) == ("1970-01-01T00:00:04.000Z", "1970-01-01T00:00:09.000Z")
    assert second["place"] == "till"
    assert behaviors({"identity": "plaza-000001", "class": None, "stays": []}) == []


def test_times_are_cut_to_milliseconds_not_rounded_into_the_next_second() -> None:
    assert timestamp(1_698_705_030_999_999) == "2023-10-30T22:30:30.999Z"
