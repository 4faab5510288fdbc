"""Analysis in a camera's chain and in a whole site: events in its batches, the same bytes after a crash."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from mtmct.records import CameraBatch, Record
from operators.records import Detections, Frame, pack
from operators.track import create
from pipeline.analysis import CameraAnalysis
from pipeline.camera import CameraChain, Delivery
from pipeline.config_file import parse
from pipeline.schema import arrow_schema, decode, json_schema, open_codec

SECOND = 1_000_000_000
YAML = """
site: plaza
flow_interval: 2s
cameras:
  - id: north
    source: 'detections:north.txt'
    fps: 10
    crop: [0, 0, 640, 480]
    lines: {door: [[300, 0], [300, 480]], hall: vertical}
    zones:
      till: {points: [[200, 100], [400, 100], [400, 300], [200, 300]], restricted: true, loitering: 1s,
             crowding: {more_than: 1}}
"""


def deliveries(frames: int) -> list[Delivery]:
    """Two people who walk to and fro, given as tracks."""
    made = []
    for index in range(1, frames + 1):
        x = [320 + 200 * np.sin(index / 15), 320 + 150 * np.cos(index / 11)]
        boxes = np.array([[x[0] - 20, 100, x[0] + 20, 200], [x[1] - 20, 110, x[1] + 20, 210]], np.float32)
        found = Detections(boxes, np.full(2, 0.9, np.float32), np.zeros(2, np.int32), None, np.array([1, 2]))
        frame = Frame("north", index, (index - 1) * SECOND // 10, None, found)
        made.append(Delivery(frame, pack(index), {"decoded": index}))
    return made


def chain(*, tracker: bool = False, state: bytes | None = None, sequence: int = 0) -> CameraChain:
    site = parse(YAML, Path("plaza.yaml"))
    rules = site.rules(site.cameras[0])
    return CameraChain(
        site="plaza",
        camera="north",
        classes=("person",),
        interval_ns=SECOND,
        tracker=create("bytetrack", rate_hz=10) if tracker else None,
        embedder=None,
        embed_every=3,
        analysis=CameraAnalysis(site="plaza", camera="north", rules=rules, classes=("person",), size=(640, 480)),
        epoch=1,
        sequence=sequence,
        state=state,
    )


def feed(one: CameraChain, some: list[Delivery]) -> list[CameraBatch]:
    batches = []
    for delivery in some:
        assert delivery.frame.given is not None
        batches += one.add(delivery, delivery.frame.given)
    return batches


def events(batches: list[CameraBatch]) -> list[Record]:
    return [event for batch in batches for event in batch.events]


def test_events_travel_in_the_batch_of_their_interval_and_hold_to_the_schema() -> None:
    one = chain()
    batches = [*feed(one, deliveries(200)), *one.finish()]
    found = events(batches)
    assert set(Counter(e.value["type"] for e in found)) == {"crossing", "entry", "exit", "counts", "incident"}
    validator = jsonschema.Draft202012Validator(json_schema("events"))
    for event in found:
        validator.validate(event.value)
        for name in ("json", "arrow"):
            assert decode("events", open_codec(name).encode(event).value) == json.loads(json.dumps(event.value))
    assert arrow_schema("events").names[-1] == "extra"
    counts = [
        (b.interval, e.value["start"])
        for b in batches
        for e in b.events
        if e.value["type"] == "counts" and e.value["revision"] == 1
    ]
    assert counts[:3] == [(1, 0), (3, 2_000_000), (5, 4_000_000)]  # told with the batch that completes the interval


@pytest.mark.parametrize("tracker", [False, True])
def test_a_chain_restored_from_any_batch_sends_the_same_events(tracker: bool) -> None:
    some = deliveries(120)
    first = chain(tracker=tracker)
    whole = [*feed(first, some), *first.finish()]
    for cut in (1, 4, 7):
        again = chain(tracker=tracker, state=whole[cut].state, sequence=cut + 1)
        rest = [*feed(again, some[10 * (cut + 1) :]), *again.finish()]
        assert events(rest) == events(whole[cut + 1 :])
        assert [b.state for b in rest] == [b.state for b in whole[cut + 1 :]]


def test_a_line_outside_the_picture_of_a_live_camera_is_said_once() -> None:
    rules = parse(YAML, Path("p.yaml")).rules(parse(YAML, Path("p.yaml")).cameras[0])
    analysis = CameraAnalysis(site="plaza", camera="north", rules=rules, classes=("person",))
    none = np.zeros(0, np.int64), np.zeros((0, 4), np.float32), np.zeros(0, np.int32)
    for index in (1, 2):
        frame = Frame("north", index, index * SECOND, np.zeros((90, 160, 3), np.uint8))
        analysis.frame(frame, *none, [])
    (one, two) = analysis.letters
    assert "line 'door': it lies outside the picture" in one.value["detail"]
    assert "zone 'till'" in two.value["detail"]
