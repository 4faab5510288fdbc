"""The mosaic as a picture: a grid of cells, one a camera, under a head line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from operators.draw import Privacy, Rect, Style, blur_boxes, draw_bar, draw_boxes, draw_labels, draw_trails, shade
from operators.draw_rules import draw_rule_labels, draw_rules
from operators.lettering import BOLD, fitting_height, put_text, text_size
from operators.palette import PAPER, Color
from operators.records import SECOND_NS, Frame, Image
from pipeline.clock import clock_text
from pipeline.overlay import Overlay
from pipeline.recording import Player
from pipeline.rule_states import RuleStates

_GROUND: Color = (34, 30, 27)
_EMPTY: Color = (46, 41, 37)
_GAP = 2  # pixels between cells
_LEAST = 32
_SILENT_NS = 2 * SECOND_NS  # without a picture for longer, a camera's last one is marked as old


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything stands, pixels; width and height are even, as H.264 wants them.

    Attributes:
        head: height of the head line.
        cells: one a camera, row by row.
        style: sizes of what is drawn in a cell.
    """

    width: int
    height: int
    head: int
    cells: tuple[Rect, ...]
    style: Style

    @classmethod
    def of(cls, sizes: Sequence[tuple[int, int]], max_size: tuple[int, int]) -> Layout:
        """A grid of equal cells: as large as they can be, then as square a grid as that allows, two side by side.

        Args:
            sizes: widths and heights of the cameras' pictures; the largest sets the cells' size.
            max_size: width and height to keep within, by making the cells smaller; they are never made larger.
        """
        wide, high = max(w for w, _ in sizes), max(h for _, h in sizes)
        best = (-1.0, 0, 0)
        for columns in range(1, len(sizes) + 1):
            rows = math.ceil(len(sizes) / columns)
            room = max_size[0] - (columns - 1) * _GAP, max_size[1] - _head(rows * high, max_size) - (rows - 1) * _GAP
            scale = min(1.0, room[0] / (columns * wide), room[1] / (rows * high))
            best = max(best, (scale, -abs(columns - rows), columns))
        scale, _, columns = best
        head = _head(math.ceil(len(sizes) / columns) * high, max_size)
        wide, high = max(_LEAST, int(wide * scale)), max(_LEAST, int(high * scale))
        cells = []
        for number in range(len(sizes)):
            x, y = number % columns * (wide + _GAP), head + number // columns * (high + _GAP)
            cells.append(Rect(x, y, x + wide, y + high))
        width, height = cells[columns - 1].x2, cells[-1].y2
        return cls(width + width % 2, height + height % 2, head, tuple(cells), Style.for_height(high))

    def canvas(self) -> Image:
        """An empty mosaic."""
        canvas = np.empty((self.height, self.width, 3), np.uint8)
        canvas[:] = _GROUND
        return canvas


