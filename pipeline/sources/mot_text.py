"""Detections as MOT text: rows `frame,id or -1,x,y,w,h,score[,class]`, commas or blanks between."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from operators.records import SECOND_NS, Detections, Frame, Int64
from pipeline.sources.base import End, Item, read_position, write_position
from pipeline.sources.boxes import RowError, certainty, corners, cut, frame_number, track_id
from pipeline.sources.detections import LOOK_ROWS, Contents, DetectionFile

_KIND = "mot"
# A number further on than this is a mistake or another recording: the frames between are not made up.
_LONGEST_GAP = 100_000
_COLUMNS = 8

Float64 = NDArray[np.float64]


class MotTextFile(DetectionFile):
    """A MOT text file at the camera's `fps`: frame n is seen at `start_ns + (n - 1) / fps`.

    The file is read whole and sorted by frame (ground truth is often sorted by id). Frames without rows between the
    first and the last are there, empty, so that trackers see time pass; gaps of more than 100,000 frames are not
    filled. Columns: the score may be -1 (not known, taken as 1); the class is a number as in
    `pipeline.class_numbers`, -1 where not known. Where the eighth column of the first rows is not made of whole
    numbers from -1 on it is no class: the MOT Challenge of 2015 has world coordinates there. Further columns are not
    looked at. A row that cannot be read is rejected with the frame it names or, if none, with the row before it.
    """

    _rows: Float64  # (N, 8): frame, id, x1, y1, x2, y2, score, class index; sorted by frame
    _frames: Int64  # (N,) the first column
    _seen: Int64  # distinct frames of all readable rows, also of those left out
    _bad: list[tuple[int, int, RowError, str]]  # frame it is told with, line, what is wrong, the line itself
    _left_out: dict[str, Int64]  # by count's name: frames of such rows, sorted

    def open(self, position: bytes | None) -> None:
        """See `Source.open`."""
        if self._fps is None:
            raise self._error("MOT text says no times", "give the camera's `fps`")
        contents = self.contents
        state = {} if position is None else read_position(_KIND, self.camera, position)
        self._load(contents)
        self._frame: int | None = state.get("frame")
        self._told = bisect_right(self._bad, self._frame or 0, key=lambda row: row[0])
        self._tally.restore(state.get("counts", {}))

    def read(self) -> Item | None:
        """See `Source.read`."""
        reached = self._frame or 0
        ahead = int(np.searchsorted(self._seen, reached, side="right"))
        if ahead == len(self._seen):
            self._tell_up_to(None)
            return End()
        found = int(self._seen[ahead])
        self._frame = found if self._frame is None or found - reached > _LONGEST_GAP else reached + 1
        self._tally.decoded()
        self._tell_up_to(self._frame)
        return Frame(self.camera, self._frame, self._time_of(self._frame), given=self._detections(self._frame))

    def position(self) -> bytes:
        """See `Source.position`."""
        return write_position(_KIND, frame=self._frame, counts=self._tally.counts)

    def close(self) -> None:
        """See `Source.close`."""
        self._rows = np.zeros((0, _COLUMNS))
        self._frames = self._seen = np.zeros(0, np.int64)
        self._bad = []
        self._left_out = {}

    def _look(self) -> Contents:
        tracks, classes, readable, first = False, True, 0, None
        for number, line in self._lines():
            if number > LOOK_ROWS:
                break
            try:
                values = _numbers(line)
                frame_number(values[0])
            except RowError as problem:
                first = first or f"row {number}: {problem}"
                continue
            readable += 1
            tracks = tracks or (values[1] != -1 and values[1] >= 0)
            if len(values) >= _COLUMNS:
                classes = classes and values[7] >= -1 and values[7].is_integer()
        if not readable:
            what = f"none of its first rows can be read ({first})" if first else "there is no row in it"
            raise self._error(what, "write rows `frame,id or -1,x,y,w,h,score`")
        return Contents(tracks=tracks, has_classes=classes)

    def _lines(self) -> Iterator[tuple[int, str]]:
        try:
            with self._path.open(encoding="utf-8-sig", errors="replace") as file:
                for number, line in enumerate(file, start=1):
                    if line.strip():
                        yield number, line.strip()
        except OSError as error:
            raise self._error(f"the file cannot be read ({error.strerror})", "check the disk") from None

    def _load(self, contents: Contents) -> None:
        """All rows, sorted by frame; so are the frames of those left out, and the bad ones."""
        flat = array("d")
        bad: list[tuple[int, int, RowError, str]] = []
        left_out: dict[str, list[int]] = {"rows.other_class": [], "rows.outside_crop": []}
        tracks_seen: set[int] = set()
        before = 1
        for number, line in self._lines():
            frame = before
            try:
                values = _numbers(line)
                frame = before = frame_number(values[0])
                box = corners(values[2], values[3], values[2] + values[4], values[3] + values[5])
                track = track_id(values[1], wanted=contents.tracks)
                score = certainty(values[6])
                cls = self._table.index(values[7] if contents.has_classes and len(values) >= _COLUMNS else None)
                inside = cut(box, self._crop)
                if cls is None or inside is None:
                    left_out["rows.other_class" if cls is None else "rows.outside_crop"].append(frame)
                    continue
                if contents.tracks and (key := frame << 53 | track) in tracks_seen:
                    raise RowError("bad_id", f"it is a second row of id {track} in frame {frame}")
                if contents.tracks:
                    tracks_seen.add(key)
                flat.extend((frame, track, *inside, score, cls))
            except RowError as problem:
                bad.append((frame, number, problem, line))
        rows = np.frombuffer(flat, np.float64).reshape(-1, _COLUMNS)
        self._rows = rows[np.argsort(rows[:, 0], kind="stable")]
        self._frames = self._rows[:, 0].astype(np.int64)
        self._bad = sorted(bad, key=lambda row: row[:2])
        self._left_out = {name: np.sort(np.array(frames, np.int64)) for name, frames in left_out.items()}
        self._seen = np.unique(np.concatenate([self._frames, *self._left_out.values()]))
        self._with_ids = contents.tracks

    def _detections(self, frame: int) -> Detections:
        first, end = np.searchsorted(self._frames, [frame, frame + 1])
        rows = self._rows[first:end]
        return Detections(
            rows[:, 2:6].astype(np.float32),
            rows[:, 6].astype(np.float32),
            rows[:, 7].astype(np.int32),
            ids=rows[:, 1].astype(np.int64) if self._with_ids else None,
        )

    def _tell_up_to(self, frame: int | None) -> None:
        """Reject the bad rows, and count the rows left out, up to this frame; None: to the end."""
        now = len(self._bad) if frame is None else bisect_right(self._bad, frame, key=lambda row: row[0])
        for at, number, problem, line in self._bad[self._told : now]:
            self._rejected.append(self._rejection(number, problem, line, self._time_of(at)))
        self._told = max(now, self._told)
        self._tally.put("rows.rejected", now)
        for name, frames in self._left_out.items():
            count = len(frames) if frame is None else np.searchsorted(frames, frame, side="right")
            self._tally.put(name, int(count))

    def _time_of(self, frame: int) -> int:
        assert self._fps is not None
        return self._start_ns + round((frame - 1) * SECOND_NS / self._fps)


def _numbers(line: str) -> list[float]:
    """The numbers of one row.

    Raises:
        RowError: they are none, or fewer than seven.
    """
    parts = line.split(",") if "," in line else line.split()
    try:
        values = [float(part) for part in parts]
    except ValueError:
        raise RowError("malformed", "there is something in it that is no number") from None
    if len(values) < 7:
        raise RowError("malformed", f"it has {len(values)} columns; write `frame,id or -1,x,y,w,h,score`")
    return values
