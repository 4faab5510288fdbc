"""Lines with their counts, and zones with who is in them, on a picture.

What a line or a zone looks like is drawn beneath the boxes (`draw_rules`), its numbers above them
(`draw_rule_labels`): somebody who stands in a zone stays visible, and so does the count. The number of those who
crossed a line stands on the side that they went to.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from operators.analyse.rules import Line, Rules, Severity, Zone
from operators.draw import Rect, Style, chip_size, draw_chip
from operators.palette import INK, PAPER, Color
from operators.records import Image

SEVERITY_COLOR: dict[Severity, Color] = {
    Severity.INFO: (214, 148, 64),
    Severity.WARNING: (40, 170, 250),
    Severity.ALARM: (52, 46, 226),
}
_QUIET_ZONE: Color = (222, 206, 160)
_FILL, _FILL_ALARM = 0.14, 0.30
_SHIFT = 4  # bits of a pixel
_SPOTS = (0.5, 0.3, 0.7, 0.15, 0.85, 0.0, 1.0)  # along a line, the best first
_AROUND = 24  # places along a zone's outline
Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """An incident that is going on: its kind and how bad it is."""

    kind: str
    severity: Severity


@dataclass(frozen=True, slots=True)
class RuleState:
    """What has been counted up to a frame. What is missing is nought.

    Attributes:
        crossed: by line and direction.
        inside: by zone.
        incidents: by zone, those going on.
    """

    crossed: dict[tuple[str, str], int] = field(default_factory=dict)
    inside: dict[str, int] = field(default_factory=dict)
    incidents: dict[str, tuple[OpenIncident, ...]] = field(default_factory=dict)


def draw_rules(image: Image, rules: Rules, state: RuleState, style: Style, scale: float = 1.0) -> None:
    """The shapes, in place: zones as tinted areas, in the colour of an incident while there is one; lines on top.

    Args:
        image: (H, W, 3) uint8 BGR, writable.
        rules: with their points in place (`Rules.placed`).
        state: at this frame.
        style: sizes, for this picture.
        scale: turns the rules' pixels into those of this picture.
    """
    for zone in rules.zones:
        color, fill = _zone_look(zone, state)
        corners = np.array(zone.points, np.float64) * scale
        _tint(image, corners, color, fill)
        _stroke(image, np.vstack([corners, corners[:1]]), color, style)
    for line in rules.lines:
        points = _points(line) * scale
        _stroke(image, points, PAPER, style)
        _arrow(image, points, style)


def draw_rule_labels(
    image: Image, rules: Rules, state: RuleState, style: Style, scale: float = 1.0, taken: Iterable[Rect] = ()
) -> list[Rect]:
    """The names and numbers, in place; see `draw_rules`.

    Labels stay inside the picture and keep clear of `taken` and of each other wherever there is room.

    Returns:
        The places they take.
    """
    size = (image.shape[1], image.shape[0])
    used = list(taken)
    before = len(used)
    strokes = {line.name: _dotted(_points(line) * scale, style.text) for line in rules.lines}

    def label(text: str, spots: Sequence[Rect], color: Color = INK, of: str = "") -> None:
        others = [dots for name, dots in strokes.items() if name != of]
        spot = _least_hiding(spots, used, np.concatenate([np.empty((0, 2)), *others]), style.text)
        used.append(spot)
        draw_chip(image, spot, text, color, style)

    for line in rules.lines:
        points = _points(line) * scale
        for side, direction in ((1, line.forward), (-1, line.backward)):
            text = f"{direction} {state.crossed.get((line.name, direction), 0)}"
            label(text, _beside(points, side, chip_size(text, style), style, size), of=line.name)
        label(line.name, _at_ends(points, chip_size(line.name, style), size), of=line.name)
    for zone in rules.zones:
        corners = np.array(zone.points, np.float64) * scale
        text = f"{zone.name} {state.inside.get(zone.name, 0)}"
        label(text, _on_outline(corners, chip_size(text, style), size))
        place = used[-1]
        for incident in state.incidents.get(zone.name, ()):
            text = incident.kind.replace("_", " ")
            label(text, _near(place, chip_size(text, style), style, size), SEVERITY_COLOR[incident.severity])
    return used[before:]


def draw_incident(image: Image, box: Sequence[float] | None, kind: str, severity: Severity, style: Style) -> None:
    """A thick outline around who takes part in an incident and his label, its kind at the lower edge, in place.

    Args:
        box: x1, y1, x2, y2 in pixels; None draws nothing.
    """
    if box is None:
        return
    color, thick = SEVERITY_COLOR[severity], 2 * style.line
    text = kind.replace("_", " ")
    chip, room = chip_size(text, style), 2 * thick
    corners = np.array([(box[0] - room, box[1] - room - chip[1]), (box[2] + room, box[3] + room)])
    (x1, y1), (x2, y2) = np.clip(corners, thick, np.array(image.shape[1::-1]) - thick).round().astype(int).tolist()
    cv2.rectangle(image, (x1, y1), (x2, y2), INK, thick + 2 * max(1, style.line // 2), cv2.LINE_AA)
    cv2.rectangle(image, (x1, y1), (x2, y2), color, thick, cv2.LINE_AA)
    spot = _centred(np.array([(x1 + x2) / 2, y2 + chip[1] / 2]), chip, (image.shape[1], image.shape[0]))
    draw_chip(image, spot, text, color, style)


def _zone_look(zone: Zone, state: RuleState) -> tuple[Color, float]:
    incidents = state.incidents.get(zone.name, ())
    if not incidents:
        return _QUIET_ZONE, _FILL
    worst = max(incidents, key=lambda incident: list(Severity).index(incident.severity))
    return SEVERITY_COLOR[worst.severity], _FILL_ALARM


def _points(line: Line) -> Float64:
    assert isinstance(line.points, tuple), "rules must have been placed in a picture"
    return np.array(line.points, np.float64)


def _fixed(points: Float64, left: int = 0, top: int = 0) -> NDArray[np.int32]:
    near = np.clip(points, -30_000, 30_000)  # OpenCV's fixed-point coordinates overflow beyond
    return np.round((near - (left, top)) * (1 << _SHIFT)).astype(np.int32)


def _tint(image: Image, corners: Float64, color: Color, share: float) -> None:
    height, width = image.shape[:2]
    x1, y1 = np.clip(np.floor(corners.min(axis=0)), 0, (width, height)).astype(int).tolist()
    x2, y2 = np.clip(np.ceil(corners.max(axis=0)) + 1, 0, (width, height)).astype(int).tolist()
    if x1 >= x2 or y1 >= y2:
        return
    area = image[y1:y2, x1:x2]
    tinted = area.copy()
    cv2.fillPoly(tinted, [_fixed(corners, x1, y1)], color, cv2.LINE_AA, _SHIFT)
    cv2.addWeighted(area, 1 - share, tinted, share, 0, dst=tinted)
    area[:] = tinted


def _stroke(image: Image, points: Float64, color: Color, style: Style) -> None:
    """A line on a dark rim, so that it stands out from any ground."""
    fixed = [_fixed(points)]
    cv2.polylines(image, fixed, False, INK, style.line + 2 * max(1, style.line // 2), cv2.LINE_AA, _SHIFT)
    cv2.polylines(image, fixed, False, color, style.line, cv2.LINE_AA, _SHIFT)


def _arrow(image: Image, points: Float64, style: Style) -> None:
    """A head in the middle of a line that points where its first-named direction leads."""
    middle, ahead = _along(points, 0.5)
    size = 0.7 * style.text
    along = np.array([ahead[1], -ahead[0]])
    base = middle + ahead * style.line / 2
    head = np.array([base - along * size * 0.7, base + along * size * 0.7, base + ahead * size])
    rim = np.array([base - along * size, base + along * size, base + ahead * size * 1.35])
    cv2.fillPoly(image, [_fixed(rim)], INK, cv2.LINE_AA, _SHIFT)
    cv2.fillPoly(image, [_fixed(head)], PAPER, cv2.LINE_AA, _SHIFT)


def _along(points: Float64, share: float) -> tuple[Float64, Float64]:
    """A place on a polyline, and the unit vector to its right-hand side there (y downwards)."""
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    left = share * float(lengths.sum())
    for (start, end), length in zip(pairwise(points), lengths.tolist(), strict=True):
        if left <= length:
            way = (end - start) / length
            return start + way * left, np.array([-way[1], way[0]])
        left -= length
    way = (points[-1] - points[-2]) / lengths[-1]
    return points[-1], np.array([-way[1], way[0]])


def _beside(points: Float64, side: int, chip: tuple[int, int], style: Style, picture: tuple[int, int]) -> list[Rect]:
    """Places on one side of a line, clear of it and of its arrow."""
    spots = []
    for share in _SPOTS:
        place, right = _along(points, share)
        half = abs(right[0]) * chip[0] / 2 + abs(right[1]) * chip[1] / 2
        reach = half + style.line + (1.1 * style.text if side > 0 and share == 0.5 else 0.35 * style.text)
        spots.append(_centred(place + right * side * reach, chip, picture))
    return spots


def _at_ends(points: Float64, chip: tuple[int, int], picture: tuple[int, int]) -> list[Rect]:
    """Places where a line begins or ends, then anywhere on it."""
    return [_centred(_along(points, share)[0], chip, picture) for share in (0.0, 1.0, *_SPOTS[1:5])]


def _on_outline(corners: Float64, chip: tuple[int, int], picture: tuple[int, int]) -> list[Rect]:
    """Places on what can be seen of a zone's outline, from the top down."""
    ring = np.vstack([corners, corners[:1]])
    places = np.array([_along(ring, share)[0] for share in np.linspace(0, 1, _AROUND, endpoint=False)])
    seen = places[((places >= 0) & (places <= picture)).all(axis=1)]
    places = seen if len(seen) else places
    middle = float(places[:, 0].mean())
    order = np.lexsort([np.abs(places[:, 0] - middle), np.round(places[:, 1])])
    return [_centred(places[row], chip, picture) for row in order]


