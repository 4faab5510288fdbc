"""Boxes, ids, trails, clock and counts on a picture.

Everything here draws in place on a writable (H, W, 3) uint8 BGR picture and knows nothing of where it came
from; `annotate` puts it all together on a copy. Sizes follow the picture's height, so that the same calls are
legible on 360 lines and on 2160.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from operators.lettering import BOLD, blend, fitting_height, put_text, text_size
from operators.palette import INK, PAPER, Color, identity_color, readable_on
from operators.records import Float32, Image
from operators.trails import Trail

_FAR = 30_000  # OpenCV's fixed-point coordinates overflow beyond
_SUBPIXEL = 4  # bits
_TRAIL_STEPS = 8  # shades in a trail: more cannot be told apart


class Privacy(StrEnum):
    """What is made unrecognisable. Only what was tracked can be: this is no promise for the whole picture.

    No face is looked for. Where head and face are is taken from the box of a person who stands or walks: the head in
    the upper quarter, as wide as the box; the face in the middle of the upper sixth. Who bends down or lies is safe
    only with `whole`.
    """

    NONE = "none"
    FACE = "face"
    HEAD = "head"
    WHOLE = "whole"


class Rect(NamedTuple):
    """A rectangle in whole pixels; x2 and y2 are the first ones outside."""

    x1: int
    y1: int
    x2: int
    y2: int


@dataclass(frozen=True, slots=True)
class Style:
    """Sizes in pixels.

    Attributes:
        text: height of a capital letter.
        line: width of a box's outline.
        pad: space around text.
        corner: radius of a label's corners.
    """

    text: int
    line: int
    pad: int
    corner: int

    @classmethod
    def for_height(cls, height: int) -> Self:
        """Sizes that suit a picture of so many lines."""
        text = max(8, round(height / 58))
        return cls(
            text=text, line=max(1, round(height / 320)), pad=max(2, round(text * 0.45)), corner=round(text * 0.4)
        )


def annotate(
    image: Image,
    boxes: Float32,
    identities: Sequence[int] | NDArray[np.integer[Any]],
    *,
    labels: Sequence[str] | None = None,
    trails: Iterable[Trail] = (),
    title: str = "",
    clock: str = "",
    counts: Mapping[str, int] | None = None,
    privacy: Privacy = Privacy.NONE,
    style: Style | None = None,
) -> Image:
    """A copy of the picture with everything on it.

    Args:
        image: (H, W, 3) uint8 BGR; left as it is, so it may be read-only.
        boxes: (N, 4), xyxy, pixels. Rows that are not finite are left out.
        identities: N numbers; negative where an object has no identity (yet).
        labels: N texts; by default the identity's number, nothing where there is none.
        trails: in pixels of this picture, drawn underneath the boxes.
        title, clock: left and right text of a bar along the top; no bar if both are empty.
        counts: lines of a panel in the lower left corner.
        privacy: what of each box is blurred, before anything is drawn.
        style: by default what suits the picture's height.
    """
    picture = np.array(image, np.uint8, order="C")
    style = style or Style.for_height(picture.shape[0])
    blur_boxes(picture, boxes, privacy)
    draw_trails(picture, trails, style)
    draw_boxes(picture, boxes, identities, style)
    taken = []
    if title or clock:
        taken.append(draw_bar(picture, title, clock, style))
    if counts:
        taken.append(draw_counts(picture, counts, style))
    draw_labels(picture, boxes, identities, style, labels=labels, taken=taken)
    return picture


def draw_boxes(
    image: Image, boxes: Float32, identities: Sequence[int] | NDArray[np.integer[Any]], style: Style
) -> None:
    """Outline boxes (N, 4) xyxy in the colours of their N identities."""
    rows, whole = _drawable(boxes)
    for row in rows[np.argsort(whole[rows, 3], kind="stable")]:  # the nearest last, on top of those behind
        x1, y1, x2, y2 = (int(v) for v in whole[row])
        _outline(image, Rect(x1, y1, x2, y2), identity_color(int(identities[row])), style.line)


def draw_labels(
    image: Image,
    boxes: Float32,
    identities: Sequence[int] | NDArray[np.integer[Any]],
    style: Style,
    *,
    labels: Sequence[str] | None = None,
    taken: Iterable[Rect] = (),
) -> None:
    """A label on each box in its identity's colour: `labels`, or the identity's number if it has one.

    Labels stay inside the picture, keep clear of `taken`, and of each other wherever there is room.
    """
    numbers = [int(number) for number in identities]
    texts = list(labels) if labels is not None else [str(n) if n >= 0 else "" for n in numbers]
    rows, whole = _drawable(boxes)
    # By identity and not by place: then labels do not swap sides when two people pass each other.
    named = sorted((row for row in rows if texts[row]), key=lambda row: (numbers[row], row))
    sizes = [chip_size(texts[row], style) for row in named]
    spots = place_labels(whole[named], sizes, (image.shape[1], image.shape[0]), style.line, taken)
    for row, spot in zip(named, spots, strict=True):
        draw_chip(image, spot, texts[row], identity_color(numbers[row]), style)


def place_labels(
    boxes: NDArray[np.integer[Any]],
    sizes: Sequence[tuple[int, int]],
    picture: tuple[int, int],
    margin: int,
    taken: Iterable[Rect] = (),
) -> list[Rect]:
    """Where each box's label goes: on top if there is room, else under it, inside it, or beside it.

    Greedy in the order given: each label takes the first of these places that hides the least of `taken` and of
    the labels before it. All lie inside the picture, unless one is larger than that.

    Args:
        boxes: (N, 4), xyxy, pixels.
        sizes: N widths and heights, pixels.
        picture: width and height, pixels.
        margin: width of the boxes' outlines, which labels shall touch and not hide.
    """
    used = [np.array(rect, np.int64) for rect in taken]
    spots = []
    for (x1, y1, x2, y2), (width, height) in zip(boxes.tolist(), sizes, strict=True):
        edge = margin - margin // 2  # as `_outline` draws it
        corners = np.array(
            [
                (x1 - edge, y1 - edge - height),
                (x2 + edge + 1 - width, y1 - edge - height),
                (x1 - edge, y2 + edge + 1),
                (x1 + margin, y1 + margin),
                (x2 + edge + 1, y1 - edge),
                (x1 - edge - width, y1 - edge),
                (x1 + margin, y2 - margin - height),
                (x1 - edge, y1 - edge - 2 * height),
            ]
        )
        corners = np.clip(corners, 0, np.maximum(np.array(picture) - (width, height), 0))
        places = np.hstack([corners, corners + np.array([width, height])])
        hidden = _overlaps(places, np.array(used)).sum(axis=1) if used else np.zeros(len(places))
        best = places[int(np.argmin(hidden))]
        used.append(best)
        spots.append(Rect(*best.tolist()))
    return spots


def draw_trails(image: Image, trails: Iterable[Trail], style: Style, scale: float = 1.0) -> None:
    """Lines that fade and thin out with age; `scale` turns the trails' pixels into those of this picture."""
    reach = 2 * style.line + 2
    for trail in trails:
        points = np.clip(trail.points.astype(np.float64) * scale, -_FAR, _FAR)
        left, top = np.maximum(np.floor(points.min(axis=0)).astype(int) - reach, 0).tolist()
        right, bottom = np.minimum(
            np.ceil(points.max(axis=0)).astype(int) + reach, (image.shape[1], image.shape[0])
        ).tolist()
        if left >= right or top >= bottom:
            continue
        mask = np.zeros((bottom - top, right - left), np.uint8)
        fixed = np.round((points - (left, top)) * (1 << _SUBPIXEL)).astype(np.int32)
        cuts = np.unique(np.linspace(0, len(points) - 1, _TRAIL_STEPS + 1).round().astype(int))
        for start, end in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
            fresh = float(np.clip(trail.freshness[end], 0, 1))
            width = max(1, round(style.line * (0.6 + 0.8 * fresh)))
            shade = round(20 + 210 * fresh)
            cv2.polylines(mask, [fixed[start : end + 1]], False, shade, width, cv2.LINE_AA, _SUBPIXEL)
        blend(image, mask, left, top, identity_color(trail.identity))