class Tile:
    """One camera's cell, kept up to date in place.

    Attributes:
        player: the camera's recording.
        boxes: how many were drawn.
        identities: all that were drawn; this grows with their number.
        in_view: the identities in the picture shown.
    """

    def __init__(
        self, player: Player, overlay: Overlay, states: RuleStates, cell: Image, style: Style, privacy: Privacy
    ) -> None:
        self.player = player
        self.boxes = 0
        self.identities: set[int] = set()
        self.in_view: tuple[int, ...] = ()
        self._overlay = overlay
        self._states = states
        self._cell = cell
        self._style = style
        self._privacy = privacy
        self._note = ""

    def show(self, until_ns: int, now_ns: int) -> bool:
        """Bring the cell to its newest picture up to `until_ns`; whether there was a new one."""
        frame = self.player.advance(until_ns)
        if frame is not None:
            self._note = ""
            self._draw(frame)
            return True
        last, coming = self.player.last_ns, self.player.next_ns
        if last is None:
            self._say("no pictures" if coming is None else f"starts at {clock_text(coming)}")
        elif coming is None:
            self._say(f"ended at {clock_text(last)}")
        elif now_ns - last > _SILENT_NS:
            self._say(f"no picture since {clock_text(last)}")
        return False

    def _draw(self, frame: Frame) -> None:
        marks = self._overlay.at(self.player.camera, frame.time_ns)
        width, height = self.player.size if frame.image is None else frame.image.shape[1::-1]
        scale = min(self._cell.shape[1] / width, self._cell.shape[0] / height)
        picture = self._place(frame.image, round(width * scale), round(height * scale))
        if self._privacy != Privacy.NONE:
            everyone = np.concatenate([marks.boxes, marks.retracted, marks.unseen]) * scale
            names = (*marks.classes, *marks.retracted_classes, *marks.unseen_classes)
            blur_boxes(picture, everyone, self._privacy, names)
        rules, state = self.player.rules, self._states.at(self.player.camera, frame.time_ns)
        draw_rules(picture, rules, state, self._style, scale)
        draw_trails(picture, marks.trails, self._style, scale)
        boxes = marks.boxes * scale
        draw_boxes(picture, boxes, marks.identities, self._style)
        bar = draw_bar(picture, self.player.camera, f"{len(marks.identities)} in view", self._style)
        taken = [bar, *draw_rule_labels(picture, rules, state, self._style, scale, [bar])]
        labels = [str(number) for number in marks.identities]
        if len(self._overlay.classes) > 1:
            labels = [f"{label} {cls}" for label, cls in zip(labels, marks.classes, strict=True)]
        draw_labels(picture, boxes, marks.identities, self._style, labels=labels, taken=taken)
        self.boxes += len(marks.identities)
        self.in_view = marks.identities
        self.identities.update(marks.identities)

    def _place(self, image: Image | None, width: int, height: int) -> Image:
        """The picture scaled into the middle of the cell, as a view of it; without one, a dark ground with a grid."""
        left, top = (self._cell.shape[1] - width) // 2, (self._cell.shape[0] - height) // 2
        if (height, width) != self._cell.shape[:2]:
            self._cell[:] = _GROUND
        picture = self._cell[top : top + height, left : left + width]
        if image is None:
            step = max(8, height // 12)
            picture[:] = _EMPTY
            picture[step::step] = _GROUND
            picture[:, step::step] = _GROUND
        elif image.shape == picture.shape:
            picture[:] = image
        else:
            how = cv2.INTER_AREA if image.shape[0] > height else cv2.INTER_LINEAR
            picture[:] = cv2.resize(image, (width, height), interpolation=how)
        return picture

    def _say(self, note: str) -> None:
        """Darken what is there, once, and say why it does not move."""
        if note == self._note:
            return
        high, wide = self._cell.shape[:2]
        if self.player.last_ns is None:
            self._cell[:] = _EMPTY
            draw_bar(self._cell, self.player.camera, "", self._style)
        elif not self._note:
            shade(self._cell, Rect(0, 0, wide, high), 0.8, _GROUND)
        self._note, self.in_view = note, ()
        text = fitting_height(note, self._style.text, wide - 2 * self._style.pad)
        shade(self._cell, Rect(0, high // 2 - 2 * text, wide, high // 2 + 2 * text), 1.0, _GROUND)
        put_text(self._cell, note, wide / 2, high / 2, text, PAPER, anchor=(0.5, 0.5), opacity=0.85)


def draw_head_line(canvas: Image, layout: Layout, title: str, tiles: Sequence[Tile], now_ns: int) -> None:
    """Title, how many identities are and have been in view, and the clock; the clock first where room is short."""
    canvas[: layout.head] = _GROUND
    y, inset = layout.head / 2, round(layout.head * 0.4)
    clock = clock_text(now_ns, tenths=True)
    text = fitting_height(clock, round(layout.head * 0.38), layout.width - 2 * inset)
    put_text(canvas, clock, layout.width - inset, y, text, PAPER, anchor=(1, 0.5))
    room = layout.width - 3 * inset - text_size(clock, text)[0]
    if text_size(title, text, BOLD)[0] > room:
        return
    put_text(canvas, title, inset, y, text, PAPER, weight=BOLD, anchor=(0, 0.5))
    in_view = len(set().union(*(tile.in_view for tile in tiles)))
    so_far = len(set().union(*(tile.identities for tile in tiles)))
    counts = f"{in_view} in view, {so_far} so far"
    left, right = inset + text_size(title, text, BOLD)[0], layout.width - inset - text_size(clock, text)[0]
    if text_size(counts, text)[0] + 2 * inset <= right - left:
        put_text(canvas, counts, (left + right) / 2, y, text, PAPER, anchor=(0.5, 0.5), opacity=0.75)


def _head(grid_height: int, max_size: tuple[int, int]) -> int:
    return max(28, round(min(grid_height, max_size[1]) / 22))
