"""What an object looks like, as a vector: crops in, embeddings and their quality out.

Two embedders stand behind one interface: a descriptor of colours that needs no weights (`appearance`), and any exported
ReID network (`NeuralEmbedder`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from operators.appearance import DIM, brightness, describe, sample
from operators.crop_quality import WORTHLESS, crop_quality, shows_something
from operators.exported_model import find_configuration, read_configuration
from operators.inference import ModelError, Predictor, find_model_file, open_predictor
from operators.preprocess import Preprocessing, Resizing
from operators.records import Float32, Image

_CPU_BATCH, _GPU_BATCH = 8, 64
_USUAL_SIZE = (256, 128)  # of person ReID networks
_IMAGENET_MEAN, _IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
_TINY = 1e-6


class Embedder(Protocol):
    """Turns crops into vectors whose cosine says how alike two objects look.

    Attributes:
        name: for messages and metrics.
        dim: length of the vectors.
        calibration: (slope, offset) of the log-likelihood ratio "same object" against "another one", in nats:
            slope * cosine + offset, where each side is the mean of a second or two of its crops, weighted by quality.
            To be clipped to what one comparison may say.
    """

    name: str
    dim: int
    calibration: tuple[float, float]

    def embed(self, image: Image, boxes: Float32) -> tuple[Float32, Float32]:
        """The looks of what is in some boxes of a picture.

        Args:
            image: (H, W, 3) uint8 BGR.
            boxes: (N, 4) float32, xyxy, pixels. Give all boxes of the frame: how they hide each other is part of the
                quality.

        Returns:
            (N, dim) float32, L2-normalised, and (N,) float32 in (0, 1], how far each can be trusted (`crop_quality`).
            A box that shows nothing (no area, outside the picture, not finite) gets the first unit vector and exactly
            the quality `operators.crop_quality.WORTHLESS`, which no other box gets.

        Raises:
            ModelError: the network failed.
        """
        ...


def open_embedder(
    model: str | Path = "default",
    *,
    device: str = "cpu",
    threads: int = 1,
    precision: str = "fp32",
    gpu_memory_mb: int | None = None,
    pptracking_compat: bool = False,
) -> Embedder | None:
    """The embedder of that name, or the one exported to that path.

    Args:
        model: `default` (colours, no weights), `none`, or the file or folder of an exported ReID network.
        device: `cpu`, `gpu` or `gpu:N`; the default embedder runs on the CPU always.
        threads: CPU threads of the network.
        precision: as `operators.inference.PRECISIONS` names them.
        gpu_memory_mb: see `operators.inference.open_predictor`.
        pptracking_compat: cut crops as PP-Tracking's deployment does, lying on their side and with blue first, for
            whoever must reproduce its numbers; networks were trained on upright crops, red first.

    Returns:
        None for `none`.

    Raises:
        ModelError: the network cannot be loaded, or is none for ReID.
    """
    if model == "none":
        return None
    if model == "default":
        return StripeEmbedder()
    predictor = open_predictor(model, device=device, threads=threads, precision=precision, gpu_memory_mb=gpu_memory_mb)
    configuration = find_configuration(find_model_file(Path(model)).parent)
    preparation = read_configuration(configuration).preprocessing if configuration else None
    return NeuralEmbedder(
        predictor,
        preparation,
        max_batch=_CPU_BATCH if device == "cpu" else _GPU_BATCH,
        pptracking_compat=pptracking_compat,
    )


class StripeEmbedder:
    """The colours of body stripes (`operators.appearance`): no weights, about 0.1 ms a crop, people or vehicles.

    The calibration is that of tracklets of tud_stadtmitte (tests/benchmarks/reid_accuracy.py): of the two scenes that
    it was measured on, the one that the demo is not scored on. On pets_s2l1 it comes out less steep (14.8, -11.1).
    """

    name = "stripes"
    dim = DIM
    calibration = (20.2, -16.8)

    def embed(self, image: Image, boxes: Float32) -> tuple[Float32, Float32]:
        """See `Embedder`."""
        boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
        rows = np.flatnonzero(shows_something(image.shape, boxes))
        grid, seen = sample(image, boxes[rows])
        light = np.zeros(len(boxes), np.float32)
        light[rows] = brightness(grid, seen)
        vectors = np.zeros((len(boxes), DIM), np.float32)
        vectors[rows] = describe(grid, seen)
        return _finish(vectors, crop_quality(image.shape, boxes, light))


class NeuralEmbedder:
    """An exported ReID network: crops stretched to its input, RGB, normalised, batched; its outputs L2-normalised.

    Sizes and normalisation come from the configuration beside the model if there is one; else the size is the input's
    own (256x128 where that is free) and the normalisation ImageNet's. Channels stand first or last as the input's shape
    says. The length of the vectors is whatever the network gives.

    The calibration is that of OSNet x0.25 (MSMT17), measured likewise: another network deserves its own.

    Args:
        predictor: a network with one input for pictures.
        preparation: how crops are prepared; None if not known.
        max_batch: crops a call, where the network leaves it open.
        pptracking_compat: see `open_embedder`.

    Raises:
        ModelError: the network has several inputs, takes no colour pictures, or gives no vector a picture.
    """

    calibration = (17.7, -11.7)

    def __init__(
        self,
        predictor: Predictor,
        preparation: Preprocessing | None = None,
        *,
        max_batch: int = 8,
        pptracking_compat: bool = False,
    ) -> None:
        self.name = predictor.name
        self._lying = pptracking_compat
        self._predictor = predictor
        if len(predictor.input_shapes) != 1:
            raise ModelError(
                f"{self.name} is no ReID network: it takes {', '.join(predictor.input_names)}, not pictures alone"
            )
        shape = predictor.input_shapes[0] or (-1, 3, -1, -1)
        self._channels_last = len(shape) == 4 and shape[3] == 3 and shape[1] != 3
        if len(shape) != 4 or (not self._channels_last and shape[1] not in (3, -1)):
            raise ModelError(f"{self.name} is no ReID network: its input has the shape {shape}, not that of pictures")
        known = preparation or Preprocessing(Resizing(*_USUAL_SIZE), _IMAGENET_MEAN, _IMAGENET_STD)
        height, width = shape[1:3] if self._channels_last else shape[2:]
        # A configuration may say how to normalise and not to which size.
        usual = (known.resizing.height or _USUAL_SIZE[0], known.resizing.width or _USUAL_SIZE[1])
        size = (height if height > 0 else usual[0], width if width > 0 else usual[1])
        # Bodies are stretched to the input, whatever else a configuration says of detectors' pictures.
        self._preparation = Preprocessing(
            Resizing(*size, interpolation=known.resizing.interpolation), known.mean, known.std, known.bgr or self._lying
        )
        self._fixed_batch = shape[0] > 0
        self._batch = shape[0] if self._fixed_batch else max_batch
        self.dim = self._run(np.zeros((1, 3, *size), np.float32)).shape[1]

    def embed(self, image: Image, boxes: Float32) -> tuple[Float32, Float32]:
        """See `Embedder`. What the network cannot put in finite numbers counts as showing nothing."""
        boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
        rows = np.flatnonzero(shows_something(image.shape, boxes))
        aim = self._preparation.resizing
        placement = self._preparation.placement(aim.height, aim.width)
        light = np.zeros(len(boxes), np.float32)
        vectors = np.zeros((len(boxes), self.dim), np.float32)
        for start in range(0, len(rows), self._batch):
            chunk = rows[start : start + self._batch]
            inputs = np.empty((len(chunk), 3, aim.height, aim.width), np.float32)
            for target, row in zip(inputs, chunk.tolist(), strict=True):
                piece = cut(image, boxes[row])
                crop = cv2.resize(
                    piece.swapaxes(0, 1) if self._lying else piece,
                    (aim.width, aim.height),
                    interpolation=aim.interpolation,
                )
                light[row] = crop[::4].mean()  # every fourth row will do
                self._preparation.fill(target, crop, placement)
            vectors[chunk] = self._run(inputs)
        return _finish(vectors, crop_quality(image.shape, boxes, light))

    def _run(self, inputs: Float32) -> Float32:
        """(N, dim) float32 for (N, 3, H, W)."""
        count = len(inputs)
        if self._fixed_batch:
            inputs = np.concatenate([inputs, np.zeros((self._batch - count, *inputs.shape[1:]), np.float32)])
        if self._channels_last:
            inputs = np.ascontiguousarray(inputs.transpose(0, 2, 3, 1))
        features = self._predictor.run([inputs])[0]
        if features.ndim < 2 or features.size != len(inputs) * features.shape[1]:
            shape = "x".join(map(str, features.shape))
            raise ModelError(f"{self.name} is no ReID network: it gives {shape} numbers, not one vector a picture")
        return features.reshape(len(inputs), -1)[:count].astype(np.float32)


def cut(image: Image, box: Float32) -> Image:
    """The part of a picture in a box that shows something: whole pixels, at least one, clipped to the picture."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = (round(side) for side in box.tolist())
    left, top = min(max(x1, 0), width - 1), min(max(y1, 0), height - 1)
    return image[top : max(min(y2, height), top + 1), left : max(min(x2, width), left + 1)]


def _finish(vectors: Float32, quality: Float32) -> tuple[Float32, Float32]:
    """L2-normalise; rows that cannot be are worthless."""
    norms = np.linalg.norm(vectors, axis=1)
    lost = ~(np.isfinite(norms) & (norms > _TINY)) | (quality <= WORTHLESS)
    vectors = np.where(lost[:, None], np.float32(0), vectors) / np.where(lost, np.float32(1), norms)[:, None]
    vectors[lost, 0] = 1
    return vectors.astype(np.float32, copy=False), np.where(lost, np.float32(WORTHLESS), quality)