def draw_bar(image: Image, left: str, right: str, style: Style) -> Rect:
    """A dark, translucent bar along the top with a text at either end, the right one only where there is room.

    Returns the place it takes.
    """
    height = style.text + 4 * style.pad
    rect = Rect(0, 0, image.shape[1], min(height, image.shape[0]))
    shade(image, rect, 0.62)
    inset = 2 * style.pad
    room = image.shape[1] - 2 * inset
    size = fitting_height(left, style.text, room, BOLD)
    put_text(image, left, inset, height / 2, size, PAPER, weight=BOLD, anchor=(0, 0.5))
    if text_size(left, size, BOLD)[0] + inset + text_size(right, style.text)[0] <= room:
        put_text(image, right, image.shape[1] - inset, height / 2, style.text, PAPER, anchor=(1, 0.5), opacity=0.85)
    return rect


def draw_counts(image: Image, counts: Mapping[str, int], style: Style) -> Rect:
    """A translucent panel in the lower left corner, a name and its number a line; returns the place it takes."""
    inset, step = 2 * style.pad, style.text + 2 * style.pad
    names = max((text_size(name, style.text)[0] for name in counts), default=0)
    numbers = max((text_size(str(number), style.text, BOLD)[0] for number in counts.values()), default=0)
    width, height = names + numbers + 2 * style.text + 2 * inset, len(counts) * step + inset
    bottom, left = image.shape[0] - inset, inset
    rect = Rect(left, max(0, bottom - height), min(left + width, image.shape[1]), bottom)
    shade(image, rect, 0.62)
    for line, (name, number) in enumerate(counts.items()):
        y = bottom - height + inset / 2 + (line + 0.5) * step
        put_text(image, name, left + inset, y, style.text, PAPER, anchor=(0, 0.5), opacity=0.85)
        put_text(image, str(number), rect.x2 - inset, y, style.text, PAPER, weight=BOLD, anchor=(1, 0.5))
    return rect


