"""Pictures of incidents that are kept as they begin, for cameras of which there is no recording."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.console import Console

from mtmct.records import EVENTS, Record
from operators.analyse import Event, Rules, Severity, Zone
from operators.draw import Privacy
from operators.records import Frame
from pipeline.analysis import CameraAnalysis
from pipeline.cli.pictures import write_snapshots
from pipeline.config import Site
from pipeline.config_file import parse
from pipeline.incident_pictures import IncidentPictures, Keeping
from pipeline.ledger.sqlite import SqliteWriter
from pipeline.schema.codec import open_codec
from pipeline.snapshot import SnapshotError

SECOND = 1_000_000_000
YARD = Zone(
    "yard", ((0.0, 150.0), (640.0, 150.0), (640.0, 300.0), (0.0, 300.0)), restricted=True, severity=Severity.ALARM
)
NOISE = np.random.default_rng(2).integers(0, 255, (360, 640, 3), np.uint8)


def walked(folder: Path, privacy: Privacy = Privacy.NONE) -> tuple[list[Record], CameraAnalysis]:
    """Somebody who walks down into the yard."""
    analysis = CameraAnalysis(
        site="plaza",
        camera="north",
        rules=Rules(zones=(YARD,)),
        classes=("person",),
        pictures=IncidentPictures(folder, "north", privacy),
    )
    records = []
    for number in range(25):
        y = 60 + 6 * number
        boxes = np.array([[100, y - 80, 160, y]], np.float32)
        frame = Frame("north", number + 1, number * SECOND // 10, NOISE)
        records += analysis.frame(frame, np.array([1]), boxes, np.zeros(1, int), [])
    return records, analysis


def started(records: list[Record]) -> dict:
    (value,) = (r.value for r in records if r.value["type"] == "incident" and r.value["state"] == "started")
    return value


def test_an_incident_says_where_its_picture_is_and_there_it_is(tmp_path: Path) -> None:
    records, analysis = walked(tmp_path)
    snapshot = started(records)["snapshot"]
    assert snapshot["file"] == f"north/1-{snapshot['time']}.jpg"
    picture = cv2.imread(str(tmp_path / snapshot["file"]))
    assert picture.shape == NOISE.shape
    kept, seen = (cv2.cvtColor(image[300:, 300:], cv2.COLOR_BGR2GRAY).astype(int) for image in (picture, NOISE))
    assert np.abs(kept - seen).mean() < 0.2 * seen.std()  # as JPEG keeps it
    assert [path.name for path in (tmp_path / "north").iterdir()] == [Path(snapshot["file"]).name]
    assert not any(letter.value["reason"] == "picture_lost" for letter in analysis.letters)


def test_everyone_in_it_can_be_made_unrecognisable(tmp_path: Path) -> None:
    snapshot = started(walked(tmp_path, Privacy.WHOLE)[0])["snapshot"]
    x1, y1, x2, y2 = (int(v) for v in snapshot["box"])
    inner = np.s_[y1 + 20 : y2 - 20, x1 + 10 : x2 - 10]
    assert cv2.imread(str(tmp_path / snapshot["file"]))[inner].std() < 0.5 * NOISE[inner].std()


def test_once_more_after_a_crash_gives_the_same_events_and_the_same_file(tmp_path: Path) -> None:
    first, _ = walked(tmp_path)
    data = (tmp_path / started(first)["snapshot"]["file"]).read_bytes()
    again, _ = walked(tmp_path)
    assert [record.value for record in again] == [record.value for record in first]
    assert (tmp_path / started(again)["snapshot"]["file"]).read_bytes() == data


def pictures_of(tmp_path: Path, seconds: list[int], keeping: Keeping) -> list[str]:
    """What is left after incidents at these seconds, numbered from 1."""
    pictures = IncidentPictures(tmp_path, "north", keeping=keeping)
    for number, second in enumerate(seconds, 1):
        snapshot = {"time": second * 1_000_000, "box": [1, 1, 9, 9]}
        fields = {"incident": number, "snapshot": snapshot, "kind": "restricted", "severity": "alarm"}
        pictures.write(Event("incident", second * SECOND, fields), NOISE[:64, :64], np.zeros((0, 4), np.float32), ())
    return sorted(path.name for path in (tmp_path / "north").iterdir())


def test_what_is_too_old_goes_also_if_an_earlier_run_has_left_it(tmp_path: Path) -> None:
    (tmp_path / "north").mkdir()
    (tmp_path / "north" / "7-1000000.jpg").write_bytes(b"old")
    (tmp_path / "north" / "notes.txt").write_bytes(b"of somebody else")
    keeping = Keeping(60 * SECOND, 10**9)
    assert pictures_of(tmp_path, [10, 30, 61], keeping) == [
        "1-10000000.jpg", "2-30000000.jpg", "3-61000000.jpg", "7-1000000.jpg", "notes.txt",
    ]  # fmt: skip
    IncidentPictures(tmp_path, "north", keeping=keeping).expire(91 * SECOND)
    assert sorted(path.name for path in (tmp_path / "north").iterdir()) == [
        "3-61000000.jpg", "notes.txt",
    ]  # fmt: skip


def test_the_oldest_go_where_all_are_too_much(tmp_path: Path) -> None:
    one = pictures_of(tmp_path / "one", [5], Keeping(10**18, 1))
    assert one == ["1-5000000.jpg"], "the newest stays, however little room there is"
    size = (tmp_path / "one" / "north" / one[0]).stat().st_size
    left = pictures_of(tmp_path / "many", [30, 10, 20, 40], Keeping(10**18, 3 * size))
    assert left == ["1-30000000.jpg", "3-20000000.jpg", "4-40000000.jpg"]


def test_a_picture_that_cannot_be_written_is_a_dead_letter_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "north").write_text("a file where a folder should be")
    records, analysis = walked(tmp_path)
    assert started(records)["snapshot"]["file"]
    (letter,) = analysis.letters
    assert letter.value["reason"] == "picture_lost"
    assert "picture of incident north/1 could not be written to" in letter.value["detail"]


def site(tmp_path: Path, snapshots: str = "") -> Site:
    text = f"site: plaza\ncameras: [{{id: north, source: 'rtsp://127.0.0.1:9/a'}}]\n{snapshots}"
    return parse(f"{text}ledger: {{sqlite: {{path: {tmp_path}/ledger.sqlite}}}}\n", tmp_path / "plaza.yaml")


def test_of_a_live_camera_the_command_gives_what_was_kept(tmp_path: Path) -> None:
    records, _ = walked(tmp_path / "kept")
    writer = SqliteWriter(tmp_path / "ledger.sqlite", "plaza")
    writer.open()
    writer.commit([open_codec().encode(record) for record in records if record.topic == EVENTS], {})
    writer.close()
    kept = site(tmp_path, f"snapshots: {tmp_path}/kept\n")
    write_snapshots(kept, tmp_path / "out", Console(quiet=True), ["north/1"])
    file = tmp_path / "kept" / started(records)["snapshot"]["file"]
    assert (tmp_path / "out" / "north-1.jpg").read_bytes() == file.read_bytes()
    with pytest.raises(SnapshotError, match="'north' is a live camera; give the site's file `snapshots: <folder>`"):
        write_snapshots(site(tmp_path), tmp_path / "out", Console(quiet=True))
    file.unlink()
    with pytest.raises(SnapshotError, match=r"cannot be read from .* \(No such file or directory\)"):
        write_snapshots(kept, tmp_path / "out", Console(quiet=True))


def test_the_folder_alone_will_do_and_a_blur_that_there_is_not_is_refused(tmp_path: Path) -> None:
    assert site(tmp_path, "snapshots: run/pictures\n").snapshots.folder == Path("run/pictures")
    assert site(tmp_path, "snapshots: {folder: a, blur: head}\n").snapshots.blur == "head"
    bounded = site(tmp_path, "snapshots: {folder: a, keep: 7d, most: 500MB}\n").snapshots
    assert (bounded.keep, bounded.most) == (7 * 86400, 500_000_000)
    with pytest.raises(Exception, match=r"snapshots\.blur: input should be 'none', 'face', 'head' or 'whole'"):
        site(tmp_path, "snapshots: {folder: a, blur: feet}\n")
