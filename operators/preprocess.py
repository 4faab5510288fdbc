"""Pictures into network inputs: resize, pad, normalise, channels first."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from operators.records import Float32, Image


@dataclass(frozen=True)
class Resizing:
    """How a picture comes to the network's size.

    Attributes:
        height, width: pixels aimed at.
        keep_ratio: shrink or enlarge alike in both directions instead of stretching, until the picture fits: into
            height x width if that is to be filled, else its short side into the shorter and its long side into the
            longer of the two.
        interpolation: OpenCV's number of the method.
        fill: with `keep_ratio`, fill what is left of height x width.
        centred: the picture stands in the middle of what is filled instead of top left.
        pad_to: both sides of the input are rounded up to a multiple of this; 1 for none.
        warp: CenterTrack's and CenterNet's way: the longer side becomes `width` pixels, the centre comes to the
            centre, what sticks out is cut off; with height and width 0 the picture keeps its size and is framed so
            that both sides are the next multiple of `pad_to` above their own.
    """

    height: int
    width: int
    keep_ratio: bool = False
    interpolation: int = cv2.INTER_LINEAR
    fill: bool = False
    centred: bool = False
    pad_to: int = 1
    warp: bool = False


@dataclass(frozen=True)
class Placement:
    """Where a picture lies in its input.

    Attributes:
        shape: (height, width) of the input.
        size: (height, width) of the resized picture.
        offset: (top, left) of it in the input; whole pixels, except where pictures are warped.
        scale: (y, x), input pixels per picture pixel.
    """

    shape: tuple[int, int]
    size: tuple[int, int]
    offset: tuple[float, float]
    scale: tuple[float, float]

    def to_picture(self, boxes: Float32) -> Float32:
        """(N, 4) xyxy boxes in input pixels, in pixels of the picture."""
        top, left = self.offset
        y, x = self.scale
        offset = np.array([left, top, left, top], np.float32)
        scale = np.array([x, y, x, y], np.float32)
        return ((boxes - offset) / scale).astype(np.float32, copy=False)

    def to_input(self, boxes: Float32) -> Float32:
        """The way back: (N, 4) xyxy boxes in pixels of the picture, in input pixels."""
        top, left = self.offset
        y, x = self.scale
        offset = np.array([left, top, left, top], np.float32)
        return (boxes * np.array([x, y, x, y], np.float32) + offset).astype(np.float32, copy=False)


@dataclass(frozen=True)
class Preprocessing:
    """All that happens to a picture before the network sees it.

    Attributes:
        resizing: its size.
        mean, std: per channel in the network's order of channels, pixel values 0 to 255: input = (pixel - mean) / std.
        bgr: the network wants blue first; else red first.
        padding: value of padded pixels, 0 to 255; None for 0 after normalising.
    """

    resizing: Resizing
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    bgr: bool = False
    padding: float | None = None

    def resized(self, height: int, width: int) -> Preprocessing:
        """The same for another input size."""
        return replace(self, resizing=replace(self.resizing, height=height, width=width))

    def filling(self) -> Preprocessing:
        """The same with inputs of one size only, whatever the picture's shape."""
        return replace(self, resizing=replace(self.resizing, fill=True, pad_to=1))

    def placement(self, height: int, width: int) -> Placement:
        """Where a picture of that size will lie."""
        aim = self.resizing
        size = (aim.height, aim.width)
        if aim.warp:
            return _warped(aim, height, width)
        if aim.keep_ratio:
            ratio = min(aim.height / height, aim.width / width)
            if not aim.fill:
                ratio = min(
                    min(aim.height, aim.width) / min(height, width), max(aim.height, aim.width) / max(height, width)
                )
            size = (max(1, round(height * ratio)), max(1, round(width * ratio)))
        shape = (aim.height, aim.width) if aim.fill else size
        shape = (_up(shape[0], aim.pad_to), _up(shape[1], aim.pad_to))
        spare = (shape[0] - size[0], shape[1] - size[1]) if aim.centred else (0, 0)
        return Placement(shape, size, (spare[0] // 2, spare[1] // 2), (size[0] / height, size[1] / width))

    def fill(self, target: Float32, image: Image, placement: Placement) -> None:
        """Write a picture into its input.

        Args:
            target: (3, *placement.shape) float32, written to.
            image: (H, W, 3) uint8 BGR.
            placement: of a picture of that size.
        """
        height, width = placement.size
        if self.resizing.warp:
            image = _warp(image, placement)
            placement = Placement(placement.shape, placement.shape, (0, 0), placement.scale)
            height, width = placement.size
        if image.shape[:2] != placement.size:
            image = cv2.resize(image, (width, height), interpolation=self.resizing.interpolation)
        top, left = (int(side) for side in placement.offset)
        padded = placement.size != placement.shape
        for channel, plane in enumerate(cv2.split(image)[:: 1 if self.bgr else -1]):
            mean, std = self.mean[channel], self.std[channel]
            if padded:
                target[channel] = 0.0 if self.padding is None else (self.padding - mean) / std
            view: NDArray[np.float32] = target[channel, top : top + height, left : left + width]
            if mean == 0.0 and std == 1.0:
                view[...] = plane
            else:
                np.multiply(plane, np.float32(1 / std), out=view)
                view -= np.float32(mean / std)


def _warped(aim: Resizing, height: int, width: int) -> Placement:
    if aim.height:
        ratio = aim.width / max(height, width)
        shape = (aim.height, aim.width)
        offset = ((shape[0] - height * ratio) / 2, (shape[1] - width * ratio) / 2)
    else:
        ratio = 1.0
        # Always above: a side that is a multiple already still gets a frame.
        shape = (_up(height + 1, aim.pad_to), _up(width + 1, aim.pad_to))
        offset = (shape[0] / 2 - height // 2, shape[1] / 2 - width // 2)
    size = (max(1, round(height * ratio)), max(1, round(width * ratio)))
    return Placement(shape, size, offset, (ratio, ratio))


def _warp(image: Image, placement: Placement) -> Image:
    (top, left), ratio = placement.offset, placement.scale[0]
    matrix = np.array([[ratio, 0, left], [0, ratio, top]], np.float64)
    height, width = placement.shape
    warped: Image = np.asarray(cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR), np.uint8)
    return warped


def _up(side: int, multiple: int) -> int:
    return -(-side // multiple) * multiple
