"""From a ledger to files."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from mtmct.records import IDENTITIES, TRACKS, Record
from pipeline.export import ExportError, export
from pipeline.ledger.base import LedgerReader, Stored
from pipeline.schema import decode, open_codec


class LedgerInMemory(LedgerReader):
    """Holds encoded records; `position` is a count over all topics."""

    def __init__(self, *records: Record, codec: str = "json") -> None:
        self._encoded = [open_codec(codec).encode(record) for record in records]

    def pages(
        self, topic: str, *, after: str | None = None, follow: bool = False, stop: Callable[[], bool] = lambda: False
    ) -> Iterator[list[Stored]]:
        for position, record in enumerate(self._encoded):
            if record.topic == topic and (after is None or position > int(after)):
                value = decode(topic, record.value)
                yield [Stored(topic, record.key, value, record.value, record.time_ns, f"{position:08d}")]

    def end(self, topic: str) -> str | None:
        return max((stored.position for stored in self.read(topic)), default=None)

    def state(self) -> dict[str, bytes]:
        return {}

    def close(self) -> None:
        pass


def name(number: int) -> str:
    return f"plaza-{number:06d}"


def tracklet(camera: str, track: int, number: int, frames: list[int], score: float = 0.9, **changes: Any) -> Record:
    value = {
        "schema": "crosscam.tracks/1",
        "site": "plaza",
        "camera": camera,
        "track": track,
        "class": "person",
        "identity": name(number),
        "number": number,
        "revision": 1,
        "start": frames[0] * 100_000,
        "end": frames[-1] * 100_000,
        "frames": frames,
        "points": [[frame * 100_000, 10.5 + frame, 20.0, 40.75 + frame, 100.0, score, 1.5, None] for frame in frames],
        "link": None,
        "ended": False,
    }
    return Record(TRACKS, name(number), value | changes, 0)


def correction(event: str, number: int, into: int | None = None, tracks: list[list[Any]] | None = None) -> Record:
    value = {
        "schema": "crosscam.identities/1",
        "site": "plaza",
        "identity": name(number),
        "number": number,
        "revision": 2,
        "event": event,
        "class": "person",
        "time": 100_000_000,
        "cameras": ["north"],
        "tracks": tracks or [],
        "into": into and name(into),
        "evidence": {"score": 2.5, "terms": {"appearance": 2.5}} if into else None,
    }
    return Record(IDENTITIES, name(number), value, 0)


@pytest.mark.parametrize("codec", ["json", "arrow"])
def test_mot_text_has_one_sorted_file_a_camera(tmp_path: Path, codec: str):
    ledger = LedgerInMemory(
        tracklet("north", 1, 2, [3, 4]),
        tracklet("south", 1, 2, [9]),
        tracklet("north", 2, 1, [3]),
        tracklet("north", 3, 12, [1]),
        codec=codec,
    )
    summary = export(ledger, "mot", tmp_path / "out")
    assert (tmp_path / "out" / "north.txt").read_text() == (
        "1,12,11.50,20.00,30.25,80.00,0.9000,1,-1,-1\n"
        "3,1,13.50,20.00,30.25,80.00,0.9000,1,-1,-1\n"
        "3,2,13.50,20.00,30.25,80.00,0.9000,1,-1,-1\n"
        "4,2,14.50,20.00,30.25,80.00,0.9000,1,-1,-1\n"
    )
    assert (tmp_path / "out" / "south.txt").read_text() == "9,2,19.50,20.00,30.25,80.00,0.9000,1,-1,-1\n"
    assert [(file.path.name, file.rows) for file in summary.files] == [
        ("classes.csv", 1),
        ("north.txt", 4),
        ("south.txt", 1),
    ]
    assert (summary.points, summary.retracted, summary.duplicates) == (5, 0, 0)


def numbers(path: Path) -> list[tuple[int, int]]:
    return [tuple(int(cell) for cell in line.split(",")[:2]) for line in path.read_text().splitlines()]  # type: ignore[misc]


@pytest.fixture
def corrected_ledger() -> LedgerInMemory:
    return LedgerInMemory(
        tracklet("north", 1, 1, [1]),
        tracklet("north", 2, 2, [2]),
        correction("merged", 2, into=1),
        tracklet("north", 2, 1, [3]),
        tracklet("north", 3, 1, [4]),
        correction("split", 1, into=5, tracks=[["north", 3]]),
        tracklet("north", 4, 4, [5]),
        correction("retracted", 4),
    )


def test_corrections_are_applied_to_what_was_published_before_them(tmp_path: Path, corrected_ledger: LedgerInMemory):
    summary = export(corrected_ledger, "mot", tmp_path)
    assert numbers(tmp_path / "north.txt") == [(1, 1), (2, 1), (3, 1), (4, 5)]
    assert (summary.points, summary.retracted) == (4, 1)


def test_as_published_is_what_a_consumer_saw_at_the_time(tmp_path: Path, corrected_ledger: LedgerInMemory):
    export(corrected_ledger, "mot", tmp_path, as_published=True)
    assert numbers(tmp_path / "north.txt") == [(1, 1), (2, 2), (3, 1), (4, 1), (5, 4)]


def test_an_identity_twice_in_a_frame_is_reported_and_the_better_box_kept(tmp_path: Path):
    ledger = LedgerInMemory(
        tracklet("north", 1, 1, [1, 2], score=0.5),
        tracklet("north", 2, 2, [2, 3], score=0.8),
        correction("merged", 2, 1),
    )
    summary = export(ledger, "mot", tmp_path)
    rows = [line.split(",") for line in (tmp_path / "north.txt").read_text().splitlines()]
    assert [(row[0], row[6]) for row in rows] == [("1", "0.5000"), ("2", "0.8000"), ("3", "0.8000")]
    assert (summary.points, summary.duplicates, summary.files[1].duplicates) == (3, 1, 1)


def test_classes_are_written_as_coco_numbers_and_others_behind_them(tmp_path: Path):
    changes = [{"class": label} for label in ("truck", "tram", "person", "head")]
    ledger = LedgerInMemory(*(tracklet("north", i, i, [i], **change) for i, change in enumerate(changes, 1)))
    export(ledger, "mot", tmp_path)
    assert [line.split(",")[7] for line in (tmp_path / "north.txt").read_text().splitlines()] == [
        "8",
        "102",
        "1",
        "101",
    ]
    assert (tmp_path / "classes.csv").read_text() == "number,class\n1,person\n8,truck\n101,head\n102,tram\n"


def test_a_camera_asked_for_that_saw_nobody_gets_an_empty_file(tmp_path: Path):
    ledger = LedgerInMemory(tracklet("north", 1, 1, [1]), tracklet("south", 1, 2, [1]))
    export(ledger, "mot", tmp_path, cameras=["south", "west"])
    assert {path.name: path.stat().st_size > 0 for path in tmp_path.glob("*.txt")} == {
        "south.txt": True,
        "west.txt": False,
    }


@pytest.mark.parametrize("format", ["parquet", "csv"])
def test_tables_have_one_row_a_point_and_one_a_correction(
    tmp_path: Path, corrected_ledger: LedgerInMemory, format: str
):
    summary = export(corrected_ledger, format, tmp_path)  # type: ignore[arg-type]
    assert [(file.path.name, file.rows) for file in summary.files] == [
        (f"identities.{format}", 3),
        (f"tracks.{format}", 4),
    ]
    if format == "parquet":
        tracks = parquet.read_table(tmp_path / "tracks.parquet").to_pylist()
        corrections = parquet.read_table(tmp_path / "identities.parquet").to_pylist()
        assert tracks[3] == {
            "site": "plaza",
            "camera": "north",
            "track": 3,
            "identity": "plaza-000005",
            "number": 5,
            "class": "person",
            "revision": 1,
            "provisional": False,
            "frame": 4,
            "time_us": 400_000,
            "x1": 14.5,
            "y1": 20.0,
            "x2": 44.75,
            "y2": 100.0,
            "score": 0.9,
            "X": 1.5,
            "Y": None,
        }
    else:
        with (tmp_path / "tracks.csv").open() as file:
            tracks = list(csv.DictReader(file))
        with (tmp_path / "identities.csv").open() as file:
            corrections = list(csv.DictReader(file))
        assert (tracks[3]["identity"], tracks[3]["X"], tracks[3]["Y"]) == ("plaza-000005", "1.5", "")
    assert [(row["event"], row["into"] or None) for row in corrections] == [
        ("merged", "plaza-000001"),
        ("split", "plaza-000005"),
        ("retracted", None),
    ]
    assert corrections[1]["tracks"] == '[["north", 3]]'
    assert corrections[0]["evidence"] == '{"score": 2.5, "terms": {"appearance": 2.5}}'


@pytest.mark.parametrize("format", ["mot", "parquet", "csv"])
def test_an_empty_ledger_exports_to_nothing_without_complaint(tmp_path: Path, format: str):
    summary = export(LedgerInMemory(), format, tmp_path)  # type: ignore[arg-type]
    assert summary.points == sum(file.rows for file in summary.files) == 0


@pytest.mark.parametrize("format", ["mot", "parquet", "csv"])
def test_many_points_are_written_in_pieces_and_all_arrive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str):
    monkeypatch.setattr("pipeline.export._ROWS_IN_MEMORY", 10)
    cameras = ["north", "south"]
    ledger = LedgerInMemory(*(tracklet(cameras[i % 2], i, i + 1, [90 - i, 91 - i, 92 - i]) for i in range(30)))
    reported: list[int] = []
    summary = export(ledger, format, tmp_path, progress=reported.append)  # type: ignore[arg-type]
    assert summary.points == reported[-1] == 90
    if format == "mot":
        for camera in cameras:
            rows = numbers(tmp_path / f"{camera}.txt")
            assert len(rows) == 45
            assert rows == sorted(rows)
    elif format == "parquet":
        assert sorted(parquet.read_table(tmp_path / "tracks.parquet")["track"].to_pylist()) == sorted([*range(30)] * 3)


class LedgerThatGrows(LedgerInMemory):
    """Something is committed between the export's start and its end."""

    def end(self, topic: str) -> str | None:
        end = super().end(topic)
        self._encoded.append(open_codec().encode(tracklet("north", 99, 99, [99])))
        return end


