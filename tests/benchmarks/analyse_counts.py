"""Counting on pets_s2l1's ground truth against a plain script, and the cost of a frame; supervision's beside it.

    python tests/benchmarks/analyse_counts.py [../shared/data/pets_s2l1/gt.txt]

supervision is compared where it is installed; it is no dependency. A line is crossed, for the plain script, whenever
somebody who was clear of it on one side is next clear of it on the other, his way between them having gone through it.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from shapely.geometry import LineString, Point

from operators.analyse import Line, Rules, Zone
from operators.analyse.analyser import Analyser

SECOND = 1_000_000_000
FPS = 10
LINES = {"west": ((250.0, 150.0), (250.0, 560.0)), "south": ((150.0, 330.0), (700.0, 300.0))}
Frames = list[tuple[np.ndarray, np.ndarray]]


def read(path: Path) -> Frames:
    """Ids (N,) and boxes (N, 4) xyxy of each frame."""
    rows = np.loadtxt(path, delimiter=",")
    rows = rows[rows[:, 6] == 1]
    frames = []
    for frame in range(1, int(rows[:, 0].max()) + 1):
        here = rows[rows[:, 0] == frame]
        boxes = np.hstack([here[:, 2:4], here[:, 2:4] + here[:, 4:6]])
        frames.append((here[:, 1].astype(np.int64), boxes.astype(np.float32)))
    return frames


def ours(frames: Frames) -> dict[str, dict[str, int]]:
    """Our counts; every crossing counts, as in the plain script."""
    analyser = Analyser(Rules(lines=tuple(Line(n, p, cool_down_s=0) for n, p in LINES.items())), ("person",))
    for number, (ids, boxes) in enumerate(frames):
        analyser.update(ids, boxes, np.zeros(len(ids), np.int32), number * SECOND // FPS)
    analyser.finish()
    return analyser.totals


def plain(frames: Frames) -> dict[str, dict[str, int]]:
    """Counts by brute force over each whole path, with GEOS for the geometry and no state machine."""
    paths: dict[int, list[tuple[int, float, float, float]]] = {}
    for number, (ids, boxes) in enumerate(frames):
        for track, box in zip(ids.tolist(), boxes.astype(float).tolist(), strict=True):
            path = paths.setdefault(track, [])
            if path and number - path[-1][0] > 5 * FPS:  # gone for long: somebody anew
                paths[-1 - len(paths)] = paths.pop(track)
                path = paths.setdefault(track, [])
            path.append((number, (box[0] + box[2]) / 2, box[3], 0.1 * (box[3] - box[1])))
    counts = {name: {"in": 0, "out": 0} for name in LINES}
    for name, points in LINES.items():
        line = LineString(points)
        (x1, y1), (x2, y2) = points
        for path in paths.values():
            away = [line.distance(Point(x, y)) > band for _, x, y, band in path]
            anchor = 0
            for row in range(1, len(path) + 1):
                if row < len(path) and not away[row]:
                    continue
                net = 0
                last = min(row, len(path) - 1)
                for one, other in zip(path[anchor : last + 1], path[anchor + 1 : last + 1], strict=False):
                    if LineString([one[1:3], other[1:3]]).intersects(line):
                        net += int(np.sign((x2 - x1) * (other[2] - one[2]) - (y2 - y1) * (other[1] - one[1])))
                if net:
                    counts[name]["in" if net > 0 else "out"] += 1
                anchor = row
    return counts


def crowd(frames: int, tracks: int = 100) -> Frames:
    """People who wander through 1920 x 1080."""
    random = np.random.default_rng(1)
    places, ids = random.uniform((50, 150), (1870, 1080), (tracks, 2)), np.arange(1, tracks + 1)
    made = []
    for _ in range(frames):
        places = np.clip(places + random.normal(0, 8, places.shape), (50, 150), (1870, 1080))
        made.append((ids, np.hstack([places - np.array([20, 100]), places + np.array([20, 0])]).astype(np.float32)))
    return made


def rules() -> tuple[list[Any], list[Any]]:
    """Ten lines and twenty hexagons."""
    random = np.random.default_rng(2)
    lines = [tuple(map(tuple, random.uniform((0, 0), (1920, 1080), (2, 2)))) for _ in range(10)]
    turns = np.arange(6) * np.pi / 3
    middles = random.uniform((200, 200), (1700, 900), (20, 2))
    zones = [tuple(map(tuple, m + 150 * np.column_stack([np.cos(turns), np.sin(turns)]))) for m in middles]
    return lines, zones


def cost(frames: Frames) -> dict[str, float]:
    """CPU microseconds a frame, interleaved."""
    lines, zones = rules()
    mine = Analyser(
        Rules(
            lines=tuple(Line(f"l{i}", p) for i, p in enumerate(lines)),
            zones=tuple(Zone(f"z{i}", p) for i, p in enumerate(zones)),
            interval_s=10,
        ),
        ("person",),
    )
    try:
        import supervision as sv
    except ImportError:
        sv = None
    theirs: list[Any] = []
    if sv is not None:
        anchor = [sv.Position.BOTTOM_CENTER]
        theirs = [sv.LineZone(sv.Point(*a), sv.Point(*b), triggering_anchors=anchor) for a, b in lines]
        theirs += [sv.PolygonZone(np.array(p, np.int64), triggering_anchors=anchor) for p in zones]
    spent = {"ours": 0.0, "supervision": 0.0}
    for number, (ids, boxes) in enumerate(frames):
        start = time.process_time()
        mine.update(ids, boxes, np.zeros(len(ids), np.int32), number * SECOND // FPS)
        middle = time.process_time()
        if sv is not None:
            detections = sv.Detections(xyxy=boxes, tracker_id=ids, class_id=np.zeros(len(ids), int))
            for one in theirs:
                one.trigger(detections)
        if number >= 20:  # the first ones compile
            spent["ours"] += middle - start
            spent["supervision"] += time.process_time() - middle
    measured = {name: round(1e6 * seconds / (len(frames) - 20), 1) for name, seconds in spent.items()}
    if sv is None:
        del measured["supervision"]
    else:
        measured["ratio"] = round(measured["supervision"] / measured["ours"], 1)
    return measured


def supervision(frames: Frames) -> dict[str, dict[str, int]] | None:
    """Their counts on the same tracks, lines and anchor; None where it is not installed."""
    try:
        import supervision as sv
    except ImportError:
        return None
    counts = {}
    for name, (one, other) in LINES.items():
        zone = sv.LineZone(sv.Point(*one), sv.Point(*other), triggering_anchors=[sv.Position.BOTTOM_CENTER])
        for ids, boxes in frames:
            zone.trigger(sv.Detections(xyxy=boxes, tracker_id=ids, class_id=np.zeros(len(ids), int)))
        counts[name] = {"in": int(zone.in_count), "out": int(zone.out_count)}
    return counts


def jitter() -> dict[str, Any]:
    """One person who stops on the line for ten seconds, his foot moving by three pixels, and goes on: one crossing."""
    random = np.random.default_rng(5)
    y = np.concatenate([np.linspace(200, 297, 20), 300 + random.uniform(-3, 3, 100), np.linspace(303, 400, 20)])
    frames = [(np.array([1]), np.array([[380, v - 100, 420, v]], np.float32)) for v in y]
    global LINES
    before, LINES = LINES, {"line": ((100.0, 300.0), (700.0, 300.0))}
    try:
        return {"truth": {"in": 1, "out": 0}, "ours": ours(frames)["line"], "supervision": supervision(frames)}
    finally:
        LINES = before


def main() -> None:
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data/pets_s2l1/gt.txt")
    result: dict[str, Any] = {"jitter": jitter(), "microseconds_a_frame": cost(crowd(400))}
    if path.exists():
        frames = read(path)
        result["pets_s2l1"] = {"ours": ours(frames), "plain": plain(frames), "supervision": supervision(frames)}
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
