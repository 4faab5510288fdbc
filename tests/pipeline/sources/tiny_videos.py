"""Tiny videos whose pictures say which frame they are, a clock that waits for nobody, and a way to read it all."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from operators.records import Frame
from pipeline.sources.base import End, Item, Source

WIDTH, HEIGHT, BITS = 128, 64, 8


def numbered_picture(number: int) -> np.ndarray:
    """Columns that are dark or bright: the bits of `number`."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for bit in range(BITS):
        image[:, bit * 16 : (bit + 1) * 16] = 220 if number >> bit & 1 else 30
    return image


def number_in(image: np.ndarray) -> int:
    """What `numbered_picture` wrote."""
    return sum(int(image[20:40, bit * 16 + 4 : bit * 16 + 12].mean() > 125) << bit for bit in range(BITS))


def write_video(
    path: Path,
    frames: int = 30,
    *,
    fps: int = 10,
    gop: int = 12,
    codec: str = "libx264",
    format: str | None = None,
    timestamps: Sequence[int] | None = None,
    rotation: int = 0,
    options: dict[str, str] | None = None,
    numbers: Sequence[int] | None = None,
) -> Path:
    """A video of numbered pictures: 0, 1, 2, ... or `numbers`; `timestamps` in milliseconds where they are not even."""
    numbers = range(frames) if numbers is None else numbers
    with av.open(str(path), "w", format=format) as output:
        stream = output.add_stream(codec, rate=fps, options={"g": str(gop), **(options or {})})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000) if timestamps else Fraction(1, fps)
        if rotation:
            stream.set_display_rotation(rotation)
        for n, number in enumerate(numbers):
            frame = av.VideoFrame.from_ndarray(numbered_picture(number), format="bgr24").reformat(format="yuv420p")
            frame.time_base = stream.codec_context.time_base
            frame.pts = timestamps[n] if timestamps else n
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


class FakeClock:
    """Time passes only when somebody sleeps, or `step` says how much passes with every look at it."""

    def __init__(self, step: float = 0.0) -> None:
        self.seconds = 1_700_000_000.0
        self.slept: list[float] = []
        self.step = step

    def now_ns(self) -> int:
        self.seconds += self.step
        return round(self.seconds * 1e6) * 1000

    def monotonic(self) -> float:
        self.seconds += self.step
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


def frames_of(source: Source, position: bytes | None = None) -> list[Frame]:
    """All frames of a file."""
    source.open(position)
    found = []
    while not isinstance(item := source.read(), End):
        assert isinstance(item, Frame)
        found.append(item)
    return found


def next_of(source: Source, *kinds: type, tries: int = 10_000) -> Item:
    """The next item of one of these kinds; others are passed over."""
    for _ in range(tries):
        item = source.read()
        if isinstance(item, kinds):
            return item
    raise AssertionError(f"no {kinds} in {tries} reads")
