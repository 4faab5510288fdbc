"""Tracks out of a ledger into files that other tools read: MOT text, Parquet, CSV.

By default every point stands under the identity that all corrections so far have led to; `as_published` writes
what a consumer saw at the time. Points pass through a buffer; MOT text, which must be sorted, is sorted through a
temporary file and an index of one camera at a time. Files appear under their names only when all are complete.

MOT text: `DIR/<camera>.txt`, rows `frame,number,x,y,w,h,score,class,-1,-1`, frames from 1 as in the source, boxes in
pixels of the camera's own picture, sorted by frame and then number. `pipeline.class_numbers` says what the class column
means, `DIR/classes.csv` for the classes of this export. Gaps may be filled, see `pipeline.bridging`.

Parquet and CSV: `tracks`, one row a point in commit order, and `identities`, one row a correction, so that readers can
follow them by themselves; `provisional` marks what was published as a guess. Times are microseconds since 1970 UTC, X
and Y metres on the ground plane or null.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv, parquet

from mtmct.corrections import IdentityResolver, number_of
from mtmct.records import IDENTITIES, TRACKS
from operators.records import CrosscamError
from pipeline.bridging import fill_gaps
from pipeline.class_numbers import numbers_of
from pipeline.ledger.base import LedgerReader, Stored

Format = Literal["mot", "parquet", "csv"]

_ROWS_IN_MEMORY = 1 << 16  # some 6 MB of points; also the size of a Parquet row group
_RECORDS_PER_REPORT = 1000


class ExportError(CrosscamError):
    """The export cannot be written, or a record of the ledger lacks what it needs."""


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One file that was written.

    Attributes:
        path: where it is.
        rows: how many rows it has, headers not counted.
        duplicates: MOT text: points left out because their identity stands twice in the same frame (a late merge
            can lead to that, and the format has no room for it); the one with the higher score is kept.
        filled: MOT text: of the rows, those that fill gaps.
    """

    path: Path
    rows: int
    duplicates: int = 0
    filled: int = 0


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """What became of the ledger's points.

    Attributes:
        files: in the order of their names.
        points: written; of them `filled` are not in the ledger.
        retracted: points left out because their identity was retracted.
        duplicates, filled: sums over the files.
    """

    files: tuple[ExportedFile, ...]
    points: int
    retracted: int
    duplicates: int
    filled: int


@dataclass(frozen=True, slots=True)
class _Tracklet:
    """A tracklet under the identity it is exported with."""

    value: Mapping[str, Any]
    identity: str
    number: int
    points: NDArray[np.float64]  # (M, 8): t_us (exact: below 2**53), x1, y1, x2, y2, score, X, Y; NaN where null


class _Writer(Protocol):
    def add(self, tracklet: _Tracklet) -> None: ...

    def correction(self, value: Mapping[str, Any]) -> None: ...

    def finish(self) -> list[ExportedFile]:
        """Complete every file; paths are still those in the working folder."""
        ...


def export(
    reader: LedgerReader,
    format: Format,
    output: Path,
    *,
    as_published: bool = False,
    cameras: Collection[str] | None = None,
    bridge: int = 0,
    progress: Callable[[int], None] = lambda points: None,
) -> ExportSummary:
    """Write the site's tracks into the folder `output`.

    A ledger that is still being written is exported as it stood when this was called; corrections that arrive
    meanwhile may already count.

    Args:
        reader: the site's ledger.
        format: mot, parquet or csv.
        output: a folder; made if missing. Files in it that bear the same names are replaced, others stay.
        as_published: ignore corrections: each point under the identity it was published with.
        cameras: only these. As MOT text each of them gets a file, if only an empty one.
        bridge: MOT text: gaps of at most so many frames of an identity in a camera are filled with straight lines.
        progress: told the number of points so far, now and then.

    Raises:
        ExportError: unknown format, the folder cannot be written, or a record lacks a field.
        LedgerError: the ledger cannot be read.
    """
    if format not in ("mot", "parquet", "csv"):
        raise ExportError(f"there is no export format '{format}': choose mot, parquet or csv")
    try:
        output.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=output, prefix=".export-") as work, ExitStack() as opened:
            folder = Path(work)
            writer = _MotText(folder, cameras, bridge) if format == "mot" else _Tables(folder, format, opened)
            points, retracted = _transfer(reader, writer, as_published, cameras, progress)
            written = writer.finish()
            opened.close()
            files = tuple(_publish(file, output) for file in sorted(written, key=lambda file: file.path.name))
    except OSError as error:
        raise ExportError(f"cannot write the export into {output}: {error.strerror or error}") from error
    duplicates, filled = sum(file.duplicates for file in files), sum(file.filled for file in files)
    return ExportSummary(files, points - duplicates + filled, retracted, duplicates, filled)


