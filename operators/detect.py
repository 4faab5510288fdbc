"""Find objects in pictures with an exported detector.

Which network it is does not matter: the layout of its outputs is recognised (`heads`), and how it wants its pictures is
read from the configuration beside it (`exported_model`), or known for the families that come as bare ONNX files.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from operators.class_names import COCO, plain_name
from operators.exported_model import Description, find_configuration, read_configuration
from operators.feeding import Feeding, Previous
from operators.heads import CANDIDATES, Distributions, Found, Grid, Head, Suppressed, recognise
from operators.inference import ModelError, Predictor, find_model_file, open_predictor
from operators.looking_back import SURE, Before, heat_before
from operators.nms import suppress
from operators.preprocess import Placement, Preprocessing, Resizing
from operators.records import Detections, Float32, Image

BUNDLED = Path(__file__).parent / "models" / "nanodet_g"
"""The detector that comes along: person, bicycle, car, motorcycle, bus, truck. Its README says whence."""

SCORE_THRESHOLD = 0.1
"""Low on purpose: trackers such as ByteTrack make use of doubtful boxes."""

MAX_DETECTIONS = 300
_CPU_BATCH, _GPU_BATCH = 4, 16
_USUAL_IOU = 0.5
_USUAL_SIDE = 512
_COARSEST_STRIDE = 32

# The preprocessing of families that come as ONNX files with nothing beside them.
_IMAGENET = Preprocessing(Resizing(0, 0), mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))
_NANODET = Preprocessing(Resizing(0, 0), mean=(103.53, 116.28, 123.675), std=(57.375, 57.12, 58.395), bgr=True)
_YOLOX = Preprocessing(Resizing(0, 0, keep_ratio=True, fill=True), bgr=True, padding=114.0)


class Detector(Protocol):
    """Finds objects.

    Attributes:
        classes: names; `Detections.classes` are indices into them.
    """

    classes: tuple[str, ...]

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        """The objects in each picture.

        Args:
            images: (H, W, 3) uint8 BGR each; sizes may differ.

        Returns:
            One for each picture: boxes in its pixels, clipped to it, best score first.
        """
        ...


def open_detector(
    model: str | Path = "default",
    *,
    device: str = "cpu",
    threads: int = 1,
    precision: str = "fp32",
    score_threshold: float = SCORE_THRESHOLD,
    classes: Sequence[str] | None = None,
    iou_threshold: float | None = None,
    input_size: int | None = None,
    max_batch: int | None = None,
    gpu_memory_mb: int | None = None,
) -> ExportedDetector:
    """Load a detector and try it on an empty picture.

    Args:
        model: "default" for the bundled one, or a folder or file as `open_predictor` takes it.
        device, threads, precision, gpu_memory_mb: see `open_predictor`.
        score_threshold: boxes below it are dropped.
        classes: keep only these, in this order; None for all that the model knows.
        iou_threshold: boxes that overlap a better one of their class by more are dropped; None for what the model's
            configuration says. No effect on models that suppress by themselves.
        input_size: pixels of the longer side that pictures are brought to, instead of what the configuration says;
            rounded up to a multiple of 32. Larger finds smaller objects, at a cost that grows with the square.
        max_batch: pictures in one call of the network at most; None for 4 on a CPU and 16 on a GPU. On a CPU a
            picture's boxes are the same, bit for bit, whatever shares its batch (measured with Paddle 3.2 at one thread
            on SSE4.1, AVX2 and AVX-512; a test holds it); a batch of 4 takes 15% less time than four of 1, and 250 MB
            more.

    Raises:
        ModelError: the model cannot be loaded, is no detector that is known here, lacks a class that was asked for, or
            cannot take that input size.
    """
    place = BUNDLED if str(model) == "default" else Path(model)
    file = find_model_file(place)
    configuration = find_configuration(file.parent)
    predictor = open_predictor(file, device=device, threads=threads, precision=precision, gpu_memory_mb=gpu_memory_mb)
    return ExportedDetector(
        predictor,
        None if configuration is None else read_configuration(configuration),
        score_threshold=score_threshold,
        classes=classes,
        iou_threshold=iou_threshold,
        input_size=input_size,
        max_batch=max_batch or (_CPU_BATCH if device == "cpu" else _GPU_BATCH),
    )


class ExportedDetector:
    """A detector around a predictor. Use `open_detector`."""

    classes: tuple[str, ...]

    def __init__(
        self,
        predictor: Predictor,
        description: Description | None,
        *,
        score_threshold: float,
        classes: Sequence[str] | None,
        iou_threshold: float | None,
        input_size: int | None,
        max_batch: int,
    ) -> None:
        self._predictor = predictor
        self._feeding = Feeding(predictor)
        # Some exports take batches of one size only: what is missing is filled up with empty pictures.
        self._batch = self._feeding.batch or max_batch
        fixed = self._feeding.shape
        self._floor = score_threshold
        self._memory: Float32 = np.empty(0, np.float32)
        size = _input_size(predictor.name, description, fixed, input_size)
        self._head = self._recognise(size, 0 if description is None else len(description.labels))
        if self._head.one_by_one:
            if self._feeding.batch not in (None, 1):
                raise ModelError(f"{predictor.name} wants {self._batch} pictures at once and does not tell them apart")
            self._batch = 1
        self._preprocessing = _preprocessing(predictor.name, self._head, description, size, fixed)
        labels = _labels(predictor.name, self._head, description)
        self.classes = labels if classes is None else tuple(classes)
        self._numbers = _numbers(predictor.name, labels, self.classes)
        stated = description.iou if description else None
        self._iou = next(iou for iou in (iou_threshold, stated, _USUAL_IOU) if iou is not None)

    @property
    def looks_back(self) -> bool:
        """It wants each camera's picture before (CenterTrack), and says how far objects have moved since."""
        return self._feeding.looks_back

    def detect(self, images: Sequence[Image], before: Sequence[Before | None] | None = None) -> list[Detections]:
        """See `Detector`. Pictures that fill inputs of the same size share a call of the network.

        Args:
            images: see `Detector`.
            before: for networks that look back, what each picture's camera has seen last; None where there is
                nothing, or it is of another size: the picture itself is shown once more, and nobody in it.

        Raises:
            ModelError: the network failed.
        """
        placements = [self._preprocessing.placement(*image.shape[:2]) for image in images]
        alike: dict[tuple[int, int], list[int]] = {}
        for index, placement in enumerate(placements):
            alike.setdefault(placement.shape, []).append(index)
        results = [Detections.empty() for _ in images]
        for shape, indices in alike.items():
            for start in range(0, len(indices), self._batch):
                chunk = indices[start : start + self._batch]
                inputs = self._room(self._feeding.batch or len(chunk), shape)
                inputs[len(chunk) :] = 0
                for row, index in enumerate(chunk):
                    self._preprocessing.fill(inputs[row], images[index], placements[index])
                previous = None
                if before is not None and self.looks_back:
                    previous = self._previous(inputs, before[chunk[0]], images[chunk[0]], placements[chunk[0]])
                outputs = self._feeding.run(inputs, [placements[index] for index in chunk], previous)
                for row, index in enumerate(chunk):
                    found = self._head.read(outputs, row, shape, self._floor)
                    results[index] = self._finish(found, placements[index], images[index].shape[:2])
        return results

    def _previous(self, inputs: Float32, before: Before | None, image: Image, placement: Placement) -> Previous | None:
        """What a network that looks back (it takes pictures one by one) is shown of the picture before."""
        if before is None or before.image.shape != image.shape:
            return None
        prepared = np.zeros_like(inputs)
        self._preprocessing.fill(prepared[0], before.image, placement)
        sure = before.detections.boxes[before.detections.scores >= SURE]
        return Previous(prepared, heat_before(placement.to_input(sure), placement.shape))

    def _room(self, count: int, shape: tuple[int, int]) -> Float32:
        """(count, 3, *shape) float32 to prepare pictures in: the same memory every time, it is never handed out."""
        size = count * 3 * shape[0] * shape[1]
        if size > len(self._memory):
            self._memory = np.empty(size, np.float32)
        return self._memory[:size].reshape(count, 3, *shape)

    def _recognise(self, size: tuple[int, int], labels: int) -> Head:
        placement = Placement(size, size, (0, 0), (1.0, 1.0))
        empty = np.zeros((self._feeding.batch or 1, 3, *size), np.float32)
        outputs = self._feeding.run(empty, [placement] * len(empty))
        head = recognise(outputs, size, labels=labels, scaled=self._feeding.scaled)
        if head is None:
            shapes = ", ".join("x".join(map(str, output.shape)) for output in outputs)
            raise ModelError(
                f"{self._predictor.name} is no detector that is known here: its outputs are {shapes};"
                " use an export of PP-YOLOE, YOLOv3, PicoDet, YOLOX, NanoDet, FairMOT, JDE or CenterTrack"
            )
        return head

    def _finish(self, found: Found, placement: Placement, picture: tuple[int, int]) -> Detections:
        """Keep the wanted classes, suppress, and go from the input's pixels to the picture's."""
        if found.classes.size and int(found.classes.max()) >= len(self._numbers):
            raise ModelError(
                f"{self._predictor.name} found class {int(found.classes.max())}, but its configuration names only"
                f" {len(self._numbers)} classes: complete its label_list"
            )
        numbers = self._numbers[found.classes]
        rows = np.nonzero(numbers >= 0)[0]
        rows = rows[np.argsort(-found.scores[rows], kind="stable")[:CANDIDATES]]
        boxes, scores, numbers = found.boxes[rows], found.scores[rows], numbers[rows]
        if not found.suppressed:
            kept = suppress(boxes, scores, numbers, self._iou, MAX_DETECTIONS)
            rows, boxes, scores, numbers = rows[kept], boxes[kept], scores[kept], numbers[kept]
        if not found.in_picture:
            boxes = placement.to_picture(boxes)
        height, width = picture
        boxes = np.clip(boxes, 0, np.array([width, height, width, height], np.float32)).astype(np.float32, copy=False)
        seen = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        more, moved = found.embeddings, found.offsets
        if moved is not None:
            moved = (moved[rows[seen]] / np.array(placement.scale[::-1])).astype(np.float32)
        return Detections(
            boxes[seen],
            scores[seen].astype(np.float32, copy=False),
            numbers[seen],
            None if more is None else more[rows[seen]],
            offsets=moved,
        )


