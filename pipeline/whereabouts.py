"""Where everybody was, per camera and on the floor: heat maps and trails that fade by event time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.draw import Rect, Style, draw_bar, draw_trails, shade
from operators.heat import heat_levels, lay_heat
from operators.palette import INK
from operators.records import SECOND_NS, CrosscamError, Float32, Image, Int64
from operators.trails import Trail
from pipeline.clock import clock_text
from pipeline.ground_paths import ground_paths
from pipeline.overlay import IdentityOf
from pipeline.plan_view import PlanCamera, Sheet, footprint

_GAP_NS = SECOND_NS  # a trail is lifted where nothing was seen for longer
_PIECE = 24  # points that fade alike
Float64 = NDArray[np.float64]


class WhereaboutsError(CrosscamError):
    """There is nothing to draw."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Feet in one plane, by time: N rows.

    Attributes:
        times_ns: (N,) event times. points: (N, 2) pixels of the camera's picture, or metres on the floor.
        identities: (N,) numbers. tracks: (N,) which belong to one unbroken way.
        boxes: (N, 4) xyxy pixels.
    """

    times_ns: Int64
    points: Float64
    identities: Int64
    tracks: Int64
    boxes: Float32

    def pieces(self, half_life_s: float | None) -> Iterator[Trail]:
        """Trails: each way in pieces that are as fresh as their newest point."""
        newest = int(self.times_ns.max(initial=0))
        order = np.lexsort([self.times_ns, self.tracks])
        times, tracks = self.times_ns[order], self.tracks[order]
        lifted = (np.diff(tracks) != 0) | (np.diff(times) > _GAP_NS)
        for way in np.split(order, np.flatnonzero(lifted) + 1):
            for start in range(0, len(way) - 1, _PIECE):
                rows = way[start : start + _PIECE + 1]
                ages = (newest - self.times_ns[rows]) / SECOND_NS
                fresh = np.ones(len(rows)) if half_life_s is None else 0.5 ** (ages / half_life_s)
                points = self.points[rows].astype(np.float32)
                yield Trail(int(self.identities[rows[0]]), points, fresh.astype(np.float32))


@dataclass(frozen=True, slots=True)
class SiteWhereabouts:
    """Of each camera that saw anybody, and on the floor if one of them is calibrated."""

    cameras: Mapping[str, Whereabouts]
    floor: Whereabouts | None


def whereabouts(
    records: Iterable[Mapping[str, Any]], identity_of: IdentityOf, until_ns: int | None = None
) -> SiteWhereabouts:
    """Collect `tracks` values; memory grows with their points.

    Args:
        records: in any order.
        identity_of: who a track is after all corrections; retracted ones are left out.
        until_ns: later points are left out; None keeps all.

    Raises:
        WhereaboutsError: nobody was seen.
    """
    rows: dict[str, list[Float64]] = defaultdict(list)
    ways: dict[tuple[str, int, int], int] = {}
    for value in records:
        number = identity_of(value["camera"], value["track"], value["start"])
        if number is None or not value["points"]:
            continue
        way = ways.setdefault((value["camera"], value["track"], number), len(ways))
        points = np.array(value["points"], np.float64)
        if until_ns is not None:
            points = points[points[:, 0] <= until_ns // 1000]
        rows[value["camera"]].append(np.column_stack([points, np.tile([number, way], (len(points), 1))]))
    tables = {camera: np.concatenate(parts) for camera, parts in sorted(rows.items())}
    tables = {camera: table for camera, table in tables.items() if len(table)}
    if not tables:
        raise WhereaboutsError("nobody was seen: there are no tracks to draw heat maps and trails of")
    cameras = {
        camera: _of(table, np.column_stack([(table[:, 1] + table[:, 3]) / 2, table[:, 4]]))
        for camera, table in tables.items()
    }
    ground = np.concatenate(list(tables.values()))
    ground = ground[np.isfinite(ground[:, 6:8]).all(axis=1)]
    return SiteWhereabouts(cameras, _of(ground, ground[:, 6:8]) if len(ground) else None)


def _of(table: Float64, points: Float64) -> Whereabouts:
    return Whereabouts(
        times_ns=table[:, 0].astype(np.int64) * 1000,
        points=points,
        identities=table[:, 8].astype(np.int64),
        tracks=table[:, 9].astype(np.int64),
        boxes=table[:, 1:5].astype(np.float32),
    )


def camera_heat(where: Whereabouts, picture: Image, title: str, half_life_s: float | None) -> Image:
    """A camera's heat map over its picture, (H, W, 3) uint8 BGR."""
    image = np.array(picture, np.uint8, order="C")
    height, width = image.shape[:2]
    lay_heat(image, heat_levels(where.points, where.times_ns, (0, 0, width, height), (width, height), half_life_s))
    draw_bar(image, title, _when(where, half_life_s), Style.for_height(height))
    return image


