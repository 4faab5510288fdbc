"""The site from above: everybody's paths in metres, as a PNG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from operators.draw import Rect, fill_round, place_labels, shade
from operators.lettering import BOLD, REGULAR, put_text, text_size
from operators.palette import PAPER, Color, identity_color, mix, readable_on
from operators.picture_bytes import png
from operators.records import Image
from pipeline.clock import clock_text
from pipeline.ground_paths import GroundPath, Points, ground_paths
from pipeline.overlay import IdentityOf

_PAGE: Color = (30, 26, 23)
_FLOOR: Color = (38, 33, 29)
_GRID: Color = (54, 48, 43)
_VIEW: Color = (190, 178, 165)
_QUIET: Color = (168, 160, 152)

_FINE = 2  # drawn so many times larger, then averaged down
_SHIFT = 4  # bits of a pixel
_MARGIN = (96, 28, 60, 64)  # above, right, below, left of the plan
_MIN_SPAN_M = 2.0
_TALLEST = 1.0  # height of the plan by its width
_FLATTEST = 0.36


@dataclass(frozen=True, slots=True)
class PlanCamera:
    """A calibrated camera, for the outline of the ground it sees.

    Attributes:
        camera: its id.
        homography: (3, 3) float64, from pixels of its (cropped) picture to metres.
        size: width and height of that picture, pixels.
    """

    camera: str
    homography: NDArray[np.float64]
    size: tuple[int, int]


def write_plan_view(
    records: Iterable[Mapping[str, Any]],
    output: Path,
    *,
    site: str,
    cameras: Sequence[PlanCamera] = (),
    identity_of: IdentityOf | None = None,
    width: int = 1600,
) -> list[GroundPath]:
    """Draw the plan of a time span's `tracks` values to a PNG file, and return the paths on it.

    Args:
        records: values of the `tracks` topic, in any order.
        output: the picture to write; what is there is replaced.
        cameras: whose outlines to draw.
        identity_of: who a track is after all corrections; by default what the records themselves say.
        width: of the picture, pixels.

    Raises:
        PlanError: there are no tracks, or no camera is calibrated.
    """
    sizes = {camera.camera: camera.size for camera in cameras}
    paths = ground_paths(records, site=site, identity_of=identity_of, sizes=sizes)
    data = png(plan_view(paths, site=site, cameras=cameras, width=width))
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f".{output.name}.partial")
    partial.write_bytes(data)
    partial.replace(output)
    return paths


def plan_view(
    paths: Sequence[GroundPath], *, site: str, cameras: Sequence[PlanCamera] = (), width: int = 1600
) -> Image:
    """The plan as a picture, (H, width, 3) uint8 BGR; X to the right and Y upwards, to one scale.

    A ring marks where an identity's path starts, an arrow where it ends; lines brighten on the way.
    """
    sheet = Sheet(paths, width)
    outlines = [(camera, footprint(camera, sheet.bounds)) for camera in cameras]
    sheet.floor()
    for _, outline in outlines:
        sheet.view(outline)
    for path in paths:
        sheet.path(path)
    tags = [sheet.camera_tag(camera, outline) for camera, outline in outlines if len(outline)]
    bar = sheet.scale_bar()
    sheet.labels(paths, [*tags, bar])
    sheet.heading(site, paths)
    sheet.legend(paths)
    return sheet.finished()


def footprint(camera: PlanCamera, bounds: tuple[float, float, float, float]) -> Points:
    """The ground a camera sees inside `bounds` (x1, y1, x2, y2, metres): a convex polygon (K, 2), K = 0 if none.

    The picture's rectangle is clipped before the perspective division (I. Sutherland and G. Hodgman, "Reentrant
    polygon clipping", 1974), so that a picture reaching above the horizon does no harm. The middle of the
    picture's lower edge is taken to show ground.
    """
    width, height = camera.size
    corners = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]], np.float64)
    ground = corners @ camera.homography.T
    front = np.array([width / 2, height, 1.0]) @ camera.homography.T
    ground *= math.copysign(1.0, float(front[2]))
    x1, y1, x2, y2 = bounds
    least = 1e-9 * float(np.abs(ground[:, 2]).max())
    planes = np.array([[0, 0, 1], [1, 0, -x1], [-1, 0, x2], [0, 1, -y1], [0, -1, y2]], np.float64)
    for number, plane in enumerate(planes):
        depth = ground @ plane - (least if number == 0 else 0.0)
        kept: list[NDArray[np.float64]] = []
        for here in range(len(ground)):
            after = (here + 1) % len(ground)
            if depth[here] >= 0:
                kept.append(ground[here])
            if (depth[here] >= 0) != (depth[after] >= 0):
                share = depth[here] / (depth[here] - depth[after])
                kept.append(ground[here] + share * (ground[after] - ground[here]))
        ground = np.array(kept, np.float64).reshape(-1, 3)
    return ground[:, :2] / ground[:, 2:]


class Sheet:
    """The paper: knows the scale, and draws each part once. All sizes are in pixels of the finished picture."""

    def __init__(self, paths: Sequence[GroundPath], width: int) -> None:
        places = np.concatenate([piece for path in paths for piece in path.pieces])
        top, right, below, left = _MARGIN
        self._unit = width / 1600
        self._text = max(9, round(13 * self._unit))
        self._line = (3.2 if len(paths) <= 40 else 2.0) * self._unit
        self._chip_width = max(text_size(str(path.identity), self._text, BOLD)[0] for path in paths) + self._text
        legend = max(text_size(_what(path), self._text)[0] for path in paths) + self._chip_width + 3 * self._text
        plan = width - legend - round((left + right) * self._unit)
        low, high = places.min(axis=0), places.max(axis=0)
        span = np.maximum(high - low, _MIN_SPAN_M) * 1.12
        ratio = min(max(float(span[1] / span[0]), _FLATTEST), _TALLEST)
        height = round(plan * ratio)
        self._scale = min(plan / float(span[0]), height / float(span[1]))  # pixels a metre
        middle = (low + high) / 2
        half = np.array([plan, height]) / self._scale / 2
        self.bounds = (*(middle - half).tolist(), *(middle + half).tolist())
        self._plan = Rect(
            round(left * self._unit),
            round(top * self._unit),
            round(left * self._unit) + plan,
            round(top * self._unit) + height,
        )
        size = (self._plan.y2 + round(below * self._unit), width)
        self._fine = np.empty((size[0] * _FINE, size[1] * _FINE, 3), np.uint8)
        self._fine[:] = _PAGE

    def finished(self) -> Image:
        """The picture at its final size."""
        size = self._fine.shape[1] // _FINE, self._fine.shape[0] // _FINE
        return np.asarray(cv2.resize(self._fine, size, interpolation=cv2.INTER_AREA), np.uint8)

    def area(self) -> Image:
        """The plan itself, without margins, to draw on; several times as fine as it will be."""
        plan = self._plan
        return self._fine[plan.y1 * _FINE : plan.y2 * _FINE, plan.x1 * _FINE : plan.x2 * _FINE]

    def places(self, metres: Points) -> Points:
        """(M, 2) metres to pixels of `area`."""
        return (self._pixels(metres) - (self._plan.x1, self._plan.y1)) * _FINE

    def floor(self) -> None:
        """The plan's ground with a grid, and the metres along its left and lower edge."""
        area = self._plan
        self._rectangle(area, _FLOOR)
        step = _round_number((self.bounds[2] - self.bounds[0]) / 9)
        for axis in (0, 1):
            first, last = math.ceil(self.bounds[axis] / step), math.floor(self.bounds[axis + 2] / step)
            for tick in range(first, last + 1):
                at = self._pixels(np.array([[tick * step, tick * step]]))[0]
                label = f"{tick * step:g}"
                if axis == 0:
                    self._stroke(np.array([[at[0], area.y1], [at[0], area.y2]]), _GRID, 1)
                    self._write(label, at[0], area.y2 + 0.9 * self._text, _QUIET, anchor=(0.5, 0.5))
                else:
                    self._stroke(np.array([[area.x1, at[1]], [area.x2, at[1]]]), _GRID, 1)
                    self._write(label, area.x1 - 0.6 * self._text, at[1], _QUIET, anchor=(1, 0.5))
        self._write("X, metres", (area.x1 + area.x2) / 2, area.y2 + 2.8 * self._text, _QUIET, anchor=(0.5, 0.5))
        self._write("Y, m", area.x1 - 0.6 * self._text, area.y1 - 1.2 * self._text, _QUIET, anchor=(1, 0.5))

    def view(self, outline: Points) -> None:
        """The ground that a camera sees: a breath lighter than the floor, with a thin edge."""
        if len(outline) < 3:
            return
        corners = self._fixed(self._pixels(outline))
        lit = self._fine.copy()
        cv2.fillConvexPoly(lit, corners, _VIEW, cv2.LINE_AA, _SHIFT)
        cv2.addWeighted(self._fine, 0.94, lit, 0.06, 0, dst=self._fine)
        self.outline(outline)

    def outline(self, outline: Points) -> None:
        """The thin edge of the ground that a camera sees."""
        for start, end in zip(outline, np.roll(outline, -1, axis=0), strict=True):
            self._dashes(self._pixels(np.array([start, end])), mix(_VIEW, _FLOOR, 0.5))

    def path(self, path: GroundPath) -> None:
        """One identity's line on a dark rim, which keeps crossing lines apart."""
        color = identity_color(path.identity)
        pieces = [self._pixels(piece) for piece in path.pieces]
        total = max(1, sum(len(piece) for piece in pieces))
        for piece in pieces:
            self._stroke(piece, _FLOOR, 2.2 * self._line)
        done = 0
        for piece in pieces:
            cuts = np.unique(np.linspace(0, len(piece) - 1, max(2, len(piece) // 6)).round().astype(int))
            for start, end in pairwise(cuts):
                share = (done + (start + end) / 2) / total
                self._stroke(piece[start : end + 1], mix(color, _FLOOR, 0.5 * (1 - share)), self._line)
            done += len(piece)
        self._dot(pieces[0][0], 2.0 * self._line, _FLOOR)
        self._dot(pieces[0][0], 1.7 * self._line, mix(color, _FLOOR, 0.2))
        self._dot(pieces[0][0], 0.9 * self._line, _FLOOR)
        self._arrow(pieces[-1], color)

    def camera_tag(self, camera: PlanCamera, outline: Points) -> Rect:
        """The camera's name where its view begins, in the middle of the near edge; returns the place it takes."""
        width, height = camera.size
        near = np.array([width / 2, height, 1.0]) @ camera.homography.T
        spot = near[:2] / near[2]
        x1, y1, x2, y2 = self.bounds
        if not (x1 <= spot[0] <= x2 and y1 <= spot[1] <= y2):
            spot = outline[np.argmin(np.linalg.norm(outline - spot, axis=1))]
        size = text_size(camera.camera, self._text)
        area = self._plan
        inset = self._text
        x, y = self._pixels(spot[None])[0]
        left = int(np.clip(x - size[0] / 2, area.x1 + inset, area.x2 - inset - size[0]))
        top = int(np.clip(y - size[1] - inset / 2, area.y1 + inset, area.y2 - inset - size[1]))
        rect = Rect(left - inset // 2, top, left + size[0] + inset // 2, top + size[1])
        shade(self._fine, Rect(*(_FINE * edge for edge in rect)), 0.75, _FLOOR)
        self._write(camera.camera, left, top, PAPER)
        return rect

    def scale_bar(self) -> Rect:
        """A length to compare with, in the plan's lower right corner; returns the place it takes."""
        area = self._plan
        metres = _round_number((self.bounds[2] - self.bounds[0]) / 8)
        x2, y = area.x2 - 2 * self._text, area.y2 - 1.8 * self._text
        x1, tick = x2 - metres * self._scale, 0.4 * self._text
        self._stroke(np.array([[x1, y - tick], [x1, y], [x2, y], [x2, y - tick]]), PAPER, 1.6 * self._unit)
        self._write(f"{metres:g} m", (x1 + x2) / 2, y - 1.1 * self._text, PAPER, anchor=(0.5, 0.5))
        return Rect(round(x1), round(y - 2.2 * self._text), x2, round(y + tick))

    def labels(self, paths: Sequence[GroundPath], taken: Sequence[Rect]) -> None:
        """Each identity's number beside the end of its path."""
        area = self._plan
        reach, pad = 3.2 * self._line, 0.45 * self._text
        ends = np.array([self._pixels(path.pieces[-1][-1:])[0] for path in paths]) - (area.x1, area.y1)
        boxes = np.hstack([ends - reach, ends + reach]).round().astype(int)
        sizes = [
            (round(text_size(str(path.identity), self._text, BOLD)[0] + 2 * pad), round(self._text + 2 * pad))
            for path in paths
        ]
        used = [Rect(r.x1 - area.x1, r.y1 - area.y1, r.x2 - area.x1, r.y2 - area.y1) for r in taken]
        used += [Rect(*box) for box in boxes.tolist()]
        spots = place_labels(boxes, sizes, (area.x2 - area.x1, area.y2 - area.y1), 0, used)
        shown: list[Rect] = []
        for path, spot in zip(paths, spots, strict=True):
            if any(_hides(spot, other) > 0.2 for other in shown):
                continue  # a heap of labels says nothing; this one's colour is in the legend
            shown.append(spot)
            self._chip(path.identity, spot.x1 + area.x1, spot.y1 + area.y1, (spot.x2 - spot.x1, spot.y2 - spot.y1))

    def heading(self, site: str, paths: Sequence[GroundPath]) -> None:
        """The site, and when this was."""
        area = self._plan
        start, end = min(path.start_ns for path in paths), max(path.end_ns for path in paths)
        cameras = len({camera for path in paths for camera in path.cameras})
        self._write(site, area.x1, 0.32 * area.y1, PAPER, 1.7, BOLD, anchor=(0, 0.5))
        who = f"{_number(len(paths), 'identity', 'identities')} seen by {_number(cameras, 'camera', 'cameras')}"
        self._write(f"{who}, {_span(start, end)}", area.x1, 0.66 * area.y1, _QUIET, anchor=(0, 0.5))

    def legend(self, paths: Sequence[GroundPath]) -> None:
        """Number, time and way of each identity, as many as fit."""
        area = self._plan
        left, step = area.x2 + 2 * self._text, 2.0 * self._text
        rows = int((area.y2 - area.y1) / step)
        listed = paths if len(paths) <= rows else paths[: rows - 1]
        widest = self._chip_width
        for row, path in enumerate(listed):
            y = area.y1 + (row + 0.5) * step
            high = round(1.7 * self._text)
            self._chip(path.identity, left, round(y - high / 2), (widest, high))
            self._write(_what(path), left + widest + 0.8 * self._text, y, _QUIET, anchor=(0, 0.5))
        if len(listed) < len(paths):
            y = area.y1 + (len(listed) + 0.5) * step
            self._write(f"and {len(paths) - len(listed)} more", left, y, _QUIET, anchor=(0, 0.5))

    def _pixels(self, metres: Points) -> Points:
        """(M, 2) metres to pixels of the finished picture."""
        x = self._plan.x1 + (metres[:, 0] - self.bounds[0]) * self._scale
        y = self._plan.y2 - (metres[:, 1] - self.bounds[1]) * self._scale
        return np.stack([x, y], axis=1)

    def _fixed(self, pixels: Points) -> NDArray[np.int32]:
        return np.round(pixels * _FINE * (1 << _SHIFT)).astype(np.int32)

    def _stroke(self, pixels: Points, color: Color, line: float) -> None:
        thick = max(1, round(line * _FINE))
        cv2.polylines(self._fine, [self._fixed(pixels)], False, color, thick, cv2.LINE_AA, _SHIFT)

    def _dashes(self, ends: Points, color: Color) -> None:
        length = float(np.linalg.norm(ends[1] - ends[0]))
        period = 10 * self._unit
        for start in np.arange(0, length, period):
            part = np.array([[start], [min(start + 0.55 * period, length)]]) / max(length, 1e-9)
            self._stroke(ends[0] + part * (ends[1] - ends[0]), color, self._unit)

    def _dot(self, pixel: Points, radius: float, color: Color) -> None:
        x, y = self._fixed(pixel[None])[0].tolist()
        cv2.circle(self._fine, (x, y), round(radius * _FINE * (1 << _SHIFT)), color, cv2.FILLED, cv2.LINE_AA, _SHIFT)

    def _arrow(self, piece: Points, color: Color) -> None:
        """A head at the end of a line, pointing where its last stretch went."""
        size = 2.6 * self._line
        away = np.linalg.norm(piece - piece[-1], axis=1)
        back = np.flatnonzero(away > 2 * size)
        if not len(back):
            self._dot(piece[-1], 1.3 * self._line, color)
            return
        ahead = (piece[-1] - piece[back[-1]]) / away[back[-1]]
        side = np.array([-ahead[1], ahead[0]])
        tip = piece[-1] + ahead * size
        for grow, ink in ((1.45, _FLOOR), (1.0, color)):
            middle = tip - ahead * size
            corners = np.array([1.1 * ahead, -0.9 * ahead + 0.85 * side, -0.45 * ahead, -0.9 * ahead - 0.85 * side])
            cv2.fillPoly(self._fine, [self._fixed(middle + corners * size * grow)], ink, cv2.LINE_AA, _SHIFT)

    def _chip(self, number: int, left: int, top: int, size: tuple[int, int]) -> None:
        rect = Rect(left * _FINE, top * _FINE, (left + size[0]) * _FINE, (top + size[1]) * _FINE)
        color = identity_color(number)
        fill_round(self._fine, rect, round(0.4 * self._text * _FINE), color)
        middle = left + size[0] / 2, top + size[1] / 2
        self._write(str(number), *middle, readable_on(color), 1.0, BOLD, anchor=(0.5, 0.5))

    def _rectangle(self, rect: Rect, color: Color) -> None:
        self._fine[rect.y1 * _FINE : rect.y2 * _FINE, rect.x1 * _FINE : rect.x2 * _FINE] = color

    def _write(
        self,
        text: str,
        x: float,
        y: float,
        color: Color,
        size: float = 1.0,
        weight: float = REGULAR,
        *,
        anchor: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        height = round(self._text * size * _FINE)
        put_text(self._fine, text, x * _FINE, y * _FINE, height, color, weight=weight, anchor=anchor)


def _hides(spot: Rect, other: Rect) -> float:
    """The share of `other` that lies under `spot`."""
    wide, high = min(spot.x2, other.x2) - max(spot.x1, other.x1), min(spot.y2, other.y2) - max(spot.y1, other.y1)
    return max(wide, 0) * max(high, 0) / ((other.x2 - other.x1) * (other.y2 - other.y1))


def _round_number(about: float) -> float:
    """The 1, 2 or 5 times a power of ten that is nearest to `about`."""
    power = 10.0 ** math.floor(math.log10(about))
    return min((power * step for step in (1, 2, 5, 10)), key=lambda step: abs(math.log(step / about)))


def _number(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _span(start_ns: int, end_ns: int) -> str:
    start, end = clock_text(start_ns), clock_text(end_ns)
    day = start.rpartition(" ")[0]
    return f"{start} to {end.removeprefix(day).strip()}" + (" UTC" if day else "")


def _what(path: GroundPath) -> str:
    return f"{_duration((path.end_ns - path.start_ns) / 1e9)}, {path.length:.0f} m"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
