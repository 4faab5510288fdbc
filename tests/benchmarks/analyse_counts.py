"""Counting against a plain script and against supervision, on pets_s2l1; and what a frame costs.

    python tests/benchmarks/analyse_counts.py [../shared/data/pets_s2l1]

supervision is no dependency. To compare with it, install it beside and name the place:

    pip install --target /tmp/supervision --no-deps supervision pydeprecate defusedxml matplotlib contourpy cycler \
        fonttools kiwisolver pillow pyparsing python-dateutil six tqdm requests
    PYTHONPATH=.:/tmp/supervision python tests/benchmarks/analyse_counts.py

What is printed, as JSON:
    jitter: ten seconds on a line and on a zone's edge, where the truth is one crossing and one visit.
    truth: counts of the ground truth's paths by our analysis, by the plain script (`brute_force.py`), by supervision.
    tracks: the same of paths by our default tracker on the sequence's detections; the error is theirs, not the count's.
    differences: each crossing on which we and supervision differ, and why; for zones, person-frames by reason.
    microseconds_a_frame: median over frames, 100 tracks, 10 lines, 20 zones, both in turn on each frame.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from brute_force import BAND, FPS, Frames, Path2D, crossings, paths_of, visits
from shapely.geometry import LineString, Point, Polygon

from operators.analyse import Event, Line, Rules, Zone
from operators.analyse.analyser import Analyser
from operators.track.mot_text import read_mot, track_frames
from operators.track.registry import create

try:
    import supervision as sv
except ImportError:
    sv = None

SECOND = 1_000_000_000
LINES = {"west": ((250.0, 150.0), (250.0, 560.0)), "south": ((150.0, 330.0), (700.0, 300.0))}
ZONES = {
    "lawn": ((480.0, 180.0), (700.0, 200.0), (740.0, 330.0), (470.0, 300.0)),
    "post": ((300.0, 250.0), (420.0, 240.0), (440.0, 420.0), (290.0, 430.0)),
}
OUTSIDE_STRIP = "outside of the strip between perpendiculars through the line's ends, where theirs does not look"
REASONS = (
    "theirs counts stepping over and back within the band",
    "theirs counts who went around the line's end",
    f"theirs misses who was {OUTSIDE_STRIP}",
    "theirs forgets who was hidden for two frames",
    "theirs counts whom we had not seen on the other side",
    "other",
)


def read(path: Path) -> Frames:
    """Ids (N,) and boxes (N, 4) xyxy of each frame of the ground truth."""
    rows = np.loadtxt(path, delimiter=",")
    rows = rows[rows[:, 6] == 1]
    frames = []
    for frame in range(1, int(rows[:, 0].max()) + 1):
        here = rows[rows[:, 0] == frame]
        boxes = np.hstack([here[:, 2:4], here[:, 2:4] + here[:, 4:6]])
        frames.append((here[:, 1].astype(np.int64), boxes.astype(np.float32)))
    return frames


def tracked(folder: Path) -> Frames:
    """The same of what our default tracker makes of the sequence's detections."""
    found = track_frames(create("steady"), read_mot(folder / "det.txt"), FPS)
    return [(each.ids, each.boxes) for each in found]