def _transfer(
    reader: LedgerReader,
    writer: _Writer,
    as_published: bool,
    cameras: Collection[str] | None,
    progress: Callable[[int], None],
) -> tuple[int, int]:
    """All tracklets and corrections into the writer; the number of points written and of those retracted."""
    # The tracks' end is taken first, so that no track is exported whose corrections were not there to be read.
    end = reader.end(TRACKS)
    resolver = IdentityResolver()
    for stored in reader.read(IDENTITIES):
        resolver.apply(stored.value)
        writer.correction(stored.value)
    points = retracted = 0
    for count, stored in enumerate(_up_to(reader, end), 1):
        value = stored.value
        try:
            resolver.published(value)
            if cameras is None or value["camera"] in cameras:
                whose = (value["camera"], value["track"], value.get("start"))
                identity = value["identity"] if as_published else resolver.name_of(*whose)
                if identity is None:
                    retracted += len(value["points"])
                elif value["points"]:
                    writer.add(_Tracklet(value, identity, number_of(identity), _points(value)))
                    points += len(value["points"])
        except KeyError as error:
            raise ExportError(
                f"the tracks record at {stored.position} cannot be exported: it has no {error}"
            ) from error
        except ValueError as error:
            raise ExportError(f"the tracks record at {stored.position} cannot be exported: {error}") from error
        if count % _RECORDS_PER_REPORT == 0:
            progress(points)
    progress(points)
    return points, retracted


def _points(value: Mapping[str, Any]) -> NDArray[np.float64]:
    points = np.array(value["points"], np.float64)
    if points.shape != (len(value["frames"]), 8):
        raise ValueError(f"it has {len(value['frames'])} frames and points of shape {points.shape}")
    return points


def _up_to(reader: LedgerReader, end: str | None) -> Iterator[Stored]:
    if end is not None:
        for stored in reader.read(TRACKS):
            yield stored
            if stored.position == end:
                return


def _publish(file: ExportedFile, output: Path) -> ExportedFile:
    return replace(file, path=file.path.replace(output / file.path.name))


_POINT = np.dtype([("frame", "i8"), ("number", "i8"), ("xywh", "f8", 4), ("score", "f8"), ("cls", "i4")])


class _MotText:
    """Points of every camera into a file of fixed-size rows; sorted and written as text at the end."""

    def __init__(self, folder: Path, cameras: Collection[str] | None, bridge: int) -> None:
        self._folder = folder
        self._bridge = bridge
        self._waiting: dict[str, list[NDArray[np.void]]] = {camera: [] for camera in cameras or ()}
        self._rows_waiting = 0
        self._classes: dict[str, int] = {}  # name -> index, in order of appearance

    def add(self, tracklet: _Tracklet) -> None:
        value = tracklet.value
        rows = np.zeros(len(tracklet.points), _POINT)
        rows["frame"] = value["frames"]
        rows["number"] = tracklet.number
        rows["xywh"] = tracklet.points[:, 1:5]
        rows["xywh"][:, 2:] -= tracklet.points[:, 1:3]
        rows["score"] = tracklet.points[:, 5]
        rows["cls"] = self._classes.setdefault(value["class"], len(self._classes))
        self._waiting.setdefault(value["camera"], []).append(rows)
        self._rows_waiting += len(rows)
        if self._rows_waiting >= _ROWS_IN_MEMORY:
            self._spill()

    def correction(self, value: Mapping[str, Any]) -> None:
        """The format has no room for corrections."""

    def finish(self) -> list[ExportedFile]:
        self._spill()
        numbers = numbers_of(self._classes)
        by_index = np.array([numbers[name] for name in self._classes], np.int64)
        legend = self._folder / "classes.csv"
        lines = [
            "number,class",
            *(f"{number},{name}" for number, name in sorted((numbers[n], n) for n in self._classes)),
        ]
        legend.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return [ExportedFile(legend, len(self._classes)), *(self._sort(camera, by_index) for camera in self._waiting)]

    def _spill(self) -> None:
        for camera, waiting in self._waiting.items():
            with self._spilled(camera).open("ab") as file:
                file.writelines(rows.tobytes() for rows in waiting)
            waiting.clear()
        self._rows_waiting = 0

    def _spilled(self, camera: str) -> Path:
        if Path(camera).name != camera:
            raise ExportError(f"camera '{camera}' cannot name a file: export to parquet or csv, or rename the camera")
        return self._folder / f"{camera}.points"

    def _sort(self, camera: str, classes: NDArray[np.int64]) -> ExportedFile:
        spilled = self._spilled(camera)
        empty = spilled.stat().st_size == 0
        rows = np.zeros(0, _POINT) if empty else np.memmap(spilled, _POINT, mode="r")
        order = np.lexsort((-rows["score"], rows["number"], rows["frame"]))
        frames, numbers = rows["frame"][order], rows["number"][order]
        again = np.zeros(len(order), bool)
        again[1:] = (frames[1:] == frames[:-1]) & (numbers[1:] == numbers[:-1])
        order = order[~again]
        filled = self._filled(rows, order)
        if len(filled):
            kept = [
                np.concatenate([part[~again], filled[name]]) for name, part in (("frame", frames), ("number", numbers))
            ]
            order = np.concatenate([order, len(rows) + np.arange(len(filled))])[np.lexsort(kept[::-1])]
        path = self._folder / f"{camera}.txt"
        with path.open("w", encoding="ascii", newline="\n") as file:
            for start in range(0, len(order), _ROWS_IN_MEMORY):
                chosen = order[start : start + _ROWS_IN_MEMORY]
                seen = chosen < len(rows)
                some = np.empty(len(chosen), _POINT)
                some[seen], some[~seen] = rows[chosen[seen]], filled[chosen[~seen] - len(rows)]
                fields = (some["frame"], some["number"], *some["xywh"].T, some["score"], classes[some["cls"]])
                file.writelines(
                    f"{frame},{number},{x:.2f},{y:.2f},{w:.2f},{h:.2f},{score:.4f},{cls},-1,-1\n"
                    for frame, number, x, y, w, h, score, cls in zip(*(field.tolist() for field in fields), strict=True)
                )
        return ExportedFile(path, len(order), int(again.sum()), len(filled))

    def _filled(self, rows: NDArray[np.void], order: NDArray[np.intp]) -> NDArray[np.void]:
        """Rows for the gaps between those that `order` names."""
        if not self._bridge:
            return np.zeros(0, _POINT)
        gaps = fill_gaps(rows["frame"][order], rows["number"][order], self._bridge)
        filled = rows[order[gaps.before]]
        filled["frame"], filled["xywh"] = gaps.frames, gaps.between(rows["xywh"][order])
        filled["score"] = np.minimum(filled["score"], rows["score"][order[gaps.after]])
        return filled