def test_a_growing_ledger_is_exported_as_it_stood(tmp_path: Path):
    export(LedgerThatGrows(tracklet("north", 1, 1, [1])), "mot", tmp_path)
    assert numbers(tmp_path / "north.txt") == [(1, 1)]


def test_a_failed_export_leaves_the_last_one_as_it_was(tmp_path: Path):
    export(LedgerInMemory(tracklet("north", 1, 1, [1])), "mot", tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    damaged = LedgerInMemory(tracklet("north", 1, 7, [1]), tracklet("north", 1, 7, [2], points=[[1, 2, 3]]))
    with pytest.raises(ExportError, match="record at 00000001"):
        export(damaged, "mot", tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (tracklet("north", 1, 1, [1], points=[[0, 1, 1, 2, 2, 1, None, None]] * 2), "1 frames"),
        (Record(TRACKS, "", {"camera": "north", "track": 1, "identity": name(1), "start": 0}, 0), "no 'points'"),
        (tracklet("../north", 1, 1, [1]), "cannot name a file"),
    ],
    ids=["frames missing", "field missing", "camera outside the folder"],
)
def test_what_cannot_be_exported_is_named(tmp_path: Path, record: Record, message: str):
    with pytest.raises(ExportError, match=message):
        export(LedgerInMemory(record), "mot", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_is_no_folder_is_refused(tmp_path: Path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(ExportError, match="taken"):
        export(LedgerInMemory(), "mot", tmp_path / "taken")


def test_an_unknown_format_is_refused_naming_those_there_are(tmp_path: Path):
    with pytest.raises(ExportError, match="mot, parquet or csv"):
        export(LedgerInMemory(), "xml", tmp_path)  # type: ignore[arg-type]
