"""What persons and vehicles are like: exports of PP-Human's and PP-Vehicle's attribute networks.

A person's 26 scores and a vehicle's 19 fall into facets: of some, one value always holds (the age); others hold or do
not (a hat); yet others hold one value or none (a bag).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from operators.crop_quality import crop_quality, shows_something
from operators.embed import cut
from operators.exported_model import find_configuration, read_configuration
from operators.inference import ModelError, Predictor, find_model_file, open_predictor
from operators.preprocess import Preprocessing, Resizing
from operators.records import NO_VALUE, Float32, Image

_LEAST = 1e-3  # no score is trusted farther than to this from 0 or 1
_ENLARGED = 1.3
_LEAST_ASPECT = 0.75
_USUAL_SIZE = {26: (256, 192), 19: (192, 256)}
_IMAGENET_MEAN, _IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class Facet:
    """One thing to know.

    Attributes:
        name: of the facet.
        first: place of its first score.
        values: what its scores stand for, in their order.
        threshold: a value holds from here on; None where the best of them always holds.
        lasting: it says something of who this is, not only of the moment.
    """

    name: str
    first: int
    values: tuple[str, ...]
    threshold: float | None = 0.5
    lasting: bool = True

    def read(self, scores: Float32) -> str | None:
        """The value that holds, if one does, by the scores (A,) of one object."""
        own = scores[self.first : self.first + len(self.values)]
        best = int(own.argmax())
        return self.values[best] if self.threshold is None or own[best] > self.threshold else None

    def chances(self, scores: Float32) -> dict[str, float]:
        """How likely each value is by the scores (A,) of one object, `NO_VALUE` included where none need hold. Sum: 1.

        The scores are sigmoids that know nothing of each other: what they say together is that at most one value
        holds, which weighs each by its odds; those of a value that holds from the threshold on are moved there.
        """
        own = np.clip(scores[self.first : self.first + len(self.values)].astype(np.float64), _LEAST, 1 - _LEAST)
        if self.threshold is None:
            weights = {value: float(chance) for value, chance in zip(self.values, own, strict=True)}
        else:
            odds = own / (1 - own) * (1 - self.threshold) / self.threshold
            weights = {NO_VALUE: 1.0, **{value: float(one) for value, one in zip(self.values, odds, strict=True)}}
        total = sum(weights.values())
        return {value: weight / total for value, weight in weights.items()}


PERSON = (
    Facet("hat", 0, ("hat",)),
    Facet("glasses", 1, ("glasses",), 0.3),
    Facet("sleeves", 2, ("short", "long"), None),
    Facet("upper", 4, ("striped", "logo", "plaid", "spliced")),
    Facet("lower", 8, ("striped", "patterned", "long coat", "trousers", "shorts", "skirt"), None),
    Facet("shoes", 14, ("boots",)),
    Facet("bag", 15, ("handbag", "shoulder bag", "backpack")),
    Facet("holding", 18, ("something in front",), 0.6, lasting=False),
    Facet("age", 19, ("under 18", "18 to 60", "over 60"), None),
    Facet("gender", 22, ("female",)),
    Facet("direction", 23, ("front", "side", "back"), None, lasting=False),
)
VEHICLE = (
    Facet("colour", 0, ("yellow", "orange", "green", "grey", "red", "blue", "white", "golden", "brown", "black")),
    Facet("type", 10, ("sedan", "suv", "van", "hatchback", "mpv", "pickup", "bus", "truck", "estate")),
)
_FACETS = {26: PERSON, 19: VEHICLE}
_CLASSES = {
    26: frozenset({"person", "pedestrian", "people"}),
    19: frozenset({"car", "van", "truck", "bus", "vehicle"}),
}


class AttributeReader:
    """An exported attribute network.

    Crops are 30% larger than the boxes and at least three quarters as wide as high, as in training. Sizes and
    normalisation come from the configuration beside the model if there is one.

    Args:
        predictor: a network with one input for pictures that gives 26 or 19 scores for each.
        preparation: how crops are prepared; None if not known.
        max_batch: crops a call.

    Attributes:
        facets: what there is to know.
        classes: of which.

    Raises:
        ModelError: the network is none of those.
    """

    def __init__(self, predictor: Predictor, preparation: Preprocessing | None = None, *, max_batch: int = 8) -> None:
        self._predictor, self._batch = predictor, max_batch
        if len(predictor.input_shapes) != 1:
            raise ModelError(f"{predictor.name} is no attribute network: it takes {', '.join(predictor.input_names)}")
        shape = predictor.input_shapes[0] or (-1, 3, -1, -1)
        known = preparation or Preprocessing(Resizing(0, 0), _IMAGENET_MEAN, _IMAGENET_STD)
        height = shape[2] if shape[2] > 0 else known.resizing.height or _USUAL_SIZE[26][0]
        width = shape[3] if shape[3] > 0 else known.resizing.width or _USUAL_SIZE[26][1]
        self._preparation = Preprocessing(Resizing(height, width), known.mean, known.std, known.bgr)
        scores = predictor.run([np.zeros((1, 3, height, width), np.float32)])[0]
        if scores.ndim != 2 or scores.shape[1] not in _FACETS:
            told = "x".join(map(str, scores.shape))
            raise ModelError(
                f"{predictor.name} is no attribute network that is known here: it gives {told} scores, not 26 (persons)"
                " or 19 (vehicles)"
            )
        self.facets = _FACETS[scores.shape[1]]
        self.classes = _CLASSES[scores.shape[1]]
        self._count = scores.shape[1]

    def scores(self, image: Image, boxes: Float32) -> Float32:
        """(N, 26 or 19) in [0, 1] for boxes (N, 4), xyxy in pixels; NaN for a box that shows nothing."""
        boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
        rows = np.flatnonzero(shows_something(image.shape, boxes))
        results = np.full((len(boxes), self._count), np.nan, np.float32)
        wide = enlarge(boxes)
        aim = self._preparation.resizing
        placement = self._preparation.placement(aim.height, aim.width)
        for start in range(0, len(rows), self._batch):
            chunk = rows[start : start + self._batch]
            inputs = np.empty((len(chunk), 3, aim.height, aim.width), np.float32)
            for target, row in zip(inputs, chunk.tolist(), strict=True):
                crop = cv2.resize(cut(image, wide[row]), (aim.width, aim.height), interpolation=aim.interpolation)
                self._preparation.fill(target, crop, placement)
            results[chunk] = self._predictor.run([inputs])[0]
        return results

    def describe(self, image: Image, boxes: Float32) -> list[dict[str, str]]:
        """For each box the facets of which a value holds; empty for a box that shows nothing."""
        return [read_facets(self.facets, scores) for scores in self.scores(image, boxes)]

    def votes(self, image: Image, boxes: Float32, rows: Sequence[int]) -> list[dict[str, dict[str, float]]]:
        """What some objects of a picture are like: of each lasting facet how likely every value is.

        Args:
            image: (H, W, 3) uint8 BGR.
            boxes: (N, 4) float32, xyxy, pixels. Give all boxes of the frame: how they hide each other is part of what a
                look is worth.
            rows: of the boxes that are asked for.

        Returns:
            One a row: facet, value, and its chance times the crop's quality (`crop_quality`), so that the values of a
            facet add up to the quality; empty for a box that shows nothing.
        """
        qualities = crop_quality(image.shape, boxes)[list(rows)].tolist()
        lasting = [facet for facet in self.facets if facet.lasting]
        told = []
        for scores, quality in zip(self.scores(image, boxes[list(rows)]), qualities, strict=True):
            seen = lasting if np.isfinite(scores).all() else ()
            chances = {facet.name: facet.chances(scores) for facet in seen}
            told.append({name: {v: c * quality for v, c in values.items()} for name, values in chances.items()})
        return told


def read_facets(facets: Sequence[Facet], scores: Float32) -> dict[str, str]:
    """The facets of which a value holds, by scores (A,)."""
    if not np.isfinite(scores).all():
        return {}
    values = {facet.name: facet.read(scores) for facet in facets}
    return {name: value for name, value in values.items() if value is not None}


def enlarge(boxes: Float32) -> Float32:
    """Boxes (N, 4) 30% larger about their centres, and at least three quarters as wide as high."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    sizes = (boxes[:, 2:] - boxes[:, :2]) * np.float32(_ENLARGED)
    sizes[:, 0] = np.maximum(sizes[:, 0], sizes[:, 1] * np.float32(_LEAST_ASPECT))
    return np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1).astype(np.float32)


def open_attributes(
    model: str | Path,
    *,
    device: str = "cpu",
    threads: int = 1,
    precision: str = "fp32",
    gpu_memory_mb: int | None = None,
) -> AttributeReader:
    """Load an exported attribute network; arguments as `operators.inference.open_predictor`'s.

    Raises:
        ModelError: it cannot be loaded, or is none.
    """
    predictor = open_predictor(model, device=device, threads=threads, precision=precision, gpu_memory_mb=gpu_memory_mb)
    configuration = find_configuration(find_model_file(Path(model)).parent)
    return AttributeReader(predictor, read_configuration(configuration).preprocessing if configuration else None)
