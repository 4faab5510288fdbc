"""Who crossed a line or was in a zone, by brute force over whole paths: GEOS for the geometry, no state machine.

Independent of `operators.analyse` on purpose. Between two frames everybody goes straight; whoever is not seen for five
seconds comes anew. What lies within a band around a line or an edge decides nothing, unless for two seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import LineString, Point, Polygon

FPS = 10
BAND = 0.1  # of a box's height
SETTLE_S, GONE_S = 2.0, 5.0
Frames = list[tuple[np.ndarray, np.ndarray]]
Corners = tuple[tuple[float, float], ...]
_FINE = 30  # places looked at between two frames


@dataclass(frozen=True)
class Path2D:
    """The feet of one track: M frames, points (M, 2), and how wide the band is for each, pixels."""

    track: int
    frames: NDArray[np.int64]
    points: NDArray[np.float64]
    bands: NDArray[np.float64]

    def rows(self) -> Iterator[tuple[int, NDArray[np.float64], float]]:
        """Frame by frame."""
        return zip(self.frames.tolist(), self.points, self.bands.tolist(), strict=True)


def paths_of(frames: Frames) -> list[Path2D]:
    """Each track's path, cut where it was gone for long."""
    rows: dict[int, list[tuple[int, float, float, float]]] = {}
    for number, (ids, boxes) in enumerate(frames):
        for track, (x1, y1, x2, y2) in zip(ids.tolist(), boxes.astype(float).tolist(), strict=True):
            rows.setdefault(track, []).append((number, (x1 + x2) / 2, y2, BAND * (y2 - y1)))
    paths = []
    for track, seen in rows.items():
        table = np.array(seen)
        parts = np.split(table, np.flatnonzero(np.diff(table[:, 0]) > GONE_S * FPS) + 1)
        paths += [Path2D(track, part[:, 0].astype(np.int64), part[:, 1:3], part[:, 3]) for part in parts]
    return paths


def crossings(path: Path2D, points: Corners) -> list[tuple[int, str]]:
    """Crossings of a line: between two frames clear of it, or two seconds apart from any other, those of all steps are
    summed up with their signs. Frame from which it is certain, and direction."""
    line = LineString(points)
    (x1, y1), (x2, y2) = points
    steps = [LineString(path.points[i : i + 2]).intersects(line) for i in range(len(path.points) - 1)]
    away = [line.distance(Point(p)) > band for _, p, band in path.rows()]
    found, net, last = [], 0, None
    for row in range(1, len(path.points)):
        if steps[row - 1]:
            (ax, ay), (bx, by) = path.points[row - 1], path.points[row]
            net += int(np.sign((x2 - x1) * (by - ay) - (y2 - y1) * (bx - ax)))
            last = path.frames[row]
        settled = last is not None and path.frames[row] - last >= SETTLE_S * FPS
        if net and (away[row] or settled or row == len(path.points) - 1):
            found.append((int(path.frames[row]), "in" if net > 0 else "out"))
            net = 0
    return found


def visits(path: Path2D, corners: Corners) -> list[tuple[float, float]]:
    """Stays in a zone, as frame numbers with fractions: the path is cut into fine pieces, each inside or not; a run of
    pieces on one side counts if it is anywhere clear of the edge, or lasts."""
    polygon = Polygon(corners)
    share = np.arange(_FINE) / _FINE
    times = np.concatenate([a + share * (b - a) for a, b in zip(path.frames, path.frames[1:], strict=False)] or [[]])
    times = np.append(times, path.frames[-1])
    x, y = (np.interp(times, path.frames, path.points[:, k]) for k in (0, 1))
    # As the band of a step is that of the frame at its end.
    bands = path.bands[np.searchsorted(path.frames, times)]
    places = shapely.points(x, y)
    inside = shapely.contains(polygon, places)
    clear = shapely.distance(polygon.exterior, places) > bands
    shapely.prepare(polygon)
    state, since, found = bool(inside[0]), float(times[0]), []
    for side, rows in groupby(range(len(times)), key=lambda row: bool(inside[row])):
        run = list(rows)
        until = times[run[-1] + 1] if run[-1] + 1 < len(times) else times[-1]
        if side == state or not (clear[run].any() or until - times[run[0]] >= SETTLE_S * FPS):
            continue
        if state:
            found.append((since, float(times[run[0]])))
        state, since = side, float(times[run[0]])
    if state:
        found.append((since, float(times[-1])))
    return found
