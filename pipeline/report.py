"""A run's figures as one HTML page that needs no network, with the same figures as CSV and Parquet beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv, parquet

from mtmct.records import EVENTS, IDENTITIES, TRACKS
from mtmct.visits import SiteFigures
from operators.draw import Privacy, blur_boxes
from operators.heat import heat_levels, heat_map, lay_heat
from operators.picture_bytes import png
from operators.records import CrosscamError, Frame, Image
from pipeline.clock import clock_text
from pipeline.ledger.base import LedgerReader
from pipeline.report_page import Chart, Table, page

_PICTURE_WIDTH = 960
_SAME_INSTANT_US = 1
_IN_CHARTS = ("visitors", "counts")
_FLOOR = "the floor"  # no camera can have a name with a space in it


class ReportError(CrosscamError):
    """The report cannot be written."""


def write_report(
    reader: LedgerReader,
    output: Path,
    *,
    interval_s: float = 60.0,
    half_life_s: float | None = None,
    grounds: Mapping[str, Frame] = MappingProxyType({}),
    privacy: Privacy = Privacy.NONE,
) -> list[Path]:
    """Write `index.html`, a CSV and a Parquet file a table, and a heat map a camera and of the floor, into a folder.

    Args:
        reader: the site's ledger.
        output: a folder; made if missing. Files of the same names are replaced.
        interval_s: length of the intervals in which visitors are counted, seconds.
        half_life_s: of the heat maps, event time before the newest point; None: all points count alike.
        grounds: by camera, a frame whose picture lies beneath its heat map; without one that is black.
        privacy: what is blurred of everyone tracked in these frames.

    Returns:
        The files, the page first.

    Raises:
        ReportError: there are no tracks, or the folder cannot be written.
        LedgerError: the ledger cannot be read.
    """
    pictures_of = {name: _Ground(frame.time_ns, frame.image) for name, frame in grounds.items()}
    site, figures, places, events = _read(reader, interval_s, pictures_of)
    if not places:
        raise ReportError("there are no tracks in this ledger: nothing to report")
    tables = _tables(figures, events)
    maps = _maps(places, half_life_s, {name: ground.shown(privacy) for name, ground in pictures_of.items()})
    try:
        output.mkdir(parents=True, exist_ok=True)
        pictures = {name: png(picture) for name, picture in maps.items()}
        on_page = [table for table in tables if table.name not in _IN_CHARTS]
        html = page(*_heading(site, figures), _charts(figures, tables), pictures, on_page)
        files = [_save(output / "index.html", html.encode())]
        for name, data in pictures.items():
            files.append(_save(output / ("floor.png" if name == _FLOOR else f"heat-{name}.png"), data))
        for table in tables:
            arrow = pa.table({c: [row[i] for row in table.rows] for i, c in enumerate(table.columns)})
            csv.write_csv(arrow, str(output / f"{table.name}.csv"))
            parquet.write_table(arrow, str(output / f"{table.name}.parquet"))
            files += [output / f"{table.name}.csv", output / f"{table.name}.parquet"]
    except OSError as error:
        raise ReportError(f"cannot write the report into {output}: {error.strerror or error}") from error
    return files


Places = dict[str, list[NDArray[np.float64]]]


@dataclass(slots=True)
class _Ground:
    """A camera's picture, and the boxes of those tracked in it."""

    time_ns: int
    image: Image | None
    boxes: list[NDArray[np.float64]] = field(default_factory=list)

    def meet(self, rows: NDArray[np.float64]) -> None:
        """Take note of points (t, x1, y1, x2, y2, ...) at the picture's time."""
        self.boxes.append(rows[np.abs(rows[:, 0] - self.time_ns / 1000) < _SAME_INSTANT_US, 1:5])

    def shown(self, privacy: Privacy) -> Image | None:
        if self.image is None:
            return None
        picture = np.array(self.image, np.uint8, order="C")
        if self.boxes:
            blur_boxes(picture, np.concatenate(self.boxes).astype(np.float32), privacy)
        return picture


def _read(
    reader: LedgerReader, interval_s: float, grounds: Mapping[str, _Ground]
) -> tuple[str, SiteFigures, Places, list[dict[str, Any]]]:
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
        if stored.value["camera"] in grounds:
            grounds[stored.value["camera"]].meet(rows)
        ground = rows[np.isfinite(rows[:, 6])][:, [0, 6, 7]]
        if len(ground):
            places.setdefault(_FLOOR, []).append(ground * (1, 1, -1))
    for stored in reader.read(IDENTITIES):
        figures.apply(stored.value)
    for stored in reader.read(EVENTS):
        figures.happened(stored.value)
        if stored.value["type"] in ("exit", "incident", "counts", "site_counts"):
            events.append(stored.value)
    return site, figures, places, events