def _near(place: Rect, chip: tuple[int, int], style: Style, picture: tuple[int, int]) -> list[Rect]:
    """Places under, right of, left of and above another label."""
    gap = max(1, style.line)
    x, y = (place.x1 + place.x2) / 2, (place.y1 + place.y2) / 2
    down, across = (place.y2 - place.y1 + chip[1]) / 2 + gap, (place.x2 - place.x1 + chip[0]) / 2 + gap
    steps = ((0, down), (across, 0), (-across, 0), (0, -down), (0, 2 * down), (across, down), (-across, down))
    return [_centred(np.array([x + dx, y + dy]), chip, picture) for dx, dy in steps]


def _centred(place: Float64, chip: tuple[int, int], picture: tuple[int, int]) -> Rect:
    x1, y1 = (round(min(max(float(place[k]) - chip[k] / 2, 0), max(picture[k] - chip[k], 0))) for k in (0, 1))
    return Rect(x1, y1, x1 + chip[0], y1 + chip[1])


def _dotted(points: Float64, step: float) -> Float64:
    """(M, 2) places along a polyline, at most `step` apart."""
    parts = [points[-1:]]
    for start, end in pairwise(points):
        count = min(1000, max(1, int(np.linalg.norm(end - start) / step) + 1))
        parts.append(start + np.arange(count)[:, None] / count * (end - start))
    return np.concatenate(parts)


def _least_hiding(spots: Sequence[Rect], used: Sequence[Rect], dots: Float64, text: int) -> Rect:
    """The first of the places that hides the least of other labels and of lines (`dots`, a text's height apart)."""

    def hidden(spot: Rect) -> int:
        on = ((dots >= spot[:2]) & (dots < spot[2:])).all(axis=1).sum()
        return int(on) * text * text + sum(
            max(0, min(spot.x2, other.x2) - max(spot.x1, other.x1))
            * max(0, min(spot.y2, other.y2) - max(spot.y1, other.y1))
            for other in used
        )

    return min(spots, key=hidden)