_text, _int, _float = pa.string(), pa.int64(), pa.float64()
_PER_TRACKLET: dict[str, Any] = {
    "site": _text,
    "camera": _text,
    "track": _int,
    "identity": _text,
    "number": _int,
    "class": _text,
}
_PER_TRACKLET |= {"revision": _int, "provisional": pa.bool_()}
_PER_POINT: dict[str, Any] = {
    "frame": _int,
    "time_us": _int,
    "x1": _float,
    "y1": _float,
    "x2": _float,
    "y2": _float,
    "score": _float,
}
_PER_POINT |= {"X": _float, "Y": _float}
_CORRECTION: dict[str, Any] = {
    "site": _text,
    "identity": _text,
    "number": _int,
    "revision": _int,
    "event": _text,
    "class": _text,
}
_CORRECTION |= {"time_us": _int, "cameras": _text, "tracks": _text, "into": _text, "evidence": _text}
_CORRECTION |= {"runner_up": _text}


class _Tables:
    """Two tables: points of tracks, and corrections (lists and evidence as JSON text)."""

    def __init__(self, folder: Path, format: str, opened: ExitStack) -> None:
        self._tracks = _Table(folder / f"tracks.{format}", pa.schema(_PER_TRACKLET | _PER_POINT), opened)
        self._identities = _Table(folder / f"identities.{format}", pa.schema(_CORRECTION), opened)

    def add(self, tracklet: _Tracklet) -> None:
        value, points = tracklet.value, tracklet.points
        length = len(points)
        same = {"provisional": False, **value} | {"identity": tracklet.identity, "number": tracklet.number}
        columns = [pa.repeat(pa.scalar(same[name], kind), length) for name, kind in _PER_TRACKLET.items()]
        columns += [pa.array(value["frames"], _int), pa.array(points[:, 0].astype(np.int64))]
        columns += [pa.array(column, from_pandas=True) for column in points[:, 1:].T]
        self._tracks.add(columns, length)

    def correction(self, value: Mapping[str, Any]) -> None:
        row = {**value} | {"time_us": value["time"]}
        row |= {name: json.dumps(value[name], ensure_ascii=False) for name in ("cameras", "tracks")}
        for name in ("evidence", "runner_up"):
            row[name] = value.get(name) and json.dumps(value[name], ensure_ascii=False)
        self._identities.add([pa.array([row[name]], kind) for name, kind in _CORRECTION.items()], 1)

    def finish(self) -> list[ExportedFile]:
        return [self._tracks.finish(), self._identities.finish()]


class _Table:
    """One Parquet or CSV file, written a row group at a time."""

    def __init__(self, path: Path, schema: pa.Schema, opened: ExitStack) -> None:
        self._path, self._schema = path, schema
        make = parquet.ParquetWriter if path.suffix == ".parquet" else csv.CSVWriter
        self._writer = opened.enter_context(make(str(path), schema))
        self._waiting: list[pa.RecordBatch] = []
        self._rows_waiting = 0
        self._rows = 0

    def add(self, columns: list[pa.Array], rows: int) -> None:
        self._waiting.append(pa.record_batch(columns, schema=self._schema))
        self._rows_waiting += rows
        if self._rows_waiting >= _ROWS_IN_MEMORY:
            self._flush()

    def finish(self) -> ExportedFile:
        self._flush()
        return ExportedFile(self._path, self._rows)

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting, self._schema).combine_chunks())
        self._rows += self._rows_waiting
        self._waiting.clear()
        self._rows_waiting = 0
