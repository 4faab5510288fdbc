"""Tracks and journeys in the field layout of NVIDIA's Metropolis: nv.Frame and nv.Behavior, as JSON.

For consumers that read those already. From the published schemas (docs.nvidia.com/mms: "Protobuf Schema", and the
module mdx.mtmc.schema of its multi-camera tracking); what they have and we do not know is left out, or null where it
must be there.

    nv.Frame      a camera's picture            ours
    version       "4.0"
    id            frame number, as text         frames[i]
    timestamp     UTC, milliseconds, Z          points[i][0]
    sensorId                                    camera
    objects[].id                                identity: the global one, plaza-000017
    objects[].bbox  leftX topY rightX bottomY   points[i][1:5], pixels of the camera's own picture
    objects[].type, confidence                  class with a capital, points[i][5]
    objects[].coordinate  x y z                 X, Y in metres and 0; null without a homography
    objects[].info                              track (local), revision, provisional: all as text

    nv.Behavior   a stay in a camera            ours
    id, key       identity #-# camera           (what both of NVIDIA's modules do with object and sensor)
    sensorId, objectId, objectType              camera, identity, class
    timestamp, end, timeInterval                of the stay, seconds
    place                                       zone, "" for the camera as a whole
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

VERSION = "4.0"


def frames(values: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """nv.Frame of every picture in which somebody was, by camera and time.

    Args:
        values: of the `tracks` topic, those of one commit or of many: pictures whose records come in different calls
            come in as many frames, each with the objects of its call.
    """
    pictures: dict[tuple[str, int, int], list[dict[str, Any]]] = {}
    for value in values:
        for number, point in zip(value["frames"], value["points"], strict=True):
            pictures.setdefault((value["camera"], point[0], number), []).append(_object(value, point))
    for (camera, time, number), objects in sorted(pictures.items(), key=lambda one: one[0]):
        yield {
            "version": VERSION,
            "id": str(number),
            "timestamp": timestamp(time),
            "sensorId": camera,
            "objects": objects,
        }


def behaviors(journey: Mapping[str, Any]) -> list[dict[str, Any]]:
    """nv.Behavior of every stay of a `journey` event; none of one that was taken back."""
    return [
        {
            "id": f"{journey['identity']} #-# {stay['camera']}",
            "key": f"{journey['identity']} #-# {stay['camera']}",
            "sensorId": stay["camera"],
            "objectId": journey["identity"],
            "objectType": type_of(journey["class"] or ""),
            "timestamp": timestamp(stay["start"]),
            "end": timestamp(stay["end"]),
            "timeInterval": (stay["end"] - stay["start"]) / 1e6,
            "place": stay["zone"] or "",
        }
        for stay in journey["stays"]
    ]


def timestamp(us: int) -> str:
    """`2023-10-30T22:30:30.000Z` of microseconds since 1970, cut to milliseconds."""
    moment = datetime.fromtimestamp(us // 1_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{us // 1000 % 1000:03d}Z"


def type_of(cls: str) -> str:
    """`Person` of `person`."""
    return cls[:1].upper() + cls[1:]


def _object(value: Mapping[str, Any], point: Any) -> dict[str, Any]:
    _, left, top, right, bottom, score, x, y = point
    return {
        "id": value["identity"],
        "bbox": {"leftX": left, "topY": top, "rightX": right, "bottomY": bottom},
        "type": type_of(value["class"]),
        "confidence": score,
        "coordinate": None if x is None else {"x": x, "y": y, "z": 0.0},
        "info": {
            "track": str(value["track"]),
            "revision": str(value["revision"]),
            "provisional": "true" if value.get("provisional") else "false",
        },
    }
