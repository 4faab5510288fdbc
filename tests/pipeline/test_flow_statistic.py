"""PP-Tracking's `_flow_statistic.txt`, by identity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from two_people import write
from typer.testing import CliRunner

from mtmct.records import EVENTS, Record
from operators.records import pack
from pipeline.cli import app
from pipeline.export import ExportError
from pipeline.flow_statistic import _lines, write_flow_statistics
from pipeline.ledger.sqlite import SqliteWriter
from pipeline.schema.codec import open_codec
from pipeline.testing import MemoryLedger, MemoryReader, MemoryWriter


def reader(*events: dict[str, Any]) -> MemoryReader:
    kept = MemoryLedger()
    write(MemoryWriter(kept))
    for value in events:
        full = {"schema": "crosscam.events/1", "site": "plaza", "camera": "east", **value}
        kept.records.append(open_codec().encode(Record(EVENTS, "east", full, value["time"] * 1000)))
    return MemoryReader(kept)


def crossing(time: float, direction: str, counted: bool = True) -> dict[str, Any]:
    total = {"in": 1, "out": 0}
    what = {"type": "crossing", "line": "door", "direction": direction, "counted": counted, "total": total}
    return {"time": round(time * 1e6), **what}


def test_every_frame_says_what_has_been_counted_so_far(tmp_path: Path) -> None:
    events = [crossing(3.05, "in"), crossing(1.05, "out"), crossing(2, "in", counted=False)]
    broke = {"type": "incident", "kind": "restricted", "state": "started", "time": 4_000_000, "start": 4_000_000}
    files = write_flow_statistics(reader(*events, broke), tmp_path, interval_s=2)
    assert [file.name for file in files] == ["east_flow_statistic.txt", "west_flow_statistic.txt"]
    lines = files[0].read_text().splitlines()
    assert len(lines) == 60
    first = "Frame id: 1, Total count: 2, In count: 0, Out count: 0, Break_in count: 0, Count during 2 secs: 2"
    assert lines[0] == first
    last = "Frame id: 60, Total count: 2, In count: 1, Out count: 1, Break_in count: 1, Count during 2 secs: 2"
    assert lines[-1] == last
    assert [line.split(", ")[2] for line in lines[29:32]] == ["In count: 0", "In count: 0", "In count: 1"]


def test_a_camera_without_lines_counts_people_alone(tmp_path: Path) -> None:
    west = write_flow_statistics(reader(), tmp_path)[1].read_text().splitlines()
    assert west[79:81] == ["Frame id: 80, Total count: 0", "Frame id: 81, Total count: 2"]


def test_a_frame_in_which_nobody_was_seen_has_its_line_too(tmp_path: Path) -> None:
    """Nobody in east after second 6 of 10; in the yard never."""
    kept = MemoryLedger()
    write(MemoryWriter(kept))
    kept.state |= {f"camera/{name}": pack({"counts": {"decoded": 100}}) for name in ("east", "yard")}
    _, west, yard = write_flow_statistics(MemoryReader(kept), tmp_path, interval_s=2)
    east = (tmp_path / "east_flow_statistic.txt").read_text().splitlines()
    assert [line.split(", ")[0] for line in east] == [f"Frame id: {number}" for number in range(1, 101)]
    assert east[59].endswith("Total count: 2, Count during 2 secs: 2")
    assert east[60].endswith("Total count: 2, Count during 2 secs: 0"), "an interval begins with frame 61"
    assert west.name == "west_flow_statistic.txt"
    assert yard.read_text().splitlines()[-1] == "Frame id: 100, Total count: 0, Count during 2 secs: 0"


def test_the_time_of_an_empty_frame_is_that_between_its_neighbours() -> None:
    seen = [(2, 1_000_000, "a"), (6, 3_000_000, "a")]
    lately = [line.rpartition(" ")[2] for line in _lines(seen, 8, None, None, 2)]
    assert lately == ["0", "1", "1", "0", "0", "1", "1", "0"]


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="cannot write the export into"):
        write_flow_statistics(reader(), tmp_path / "file")


def test_the_command_writes_it(tmp_path: Path) -> None:
    write(SqliteWriter(tmp_path / "ledger.sqlite", "plaza"))
    arguments = ["export", str(tmp_path / "ledger.sqlite"), "--output", str(tmp_path)]
    assert CliRunner().invoke(app, [*arguments, "--format", "flow", "--interval", "10s"]).exit_code == 0
    assert "Count during 10 secs: 2" in (tmp_path / "east_flow_statistic.txt").read_text()
    assert CliRunner().invoke(app, [*arguments, "--interval", "10s"]).exit_code == 2