def camera_trails(where: Whereabouts, picture: Image, title: str, half_life_s: float | None) -> Image:
    """Everybody's way over a camera's picture, (H, W, 3) uint8 BGR, in the colours of their identities."""
    image = np.array(picture, np.uint8, order="C")
    height, width = image.shape[:2]
    shade(image, Rect(0, 0, width, height), 0.35, INK)
    draw_trails(image, where.pieces(half_life_s), Style.for_height(height))
    draw_bar(image, title, _when(where, half_life_s), Style.for_height(height))
    return image


class FloorPictures:
    """The floor's heat map and trails, on the plan with its metres and the views of the cameras.

    Args:
        records: values of the `tracks` topic that the whereabouts came from: they set what ground is shown.
        where: on the floor.
        site: named in the heading.
        cameras: whose views are outlined.
        identity_of: as for `whereabouts`.
        width: of the pictures, pixels.
    """

    def __init__(
        self,
        records: Iterable[Mapping[str, Any]],
        where: Whereabouts,
        *,
        site: str,
        cameras: Sequence[PlanCamera],
        identity_of: IdentityOf,
        width: int = 1600,
    ) -> None:
        sizes = {camera.camera: camera.size for camera in cameras}
        self._paths = ground_paths(records, site=site, identity_of=identity_of, sizes=sizes)
        self._where, self._site, self._cameras, self._width = where, site, cameras, width

    def heat(self, half_life_s: float | None) -> Image:
        """The heat map, (H, W, 3) uint8 BGR."""
        sheet, area = self._sheet()
        size = (area.shape[1], area.shape[0])
        places = sheet.places(self._where.points)
        lay_heat(area, heat_levels(places, self._where.times_ns, (0, 0, *size), size, half_life_s))
        return self._finished(sheet)

    def trails(self, half_life_s: float | None) -> Image:
        """The trails, (H, W, 3) uint8 BGR."""
        sheet, area = self._sheet()
        trails = (
            replace(trail, points=sheet.places(trail.points.astype(np.float64)).astype(np.float32))
            for trail in self._where.pieces(half_life_s)
        )
        draw_trails(area, trails, Style.for_height(area.shape[0]))
        sheet.legend(self._paths)
        return self._finished(sheet)

    def _sheet(self) -> tuple[Sheet, Image]:
        sheet = Sheet(self._paths, self._width)
        sheet.floor()
        return sheet, sheet.area()

    def _finished(self, sheet: Sheet) -> Image:
        for camera in self._cameras:
            outline = footprint(camera, sheet.bounds)
            if len(outline):
                sheet.outline(outline)
                sheet.camera_tag(camera, outline)
        sheet.scale_bar()
        sheet.heading(self._site, self._paths)
        return sheet.finished()


def _when(where: Whereabouts, half_life_s: float | None) -> str:
    start, end = clock_text(int(where.times_ns.min())), clock_text(int(where.times_ns.max()))
    fading = "" if half_life_s is None else f", half in {half_life_s:g} s"
    return f"{start} to {end}{fading}"
