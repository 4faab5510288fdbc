"""People who walk by formula: a camera for tests and for measuring load, without a picture or with a plain one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from operators.records import SECOND_NS, Detections, Float32, Frame, Image
from pipeline.sources.base import (
    DEFAULT_CLASSES,
    Brings,
    Crop,
    End,
    Item,
    Source,
    SourceError,
    read_position,
    write_position,
)
from pipeline.sources.boxes import cut

_KIND = "simulated"
_USUAL_FPS = 10.0
_GROUND = 96  # grey level
_SMALLEST = 64


@dataclass(frozen=True, slots=True)
class Settings:
    """What `simulated:name=value,...` may say.

    Attributes:
        people: how many walk.
        seconds: length; 0 never ends.
        seed: who walks where, and what they look like. Two cameras of one seed see the same people.
        width: pixels.
        height: pixels.
        picture: 1 draws them as plain rectangles, for a detector; 0 gives their boxes.
        tracks: 1 gives their ids as well, so that no tracker is needed.
        embedding: size of their appearance embeddings; 0 gives none.
        noise: standard deviation of box corners in pixels, and a hundredth of it per embedding component.
        missed: share of boxes that are not found.
        paced: 1 gives frames when they are due, as a live camera does.
    """

    people: int = 5
    seconds: float = 20.0
    seed: int = 0
    width: int = 640
    height: int = 480
    picture: bool = False
    tracks: bool = False
    embedding: int = 0
    noise: float = 0.5
    missed: float = 0.0
    paced: bool = False


def read_settings(camera: str, text: str) -> Settings:
    """The settings in `simulated:people=5,seconds=20,seed=1`.

    Raises:
        SourceError: an unknown name, or a value that it cannot have.
    """
    usual = Settings()
    kinds = {f.name: type(getattr(usual, f.name)) for f in fields(Settings)}
    values: dict[str, float] = {}
    for part in filter(None, text.partition(":")[2].replace(" ", "").split(",")):
        name, _, value = part.partition("=")
        if name not in kinds:
            raise SourceError(f"camera {camera!r}: simulated: unknown setting {name!r}; known are {', '.join(kinds)}")
        try:
            values[name] = kinds[name](float(value))
            valid = 0 <= values[name] == float(value)
        except ValueError:
            valid = False
        if not valid:
            raise SourceError(f"camera {camera!r}: simulated: {name} cannot be {value!r}; write a number from 0 on")
    settings = Settings(**values)  # type: ignore[arg-type]
    if settings.missed > 1 or min(settings.width, settings.height) < _SMALLEST:
        raise SourceError(
            f"camera {camera!r}: simulated: {text}: missed must be at most 1, width and height at least {_SMALLEST}"
        )
    return settings


class SimulatedCamera(Source):
    """Settings and frame number alone make a frame, so any frame can be had without those before it.

    Args:
        camera: camera id; it also makes this camera's noise differ from others of the same seed.
        settings: who walks.
        fps: frames a second; 10 if not given.
        crop: x1, y1, x2, y2, pixels of the full picture.
        start_ns: event time of the first frame.
        classes: names that class indices refer to; all who walk are of the first.
    """

    def __init__(
        self,
        camera: str,
        settings: Settings,
        *,
        fps: float | None = None,
        crop: Crop | None = None,
        start_ns: int = 0,
        classes: Sequence[str] | None = None,
    ) -> None:
        super().__init__(camera)
        self._settings = settings
        self._fps = fps or _USUAL_FPS
        self._crop = crop
        self._start_ns = start_ns
        self._classes = tuple(classes or DEFAULT_CLASSES)
        self._noise_seed = int.from_bytes(camera.encode()[:32].ljust(8, b"\0"), "little")
        people = np.random.default_rng(settings.seed)
        n = settings.people
        self._heights = people.uniform(0.15, 0.3, n) * settings.height
        self._starts = people.uniform(0, 1, (n, 2))
        self._speeds = people.uniform(0.02, 0.08, (n, 2))  # of the way across, a second
        self._colours = people.integers(40, 250, (n, 3))
        looks = people.normal(size=(n, settings.embedding))
        self._looks = looks / np.maximum(np.linalg.norm(looks, axis=1, keepdims=True), 1e-12)

    @property
    def brings(self) -> Brings:
        """frames with a picture, else boxes or tracks."""
        if self._settings.picture:
            return "frames"
        return "tracks" if self._settings.tracks else "boxes"

    @property
    def brings_embeddings(self) -> bool:
        """Whether people have a look."""
        return self._settings.embedding > 0 and not self._settings.picture

    @property
    def classes(self) -> tuple[str, ...]:
        """The names given."""
        return () if self._settings.picture else self._classes

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the cropped picture."""
        x1, y1, x2, y2 = self._crop or (0, 0, self._settings.width, self._settings.height)
        return x2 - x1, y2 - y1

    def length(self) -> int | None:
        """See `Source.length`."""
        return math.ceil(self._settings.seconds * self._fps) or None

    def open(self, position: bytes | None) -> None:
        """See `Source.open`."""
        width, height = self._settings.width, self._settings.height
        if self._crop is not None and (self._crop[2] > width or self._crop[3] > height):
            raise SourceError(f"camera {self.camera!r}: the crop {list(self._crop)} reaches beyond {width}x{height}")
        state = {} if position is None else read_position(_KIND, self.camera, position)
        self._index = state.get("index", 0)
        self._tally.restore(state.get("counts", {}))

    def read(self) -> Item | None:
        """See `Source.read`."""
        seconds = self._index / self._fps
        if 0 < self._settings.seconds <= seconds:
            return End()
        self._index += 1
        self._tally.decoded()
        time_ns = self._start_ns + round((self._index - 1) * SECOND_NS / self._fps)
        boxes = self.boxes(seconds)
        if self._settings.picture:
            return Frame(self.camera, self._index, time_ns, image=self._draw(boxes))
        return Frame(self.camera, self._index, time_ns, given=self._detect(boxes))

    def position(self) -> bytes:
        """See `Source.position`."""
        return write_position(_KIND, index=self._index, counts=self._tally.counts)

    def boxes(self, seconds: float) -> NDArray[np.float64]:
        """Where everyone really is: (people, 4) xyxy in pixels of the full picture."""
        settings = self._settings
        # There and back again, for ever: a triangle wave between the walls.
        way = 1 - np.abs((self._starts + self._speeds * seconds) % 2 - 1)
        widths = self._heights * 0.4
        x = way[:, 0] * (settings.width - widths)
        y = way[:, 1] * (settings.height - self._heights)
        return np.stack([x, y, x + widths, y + self._heights], axis=1)

    def _detect(self, boxes: NDArray[np.float64]) -> Detections:
        settings = self._settings
        chance = np.random.default_rng((settings.seed, self._noise_seed, self._index))
        boxes = boxes + chance.normal(0, settings.noise, boxes.shape)
        scores = chance.uniform(0.6, 1.0, len(boxes))
        found = chance.uniform(size=len(boxes)) >= settings.missed
        looks: Float32 | None = None
        if settings.embedding:
            raw = self._looks + chance.normal(0, settings.noise / 100, self._looks.shape)
            looks = (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)
        inside = [cut((x1, y1, x2, y2), self._crop) for x1, y1, x2, y2 in boxes.tolist()]
        rows = np.flatnonzero(found & np.array([box is not None for box in inside], bool))
        detections = Detections(
            np.array([box or (0, 0, 0, 0) for box in inside], np.float32).reshape(-1, 4),
            scores.astype(np.float32),
            np.zeros(len(boxes), np.int32),
            looks,
            np.arange(1, len(boxes) + 1) if settings.tracks else None,
        )
        return detections[rows]

    def _draw(self, boxes: NDArray[np.float64]) -> Image:
        image = np.full((self._settings.height, self._settings.width, 3), _GROUND, np.uint8)
        for (x1, y1, x2, y2), colour in zip(boxes.round().astype(int), self._colours, strict=True):
            image[y1:y2, x1:x2] = colour
        if self._crop is None:
            return image
        left, top, right, bottom = self._crop
        return np.ascontiguousarray(image[top:bottom, left:right])
