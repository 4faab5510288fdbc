"""`crosscam report`: one page that needs no network, and the same figures as files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from pyarrow import csv, parquet
from two_people import counting, write
from typer.testing import CliRunner

from mtmct.records import EVENTS, Record
from operators.draw import Privacy
from operators.heat import heat_map
from operators.records import Frame
from pipeline.cli import app
from pipeline.ledger.sqlite import SqliteWriter
from pipeline.report import ReportError, write_report
from pipeline.report_page import Chart, Table, page
from pipeline.schema.codec import open_codec
from pipeline.testing import MemoryLedger, MemoryReader, MemoryWriter


def ledger() -> MemoryLedger:
    """Two people who pass two cameras, with a line that each crosses in each, and what was counted live."""
    kept = MemoryLedger()
    write(MemoryWriter(kept), engine=counting())
    for camera, second in (("east", 3), ("west", 11)):
        for track in (1, 2):
            value = {"schema": "crosscam.events/1", "site": "plaza", "camera": camera, "time": second * 1_000_000}
            value |= {"line": "<door>", "direction": "in", "track": track, "type": "crossing"}
            kept.records.append(open_codec().encode(Record(EVENTS, camera, value, second * 1_000_000_000)))
    return kept


def test_the_page_and_its_files_say_the_same(tmp_path: Path) -> None:
    files = write_report(MemoryReader(ledger()), tmp_path / "report", interval_s=10)
    html = files[0].read_text()
    assert "<h1>plaza: 2 visitors</h1>" in html
    assert "&lt;door&gt;" in html and "<door>" not in html
    assert "name=viewport" in html and "<script" not in html
    assert "http" not in html.replace("http://www.w3.org", "")
    visitors = csv.read_csv(tmp_path / "report" / "visitors.csv").to_pylist()
    assert [row["visitors"] for row in visitors] == [2, 2]
    ways = parquet.read_table(tmp_path / "report" / "ways.parquet").to_pylist()
    assert [(row["from"], row["to"], row["people"]) for row in ways] == [("east", "west", 2)]
    assert parquet.read_table(tmp_path / "report" / "crossings.parquet").to_pylist() == [
        {"line": "<door>", "direction": "in", "people": 4}
    ]
    assert [(row["from"], row["to"], row["median_s"], row["p10_s"], row["p90_s"]) for row in ways] == [
        ("east", "west", 2.1, 2.1, 2.1)
    ]
    assert parquet.read_table(tmp_path / "report" / "origins.parquet").to_pylist() == [
        {"first": "east", "last": "west", "people": 2}
    ]
    assert "<th>first \\ last</th><th class=n>west</th></tr><tr><td>east</td><td class=n>2</td>" in html
    live = csv.read_csv(tmp_path / "report" / "site_counts.csv").to_pylist()
    assert [(row["revision"], row["unique"]) for row in live] == [(1, 2), (1, 2), (1, 2), (1, 0)]
    assert cv2.imread(str(tmp_path / "report" / "heat-east.png")).any()


def test_a_heat_map_lies_over_the_picture_that_is_there_with_everyone_in_it_blurred(tmp_path: Path) -> None:
    image = np.random.default_rng(1).integers(0, 255, (600, 1200, 3), np.uint8)
    at_start = Frame("east", 1, 0, image)  # both people are in it
    maps = {}
    for privacy in (Privacy.NONE, Privacy.WHOLE):
        folder = tmp_path / privacy
        write_report(MemoryReader(ledger()), folder, grounds={"east": at_start}, privacy=privacy)
        maps[privacy] = cv2.imread(str(folder / "heat-east.png")).astype(int)
    plain, blurred = maps.values()
    assert plain.shape == (480, 960, 3) and plain[400:].std() > 10, "the picture, as wide as the page shows it"
    scale, boxes = 0.8, [(300, 50, 340, 160), (500, 50, 540, 160)]
    inside = np.zeros(plain.shape[:2], bool)
    for x1, y1, x2, y2 in boxes:
        inside[round(y1 * scale) : round(y2 * scale), round(x1 * scale) : round(x2 * scale)] = True
    changed = np.abs(plain - blurred).max(axis=2) > 2
    assert changed[inside].mean() > 0.5
    assert changed[400:].sum() == 0


def test_a_long_table_is_folded_and_a_line_has_bars_in_both_directions() -> None:
    rows = [(f"n{i}", i) for i in range(300)]
    chart = Chart("door, <north>", ["12:00", "12:01"], ("in", [3, 0]), ("out", [0, 2]))
    html = page("t", "s", {"Lines": [chart], "None": []}, {}, [Table("t", "Long", ("name", "n"), rows)])
    first, _, folded = html.partition("<details>")
    assert "n9<" in first and "n10<" not in first and "n10<" in folded
    assert "and 100 more in t.csv" in folded
    assert "12:00: 3 in" in first and "12:01: 2 out" in first and "<north>" not in html
    assert "None" not in html


def test_two_reports_of_one_ledger_are_the_same_bytes(tmp_path: Path) -> None:
    pages = [write_report(MemoryReader(ledger()), tmp_path / name)[0].read_bytes() for name in ("a", "b")]
    assert pages[0] == pages[1]


def test_a_ledger_without_tracks_has_nothing_to_report(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="no tracks in this ledger"):
        write_report(MemoryReader(MemoryLedger()), tmp_path)


def test_the_command_reports_a_ledger_file(tmp_path: Path) -> None:
    write(SqliteWriter(tmp_path / "ledger.sqlite", "plaza"))
    arguments = ["report", str(tmp_path / "ledger.sqlite"), "--output", str(tmp_path / "out")]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert (tmp_path / "out" / "index.html").exists()
    assert CliRunner().invoke(app, [*arguments, "--interval", "0s"]).exit_code == 2


def test_heat_fades_by_event_time() -> None:
    points = np.array([[25.0, 50.0], [75.0, 50.0]])
    times = np.array([0, 60_000_000_000])
    even = heat_map(points, times, (0, 0, 100, 100), 100, None).sum(axis=2)
    faded = heat_map(points, times, (0, 0, 100, 100), 100, 10.0).sum(axis=2)
    assert even[50, 25] == even[50, 75]
    assert faded[50, 25] < faded[50, 75] / 2
