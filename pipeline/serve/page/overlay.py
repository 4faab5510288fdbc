"""Boxes, identities, lines and zones as SVG over a camera's picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from operators.palette import identity_color, readable_on
from pipeline.serve.known import Box, InView
from pipeline.serve.page.frame import css, escaped

Point = tuple[float, float]


def boxes_svg(people: Iterable[InView], height: float, *, drawn: bool = False) -> str:
    """Everybody's box, trail and number; links alone where the picture has them `drawn` already."""
    if drawn:
        return "".join(link_svg(one.identity, one.box, one.camera, one.time) for one in people)
    parts = []
    size = max(11.0, height / 26)
    for one in people:
        number = int(one.identity.rpartition("-")[2])
        color = identity_color(number)
        x1, y1, _, _ = one.box
        trail = " ".join(f"{x:.0f},{y:.0f}" for x, y in one.trail)
        wide = size * 0.62 * len(str(number)) + 6
        dash = ' stroke-dasharray="5 3"' if one.provisional else ""
        parts.append(
            f'<polyline points="{trail}" fill="none" stroke="{css(color)}" stroke-width="2" opacity=".7"/>'
            f"{link_svg(one.identity, one.box, one.camera, one.time, stroke=css(color), dash=dash)}"
            f'<rect x="{x1:.0f}" y="{y1 - size - 4:.0f}" width="{wide:.0f}" height="{size + 4:.0f}" '
            f'fill="{css(color)}"/><text x="{x1 + 3:.0f}" y="{y1 - 4:.0f}" font-size="{size:.0f}" '
            f'font-family="sans-serif" font-weight="600" fill="{css(readable_on(color))}">{number}</text>'
        )
    return "".join(parts)


def link_svg(identity: str, box: Box, camera: str, time: int, *, stroke: str = "none", dash: str = "") -> str:
    """A box that leads to whose it is and who looks alike, to be clicked or reached by keyboard."""
    x1, y1, x2, y2 = box
    address = f"/identities/{quote(identity)}?camera={quote(camera)}&time={time}"
    return (
        f'<a href="{escaped(address)}" aria-label="{escaped(identity)}" class="cc-person">'
        f'<rect x="{x1:.0f}" y="{y1:.0f}" width="{x2 - x1:.0f}" height="{y2 - y1:.0f}" fill="#fff" fill-opacity="0" '
        f'stroke="{stroke}" stroke-width="2.5"{dash}/></a>'
    )


def shapes_svg(lines: Mapping[str, Any], zones: Mapping[str, Any], size: tuple[int, int]) -> str:
    """Lines and zones as a site's file has them."""
    parts = []
    letter = max(11.0, size[1] / 30)
    for name, zone in zones.items():
        points = points_of(zone, size)
        if len(points) > 2:
            parts.append(
                f'<polygon points="{_joined(points)}" fill="#f2a900" fill-opacity=".18" stroke="#f2a900" '
                f'stroke-width="2"/>' + _name(name, points[0], letter)
            )
    for name, line in lines.items():
        points = points_of(line, size)
        if len(points) > 1:
            parts.append(
                f'<polyline points="{_joined(points)}" fill="none" stroke="#00d0ff" stroke-width="3"/>'
                + _name(name, points[0], letter)
            )
    return "".join(parts)


def drawing_svg(points: list[Point], closed: bool) -> str:
    """What is being drawn."""
    dots = "".join(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="5" fill="#ff3b8d" stroke="#fff"/>' for x, y in points)
    shape = "polygon" if closed and len(points) > 2 else "polyline"
    return f'<{shape} points="{_joined(points)}" fill="#ff3b8d22" stroke="#ff3b8d" stroke-width="2.5"/>{dots}'


def points_of(shape: Any, size: tuple[int, int]) -> list[Point]:
    """The points of a line or zone, `horizontal` and `vertical` put in place."""
    given = shape.get("points") if isinstance(shape, Mapping) else shape
    width, height = size
    if given == "horizontal":
        return [(0.0, height / 2), (float(width), height / 2)]
    if given == "vertical":
        return [(width / 2, float(height)), (width / 2, 0.0)]
    return [(float(x), float(y)) for x, y in given or ()]


def _joined(points: Iterable[Point]) -> str:
    return " ".join(f"{x:.0f},{y:.0f}" for x, y in points)


def _name(name: str, at: Point, size: float) -> str:
    return (
        f'<text x="{at[0] + 4:.0f}" y="{at[1] - 5:.0f}" font-size="{size:.0f}" font-family="sans-serif" '
        f'font-weight="600" fill="#fff" stroke="#10212f" stroke-width="3" paint-order="stroke">{escaped(name)}</text>'
    )
