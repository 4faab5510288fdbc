"""Text that stays legible at any size: stroke letters drawn four times too large and averaged down.

OpenCV's own small text is either a pixel font's worth of jagged lines or a blur; it also knows ASCII only.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

import cv2
import numpy as np

from operators.palette import Color
from operators.records import Image

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_OVERSAMPLING = 4
_LEAST = 7  # pixels; a smaller capital cannot be read
REGULAR = 0.16
BOLD = 0.21
"""Weights: stroke width as a share of the height of a capital."""


def text_size(text: str, height: int, weight: float = REGULAR) -> tuple[int, int]:
    """Width and height in pixels of what `put_text` draws; `height` is that of a capital letter."""
    rows, columns = _mask(text, height, weight).shape
    return columns, rows


def fitting_height(text: str, height: int, room: int, weight: float = REGULAR) -> int:
    """The height up to `height` at which the text is at most `room` pixels wide, or what is just about legible."""
    wide = text_size(text, height, weight)[0]
    return height if wide <= room else max(_LEAST, int(height * room / wide))


def put_text(
    image: Image,
    text: str,
    x: float,
    y: float,
    height: int,
    color: Color,
    *,
    weight: float = REGULAR,
    anchor: tuple[float, float] = (0.0, 0.0),
    opacity: float = 1.0,
) -> None:
    """Draw one line of text in place; what falls outside the picture is left out.

    Args:
        image: (H, W, 3) uint8 BGR, writable.
        x, y: where the text's box is pinned, pixels.
        height: of a capital letter, pixels. The box of the text is that high plus room for descenders below and
            the same above, so capitals stand in its middle.
        anchor: which point of that box is pinned: (0, 0) its top left corner, (0.5, 0.5) its middle, (1, 0) its
            top right.
    """
    mask = _mask(text, height, weight)
    left, top = round(x - anchor[0] * mask.shape[1]), round(y - anchor[1] * mask.shape[0])
    blend(image, mask, left, top, color, opacity)


def blend(image: Image, mask: Image, left: int, top: int, color: Color, opacity: float = 1.0) -> None:
    """Lay `color` on the picture through `mask`, (h, w) uint8 coverage, its corner at (left, top); in place."""
    x1, y1 = max(left, 0), max(top, 0)
    x2, y2 = min(left + mask.shape[1], image.shape[1]), min(top + mask.shape[0], image.shape[0])
    if x1 >= x2 or y1 >= y2:
        return
    cover = mask[y1 - top : y2 - top, x1 - left : x2 - left]
    part = image[y1:y2, x1:x2]
    rows, columns = np.nonzero(cover)
    share = cover[rows, columns].astype(np.float32)[:, None] * np.float32(opacity / 255)
    under = part[rows, columns].astype(np.float32)
    part[rows, columns] = (under + (np.asarray(color, np.float32) - under) * share + np.float32(0.5)).astype(np.uint8)


# The same few labels come back frame after frame: what is remembered is bounded, and depends on nothing else.
@lru_cache(maxsize=1024)
def _mask(text: str, height: int, weight: float) -> Image:
    """(h, w) uint8 coverage of a line of text, read-only."""
    text = _ascii(text)
    large = max(height, 4) * _OVERSAMPLING
    thickness = max(1, round(large * weight))
    scale = cv2.getFontScaleFromHeight(_FONT, large, 1)
    (width, _), _ = cv2.getTextSize(text, _FONT, scale, thickness)
    descent = round(0.36 * large)
    canvas = np.zeros((large + 2 * descent, width + 2 * _OVERSAMPLING), np.uint8)
    cv2.putText(canvas, text, (_OVERSAMPLING, large + descent), _FONT, scale, 255, thickness, cv2.LINE_AA)
    size = (-(-canvas.shape[1] // _OVERSAMPLING), -(-canvas.shape[0] // _OVERSAMPLING))
    mask = np.asarray(cv2.resize(canvas, size, interpolation=cv2.INTER_AREA), np.uint8)
    mask.setflags(write=False)
    return mask


def _ascii(text: str) -> str:
    """The stroke font has ASCII only: accents are dropped (`Süd` becomes `Sud`), the rest turns into `?`."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    plain = plain.replace("\u2013", "-").replace("\u2014", "-").replace("\u00df", "ss")
    return "".join(c if " " <= c <= "~" else "?" for c in plain)
