"""The picture that an incident refers to is the one that was looked at."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from operators.analyse import Rules, Severity, Zone
from operators.draw import Privacy
from operators.draw_rules import SEVERITY_COLOR
from operators.records import Frame
from pipeline.analysis import CameraAnalysis
from pipeline.recording import RecordedCamera
from pipeline.snapshot import SnapshotError, find_incidents, snapshots

SECOND = 1_000_000_000
NOON = 1_244_721_600 * SECOND
YARD = Zone(
    "yard", ((0.0, 150.0), (640.0, 150.0), (640.0, 300.0), (0.0, 300.0)), restricted=True, severity=Severity.ALARM
)
RULES = Rules(zones=(YARD,))
FRAMES = 40


def camera(first: int = 0, start_ns: int = NOON) -> RecordedCamera:
    """Pictures as grey as their number."""

    def frames() -> Iterator[Frame]:
        for number in range(first, FRAMES):
            image = np.full((360, 640, 3), 2 * number, np.uint8)
            yield Frame("north", number + 1, start_ns + number * SECOND // 10, image)

    return RecordedCamera("north", frames, None, RULES)


@pytest.fixture(scope="module")
def ledger() -> tuple[list[dict], list[dict]]:
    """Two who walk down into the yard, one after the other: `tracks` and `events`."""
    analysis = CameraAnalysis(site="p", camera="north", rules=RULES, classes=("person",), size=(640, 360))
    records, events = [], []
    for number in range(FRAMES):
        first, second = 60 + 6 * number, 6 * number
        boxes = np.array([[100, first - 80, 140, first], [300, second - 80, 340, second]], np.float32)
        when = NOON + number * SECOND // 10
        ids = np.array([1, 2])
        frame = Frame("north", number + 1, when, None)
        events += [r.value for r in analysis.frame(frame, ids, boxes, np.zeros(2, int), [])]
        for track, box in zip(ids.tolist(), boxes.tolist(), strict=True):
            point = [when // 1000, *box, 0.9, None, None]
            one = {"camera": "north", "track": track, "class": "person", "number": track + 6, "frames": [number + 1]}
            records.append({**one, "start": point[0], "end": point[0], "points": [point]})
    return records, events


def test_each_incident_has_the_frame_at_which_it_began_with_who_took_part_marked(ledger) -> None:
    records, events = ledger
    started = [e for e in events if e["type"] == "incident" and e["state"] == "started"]
    assert len(started) == 2
    chosen = find_incidents(events)["north"]
    shots = list(snapshots(records, events, camera(), chosen))
    assert [(shot.camera, shot.incident, shot.kind, shot.zone) for shot in shots] == [
        ("north", 1, "restricted", "yard"),
        ("north", 2, "restricted", "yard"),
    ]
    for shot, event in zip(shots, started, strict=True):
        assert shot.frame == event["snapshot"]["frame"] and shot.time_ns == event["time"] * 1000
        assert shot.picture[350, 630].tolist() == [2 * (shot.frame - 1)] * 3  # the picture of that very frame
        x1, _, _, y2 = event["snapshot"]["box"]
        near = shot.picture[int(y2) - 30 : int(y2), int(x1) - 12 : int(x1)].reshape(-1, 3).astype(int)
        assert (np.abs(near - SEVERITY_COLOR[Severity.ALARM]).max(axis=1) < 8).any()


def test_some_can_be_asked_for(ledger) -> None:
    records, events = ledger
    chosen = find_incidents(events, ["north/2"])["north"]
    assert [shot.incident for shot in snapshots(records, events, camera(), chosen)] == [2]


def test_who_takes_part_can_be_made_unrecognisable(ledger) -> None:
    records, events = ledger
    chosen = find_incidents(events, ["north/1"])["north"]
    noise = np.random.default_rng(1).integers(0, 255, (360, 640, 3), np.uint8)

    def frames() -> Iterator[Frame]:
        for number in range(FRAMES):
            yield Frame("north", number + 1, NOON + number * SECOND // 10, noise)

    noisy = RecordedCamera("north", frames, None, RULES)
    x1, y1, x2, y2 = (int(v) for v in chosen[0]["snapshot"]["box"])
    inner = np.s_[y1 + 30 : y2 - 20, x1 + 10 : x2 - 10]
    (plain,), (blurred,) = (
        list(snapshots(records, events, noisy, chosen, privacy=how)) for how in (Privacy.NONE, Privacy.WHOLE)
    )
    assert blurred.picture[inner].std() < 0.5 * plain.picture[inner].std()


def test_an_incident_that_is_not_there_is_named_with_some_that_are(ledger) -> None:
    with pytest.raises(SnapshotError, match=r"no incident 'north/9' in this ledger; there are north/1, north/2"):
        find_incidents(ledger[1], ["north/9"])
    with pytest.raises(SnapshotError, match="nor any other"):
        find_incidents([], ["north/1"])
    assert find_incidents([]) == {}


@pytest.mark.parametrize("other", [camera(first=30), camera(start_ns=NOON + SECOND // 20), camera(start_ns=0)])
def test_a_recording_without_a_picture_of_that_time_is_no_picture(ledger, other: RecordedCamera) -> None:
    records, events = ledger
    with pytest.raises(SnapshotError, match="of which the recording has no picture; give 'north' the source"):
        list(snapshots(records, events, other, find_incidents(events)["north"]))