def _input_size(
    name: str, description: Description | None, fixed: tuple[int, ...], wanted: int | None
) -> tuple[int, int]:
    """(height, width) of the input for a picture that fills it."""
    if fixed and min(fixed[2:]) > 0:
        if wanted is not None and wanted != max(fixed[2:]):
            raise ModelError(f"{name} takes inputs of {fixed[2]}x{fixed[3]} only: leave the input size out")
        return fixed[2], fixed[3]
    if wanted is not None:
        side = -(-wanted // _COARSEST_STRIDE) * _COARSEST_STRIDE
        return side, side
    if description is None or not description.sized:
        raise ModelError(
            f"{name} does not say how large its input is: give an input size, or put its infer_cfg.yml beside it, with"
            " a Resize and its target_size"
        )
    if not description.preprocessing.resizing.height:
        return _USUAL_SIDE, _USUAL_SIDE  # pictures keep their size
    return description.preprocessing.resizing.height, description.preprocessing.resizing.width


def _preprocessing(
    name: str, head: Head, description: Description | None, size: tuple[int, int], fixed: tuple[int, ...]
) -> Preprocessing:
    if description is not None:
        chosen = description.preprocessing
        if chosen.resizing.warp and not chosen.resizing.height:
            return chosen
    elif isinstance(head, Grid):
        chosen = _YOLOX
    elif isinstance(head, Distributions):
        # PicoDet has a fourth level that NanoDet lacks.
        chosen = _NANODET if len(head.strides) == 3 else _IMAGENET
    elif isinstance(head, Suppressed):
        chosen = _IMAGENET
    else:
        raise ModelError(f"{name} does not say how it wants its pictures: put its infer_cfg.yml beside it")
    chosen = chosen.resized(*size)
    if fixed and min(fixed[2:]) > 0:
        chosen = chosen.filling()
    return chosen


def _labels(name: str, head: Head, description: Description | None) -> tuple[str, ...]:
    if description is not None and description.labels:
        if head.classes not in (0, len(description.labels)):
            raise ModelError(
                f"{name} scores {head.classes} classes, but its configuration names {len(description.labels)}:"
                " they do not belong together"
            )
        return description.labels
    if head.classes in (0, len(COCO)):
        return COCO
    raise ModelError(f"{name} scores {head.classes} classes and nothing says which: put its infer_cfg.yml beside it")


def _numbers(name: str, labels: tuple[str, ...], wanted: tuple[str, ...]) -> NDArray[np.int32]:
    """For every class of the model its place in `wanted`, -1 where it is not wanted."""
    # A model's own word goes first; a pedestrian is a person, too, where persons are wanted.
    known = {plain_name(label): index for index, label in reversed(list(enumerate(labels)))}
    known |= {label: index for index, label in reversed(list(enumerate(labels)))}
    numbers = np.full(len(labels), -1, np.int32)
    for number, label in enumerate(wanted):
        index = known.get(label, known.get(plain_name(label)))
        if index is None:
            told = ", ".join(labels[:12]) + (", ..." if len(labels) > 12 else "")
            raise ModelError(f"{name} does not know the class {label!r}: it knows {told}")
        numbers[index] = number
    return numbers
