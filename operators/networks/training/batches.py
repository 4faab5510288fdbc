"""Batches of labelled pictures, prepared ahead by threads while the network learns from the one before."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from operators.networks.export import IMAGENET
from operators.networks.training.augmentation import Augmentation, Sample, augmented
from operators.networks.training.errors import TrainingError
from operators.networks.training.labelled import Labelled
from operators.picture_bytes import decoded, jpeg
from operators.records import Float32, Int64

_FEWEST = 2.0  # pixels of a box's sides in the input; less shows nothing


class Pictures:
    """The pictures of a data set; a video's frames are read once, in order, and kept as JPEGs.

    Args:
        data: what.
    """

    def __init__(self, data: Labelled) -> None:
        self.data = data
        self._frames: dict[tuple[Path, int], bytes] = {}
        for file in dict.fromkeys(f for f, frame in zip(data.files, data.frames, strict=True) if frame >= 0):
            self._read_video(file, {int(n) for f, n in zip(data.files, data.frames, strict=True) if f == file})

    def __len__(self) -> int:
        return len(self.data)

    def sample(self, picture: int) -> Sample:
        """A picture, (H, W, 3) uint8 BGR, its boxes (G, 4), xyxy in its pixels, and classes (G,)."""
        kept = self._frames.get((self.data.files[picture], int(self.data.frames[picture])))
        image = self.data.read(picture) if kept is None else decoded(kept)
        rows = self.data.rows(picture)
        return image, self.data.boxes[rows], self.data.classes[rows].astype(np.int64)

    def _read_video(self, file: Path, wanted: set[int]) -> None:
        video = cv2.VideoCapture(str(file))
        try:
            for number in range(max(wanted) + 1):
                there = video.grab()
                if there and number in wanted:
                    there, image = video.retrieve()
                    if there:
                        self._frames[file, number] = jpeg(image, 95)
                if not there:
                    raise TrainingError(f"{file}: frame {number + 1} cannot be read, but the labels go on")
        finally:
            video.release()


class Batches:
    """Batches of an epoch, drawn and augmented by generators seeded with (seed, epoch, step).

    Args:
        pictures: of all batches.
        batch: pictures a step.
        height, width: of the network's input.
        scales: factors of that size, of which every batch draws one; sides are rounded to multiples of 32.
        how: augmentation.
        seed: of everything random.
        threads: that prepare pictures; 0 for none, in place.
        stride: steps from one batch that is asked for to the next, where processes share an epoch.
    """

    def __init__(
        self,
        pictures: Pictures,
        batch: int,
        *,
        height: int,
        width: int,
        scales: Sequence[float] = (1.0,),
        how: Augmentation,
        seed: int = 0,
        threads: int = 0,
        stride: int = 1,
    ) -> None:
        self.pictures, self.batch, self.scales, self.how, self.seed = pictures, batch, tuple(scales), how, seed
        self.height, self.width, self.stride = height, width, stride
        self.steps = -(-len(pictures) // batch)
        self._pool = ThreadPoolExecutor(threads) if threads else None
        self._ahead: dict[tuple[int, int], list[Future[tuple[Float32, Float32, Int64]]]] = {}

    def get(self, epoch: int, step: int) -> tuple[Float32, list[tuple[Float32, Int64]]]:
        """(B, 3, H, W) RGB, ImageNet-normalised, and of every picture boxes (G, 4) in input pixels and classes."""
        if self._pool is None:
            found = [self._prepared(epoch, step, place) for place in range(self.batch)]
        else:
            waiting = self._ahead.pop((epoch, step), None) or self._start(epoch, step)
            self._ahead.clear()  # after a resumption, what was ahead is of no use
            following = (epoch, step + self.stride)
            if following[1] >= self.steps:
                following = (epoch + 1, step % self.stride)
            self._ahead[following] = self._start(*following)
            found = [one.result() for one in waiting]
        return np.stack([image for image, _, _ in found]), [(boxes, classes) for _, boxes, classes in found]

    def _start(self, epoch: int, step: int) -> list[Future[tuple[Float32, Float32, Int64]]]:
        assert self._pool is not None
        return [self._pool.submit(self._prepared, epoch, step, place) for place in range(self.batch)]

    def _prepared(self, epoch: int, step: int, place: int) -> tuple[Float32, Float32, Int64]:
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.pictures))
        picture = int(np.resize(order, self.steps * self.batch)[step * self.batch + place])
        scale = float(np.random.default_rng([self.seed, epoch, step]).choice(self.scales))
        size = [max(round(side * scale / 32), 1) * 32 if scale != 1 else side for side in (self.height, self.width)]
        random = np.random.default_rng([self.seed, epoch, step, place])
        return prepared(augmented(self.pictures.sample(picture), self.how, random), *size)


def prepared(sample: Sample, height: int, width: int) -> tuple[Float32, Float32, Int64]:
    """A picture stretched to a network's input, (3, H, W) RGB, ImageNet-normalised; boxes that are too small there to
    show anything are left out."""
    image, boxes, classes = sample
    scale = np.array([width / image.shape[1], height / image.shape[0]] * 2, np.float32)
    boxes = (boxes * scale).astype(np.float32)
    kept = (boxes[:, 2:] - boxes[:, :2] >= _FEWEST).all(axis=1)
    mean, std = (np.asarray(IMAGENET[key], np.float32) * 255 for key in ("mean", "std"))
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)[..., ::-1]
    values = (small.astype(np.float32) - mean) / std
    return np.ascontiguousarray(values.transpose(2, 0, 1), np.float32), boxes[kept], classes[kept]
