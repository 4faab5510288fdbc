"""A camera of a simulated site as a source."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from operators.records import SECOND_NS, Detections, Frame, Image, Int64
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
from pipeline.sources.boxes import ClassTable, cut
from pipeline.sources.simulation.pinhole import Pinhole
from pipeline.sources.simulation.settings import Settings
from pipeline.sources.simulation.site import Detected, SimulatedSite, site_of
from pipeline.sources.simulation.tracklets import TrackIds

_KIND = "simulated site"
_USUAL_FPS = 10.0
_STRETCH_S = 5.0  # so much is worked out at once
_GROUND, _WALL = 110, 160  # grey levels
_IDS, _COLOURS = 31, 32  # kinds of random numbers


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Some frames in a row, worked out.

    Attributes:
        number: which; it begins with frame `number * length`.
        before: ids as they were before it.
        seen: what is detected.
        ids: (N,) of its boxes.
        starts: (length + 1,) first row of each frame.
        away: (length,) whether the camera gives nothing.
    """

    number: int
    before: TrackIds
    seen: Detected
    ids: Int64
    starts: Int64
    away: NDArray[np.bool_]


class SimulatedCamera(Source):
    """See `pipeline.sources.simulation.settings.Settings` for what it may show.

    A frame is made of the settings, the camera's number and the frame's number. Only local track ids depend on what
    was before; they travel with the position.

    Args:
        camera: camera id.
        settings: of the site and of this camera.
        fps: frames a second; 10 if not given.
        crop: x1, y1, x2, y2, pixels of the full picture.
        start_ns: event time of the first frame.
        classes: names that class indices refer to; who is of another class is not seen.
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
        self._length = max(1, round(_STRETCH_S * self._fps))

    @property
    def brings(self) -> Brings:
        """frames with a picture, else boxes or tracks."""
        if self._settings.picture:
            return "frames"
        return "tracks" if self._settings.tracks else "boxes"

    @property
    def brings_embeddings(self) -> bool:
        """Whether there are looks."""
        return self._settings.embedding > 0 and not self._settings.picture

    @property
    def calibration(self) -> tuple[float, float] | None:
        """See `Source.calibration`."""
        return site_of(self._settings).calibration if self.brings_embeddings else None

    @property
    def classes(self) -> tuple[str, ...]:
        """The names given."""
        return () if self._settings.picture else self._classes

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the cropped picture."""
        x1, y1, x2, y2 = self._crop or (0, 0, self._settings.width, self._settings.height)
        return x2 - x1, y2 - y1

    @property
    def pinhole(self) -> Pinhole:
        """How it hangs and sees."""
        return site_of(self._settings).camera(self._settings.camera)

    def length(self) -> int | None:
        """See `Source.length`."""
        frames = math.ceil(self._settings.seconds * self._fps)
        if frames and self._settings.outages:
            seconds = np.arange(frames) / self._fps
            frames -= int(np.count_nonzero(site_of(self._settings).away(self._settings.camera, seconds)))
        return frames or None

    def rate(self) -> float:
        """See `Source.rate`."""
        return self._fps

    def open(self, position: bytes | None) -> None:
        """See `Source.open`."""
        width, height = self._settings.width, self._settings.height
        if self._crop is not None and (self._crop[2] > width or self._crop[3] > height):
            raise SourceError(f"camera {self.camera!r}: the crop {list(self._crop)} reaches beyond {width}x{height}")
        self._site: SimulatedSite = site_of(self._settings)
        # Class index of the site to index of the wanted ones; -1: not wanted.
        table = ClassTable(self._classes)
        self._kinds = np.array([-1 if (n := table.index(name)) is None else n for name in self._site.classes])
        if self._kinds.max() < 0 and not self._settings.picture:
            raise SourceError(
                f"camera {self.camera!r}: simulated: in place={self._settings.place} there is nothing but "
                f"{', '.join(self._site.classes)}, and none of them is wanted; choose another `profile:`"
            )
        state = {} if position is None else read_position(_KIND, self.camera, position)
        self._index = state.get("index", 0)
        self._ids = TrackIds.of_state(state["ids"]) if "ids" in state else TrackIds()
        self._stretch: _Stretch | None = None
        if self._index:
            # What was given last may lie in the stretch before: its ids are those that are known.
            self._stretch = self._work_out((self._index - 1) // self._length)
        self._tally.restore(state.get("counts", {}))

    def read(self) -> Item | None:
        """See `Source.read`."""
        index = self._index
        while True:
            if 0 < self._settings.seconds <= index / self._fps:
                return End()
            number, row = divmod(index, self._length)
            if self._stretch is None or self._stretch.number != number:
                self._stretch = self._work_out(number)
            index += 1
            if not self._stretch.away[row]:
                break
        self._index = index
        self._tally.decoded()
        time_ns = self._start_ns + round((index - 1) * SECOND_NS / self._fps)
        rows = slice(*self._stretch.starts[row : row + 2].tolist())
        if self._settings.picture:
            return Frame(self.camera, index, time_ns, image=self._draw(self._stretch.seen, rows))
        image = self._draw(self._stretch.seen, rows) if self._settings.shown else None
        return Frame(self.camera, index, time_ns, image=image, given=self._given(self._stretch, rows))

    def position(self) -> bytes:
        """See `Source.position`."""
        ids = (self._stretch.before if self._stretch is not None else self._ids).state
        return write_position(_KIND, index=self._index, ids=ids, counts=self._tally.counts)

    def _work_out(self, number: int) -> _Stretch:
        settings, before = self._settings, self._ids
        seconds = (number * self._length + np.arange(self._length)) / self._fps
        away = self._site.away(settings.camera, seconds)
        seen = self._site.detect(settings.camera, seconds, number)
        ids = np.zeros(len(seen.frames), np.int64)
        if settings.tracks:
            random = np.random.default_rng((settings.seed, _IDS, settings.camera, number))
            self._ids = TrackIds.of_state(before.state)
            first = number * self._length
            ids = self._ids.give(seen, first, self._fps, settings.breaks, settings.swaps, random)
        return _Stretch(number, before, seen, ids, np.searchsorted(seen.frames, np.arange(self._length + 1)), away)

    def _given(self, stretch: _Stretch, rows: slice) -> Detections:
        seen = stretch.seen
        kinds = self._kinds[seen.kinds[rows]]
        boxes, wanted = seen.boxes[rows], kinds >= 0
        if self._crop is not None:
            inside = [cut((x1, y1, x2, y2), self._crop) for x1, y1, x2, y2 in boxes.tolist()]
            boxes = np.array([box or (0, 0, 0, 0) for box in inside], np.float32).reshape(-1, 4)
            wanted &= np.array([box is not None for box in inside], bool)
        detections = Detections(
            boxes,
            seen.scores[rows],
            kinds.astype(np.int32),
            None if seen.embeddings is None else seen.embeddings[rows],
            stretch.ids[rows] if self._settings.tracks else None,
        )
        return detections[wanted]

    def _draw(self, seen: Detected, rows: slice) -> Image:
        """Everybody as head, body and legs in colours of their own, before a floor and a wall."""
        settings = self._settings
        image = np.full((settings.height, settings.width, 3), _GROUND, np.uint8)
        image[: settings.height // 4] = _WALL
        # Who stands lower in the picture is nearer.
        order = np.argsort(seen.boxes[rows, 3], kind="stable")
        for person, box in zip(seen.people[rows][order].tolist(), seen.boxes[rows][order].tolist(), strict=True):
            colours = np.random.default_rng((settings.seed, _COLOURS, abs(person))).integers(20, 240, (3, 3))
            x1, y1, x2, y2 = (round(side) for side in box)
            tops = [y1, y1 + (y2 - y1) // 6, y1 + (y2 - y1) // 2, y2]
            for colour, top, bottom in zip(colours, tops, tops[1:], strict=False):
                image[top:bottom, x1:x2] = colour
        if self._crop is None:
            return image
        left, top, right, bottom = self._crop
        return np.ascontiguousarray(image[top:bottom, left:right])
