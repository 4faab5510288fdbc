"""Where everything stands: places to go, ways between them, walls, cameras.

A place is made of districts of eight cameras, side by side, so that it may be as large as one likes and each part of
it is as busy as the others. Lengths are metres, angles radians.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

CAMERAS_A_DISTRICT = 8
_EAST, _NORTH, _WEST, _SOUTH = 0.0, math.pi / 2, math.pi, -math.pi / 2


@dataclass(frozen=True, slots=True)
class Mount:
    """How a camera hangs.

    Attributes:
        x, y, height: where.
        heading: where it looks, counter-clockwise from east.
        tilt: how far down from level.
        focal: focal length in picture widths.
        reach: it makes out nobody farther away than this.
    """

    x: float
    y: float
    height: float
    heading: float
    tilt: float
    focal: float
    reach: float


@dataclass(slots=True)
class _Sketch:
    """A district, or many, in the making."""

    size: tuple[float, float]
    points: list[tuple[float, float]] = field(default_factory=list)
    spreads: list[float] = field(default_factory=list)
    links: list[tuple[int, int]] = field(default_factory=list)
    doors: list[int] = field(default_factory=list)
    stops: list[int] = field(default_factory=list)
    gates: dict[str, list[int]] = field(default_factory=dict)  # by side: nodes that lead to the next district
    blocks: list[tuple[float, float, float, float]] = field(default_factory=list)
    mounts: list[Mount] = field(default_factory=list)

    def node(self, x: float, y: float, spread: float = 1.0) -> int:
        self.points.append((x, y))
        self.spreads.append(spread)
        return len(self.points) - 1


@dataclass(frozen=True, slots=True)
class Habits:
    """How those who come to a place move there.

    Attributes:
        vehicles: they are vehicles, else people on foot.
        cycle_s: a visit and the time away until the next one.
        speeds: slowest and fastest, metres a second.
        dwell_s: how long they stay where they stop, on average.
        lane: how far right of the middle of the way they keep.
    """

    vehicles: bool
    cycle_s: float
    speeds: tuple[float, float]
    dwell_s: float
    lane: float


@dataclass(frozen=True, slots=True)
class Plan:
    """A place.

    Attributes:
        points: (N, 2) float64, where ways meet, begin and end.
        spreads: (N,) float64, how far from such a point one may pass or stand.
        links: (L, 2) int64, points between which one can go straight.
        doors: by district: points at which one comes and leaves.
        stops: by district: points at which one stays for a while.
        around: by district: itself and its neighbours, where those at home in it go.
        blocks: (B, 4) float64, x1, y1, x2, y2 of what cannot be looked into or through.
        mounts: the cameras.
        origins: (districts, 2) float64, the lower left corner of each.
        size: of a district.
        habits: of those who come.
    """

    points: Float64
    spreads: Float64
    links: Int64
    doors: tuple[tuple[int, ...], ...]
    stops: tuple[tuple[int, ...], ...]
    around: tuple[tuple[int, ...], ...]
    blocks: Float64
    mounts: tuple[Mount, ...]
    origins: Float64
    size: tuple[float, float]
    habits: Habits
    _towards: Callable[[int], Int64]

    def route(self, start: int, end: int) -> list[int]:
        """The shortest way from point to point, both included."""
        following = self._towards(end)
        way = [start]
        while way[-1] != end:
            way.append(int(following[way[-1]]))
        return way

    def seen_from(self, mount: Mount) -> list[int]:
        """Districts whose people may come into the view of a camera."""
        low, high = self.origins - mount.reach, self.origins + self.size + mount.reach
        inside = ((low <= (mount.x, mount.y)) & ((mount.x, mount.y) <= high)).all(axis=1)
        return sorted({home for district in np.flatnonzero(inside).tolist() for home in self.around[district]})


def _hall() -> _Sketch:
    """A room of 30 x 22 m with cameras in the corners and on the walls."""
    sketch = _Sketch((38.0, 30.0))
    inside = [sketch.node(x, y, 1.5) for x in (8.0, 13.5, 19.0, 24.5, 30.0) for y in (8.5, 15.0, 21.5)]
    sketch.stops = list(inside)
    for x, y, x_out, y_out in ((11.0, 5.5, 11.0, 1.5), (27.0, 24.5, 27.0, 28.5)):
        inner, outer = sketch.node(x, y, 0.5), sketch.node(x_out, y_out, 0.3)
        inside.append(inner)
        sketch.links.append((inner, outer))
        sketch.doors.append(outer)
    for side, x, y in (("east", 33.0, 12.0), ("west", 5.0, 12.0), ("north", 16.0, 25.0), ("south", 16.0, 5.0)):
        gate = sketch.node(x, y, 0.5)
        inside.append(gate)
        sketch.gates[side] = [gate]
    sketch.links += [(a, b) for i, a in enumerate(inside) for b in inside[i + 1 :]]
    sketch.blocks = [(0, 0, 38, 4), (0, 26, 38, 30), (0, 4, 4, 26), (34, 4, 38, 26)]
    diagonal = math.atan2(22, 30)
    for x, y, heading in (
        *((4.3, 4.3, diagonal), (33.7, 25.7, math.pi + diagonal)),
        *((33.7, 4.3, math.pi - diagonal), (4.3, 25.7, -diagonal)),
        *((19.0, 4.3, _NORTH), (19.0, 25.7, _SOUTH), (4.3, 15.0, _EAST), (33.7, 15.0, _WEST)),
    ):
        sketch.mounts.append(Mount(x, y, 5.0, heading, math.radians(28), 0.65, 40.0))
    return sketch


def _mall() -> _Sketch:
    """Two aisles and three passages between them, shops that cannot be looked into, doors at the middle passage."""
    sketch = _Sketch((60.0, 44.0))
    columns, rows = (10.0, 20.0, 30.0, 40.0, 50.0), (12.0, 32.0)
    node = {(x, y): sketch.node(x, y, 1.4) for y in rows for x in columns}
    for y in rows:
        sketch.links += [(node[a, y], node[b, y]) for a, b in pairwise(columns)]
    for x in (10.0, 30.0, 50.0):
        bench = sketch.node(x, 22.0, 1.4)
        sketch.stops.append(bench)
        sketch.links += [(node[x, 12.0], bench), (bench, node[x, 32.0])]
    sketch.stops += [node[x, y] for x in (20.0, 40.0) for y in rows]
    for x, y, front in (
        *((20.0, 5.0, 12.0), (40.0, 5.0, 12.0), (20.0, 39.0, 32.0), (40.0, 39.0, 32.0)),
        *((20.0, 22.0, 12.0), (40.0, 22.0, 32.0)),
    ):
        shop = sketch.node(x, y, 3.0)
        sketch.stops.append(shop)
        sketch.links.append((node[x, front], shop))
    for y, front in ((1.0, 12.0), (43.0, 32.0)):
        door = sketch.node(30.0, y, 1.0)
        sketch.doors.append(door)
        sketch.links.append((node[30.0, front], door))
    sketch.gates = {
        "east": [node[50.0, y] for y in rows],
        "west": [node[10.0, y] for y in rows],
        "north": [node[x, 32.0] for x in (10.0, 50.0)],
        "south": [node[x, 12.0] for x in (10.0, 50.0)],
    }
    across = ((0.0, 7.5), (12.5, 27.5), (32.5, 47.5), (52.5, 60.0))
    along = ((0.0, 9.5), (14.5, 29.5), (34.5, 44.0))
    sketch.blocks = [(x1, y1, x2, y2) for x1, x2 in across for y1, y2 in along]
    for x, y, heading in (
        *((7.8, 12.8, _EAST), (52.2, 11.2, _WEST), (30.8, 9.8, _NORTH), (7.8, 32.8, _EAST)),
        *((52.2, 31.2, _WEST), (9.2, 34.2, _SOUTH), (50.8, 9.8, _NORTH), (29.2, 31.0, _NORTH)),
    ):
        sketch.mounts.append(Mount(x, y, 4.0, heading, math.radians(20), 0.7, 32.0))
    return sketch


def _streets() -> _Sketch:
    """Crossings 60 m apart, a camera at each; houses between them, with garages one drives into."""
    sketch = _Sketch((240.0, 120.0))
    xs, ys = (30.0, 90.0, 150.0, 210.0), (30.0, 90.0)
    crossing = {(x, y): sketch.node(x, y, 0.3) for y in ys for x in xs}
    for y in ys:
        for a, b in pairwise(xs):
            middle = sketch.node((a + b) / 2, y, 0.3)
            garage = sketch.node((a + b) / 2, y + 15, 3.0)
            sketch.links += [(crossing[a, y], middle), (middle, crossing[b, y]), (middle, garage)]
            (sketch.doors if a == xs[1] else sketch.stops).append(garage)
    sketch.links += [(crossing[x, ys[0]], crossing[x, ys[1]]) for x in xs]
    sketch.stops += list(crossing.values())
    sketch.gates = {
        "east": [crossing[xs[-1], y] for y in ys],
        "west": [crossing[xs[0], y] for y in ys],
        "north": [crossing[x, ys[-1]] for x in xs],
        "south": [crossing[x, ys[0]] for x in xs],
    }
    half = 6.0
    edges = [(low + half, high - half) for low, high in zip((-30.0, *xs), (*xs, 270.0), strict=True)]
    beside = [(low + half, high - half) for low, high in zip((-30.0, *ys), (*ys, 150.0), strict=True)]
    inside = [(max(a, 0.0), min(b, 240.0)) for a, b in edges]
    above = [(max(a, 0.0), min(b, 120.0)) for a, b in beside]
    sketch.blocks = [(x1, y1, x2, y2) for x1, x2 in inside for y1, y2 in above]
    sketch.mounts = [
        Mount(x - 5.5, y - 5.5, 7.0, math.radians(45), math.radians(24), 0.55, 45.0) for y in ys for x in xs
    ]
    return sketch


PLACES: dict[str, tuple[Callable[[], _Sketch], Habits]] = {
    "hall": (_hall, Habits(False, 180.0, (0.9, 1.6), 8.0, 0.0)),
    "mall": (_mall, Habits(False, 240.0, (0.9, 1.6), 15.0, 0.0)),
    "streets": (_streets, Habits(True, 240.0, (7.0, 13.0), 10.0, 2.5)),
}
_OPPOSITE = {"east": "west", "north": "south"}


@lru_cache(maxsize=8)
def plan_of(place: str, cameras: int) -> Plan:
    """The plan of a place with so many cameras."""
    draw, habits = PLACES[place]
    sketch = draw()
    count = -(-cameras // CAMERAS_A_DISTRICT)
    across = math.ceil(math.sqrt(count * sketch.size[1] / sketch.size[0]))
    cells = [(district % across, district // across) for district in range(count)]
    origins = np.array(cells, np.float64) * sketch.size
    number = {cell: district for district, cell in enumerate(cells)}
    nodes = len(sketch.points)
    points = (origins[:, None] + np.array(sketch.points)).reshape(-1, 2)
    links = [(a + d * nodes, b + d * nodes) for d in range(count) for a, b in sketch.links]
    for (column, row), district in number.items():
        for side, beside in (("east", (column + 1, row)), ("north", (column, row + 1))):
            if beside in number:
                pairs = zip(sketch.gates[side], sketch.gates[_OPPOSITE[side]], strict=True)
                links += [(a + district * nodes, b + number[beside] * nodes) for a, b in pairs]
    mounts = [(sketch.mounts[n % CAMERAS_A_DISTRICT], origins[n // CAMERAS_A_DISTRICT]) for n in range(cameras)]
    around = tuple(
        tuple(number[c, r] for r in range(row - 1, row + 2) for c in range(column - 1, column + 2) if (c, r) in number)
        for column, row in cells
    )
    return Plan(
        points=points,
        spreads=np.tile(sketch.spreads, count),
        links=np.array(links, np.int64),
        doors=tuple(tuple(n + d * nodes for n in sketch.doors) for d in range(count)),
        stops=tuple(tuple(n + d * nodes for n in sketch.stops) for d in range(count)),
        around=around,
        blocks=np.concatenate([np.array(sketch.blocks, np.float64) + np.tile(origin, 2) for origin in origins]),
        mounts=tuple(_moved(mount, origin) for mount, origin in mounts),
        origins=origins,
        size=sketch.size,
        habits=habits,
        _towards=lru_cache(maxsize=4096)(_ways(points, links)),
    )


def _moved(mount: Mount, by: Float64) -> Mount:
    return replace(mount, x=mount.x + float(by[0]), y=mount.y + float(by[1]))


def _ways(points: Float64, links: Sequence[tuple[int, int]]) -> Callable[[int], Int64]:
    """For a point: from each point the next one on the shortest way to it."""
    ends = np.array(links)
    lengths = np.linalg.norm(points[ends[:, 0]] - points[ends[:, 1]], axis=1)
    graph = csr_matrix((lengths, (ends[:, 0], ends[:, 1])), shape=(len(points), len(points)))

    def towards(end: int) -> Int64:
        following: Int64 = dijkstra(graph, directed=False, indices=end, return_predecessors=True)[1]
        return following

    return towards
