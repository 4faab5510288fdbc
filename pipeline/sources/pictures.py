"""Decoded frames as BGR pictures of the region that a camera looks at."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from operators.records import Image
from pipeline.sources.base import Crop

_GRID = 8


class WrongSizeError(Exception):
    """The crop does not lie within the picture, or the picture is not of the size it had before."""


class PictureMaker:
    """Turns decoded frames of one camera into (H, W, 3) uint8 BGR arrays.

    The crop is cut before colours are converted (pointers move, nothing is copied), so what is not looked at costs
    nothing. Phone videos are turned upright first; a crop is in pixels of the upright picture.

    Attributes:
        size: width and height of the pictures made; None before the first one.
        full_size: of the frames they are made from, as stored; every frame must be of this size. None accepts any.

    Args:
        crop: x1, y1, x2, y2 in pixels; None takes the whole picture.
    """

    def __init__(self, crop: Crop | None) -> None:
        self._crop = crop
        self._converter = VideoReformatter()
        self._cut: Callable[[av.VideoFrame], Image] | None = None
        self._shape: tuple[int, int, str] | None = None
        self.size: tuple[int, int] | None = None
        self.full_size: tuple[int, int] | None = None

    def make(self, frame: av.VideoFrame) -> Image:
        """The picture, contiguous, the caller's own.

        Raises:
            WrongSizeError: see there.
        """
        turns = frame.rotation % 360 // 90
        shape = (frame.width, frame.height, frame.format.name)
        if shape != self._shape:
            self._prepare(shape, turns)
        if turns:
            x1, y1, x2, y2 = self._crop or (0, 0, None, None)
            return np.ascontiguousarray(np.rot90(self._bgr(frame), turns)[y1:y2, x1:x2])
        return self._bgr(frame) if self._cut is None else self._cut(frame)

    def _bgr(self, frame: av.VideoFrame) -> Image:
        return cast(Image, self._converter.reformat(frame, format="bgr24", threads=1).to_ndarray())

    def _prepare(self, shape: tuple[int, int, str], turns: int) -> None:
        if self.full_size is not None and self.full_size != shape[:2]:
            raise WrongSizeError(
                f"its picture has changed from {self.full_size[0]}x{self.full_size[1]} to {shape[0]}x{shape[1]}"
            )
        width, height = shape[:2] if turns % 2 == 0 else shape[1::-1]
        x1, y1, x2, y2 = self._crop or (0, 0, width, height)
        if x2 > width or y2 > height:
            raise WrongSizeError(
                f"the crop [{x1}, {y1}, {x2}, {y2}] reaches beyond its {width}x{height} picture; "
                f"write x1, y1, x2, y2 with x2 up to {width} and y2 up to {height}"
            )
        self._shape, self.full_size, self.size = shape, shape[:2], (x2 - x1, y2 - y1)
        self._cut = None if turns or self.size == (width, height) else self._cutter(shape, (x1, y1, x2, y2))

    def _cutter(self, shape: tuple[int, int, str], crop: Crop) -> Callable[[av.VideoFrame], Image]:
        # Colour is stored once for several pixels, and odd sizes are converted by another algorithm: cut on a grid,
        # trim afterwards, and the picture is the same to the last bit as if it had been cut last.
        x1, y1, x2, y2 = crop
        left, top = x1 - x1 % _GRID, y1 - y1 % _GRID
        right, bottom = min(x2 + -x2 % _GRID, shape[0]), min(y2 + -y2 % _GRID, shape[1])
        graph = av.filter.Graph()
        source = graph.add_buffer(
            width=shape[0], height=shape[1], format=av.VideoFormat(shape[2]), time_base=Fraction(1, 1000)
        )
        cut = graph.add("crop", f"{right - left}:{bottom - top}:{left}:{top}:exact=1")
        sink = graph.add("buffersink")
        source.link_to(cut)
        cut.link_to(sink)
        graph.configure()

        def cut_and_convert(frame: av.VideoFrame) -> Image:
            graph.push(frame)
            picture = self._bgr(graph.pull())
            return np.ascontiguousarray(picture[y1 - top : y2 - top, x1 - left : x2 - left])

        return cut_and_convert
