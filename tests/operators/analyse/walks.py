"""Paths through a picture, as frames for an analyser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from operators.analyse import Event, Rules
from operators.analyse.analyser import Analyser

SECOND = 1_000_000_000
Path = Sequence[tuple[float, float]]
HEIGHT = 100.0


def run(
    rules: Rules, paths: Mapping[int, Path], *, fps: float = 10, homography: np.ndarray | None = None
) -> list[Event]:
    """Feet that walk along `paths`, one place a frame, from frame 1 on; None where a track is not seen."""
    analyser = Analyser(rules, ("person", "car"), homography)
    return [*feed(analyser, paths, fps=fps), *analyser.finish()]


def feed(
    analyser: Analyser, paths: Mapping[int, Path], *, fps: float = 10, first: int = 0, last: int | None = None
) -> list[Event]:
    """Frames [first, last) of the paths."""
    events: list[Event] = []
    for frame in range(first, max(map(len, paths.values())) if last is None else last):
        here = {track: path[frame] for track, path in paths.items() if frame < len(path) and path[frame] is not None}
        ended = [track for track, path in paths.items() if frame == len(path)]
        boxes = np.array([[x - 20, y - HEIGHT, x + 20, y] for x, y in here.values()], np.float32).reshape(-1, 4)
        ids = np.array(list(here), np.int64)
        time_ns = round(frame * SECOND / fps)
        events += analyser.update(ids, boxes, np.zeros(len(ids), np.int32), time_ns, frame=frame + 1, ended=ended)
    return events


def straight(start: tuple[float, float], end: tuple[float, float], steps: int) -> list[tuple[float, float]]:
    """`steps` places from start to end."""
    return [(float(x), float(y)) for x, y in np.linspace(start, end, steps)]


def crossings(events: Sequence[Event]) -> list[str]:
    """Directions of the crossings, in order of their time."""
    return [e.fields["direction"] for e in sorted(events, key=lambda e: e.time_ns) if e.type == "crossing"]