def _tables(figures: SiteFigures, events: Sequence[dict[str, Any]]) -> list[Table]:
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
    told = {v["start"]: v for v in events if v["type"] == "site_counts"}
    live = [(_time(start), v["revision"], v["present"], v["unique"]) for start, v in sorted(told.items())]
    passed = [
        (_time(start), line, direction, number)
        for start, value in sorted(told.items())
        for line, what in value["lines"].items()
        for direction, number in what["directions"].items()
    ]
    in_zones = [
        (_time(start), zone, who["unique"], who["occupancy"])
        for start, value in sorted(told.items())
        for zone, who in value.get("zones", {}).items()
    ]
    ways = [
        (w.origin, w.destination, w.people, w.seconds, w.fast, w.slow)
        for w in (*figures.ways(), *figures.ways_between_zones())
    ]
    back = [
        (r.identity, r.left.place, _time(r.left.end), r.back.place, _time(r.back.start), r.away)
        for r in figures.returns()
    ]
    between = [(*pair, n) for pair, n in figures.origins_and_destinations(zones=True).items()]
    incidents = [
        (camera, number, v["kind"], v["zone"], v["severity"], _time(v["start"]), v["end"] and _time(v["end"]))
        for (camera, number), v in sorted(ended.items())
    ]
    spent = [
        (*place, len(all_), round(sum(all_) / len(all_), 2), round(max(all_), 2))
        for place, all_ in sorted(dwell.items())
    ]
    return [
        Table("visitors", "Visitors over time", ("start", "visitors"), [(_time(t), n) for t, n in figures.visitors()]),
        Table("site_counts", "The site by interval, as told live and corrected",
              ("start", "revision", "present", "unique"), live),
        Table("site_crossings", "Lines crossed by interval, each identity once",
              ("start", "line", "direction", "people"), passed),
        Table("site_zones", "Zones by interval, each identity once",
              ("start", "zone", "unique", "occupancy"), in_zones),
        Table("crossings", "Lines crossed, each identity once", ("line", "direction", "people"),
               [(*key, n) for key, n in figures.crossings().items()]),
        Table("counts", "Lines crossed, by camera and interval", ("camera", "start", "line", "direction", "crossings"),
               counted),
        Table("dwell", "Time in zones", ("camera", "zone", "visits", "mean_s", "longest_s"), spent),
        Table("incidents", "Incidents", ("camera", "incident", "kind", "zone", "severity", "start", "end"), incidents),
        Table("ways", "From place to place", ("from", "to", "people", "median_s", "p10_s", "p90_s"), ways),
        Table("origins", "First and last camera of each visit", ("first", "last", "people"),
              [(*pair, n) for pair, n in figures.origins_and_destinations().items()], matrix=True),
        Table("zone_origins", "First and last zone of each visit", ("first", "last", "people"), between, matrix=True),
        Table("returns", "Who came back", ("identity", "left", "left_at", "back", "back_at", "away_s"), back),
        Table("journeys", "Journeys", ("identity", "camera", "zone", "start", "seconds"), stays),
    ]  # fmt: skip


def _maps(places: Places, half_life_s: float | None, grounds: Mapping[str, Image | None]) -> dict[str, Image]:
    maps = {}
    for name in sorted(places):
        rows = np.concatenate(places[name])
        ground = grounds.get(name)
        if ground is not None:
            maps[name] = _over(ground, rows, half_life_s)
            continue
        low, high = rows[:, 1:].min(axis=0), rows[:, 1:].max(axis=0)
        margin = np.maximum(0.05 * (high - low), 1e-6 + 0.05 * float((high - low).max()))
        low, high = low - margin, high + margin
        high = np.maximum(high, low + 0.2 * float((high - low).max()))  # nobody wants a picture of one line
        bounds = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
        maps[name] = heat_map(rows[:, 1:], rows[:, 0].astype(np.int64) * 1000, bounds, 480, half_life_s)
    return maps


def _over(ground: Image, rows: NDArray[np.float64], half_life_s: float | None) -> Image:
    """Feet (t, x, y) over a camera's picture, no wider than the page shows it."""
    height, width = ground.shape[:2]
    scale = min(1.0, _PICTURE_WIDTH / width)
    size = (round(width * scale), max(round(height * scale), 1))
    picture: Image = np.asarray(cv2.resize(ground, size, interpolation=cv2.INTER_AREA), np.uint8)
    times = rows[:, 0].astype(np.int64) * 1000
    lay_heat(picture, heat_levels(rows[:, 1:], times, (0, 0, width, height), size, half_life_s))
    return picture


def _charts(figures: SiteFigures, tables: Sequence[Table]) -> dict[str, list[Chart]]:
    """Visitors over time, and each line's crossings in its two directions."""
    visitors = figures.visitors()
    by_line: dict[tuple[str, str], dict[str, dict[str, int]]] = {}
    for camera, start, line, direction, number in next(table.rows for table in tables if table.name == "counts"):
        by_line.setdefault((camera, line), {}).setdefault(start, {})[direction] = number
    lines = []
    for (camera, line), intervals in by_line.items():
        names = list(dict.fromkeys(name for ways in intervals.values() for name in ways))
        series = [(name, [ways.get(name, 0) for ways in intervals.values()]) for name in names]
        lines.append(Chart(f"{line}, {camera}", list(intervals), series[0], series[1] if len(series) > 1 else None))
    people = Chart("visitors in each interval", [_time(t) for t, _ in visitors], ("visitors", [n for _, n in visitors]))
    return {"Visitors over time": [people] if visitors else [], "Lines crossed over time": lines}


def _heading(site: str, figures: SiteFigures) -> tuple[str, str]:
    visitors = figures.visitors()
    span = f"{_time(visitors[0][0])} to {_time(visitors[-1][0])}" if visitors else ""
    return f"{site}: {figures.unique_visitors()} visitors", span


def _time(us: int) -> str:
    return clock_text(us * 1000)


def _save(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
