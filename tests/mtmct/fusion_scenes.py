"""Small scenes for the fusion tests: people walking on a plane, seen by cameras."""

from __future__ import annotations

import json
import math
import pathlib
from collections.abc import Callable, Mapping

import jsonschema
import numpy as np

from mtmct.fusion import END_OF_TIME, FusionEngine
from mtmct.records import CameraBatch, Commit
from mtmct.topology import CameraGeometry, Topology
from mtmct.tracklets import Tracklet, as_columns
from operators.records import SECOND_NS

FPS = 10
Path = Callable[[float], tuple[float, float]]


def metres(offset_x: float = 0.0, offset_y: float = 0.0) -> np.ndarray:
    """A camera straight above: 50 pixels a metre, its left upper corner at the offset."""
    return np.array([[0.02, 0, offset_x], [0, 0.02, offset_y], [0, 0, 1]])


def camera(name: str, x: float = 0.0, y: float = 0.0, *, calibrated: bool = True) -> CameraGeometry:
    """Sees 20 m x 10 m of the floor from (x, y) on."""
    return CameraGeometry(name, metres(x, y) if calibrated else None, (1000, 500))


def topology(*cameras: CameraGeometry) -> Topology:
    return Topology(cameras)


def box(x: float, y: float, origin: tuple[float, float]) -> list[float]:
    u, v = (x - origin[0]) * 50, (y - origin[1]) * 50
    return [u - 15, v - 80, u + 15, v]


def straight(x: float, y: float, vx: float = 0.0, vy: float = 0.0, start: float = 0.0) -> Path:
    return lambda t: (x + vx * (t - start), y + vy * (t - start))


def tracklet(
    name: str,
    track: int,
    path: Path,
    start: float,
    end: float,
    *,
    origin: tuple[float, float] = (0.0, 0.0),
    look: np.ndarray | None = None,
    ended: bool = False,
    cls: str = "person",
) -> Tracklet:
    """A track from `start` to `end` seconds (exclusive), feet on `path` (metres of the floor)."""
    frames = np.arange(round(start * FPS), round(end * FPS)) + 1
    times = (frames - 1) * (SECOND_NS // FPS)
    boxes = np.array([box(*path(t / SECOND_NS), origin) for t in times.tolist()], np.float32).reshape(-1, 4)
    return Tracklet(
        name,
        track,
        cls,
        frames,
        times,
        boxes,
        np.full(len(frames), 0.9, np.float32),
        None if look is None else look[None].astype(np.float32),
        np.ones(0 if look is None else 1, np.float32),
        ended,
    )


def look(seed: int, dim: int = 16) -> np.ndarray:
    vector = np.random.default_rng(seed).normal(size=dim)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


Walks = Mapping[tuple[str, int], dict]


def script(walks: Walks, origins: Mapping[str, tuple[float, float]], until: int) -> list[tuple[int, list[CameraBatch]]]:
    """Watermarks and batches, second by second. A walk: path, start, end, optional look (one, or by second) and cls."""
    cameras = sorted({name for name, _ in walks})
    steps = []
    for second in range(until):
        batches = []
        for name in cameras:
            seen = []
            for (where, track), walk in sorted(walks.items()):
                start, end = max(walk["start"], second), min(walk["end"], second + 1)
                if where == name and start < end:
                    seems = walk.get("look")
                    seen.append(
                        tracklet(
                            name,
                            track,
                            walk["path"],
                            start,
                            end,
                            origin=origins[name],
                            look=seems(second) if callable(seems) else seems,
                            ended=walk["end"] <= second + 1,
                            cls=walk.get("cls", "person"),
                        )
                    )
            batches.append(CameraBatch(name, 1, second, second, (second + 1) * SECOND_NS, as_columns(seen)))
        steps.append(((second + 1) * SECOND_NS, batches))
    return [*steps, (END_OF_TIME, [])]


def crowd(ahead: Mapping[str, float], walks: int = 18, turned: float = 0.0) -> list[tuple[int, list[CameraBatch]]]:
    """Every two seconds somebody walks through the common view of cameras a, b and c, each in another direction.

    `ahead`: seconds by which clocks are ahead; `turned`: radians by which all directions are turned.
    """
    origins = dict.fromkeys("abc", (0.0, 0.0))
    made = {}
    for walk in range(walks):
        angle, speed, start = 2.4 * walk + turned, 0.9 + 0.1 * (walk % 4), 2.0 * walk + 12
        vx, vy = speed * math.cos(angle), speed * math.sin(angle)
        path = straight(10 - 4 * vx, 5 - 4 * vy, vx, vy, start)
        for name in origins:
            off = ahead.get(name, 0.0)
            made[name, walk + 1] = {
                "path": lambda t, path=path, off=off: path(t - off),
                "start": start + off,
                "end": start + off + 8,
            }
    return script(made, origins, 2 * walks + 36)


def play(engine: FusionEngine, steps: list[tuple[int, list[CameraBatch]]]) -> list[Commit]:
    return [engine.advance(batches, watermark) for watermark, batches in steps]


def records(commits: list[Commit], topic: str) -> list[dict]:
    return [record.value for commit in commits for record in commit.records if record.topic == topic]


def follows_the_schema(value: dict) -> bool:
    """Whether an event is one as published."""
    path = pathlib.Path(__file__).parents[2] / "pipeline" / "schema" / "events.v1.json"
    jsonschema.validate(value, json.loads(path.read_text()))
    return True


def events(commits: list[Commit]) -> list[tuple[str, int]]:
    return [(value["event"], value["number"]) for value in records(commits, "identities")]
