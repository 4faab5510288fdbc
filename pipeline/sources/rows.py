"""Detections as JSONL or Parquet rows: `time`, `frame`, `id`, `box`, `score`, `cls`, `embedding`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from operators.records import SECOND_NS, Float32, Frame
from pipeline.sources.base import Crop, End, Item, Rejected, read_position, write_position
from pipeline.sources.boxes import (
    Box,
    RowError,
    appearance,
    certainty,
    corners,
    cut,
    frame_number,
    gather,
    track_id,
)
from pipeline.sources.detections import LOOK_ROWS, Contents, DetectionFile
from pipeline.sources.row_files import Instant, JsonLines, ParquetRows, Row, RowReader
from pipeline.sources.timing import FpsCap, start_of

_KIND = "rows"


@dataclass(frozen=True, slots=True)
class _Seen:
    """A row and the frame it belongs to."""

    row: Row
    frame: int
    time_ns: int


class RowFile(DetectionFile):
    """A JSONL or Parquet file of detections, read as a stream: rows of one frame stand together, in order of time.

    Fields of a row:
        time: when the camera saw it. ISO 8601 (UTC where no zone is given) or a Parquet timestamp: as it stands.
            A number: seconds, counted from `start_ns`. Read to the microsecond.
        frame: number of the frame, from 1. Without it the distinct times are counted.
        id: local track id, 0 or more; missing, null or -1: not tracked.
        box: [x1, y1, x2, y2] in pixels. null: nothing was seen in this frame, which so exists all the same.
        score: in [0, 1]; missing, null or -1: 1.
        cls: name or number (`pipeline.class_numbers`); missing or null: the first class.
        embedding: numbers, normalised here; missing or null: not known, a row of NaN.

    Every row has `time`, or `frame` (then `fps` gives the time), or both, like the first one that has either. Where
    rows have times, `fps` is a cap. Only frames with rows exist: trackers hear from the times how long it has been,
    and a file made from every fifth picture is not filled up with four empty ones. A row that goes back in time, or
    disagrees with its frame about it, is rejected as `out_of_order`.

    A position is the byte or row at which the next frame begins, so that resuming reads nothing twice.
    """

    def __init__(
        self,
        camera: str,
        path: Path,
        *,
        fps: float | None = None,
        crop: Crop | None = None,
        start_ns: int = 0,
        offset_ns: int = 0,
        classes: Sequence[str] | None = None,
    ) -> None:
        """`offset_ns` is added to times that stand for themselves, as `start_ns` is to the others."""
        super().__init__(camera, path, fps=fps, crop=crop, start_ns=start_ns, classes=classes)
        self._offset_ns = offset_ns
        self._rows: Iterator[Row] = iter(())

    def open(self, position: bytes | None) -> None:
        """See `Source.open`."""
        state = {} if position is None else read_position(_KIND, self.camera, position)
        self._facts = self.contents
        if not (self._facts.has_times or self._fps):
            raise self._error("its rows have a `frame` but no `time`", "give the camera's `fps`")
        self._place, self._number = state.get("place", 0), state.get("number", 1)
        self._frame, self._time_ns = state.get("frame", 0), state.get("time_ns")
        # Without times there is nothing to cap: `fps` is then what the times are made of.
        self._cap = FpsCap(self._fps if self._facts.has_times else None)
        self._cap.restore(state.get("cap", [None, 0]))
        self._tally.restore(state.get("counts", {}))
        self._rows = self._reader().rows(self._place, self._number)
        self._ahead: _Seen | None = None

    def read(self) -> Item | None:
        """See `Source.read`."""
        while True:
            first = self._ahead or self._next_row()
            self._ahead = None
            if first is None:
                return End()
            boxes: list[Box] = []
            ids: set[int] = set()
            seen: _Seen | None = first
            self._frame, self._time_ns = first.frame, first.time_ns
            while seen is not None and seen.frame == first.frame:
                self._add(seen, boxes, ids)
                self._place, self._number = seen.row.after, seen.row.number + 1
                seen = self._next_row()
            self._ahead = seen
            self._tally.decoded()
            if self._cap.keeps(first.time_ns):
                given = gather(boxes, ids=self._facts.tracks, dim=self._facts.dim)
                return Frame(self.camera, first.frame, first.time_ns, given=given)
            self._tally.dropped("fps_cap")

    def position(self) -> bytes:
        """See `Source.position`."""
        return write_position(
            _KIND,
            place=self._place,
            number=self._number,
            frame=self._frame,
            time_ns=self._time_ns,
            cap=self._cap.state,
            counts=self._tally.counts,
        )

    def close(self) -> None:
        """See `Source.close`."""
        self._rows = iter(())

    def _reader(self) -> RowReader:
        try:
            return ParquetRows(self._path) if _is_parquet(self._path) else JsonLines(self._path)
        except RowError as problem:
            raise self._error(str(problem), "write rows with `time` or `frame`, `box` and `score`") from None

    def _look(self) -> Contents:
        tracks = has_times = has_frames = False
        dims: Counter[int] = Counter()
        first = None
        try:
            for row in islice(self._reader().rows(), LOOK_ROWS):
                if isinstance(row.fields, RowError):
                    first = first or f"row {row.number}: {row.fields}"
                    continue
                if not (has_times or has_frames):
                    has_times, has_frames = (row.fields.get(name) is not None for name in ("time", "frame"))
                tracks = tracks or row.fields.get("id", -1) not in (-1, None)
                if isinstance(embedding := row.fields.get("embedding"), list | np.ndarray) and len(embedding):
                    dims[len(embedding)] += 1
        except RowError as problem:
            first = first or str(problem)
        if not (has_times or has_frames):
            what = f"none of its first rows can be used ({first})" if first else "no row has a `time` or a `frame`"
            raise self._error(what, "write rows with `time` or `frame`, `box` and `score`")
        dim = dims.most_common(1)[0][0] if dims else None
        return Contents(tracks=tracks, dim=dim, has_frames=has_frames, has_times=has_times)

    def _next_row(self) -> _Seen | None:
        """The next row whose frame and time can be told; None at the end."""
        try:
            for row in self._rows:
                try:
                    return self._placed(row)
                except RowError as problem:
                    self._reject(row, problem)
                    self._place, self._number = row.after, row.number + 1
        except RowError as problem:
            detail = f"{self._path}: {problem}; nothing after row {self._number - 1} was read"
            self._rejected.append(Rejected(problem.reason, detail, "", self._now_ns))
        return None

    def _placed(self, row: Row) -> _Seen:
        """The row with its frame and time.

        Raises:
            RowError: they cannot be read, or lie before what was already read.
        """
        if isinstance(row.fields, RowError):
            raise row.fields
        time_ns = self._instant(row.fields.get("time")) if self._facts.has_times else None
        if self._facts.has_frames:
            frame = frame_number(row.fields.get("frame"))
            if time_ns is None:
                assert self._fps is not None
                time_ns = self._start_ns + round((frame - 1) * SECOND_NS / self._fps)
        else:
            assert time_ns is not None
            frame = self._frame if time_ns == self._time_ns else self._frame + 1
        if self._time_ns is not None:
            if frame < self._frame or (frame > self._frame and time_ns <= self._time_ns):
                raise RowError("out_of_order", "it lies before the row above it; sort the file by time")
            if frame == self._frame and time_ns != self._time_ns:
                raise RowError("out_of_order", f"it gives frame {frame} another time than the row above it")
        return _Seen(row, frame, time_ns)

    def _instant(self, value: Any) -> int:
        """Event time in nanoseconds of what stands under `time`."""
        if isinstance(value, Instant):
            time_ns = value // 1000 * 1000 + self._offset_ns
        elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            time_ns = self._start_ns + round(value * 1_000_000) * 1000
        elif isinstance(value, str):
            try:
                time_ns = start_of(datetime.fromisoformat(value)) + self._offset_ns
            except ValueError:
                raise RowError("bad_time", f"its time {value!r} is not ISO 8601") from None
        else:
            raise RowError("bad_time", f"its time is {value!r}; write seconds or ISO 8601")
        if not 0 <= time_ns < 2**63:
            raise RowError("bad_time", f"its time {value!r} does not lie between 1970 and 2262; write seconds")
        return time_ns

    def _add(self, seen: _Seen, boxes: list[Box], ids: set[int]) -> None:
        """Put the row's box to those of its frame, if it has one that is wanted and can be used."""
        fields = seen.row.fields
        assert isinstance(fields, dict)
        try:
            if "box" not in fields:
                raise RowError("malformed", "it has no `box`; write null where nothing was seen")
            if fields["box"] is None:
                return
            box = fields["box"]
            if not isinstance(box, list) or len(box) != 4:
                raise RowError("bad_box", f"its box is {box!r}; write [x1, y1, x2, y2]")
            xyxy = corners(*box)
            track = track_id(fields.get("id"), wanted=self._facts.tracks)
            score = certainty(fields.get("score"))
            cls = self._table.index(fields.get("cls"))
            inside = cut(xyxy, self._crop)
            if cls is None or inside is None:
                self._tally.add("rows.other_class" if cls is None else "rows.outside_crop")
                return
            if track != -1 and track in ids:
                raise RowError("bad_id", f"it is a second row of id {track} in frame {seen.frame}")
        except RowError as problem:
            self._reject(seen.row, problem)
            return
        ids.add(track)
        boxes.append(Box(track, inside, score, cls, self._embedding(seen.row, fields.get("embedding"))))

    def _embedding(self, row: Row, values: Any) -> Float32 | None:
        if values is None or self._facts.dim is None:
            return None
        try:
            return appearance(values, self._facts.dim)
        except RowError as problem:
            self._reject(row, problem)
            return None

    def _reject(self, row: Row, problem: RowError) -> None:
        self._tally.add("rows.rejected")
        self._rejected.append(self._rejection(row.number, problem, row.text(), self._now_ns))

    @property
    def _now_ns(self) -> int:
        return self._start_ns if self._time_ns is None else self._time_ns


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"