def analysed(frames: Frames, lines: dict[str, Any] | None = None, zones: dict[str, Any] | None = None) -> list[Event]:
    """Our events; every crossing counts, as in the plain script."""
    rules = Rules(
        lines=tuple(Line(n, p, cool_down_s=0, band=BAND) for n, p in (LINES if lines is None else lines).items()),
        zones=tuple(Zone(n, p, band=BAND) for n, p in (ZONES if zones is None else zones).items()),
    )
    analyser = Analyser(rules, ("person",))
    events = []
    for number, (ids, boxes) in enumerate(frames):
        events += analyser.update(ids, boxes, np.zeros(len(ids), np.int32), number * SECOND // FPS)
    return events + analyser.finish()


def ours(frames: Frames) -> dict[str, dict[str, int]]:
    """Our counts."""
    events = analysed(frames)
    counts = {name: {"in": 0, "out": 0} for name in LINES} | {name: {"visits": 0} for name in ZONES}
    for event in events:
        if event.type == "crossing":
            counts[event.fields["line"]][event.fields["direction"]] += 1
        elif event.type == "entry":
            counts[event.fields["zone"]]["visits"] += 1
    return counts


def plain(frames: Frames) -> dict[str, dict[str, int]]:
    """Counts by brute force over each whole path."""
    paths = paths_of(frames)
    counts: dict[str, dict[str, int]] = {}
    for name, points in LINES.items():
        found = [way for path in paths for _, way in crossings(path, points)]
        counts[name] = {"in": found.count("in"), "out": found.count("out")}
    for name, corners in ZONES.items():
        counts[name] = {"visits": sum(len(visits(path, corners)) for path in paths)}
    return counts


# --- supervision --------------------------------------------------------------------------------------------------


def their_crossings(frames: Frames, line: Any) -> list[tuple[int, int, str]]:
    """Frame, track and direction of theirs, in our names: their `in` leads to the left-hand side."""
    (one, other), anchor = line, [sv.Position.BOTTOM_CENTER]
    zone = sv.LineZone(sv.Point(*one), sv.Point(*other), triggering_anchors=anchor)
    found = []
    for number, (ids, boxes) in enumerate(frames):
        into, out = zone.trigger(_detections(ids, boxes))
        found += [(number, int(track), "out") for track in ids[into]] + [(number, int(t), "in") for t in ids[out]]
    return found


def their_insides(frames: Frames, corners: Any) -> set[tuple[int, int]]:
    """Frame and track of everybody whom their zone holds."""
    zone = sv.PolygonZone(np.array(corners, np.int64), triggering_anchors=[sv.Position.BOTTOM_CENTER])
    return {
        (number, int(track))
        for number, (ids, boxes) in enumerate(frames)
        for track in ids[zone.trigger(_detections(ids, boxes))]
    }


def theirs(frames: Frames) -> dict[str, dict[str, int]]:
    """Their counts. A zone of theirs counts no visits: those are runs of frames in which it holds somebody."""
    counts: dict[str, dict[str, int]] = {}
    for name, line in LINES.items():
        found = [way for _, _, way in their_crossings(frames, line)]
        counts[name] = {"in": found.count("in"), "out": found.count("out")}
    for name, corners in ZONES.items():
        inside = their_insides(frames, corners)
        counts[name] = {"visits": sum((number - 1, track) not in inside for number, track in inside)}
    return counts


def _detections(ids: np.ndarray, boxes: np.ndarray) -> Any:
    return sv.Detections(xyxy=boxes, tracker_id=ids, class_id=np.zeros(len(ids), int))


def differing_crossings(frames: Frames) -> dict[str, Any]:
    """Crossings that only one of us counts, theirs and ours matched within a second, each with its reason."""
    paths: dict[int, list[Path2D]] = {}
    for path in paths_of(frames):
        paths.setdefault(path.track, []).append(path)
    listed, reasons = [], Counter[str]()
    for name, line in LINES.items():
        mine = [
            (round(event.time_ns * FPS / SECOND), event.fields["track"], event.fields["direction"])
            for event in analysed(frames, {name: line}, {})
            if event.type == "crossing"
        ]
        others = their_crossings(frames, line)
        for crossing in list(mine):
            match = [o for o in others if o[1:] == crossing[1:] and abs(o[0] - crossing[0]) <= FPS]
            if match:
                others.remove(min(match, key=lambda o: abs(o[0] - crossing[0])))
                mine.remove(crossing)
        for who, some in (("ours", mine), ("theirs", others)):
            for frame, track, way in some:
                reason = _reason(paths[track], frame, line, only_ours=who == "ours")
                reasons[reason] += 1
                listed.append(
                    {"line": name, "only": who, "frame": frame + 1, "track": track, "way": way, "why": reason}
                )
    return {"reasons": dict(reasons), "crossings": sorted(listed, key=lambda one: (one["frame"], one["track"]))}


def _reason(pieces: list[Path2D], frame: int, line: Any, *, only_ours: bool) -> str:
    path = next(piece for piece in pieces if piece.frames[-1] >= frame)
    shape = LineString(line)
    (x1, y1), (x2, y2) = line
    along = ((path.points - (x1, y1)) @ np.array([x2 - x1, y2 - y1])) / ((x2 - x1) ** 2 + (y2 - y1) ** 2)
    row = min(max(int(np.searchsorted(path.frames, frame)), 1), len(path.frames) - 1)
    if only_ours:
        around = slice(max(row - 3, 0), row + 4)
        if (np.diff(path.frames[around]) > 2).any():
            return REASONS[3]
        wide = np.abs(path.frames - frame) <= 2 * FPS
        return REASONS[2] if ((along[wide] < 0) | (along[wide] > 1)).any() else REASONS[5]
    steps = [LineString(path.points[i : i + 2]).intersects(shape) for i in range(len(path.points) - 1)]
    if not any(steps[max(0, row - 3) : row + 3]):
        return REASONS[1]
    near = range(max(row - 2, 0), min(row + 3, len(path.points)))
    if any(shape.distance(Point(path.points[i])) <= path.bands[i] for i in near):
        return REASONS[0]
    return REASONS[4] if row <= 2 else REASONS[5]


def differing_insides(frames: Frames) -> dict[str, Any]:
    """Person-frames in which only one of us has somebody inside a zone, by reason."""
    places = {(int(f), path.track): (p, b) for path in paths_of(frames) for f, p, b in path.rows()}
    result = {}
    for name, corners in ZONES.items():
        mine: set[tuple[int, int]] = set()
        for event in analysed(frames, {}, {name: corners}):
            if event.type == "exit":
                last = event.time_ns * FPS / SECOND
                first = event.fields["entered"] * FPS / 1e6
                # Times are cut to microseconds: a frame's own time must not fall beside it.
                until = int(last + 1e-4) if event.fields["lost"] or last % 1 > 1e-4 else int(last) - 1
                mine |= {(number, event.fields["track"]) for number in range(int(np.ceil(first - 1e-4)), until + 1)}
        mine &= set(places)
        other = their_insides(frames, corners)
        edge = Polygon(corners).exterior
        reasons = Counter[str]()
        for key in mine ^ other:
            point, band = places[key]
            distance = edge.distance(Point(point))
            if distance <= 1:
                reasons["within a pixel of the edge: theirs looks into a mask of whole pixels"] += 1
            elif distance <= band:
                reasons["within the band: ours stays with what was"] += 1
            else:
                reasons["other"] += 1
        result[name] = {"agree": len(mine & other), "differ": dict(reasons)}
    return result


# --- jitter and cost ----------------------------------------------------------------------------------------------


def jitter() -> dict[str, Any]:
    """Somebody stops on the line, and on the zone's edge, for ten seconds, his foot moving by three pixels."""
    random = np.random.default_rng(5)
    y = np.concatenate([np.linspace(200, 297, 20), 300 + random.uniform(-3, 3, 100), np.linspace(303, 400, 20)])
    frames = [(np.array([1]), np.array([[380, v - 100, 420, v]], np.float32)) for v in y]
    line = ((100.0, 300.0), (700.0, 300.0))
    square = ((100.0, 300.0), (700.0, 300.0), (700.0, 600.0), (100.0, 600.0))
    events = Counter(event.type for event in analysed(frames, {"line": line}, {"zone": square}))
    result = {"truth": {"crossings": 1, "visits": 1}}
    result["ours"] = {"crossings": events["crossing"], "visits": events["entry"]}
    if sv is not None:
        inside = their_insides(frames, square)
        visits_ = sum((number - 1, 1) not in inside for number, _ in inside)
        result["supervision"] = {"crossings": len(their_crossings(frames, line)), "visits": visits_}
    return result


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
    """CPU microseconds a frame, interleaved; the median, which other programs on the machine disturb least."""
    lines, zones = rules()
    mine = Analyser(
        Rules(
            lines=tuple(Line(f"l{i}", p) for i, p in enumerate(lines)),
            zones=tuple(Zone(f"z{i}", p) for i, p in enumerate(zones)),
            interval_s=10,
        ),
        ("person",),
    )
    other: list[Any] = []
    if sv is not None:
        anchor = [sv.Position.BOTTOM_CENTER]
        other = [sv.LineZone(sv.Point(*a), sv.Point(*b), triggering_anchors=anchor) for a, b in lines]
        other += [sv.PolygonZone(np.array(p, np.int64), triggering_anchors=anchor) for p in zones]
    spent: dict[str, list[float]] = {"ours": [], "supervision": []}
    for number, (ids, boxes) in enumerate(frames):
        start = time.process_time_ns()
        mine.update(ids, boxes, np.zeros(len(ids), np.int32), number * SECOND // FPS)
        middle = time.process_time_ns()
        if sv is not None:
            detections = _detections(ids, boxes)
            for one in other:
                one.trigger(detections)
        if number >= 20:  # the first ones compile
            spent["ours"].append(middle - start)
            spent["supervision"].append(time.process_time_ns() - middle)
    measured = {name: round(statistics.median(times) / 1e3, 1) for name, times in spent.items()}
    if sv is None:
        del measured["supervision"]
    else:
        measured["ratio"] = round(measured["supervision"] / measured["ours"], 1)
    return measured


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data/pets_s2l1")
    result: dict[str, Any] = {"jitter": jitter()}
    if folder.exists():
        truth, tracks = read(folder / "gt.txt"), tracked(folder)
        result["truth"] = {"ours": ours(truth), "plain": plain(truth)}
        result["tracks"] = {"ours": ours(tracks), "plain": plain(tracks), "truth": ours(truth)}
        if sv is not None:
            result["truth"]["supervision"], result["tracks"]["supervision"] = theirs(truth), theirs(tracks)
            result["differences"] = {
                name: {"lines": differing_crossings(frames), "zones": differing_insides(frames)}
                for name, frames in (("truth", truth), ("tracks", tracks))
            }
    result["microseconds_a_frame"] = cost(crowd(400))
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