def blur_boxes(image: Image, boxes: Float32, part: Privacy, classes: Sequence[str] = ()) -> None:
    """Make the boxes (N, 4) xyxy, or the part of each that `part` asks for, unrecognisable.

    What is left of each is a mosaic of a few cells, smoothed: there is nothing behind it to bring back.

    Args:
        image: (H, W, 3) uint8 BGR, writable.
        boxes: (N, 4) xyxy, pixels; rows that are not finite are passed over.
        part: what of each.
        classes: their N names; of a `head` all is hidden. Without names all are taken for whole persons.
    """
    if part == Privacy.NONE:
        return
    height, width = image.shape[:2]
    names = classes or [""] * len(boxes)
    for box, name in zip(np.asarray(boxes, np.float64).reshape(-1, 4), names, strict=True):
        if not np.isfinite(box).all():
            continue
        of_box = Privacy.WHOLE if name == "head" else part
        x1, y1, x2, y2 = _to_hide(box, of_box)
        left, right = (int(np.clip(round(v), 0, width)) for v in (x1, x2))
        top, bottom = (int(np.clip(round(v), 0, height)) for v in (y1, y2))
        if right - left < 1 or bottom - top < 1:
            continue
        area = image[top:bottom, left:right]
        cell = max((right - left) / (4 if of_box == Privacy.WHOLE else 3), 4.0)
        cells = (max(1, round((right - left) / cell)), max(1, round((bottom - top) / cell)))
        coarse = cv2.resize(area, cells, interpolation=cv2.INTER_AREA)
        area[:] = cv2.resize(coarse, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)


def _to_hide(box: NDArray[np.float64], part: Privacy) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = box.tolist()
    wide, high = x2 - x1, y2 - y1
    over = y1 - 0.04 * high
    match part:
        case Privacy.FACE:
            return x1 + 0.22 * wide, over, x2 - 0.22 * wide, y1 + high / 6
        case Privacy.HEAD:
            return x1 - 0.12 * wide, over, x2 + 0.12 * wide, y1 + high / 4
        case _:
            return x1 - 0.12 * wide, over, x2 + 0.12 * wide, y2 + 0.04 * high


