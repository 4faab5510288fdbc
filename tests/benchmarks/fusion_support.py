"""What the fusion benchmarks share: tables of boxes to batches, through the engine, to scores."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mtmct.corrections import IdentityResolver
from mtmct.evaluation import Evaluation, evaluate
from mtmct.fusion import END_OF_TIME, FusionEngine
from mtmct.mot_text import Boxes
from mtmct.records import CameraBatch, Commit
from mtmct.tracklets import Tracklet, Tracklets
from operators.records import SECOND_NS, Detections, TrackState
from operators.track import create

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"


@dataclass
class CameraTable:
    """All boxes of one camera, sorted by frame.

    frames, tracks, people: (N,) int64; boxes: (N, 4) float32 xyxy; embeddings: (N, D) float32 or None.
    `people` is the truth; `tracks` is what a tracker is taken to have said.
    """

    frames: np.ndarray
    tracks: np.ndarray
    people: np.ndarray
    boxes: np.ndarray
    fps: float
    embeddings: np.ndarray | None = None
    cls: str = "person"
    start_s: float = 0.0

    def times_ns(self) -> np.ndarray:
        return np.round((self.start_s + (self.frames - 1) / self.fps) * SECOND_NS).astype(np.int64)

    def truth(self) -> Boxes:
        return as_boxes(self.frames, self.people, self.boxes)


def as_boxes(frames: np.ndarray, ids: np.ndarray, xyxy: np.ndarray) -> Boxes:
    xywh = np.concatenate([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]], axis=1).astype(np.float64)
    count = len(frames)
    return Boxes(frames, ids, xywh, np.ones(count), np.full(count, -1))


def batches(
    cameras: Mapping[str, CameraTable], interval_ns: int = SECOND_NS
) -> Iterator[tuple[int, list[CameraBatch]]]:
    """Watermark and batches of every commit interval; one embedding a track and interval, from its middle."""
    intervals = {name: table.times_ns() // interval_ns for name, table in cameras.items()}
    first = min(int(each.min()) for each in intervals.values())
    last = max(int(each.max()) for each in intervals.values())
    final = {
        (name, int(track)): int(intervals[name][table.tracks == track].max())
        for name, table in cameras.items()
        for track in np.unique(table.tracks)
    }
    for interval in range(first, last + 1):
        made = []
        for name, table in cameras.items():
            rows = np.flatnonzero(intervals[name] == interval)
            tracklets = [
                _tracklet(name, table, rows[table.tracks[rows] == track], final[name, int(track)] == interval)
                for track in np.unique(table.tracks[rows])
            ]
            end = (interval + 1) * interval_ns
            made.append(CameraBatch(name, 1, interval - first, interval, end, Tracklets.of(tracklets)))
        yield (interval + 1) * interval_ns, made


def _tracklet(camera: str, table: CameraTable, rows: np.ndarray, ended: bool) -> Tracklet:
    middle = rows[len(rows) // 2 : len(rows) // 2 + 1]
    return Tracklet(
        camera,
        int(table.tracks[rows[0]]),
        table.cls,
        table.frames[rows],
        table.times_ns()[rows],
        table.boxes[rows],
        np.ones(len(rows), np.float32),
        None if table.embeddings is None else table.embeddings[middle],
        np.ones(0 if table.embeddings is None else 1, np.float32),
        ended,
    )


@dataclass
class Outcome:
    """Results by camera, corrected and as first published, and how it went."""

    corrected: dict[str, Boxes]
    published: dict[str, Boxes]
    events: dict[str, int]
    identities: int
    seconds: float
    commits: list[Commit]

    def scores(self, cameras: Mapping[str, CameraTable]) -> dict[str, object]:
        truth = {name: table.truth() for name, table in cameras.items()}
        corrected = evaluate(truth, self.corrected)
        published = evaluate(truth, {name: _once(boxes) for name, boxes in self.published.items()})
        return {
            "idf1": round(corrected.across.idf1, 2),
            "idf1_as_published": round(published.across.idf1, 2),
            "hota": round(corrected.across.hota, 2),
            "idsw": corrected.across.idsw,
            "mota": {name: round(scores.mota, 1) for name, scores in corrected.cameras.items()},
            "people": len(np.unique(np.concatenate([table.people for table in cameras.values()]))),
            "identities": self.identities,
            "events": self.events,
            "seconds": round(self.seconds, 2),
        }


def _once(boxes: Boxes) -> Boxes:
    """As published an identity may stand twice in a frame for a moment, until the correction is out: one counts."""
    _, first = np.unique(np.stack([boxes.frames, boxes.ids], axis=1), axis=0, return_index=True)
    return boxes[np.sort(first)]


def fuse(engine: FusionEngine, cameras: Mapping[str, CameraTable]) -> Outcome:
    commits = []
    spent = 0.0
    for watermark, made in [*batches(cameras), (END_OF_TIME, [])]:
        begun = time.process_time()
        commits.append(engine.advance(made, watermark))
        spent += time.process_time() - begun
    return read(commits, spent)


def read(commits: list[Commit], spent: float = 0.0) -> Outcome:
    resolver = IdentityResolver()
    events: dict[str, int] = {}
    rows: dict[str, list[tuple[int, int, int, list[float], int]]] = {}
    for commit in commits:
        for record in commit.records:
            value = record.value
            if record.topic == "identities":
                resolver.apply(value)
                events[value["event"]] = events.get(value["event"], 0) + 1
            elif record.topic == "tracks":
                resolver.published(value)
                for frame, point in zip(value["frames"], value["points"], strict=True):
                    entry = (frame, value["track"], value["number"], point[1:5], value["start"])
                    rows.setdefault(value["camera"], []).append(entry)
    corrected, published, numbers = {}, {}, set()
    for camera, entries in rows.items():
        frames = np.array([entry[0] for entry in entries])
        xyxy = np.array([entry[3] for entry in entries])
        final = [resolver.identity_of(camera, entry[1], entry[4]) for entry in entries]
        kept = [row for row, number in enumerate(final) if number is not None]  # the others are nobody's any more
        numbers |= {final[row] for row in kept}
        corrected[camera] = as_boxes(frames[kept], np.array([final[row] for row in kept], np.int64), xyxy[kept])
        published[camera] = as_boxes(frames, np.array([entry[2] for entry in entries]), xyxy)
    return Outcome(corrected, published, events, len(numbers), spent, commits)


def evaluation(cameras: Mapping[str, CameraTable], results: Mapping[str, Boxes]) -> Evaluation:
    return evaluate({name: table.truth() for name, table in cameras.items()}, results)


def split_on_gaps(frames: np.ndarray, people: np.ndarray, longest: int = 0) -> np.ndarray:
    """Perfect single-camera tracks: a new local id whenever somebody was away for more than `longest` frames."""
    tracks = np.zeros(len(frames), np.int64)
    following = 1
    for person in np.unique(people):
        rows = np.flatnonzero(people == person)
        rows = rows[np.argsort(frames[rows], kind="stable")]
        breaks = np.diff(frames[rows]) > longest + 1
        tracks[rows] = following + np.concatenate([[0], np.cumsum(breaks)])
        following = int(tracks[rows].max()) + 1
    return tracks


def tracked(
    table: CameraTable, tracker: str = "bytetrack", scores: np.ndarray | None = None, **parameters: Any
) -> CameraTable:
    """The table as a tracker sees it: boxes without ids in, confirmed and measured boxes with its own ids out."""
    follow = create(tracker, rate_hz=table.fps, **parameters)
    times = table.times_ns()
    out: list[tuple[int, int, int]] = []
    for frame in range(int(table.frames.min()), int(table.frames.max()) + 1):
        rows = np.flatnonzero(table.frames == frame)
        time_ns = round((table.start_s + (frame - 1) / table.fps) * SECOND_NS)
        found = Detections(
            table.boxes[rows],
            np.full(len(rows), 0.9, np.float32) if scores is None else scores[rows].astype(np.float32),
            np.zeros(len(rows), np.int32),
        )
        tracks = follow.update(found, int(times[rows[0]]) if len(rows) else time_ns)
        good = np.flatnonzero((tracks.states == TrackState.CONFIRMED) & (tracks.detections >= 0))
        out += [(frame, int(tracks.ids[row]), int(rows[tracks.detections[row]])) for row in good]
    frames, ids, rows = (np.array(column, np.int64) for column in zip(*out, strict=True))
    vectors = None if table.embeddings is None else table.embeddings[rows]
    return CameraTable(frames, ids, table.people[rows], table.boxes[rows], table.fps, vectors, table.cls, table.start_s)
