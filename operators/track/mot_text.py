"""MOT text through a tracker: `frame,id or -1,x,y,w,h,score[,class]` rows in, MOT rows out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from operators.records import SECOND_NS, Detections, Float32, Tracks
from operators.track.base import Tracker
from operators.track.errors import TrackerError
from operators.track.registry import DEFAULT, create


def read_mot(path: Path, looks: Path | None = None) -> list[Detections]:
    """The detections of every frame from 1 to the last one of a MOT file, as rows `frame,id,x,y,w,h,score[,class]`.

    Boxes become xyxy; x and y are kept as written. Without a class (or with one below 0) it is 0. Where all
    scores are outside [0, 1] somewhere, they are raw scores, and the logistic function makes them probabilities.

    Args:
        looks: a .npy file of embeddings, (N, D) of floats, one for each of the file's N rows in their order.

    Raises:
        TrackerError: a file cannot be read, a row is not of this form, or there are not as many embeddings as rows.
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TrackerError(f"{path} cannot be read as MOT text: {error}") from error
    rows = np.array(list(_parsed(lines, path)), np.float64).reshape(-1, 8)
    embeddings = None if looks is None else _read_looks(looks, path, len(rows))
    if not len(rows):
        return []
    scores = rows[:, 6]
    if scores.min() < -0.01 or scores.max() > 1.01:
        scores = 1 / (1 + np.exp(-scores))
    boxes = np.column_stack([rows[:, 2], rows[:, 3], rows[:, 2] + rows[:, 4], rows[:, 3] + rows[:, 5]])
    frames = rows[:, 0].astype(np.int64)
    order = np.argsort(frames, kind="stable")
    frames = frames[order]
    edges = np.searchsorted(frames, np.arange(1, frames[-1] + 2))
    return [
        Detections(
            boxes[part].astype(np.float32),
            scores[part].astype(np.float32),
            np.maximum(rows[part, 7], 0).astype(np.int32),
            embeddings=None if embeddings is None else embeddings[part],
        )
        for part in (order[first:last] for first, last in pairwise(edges))
    ]


def _read_looks(looks: Path, path: Path, rows: int) -> Float32:
    try:
        found = np.load(looks, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise TrackerError(f"{looks} cannot be read as an array of embeddings (.npy): {error}") from error
    if not isinstance(found, np.ndarray) or found.ndim != 2 or len(found) != rows or found.dtype.kind != "f":
        form = f"{found.dtype} of shape {found.shape}" if isinstance(found, np.ndarray) else "several arrays"
        raise TrackerError(
            f"{looks} holds {form}, but {path} has {rows} rows: give floats of the shape ({rows}, D), one row each"
        )
    return found.astype(np.float32)


def _parsed(lines: Iterable[str], path: Path) -> Iterator[list[float]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            values = [float(text) for text in line.split(",")]
        except ValueError as error:
            raise TrackerError(f"{path}, line {number}: {error}; rows are frame,id,x,y,w,h,score[,class]") from error
        if len(values) < 7 or not values[0] >= 1 or values[0] != int(values[0]) or values[0] > 1e8:
            raise TrackerError(
                f"{path}, line {number}: rows are frame,id,x,y,w,h,score[,class], with frames from 1, not {line!r}"
            )
        yield [*values[:7], values[7] if len(values) > 7 and np.isfinite(values[7]) else -1.0]


def frame_times(frames: int, fps: float) -> list[int]:
    """Event times of `frames` frames of a video at `fps`, nanoseconds, from 0."""
    return [round(k * SECOND_NS / fps) for k in range(frames)]


def track_frames(tracker: Tracker, frames: Iterable[Detections], fps: float) -> Iterator[Tracks]:
    """The tracks after each frame of a video at constant `fps`."""
    for k, detections in enumerate(frames):
        yield tracker.update(detections, round(k * SECOND_NS / fps))


def mot_rows(frame: int, tracks: Tracks, *, measured: bool = False) -> str:
    """One line a track: `frame,id,x,y,w,h,score,class,-1,-1`; boxes smoothed, or as `measured`."""
    boxes = tracks.measured if measured else tracks.boxes
    return "".join(
        f"{frame},{identity},{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f},{score:.3f},{label},-1,-1\n"
        for identity, (x1, y1, x2, y2), score, label in zip(
            tracks.ids.tolist(),
            boxes.astype(np.float64).tolist(),
            tracks.scores.tolist(),
            tracks.classes.tolist(),
            strict=True,
        )
    )


@dataclass(frozen=True, slots=True)
class Tracked:
    """What became of a file: frames read, different tracks and rows written, and what was rejected, by reason."""

    frames: int
    tracks: int
    rows: int
    rejected: Mapping[str, int]


def track_mot_text(
    detections: Path,
    output: Path,
    fps: float,
    tracker: str = DEFAULT,
    parameters: Mapping[str, Any] | None = None,
    *,
    looks: Path | None = None,
    measured: bool = False,
) -> Tracked:
    """Runs the MOT file `detections` through a tracker and writes MOT rows to `output`.

    Args:
        fps: frame rate of the video; also the tracker's reference rate unless `parameters` names another `rate_hz`.
        tracker, parameters: see `create`.
        looks: embeddings of the rows, see `read_mot`.
        measured: write the matched detections' boxes instead of the smoothed ones.

    Raises:
        TrackerError: a file, the tracker or a parameter is wrong.
    """
    if not 0 < fps < 10_000:
        raise TrackerError(f"the frame rate of {detections} is {fps}, but must be above 0")
    one = create(tracker, **{"rate_hz": fps, **(parameters or {})})
    frames = read_mot(detections, looks)
    ids: set[int] = set()
    rows = 0
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with output.open("w") as out:
            for number, tracks in enumerate(track_frames(one, frames, fps), 1):
                out.write(mot_rows(number, tracks, measured=measured))
                ids.update(tracks.ids.tolist())
                rows += len(tracks)
    except OSError as error:
        raise TrackerError(f"{output} cannot be written ({error.strerror}): choose another output") from error
    return Tracked(len(frames), len(ids), rows, one.rejected)
