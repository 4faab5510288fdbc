"""A run's figures as one HTML page that needs no network, with the same figures as CSV and Parquet beside it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv, parquet

from mtmct.records import EVENTS, IDENTITIES, TRACKS
from mtmct.visits import SiteFigures
from operators.heat import heat_map
from operators.records import CrosscamError, Image
from pipeline.clock import clock_text
from pipeline.ledger.base import LedgerReader

_STYLE = """body{font:15px/1.5 system-ui,sans-serif;color:#1b2126;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2.2rem}table{border-collapse:collapse}
td,th{padding:.2rem .8rem .2rem 0;text-align:left;border-bottom:1px solid #dde2e6}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
figure{display:inline-block;margin:0 1rem 1rem 0}img{max-width:100%;background:#000}svg{width:100%;height:auto}
p.quiet{color:#5c676f}"""
_ROWS_SHOWN = 50
_FLOOR = "the floor"  # no camera can have a name with a space in it


class ReportError(CrosscamError):
    """The report cannot be written."""


@dataclass(frozen=True, slots=True)
class _Table:
    """Rows under a name: a CSV file, a Parquet file, and a table on the page."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


def write_report(
    reader: LedgerReader, output: Path, *, interval_s: float = 60.0, half_life_s: float | None = None
) -> list[Path]:
    """Write `index.html`, a CSV and a Parquet file a table, and a heat map a camera and of the floor, into a folder.

    Args:
        reader: the site's ledger.
        output: a folder; made if missing. Files of the same names are replaced.
        interval_s: length of the intervals in which visitors are counted, seconds.
        half_life_s: of the heat maps, event time before the newest point; None: all points count alike.

    Returns:
        The files, the page first.

    Raises:
        ReportError: there are no tracks, or the folder cannot be written.
        LedgerError: the ledger cannot be read.
    """
    site, figures, places, events = _read(reader, interval_s)
    if not places:
        raise ReportError("there are no tracks in this ledger: nothing to report")
    tables = _tables(figures, events)
    maps = _maps(places, half_life_s)
    try:
        output.mkdir(parents=True, exist_ok=True)
        files = [_save(output / "index.html", _page(site, figures, tables, maps).encode())]
        for name, picture in maps.items():
            files.append(_save(output / ("floor.png" if name == _FLOOR else f"heat-{name}.png"), _png(picture)))
        for table in tables:
            arrow = pa.table({c: [row[i] for row in table.rows] for i, c in enumerate(table.columns)})
            csv.write_csv(arrow, str(output / f"{table.name}.csv"))
            parquet.write_table(arrow, str(output / f"{table.name}.parquet"))
            files += [output / f"{table.name}.csv", output / f"{table.name}.parquet"]
    except OSError as error:
        raise ReportError(f"cannot write the report into {output}: {error.strerror or error}") from error
    return files


Places = dict[str, list[NDArray[np.float64]]]


def _read(reader: LedgerReader, interval_s: float) -> tuple[str, SiteFigures, Places, list[dict[str, Any]]]:
    """The site's name, its figures, points (t, x, y) by camera and on the floor, and what else happened."""
    site, figures = "", SiteFigures(interval_s)
    places: Places = {}
    events: list[dict[str, Any]] = []
    for stored in reader.read(TRACKS):
        site = stored.value["site"]
        figures.published(stored.value)
        rows = np.array(stored.value["points"], np.float64).reshape(-1, 8)
        feet = np.column_stack([rows[:, 0], (rows[:, 1] + rows[:, 3]) / 2, rows[:, 4]])
        places.setdefault(stored.value["camera"], []).append(feet)
        ground = rows[np.isfinite(rows[:, 6])][:, [0, 6, 7]]
        if len(ground):
            places.setdefault(_FLOOR, []).append(ground * (1, 1, -1))
    for stored in reader.read(IDENTITIES):
        figures.apply(stored.value)
    for stored in reader.read(EVENTS):
        figures.happened(stored.value)
        if stored.value["type"] in ("exit", "incident", "counts"):
            events.append(stored.value)
    return site, figures, places, events


def _tables(figures: SiteFigures, events: Sequence[dict[str, Any]]) -> list[_Table]:
    dwell: dict[tuple[str, str], list[float]] = {}
    for value in events:
        if value["type"] == "exit":
            dwell.setdefault((value["camera"], value["zone"]), []).append(value["dwell"])
    newest = {(v["camera"], v["start"]): v for v in events if v["type"] == "counts"}  # later revisions replace earlier
    ended = {(v["camera"], v["incident"]): v for v in events if v["type"] == "incident"}
    counted = [
        (camera, _time(start), line, direction, number)
        for (camera, start), value in sorted(newest.items())
        for line, what in value["lines"].items()
        for direction, number in what["directions"].items()
    ]
    stays = [
        (name, stay.camera, stay.zone or "", _time(stay.start), round((stay.end - stay.start) / 1e6, 3))
        for name, journey in figures.journeys().items()
        for stay in journey
    ]
    ways = [(w.origin, w.destination, w.people, w.seconds) for w in (*figures.ways(), *figures.ways_between_zones())]
    incidents = [
        (camera, number, v["kind"], v["zone"], v["severity"], _time(v["start"]), v["end"] and _time(v["end"]))
        for (camera, number), v in sorted(ended.items())
    ]
    spent = [
        (*place, len(all_), round(sum(all_) / len(all_), 2), round(max(all_), 2))
        for place, all_ in sorted(dwell.items())
    ]
    return [
        _Table("visitors", "Visitors over time", ("start", "visitors"), [(_time(t), n) for t, n in figures.visitors()]),
        _Table("crossings", "Lines crossed, each identity once", ("line", "direction", "people"),
               [(*key, n) for key, n in figures.crossings().items()]),
        _Table("counts", "Lines crossed, by camera and interval", ("camera", "start", "line", "direction", "crossings"),
               counted),
        _Table("dwell", "Time in zones", ("camera", "zone", "visits", "mean_s", "longest_s"), spent),
        _Table("incidents", "Incidents", ("camera", "incident", "kind", "zone", "severity", "start", "end"), incidents),
        _Table("ways", "From place to place", ("from", "to", "people", "median_s"), ways),
        _Table("origins", "First and last camera of each journey", ("first", "last", "people"),
               [(*pair, n) for pair, n in figures.origins_and_destinations().items()]),
        _Table("returns", "Who came back", ("identity", "times"), list(figures.returns().items())),
        _Table("journeys", "Journeys", ("identity", "camera", "zone", "start", "seconds"), stays),
    ]  # fmt: skip


def _maps(places: Places, half_life_s: float | None) -> dict[str, Image]:
    maps = {}
    for name in sorted(places):
        rows = np.concatenate(places[name])
        low, high = rows[:, 1:].min(axis=0), rows[:, 1:].max(axis=0)
        margin = np.maximum(0.05 * (high - low), 1e-6 + 0.05 * float((high - low).max()))
        low, high = low - margin, high + margin
        high = np.maximum(high, low + 0.2 * float((high - low).max()))  # nobody wants a picture of one line
        bounds = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
        maps[name] = heat_map(rows[:, 1:], rows[:, 0].astype(np.int64) * 1000, bounds, 480, half_life_s)
    return maps


def _page(site: str, figures: SiteFigures, tables: Sequence[_Table], maps: dict[str, Image]) -> str:
    visitors = figures.visitors()
    span = f"{_time(visitors[0][0])} to {_time(visitors[-1][0])}" if visitors else ""
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(site)}</title><style>{_STYLE}</style>",
        f"<h1>{escape(site)}: {figures.unique_visitors()} visitors</h1><p class=quiet>{span}</p>",
    ]
    for table in tables:
        if not table.rows:
            continue
        parts.append(f"<h2>{escape(table.title)}</h2>")
        if table.name == "visitors":
            parts.append(_bars([number for _, number in visitors], [label for label, _ in table.rows]))
        else:
            parts.append(_html(table))
    parts.append("<h2>Where people were</h2>")
    for name, picture in maps.items():
        data = base64.b64encode(_png(picture)).decode()
        parts.append(f'<figure><img alt="heat map of {escape(name)}" src="data:image/png;base64,{data}">')
        parts.append(f"<figcaption>{escape(name)}</figcaption></figure>")
    return "\n".join(parts) + "\n"


def _html(table: _Table) -> str:
    number = [all(isinstance(row[i], int | float) for row in table.rows) for i in range(len(table.columns))]

    def cells(tag: str, row: Sequence[Any]) -> str:
        return "".join(
            f"<{tag}{' class=n' if number[i] else ''}>{escape('' if v is None else str(v))}</{tag}>"
            for i, v in enumerate(row)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in table.rows[:_ROWS_SHOWN])
    more = len(table.rows) - _ROWS_SHOWN
    rest = f"<p class=quiet>and {more} more in {table.name}.csv</p>" if more > 0 else ""
    return f"<table><tr>{cells('th', table.columns)}</tr>{body}</table>{rest}"


def _bars(values: Sequence[int], labels: Sequence[str]) -> str:
    """Bars with the number of each as its title; the highest is written at the left."""
    most, width = max(values), 800 / len(values)
    bars = "".join(
        f'<rect x="{40 + i * width:.2f}" y="{10 + 150 * (1 - value / most):.2f}" width="{max(width * 0.8, 0.5):.2f}" '
        f'height="{150 * value / most:.2f}" fill="#2f7fb5"><title>{escape(label)}: {value}</title></rect>'
        for i, (value, label) in enumerate(zip(values, labels, strict=True))
    )
    ends = f'<text x="40" y="178">{escape(labels[0])}</text>'
    ends += f'<text x="840" y="178" text-anchor="end">{escape(labels[-1])}</text>' if len(labels) > 1 else ""
    axis = (
        f'<text x="34" y="18" text-anchor="end">{most}</text><line x1="40" y1="160" x2="840" y2="160" stroke="#99a"/>'
    )
    return f'<svg viewBox="0 0 850 185" font-size="12" fill="#1b2126" role="img">{bars}{axis}{ends}</svg>'


def _time(us: int) -> str:
    return clock_text(us * 1000)


def _png(picture: Image) -> bytes:
    return bytes(cv2.imencode(".png", picture)[1])


def _save(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
