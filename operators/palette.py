"""Colours that tell identities apart, the same for an identity wherever it is drawn.

Colours are chosen in Oklch (B. Ottosson, "A perceptual color space for image processing", 2020), where equal
steps look equally far apart. The golden angle in hue alone runs out of colours after about eight identities, so
lightness varies too: the identities' hues and lightnesses form a lattice of 25 points, its two steps searched for
so that neighbours lie as far apart as they can. Any two of the 25 are at least 0.07 apart in Oklab, where as many
golden angles come as near as 0.02. Then the colours repeat; the number on the label tells the rest.
"""

from __future__ import annotations

from functools import lru_cache
from math import cos, radians, sin

Color = tuple[int, int, int]
"""Blue, green, red, each 0-255, as OpenCV wants them."""

INK: Color = (22, 19, 16)
PAPER: Color = (255, 255, 255)
UNKNOWN: Color = (178, 174, 170)
"""For what has no identity (yet)."""

_COLORS = 25
_HUE_STEP, _LIGHTNESS_STEP = 4, 14  # of 25 each
_LIGHTNESS = (0.60, 0.88)  # darker drowns in a picture, lighter cannot be told from white
_CHROMA = 0.21
_FIRST_HUE = 10.0


@lru_cache(maxsize=4096)
def identity_color(number: int) -> Color:
    """The colour of identity `number`; a neutral grey for negative numbers, which mean "not known"."""
    if number < 0:
        return UNKNOWN
    low, high = _LIGHTNESS
    lightness = low + (high - low) * (number * _LIGHTNESS_STEP % _COLORS) / (_COLORS - 1)
    hue = radians(_FIRST_HUE + 360.0 * (number * _HUE_STEP % _COLORS) / _COLORS)
    return _oklch(lightness, _CHROMA, hue)


def readable_on(color: Color) -> Color:
    """Black or white ink, whichever has the higher contrast on `color` (WCAG 2.1 contrast ratio)."""
    luminance = _luminance(color)
    return PAPER if 1.05 / (luminance + 0.05) > (luminance + 0.05) / (_luminance(INK) + 0.05) else INK


def mix(color: Color, other: Color, share: float) -> Color:
    """`color` with `share` (0 to 1) of `other` in it."""
    b, g, r = (round(mine + (theirs - mine) * share) for mine, theirs in zip(color, other, strict=True))
    return b, g, r


def _luminance(color: Color) -> float:
    blue, green, red = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in color))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _oklch(lightness: float, chroma: float, hue: float) -> Color:
    """The colour with the most chroma up to `chroma` that a screen can show at this lightness and hue (radians)."""
    low, high = 0.0, chroma
    for _ in range(16):
        middle = (low + high) / 2
        if all(-1e-4 <= part <= 1 + 1e-4 for part in _linear_rgb(lightness, middle, hue)):
            low = middle
        else:
            high = middle
    red, green, blue = (_gamma(min(max(part, 0.0), 1.0)) for part in _linear_rgb(lightness, low, hue))
    return blue, green, red


def _gamma(part: float) -> int:
    return round(255 * (12.92 * part if part <= 0.0031308 else 1.055 * part ** (1 / 2.4) - 0.055))


def _linear_rgb(lightness: float, chroma: float, hue: float) -> tuple[float, float, float]:
    a, b = chroma * cos(hue), chroma * sin(hue)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