def shade(image: Image, rect: Rect, share: float, color: Color = INK) -> None:
    """Mix `share` of a colour into a rectangle; what lies outside the picture is left out."""
    area = image[max(rect.y1, 0) : max(rect.y2, 0), max(rect.x1, 0) : max(rect.x2, 0)]
    if area.size:
        tint = np.empty_like(area)
        tint[:] = color
        cv2.addWeighted(area, 1 - share, tint, share, 0, dst=tint)
        area[:] = tint


def fill_round(image: Image, rect: Rect, radius: int, color: Color) -> None:
    """Fill a rectangle with rounded corners."""
    x1, y1, x2, y2 = rect.x1, rect.y1, rect.x2 - 1, rect.y2 - 1
    radius = max(0, min(radius, (x2 - x1) // 2, (y2 - y1) // 2))
    cv2.rectangle(image, (x1 + radius, y1), (x2 - radius, y2), color, cv2.FILLED)
    cv2.rectangle(image, (x1, y1 + radius), (x2, y2 - radius), color, cv2.FILLED)
    if radius:
        for x in (x1 + radius, x2 - radius):
            for y in (y1 + radius, y2 - radius):
                cv2.circle(image, (x, y), radius, color, cv2.FILLED, cv2.LINE_AA)


def chip_size(text: str, style: Style) -> tuple[int, int]:
    """Width and height of a label."""
    return text_size(text, style.text, BOLD)[0] + 2 * style.pad, style.text + 2 * style.pad


def draw_chip(image: Image, spot: Rect, text: str, color: Color, style: Style) -> None:
    """A label: text on a filled rectangle with rounded corners."""
    fill_round(image, spot, style.corner, color)
    middle = ((spot.x1 + spot.x2) / 2, (spot.y1 + spot.y2) / 2)
    put_text(image, text, *middle, style.text, readable_on(color), weight=BOLD, anchor=(0.5, 0.5))


def _drawable(boxes: Float32) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of boxes that are finite, and all boxes in whole pixels."""
    exact = np.asarray(boxes, np.float64).reshape(-1, 4)
    rows = np.flatnonzero(np.isfinite(exact).all(axis=1)).astype(np.int64)
    return rows, np.clip(np.nan_to_num(exact), -_FAR, _FAR).round().astype(np.int64)


def _outline(image: Image, box: Rect, color: Color, line: int) -> None:
    """A box in its colour with a dark rim, so that it stands out from a ground of the same colour."""
    inner, outer = line // 2, line - line // 2
    rim = max(1, line // 2)
    x1, y1, x2, y2 = box.x1 - outer - rim, box.y1 - outer - rim, box.x2 + outer + rim, box.y2 + outer + rim
    thick = line + 2 * rim
    if x2 - x1 > 2 * thick and y2 - y1 > 2 * thick:
        for strip in (
            Rect(x1, y1, x2, y1 + thick),
            Rect(x1, y2 - thick, x2, y2),
            Rect(x1, y1 + thick, x1 + thick, y2 - thick),
            Rect(x2 - thick, y1 + thick, x2, y2 - thick),
        ):
            shade(image, strip, 0.45)
    x1, y1, x2, y2 = box.x1 - outer, box.y1 - outer, box.x2 + outer - 1, box.y2 + outer - 1
    step = inner + outer - 1
    for near, far in (
        ((x1, y1), (x2, y1 + step)),
        ((x1, y2 - step), (x2, y2)),
        ((x1, y1), (x1 + step, y2)),
        ((x2 - step, y1), (x2, y2)),
    ):
        cv2.rectangle(image, near, far, color, cv2.FILLED)


def _overlaps(places: NDArray[np.int64], used: NDArray[np.int64]) -> NDArray[np.int64]:
    """(P, U) pixels that P places share with U rectangles, both rows xyxy."""
    near = np.maximum(places[:, None, :2], used[None, :, :2])
    far = np.minimum(places[:, None, 2:], used[None, :, 2:])
    area: NDArray[np.int64] = np.prod(np.maximum(far - near, 0), axis=2)
    return area
