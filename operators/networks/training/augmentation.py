"""What happens to pictures before a detector learns from them: mirrored, relit, cut out, shrunk into grey.

Every function takes a picture (H, W, 3) uint8 BGR, its boxes (G, 4) float32, xyxy in its pixels, and their classes
(G,), and gives the same three of another picture. Nothing is written to what is given.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from operators.records import Float32, Image, Int64

Sample = tuple[Image, Float32, Int64]
_MEAN = (104, 116, 124)
"""ImageNet's mean colour, BGR: what surrounds a picture that was shrunk."""
_TRIES = 50


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How often what is done; the defaults are those of PP-YOLOE.

    Attributes:
        flip: share of pictures that are mirrored.
        colour: share whose brightness, contrast, saturation and hue are changed, each on its own.
        expand: share that is laid into a larger grey picture, up to `largest` times each side.
        crop: share of which a part is cut out.
    """

    flip: float = 0.5
    colour: float = 0.5
    expand: float = 0.5
    largest: float = 4.0
    crop: float = 0.8


NOTHING = Augmentation(0.0, 0.0, 0.0, 1.0, 0.0)


def augmented(sample: Sample, how: Augmentation, random: np.random.Generator) -> Sample:
    """Colours, then expansion, then a part cut out, then mirrored, each by chance."""
    image, boxes, classes = sample
    image = recoloured(image, how.colour, random)
    if random.random() < how.expand:
        image, boxes, classes = expanded((image, boxes, classes), how.largest, random)
    if random.random() < how.crop:
        image, boxes, classes = cropped((image, boxes, classes), random)
    if random.random() < how.flip:
        image, boxes, classes = flipped((image, boxes, classes))
    return image, boxes, classes


def flipped(sample: Sample) -> Sample:
    """Left for right."""
    image, boxes, classes = sample
    turned = boxes.copy()
    turned[:, [0, 2]] = image.shape[1] - boxes[:, [2, 0]]
    return np.ascontiguousarray(image[:, ::-1]), turned, classes


def recoloured(image: Image, share: float, random: np.random.Generator) -> Image:
    """Brightness, contrast and saturation by a factor of 0.5 to 1.5, the hue by up to 18 degrees; each by chance."""
    chances = random.random(4) < share
    brightness, contrast, saturation = random.uniform(0.5, 1.5, 3)
    turn = int(random.integers(-9, 10))  # OpenCV counts two degrees as one
    values = image.astype(np.float32)
    if chances[0]:
        values *= brightness
    if chances[1]:
        values = (values - values.mean()) * contrast + values.mean()
    changed = np.clip(values, 0, 255).astype(np.uint8)
    if chances[2] or chances[3]:
        hsv = cv2.cvtColor(changed, cv2.COLOR_BGR2HSV)
        if chances[2]:
            hsv[..., 1] = np.clip(hsv[..., 1] * saturation, 0, 255)
        if chances[3]:
            hsv[..., 0] = (hsv[..., 0].astype(np.int16) + turn) % 180
        changed = np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR), np.uint8)
    return changed


def expanded(sample: Sample, largest: float, random: np.random.Generator) -> Sample:
    """Somewhere in a grey picture whose sides are up to `largest` times as long."""
    image, boxes, classes = sample
    height, width = image.shape[:2]
    factor = random.uniform(1.0, largest)
    tall, wide = int(height * factor), int(width * factor)
    top, left = (int(random.integers(0, spare + 1)) for spare in (tall - height, wide - width))
    canvas = np.empty((tall, wide, 3), np.uint8)
    canvas[...] = _MEAN
    canvas[top : top + height, left : left + width] = image
    return canvas, boxes + np.array([left, top, left, top], np.float32), classes


def cropped(sample: Sample, random: np.random.Generator) -> Sample:
    """A part of 0.3 to 1 times each side that holds the middle of some object (as SSD does it, Liu et al. 2016).

    Objects whose middle is outside of it are lost, others are cut. As a whole if no such part is found, or if by
    chance every object is to be seen whole to a share that none of the parts offers.
    """
    image, boxes, classes = sample
    height, width = image.shape[:2]
    if not len(boxes):
        return sample
    least = random.choice([0.0, 0.1, 0.3, 0.5, 0.7, 0.9])
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    for _ in range(_TRIES):
        scale, ratio = random.uniform(0.3, 1.0), np.exp(random.uniform(-0.693, 0.693))
        h, w = int(height * min(scale / np.sqrt(ratio), 1)), int(width * min(scale * np.sqrt(ratio), 1))
        if h < 1 or w < 1:
            continue
        top, left = int(random.integers(0, height - h + 1)), int(random.integers(0, width - w + 1))
        part = np.array([left, top, left + w, top + h], np.float32)
        inside = ((middles > part[:2]) & (middles < part[2:])).all(axis=1)
        if not inside.any():
            continue
        cut = np.clip(boxes[inside], part[[0, 1, 0, 1]], part[[2, 3, 2, 3]])
        if ((cut[:, 2:] - cut[:, :2]).prod(axis=1) >= least * areas[inside]).all():
            moved = (cut - part[[0, 1, 0, 1]]).astype(np.float32)
            return np.ascontiguousarray(image[top : top + h, left : left + w]), moved, classes[inside]
    return sample
