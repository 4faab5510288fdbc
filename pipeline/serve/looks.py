"""Search by example: a picture, or an identity, against the looks that the site's ledger keeps."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import av
import numpy as np

from mtmct.corrections import number_of
from mtmct.records import IDENTITIES, TRACKS
from mtmct.search import Found, Lookbook, search, search_identity
from mtmct.settings import AppearanceCalibration
from operators import picture_bytes
from operators.crop_quality import WORTHLESS
from operators.detect import open_detector
from operators.embed import Embedder, open_embedder
from operators.records import Float32, Image
from pipeline.address import Place
from pipeline.assembly import build_detector, model_path
from pipeline.config import Site
from pipeline.serve.problems import UnfitError
from pipeline.shard import Detector

# Decoded pixels of a picture that is sent: a small file can unpack to something huge.
_LARGEST_PIXELS = 50_000_000
_CONFIDENT = 0.35
_FRESH_S = 2.0


@dataclass(frozen=True, slots=True)
class Example:
    """Who is asked for in a picture.

    Attributes:
        box: (4,) float32, xyxy, pixels: of the person that was found or named.
        people: how many there were.
    """

    vector: Float32
    box: Float32
    people: int


class Looks:
    """Searches. Models are opened when first needed, and used by one request at a time.

    Args:
        place: the ledger.
        site: its file, which names the models; None: the bundled ones.
        clock: monotonic seconds.
    """

    def __init__(self, place: Place, site: Site | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._place = place
        self._site = site
        self._lock = threading.Lock()
        self._embedder: Embedder | None = None
        self._detector: Detector | None = None
        self._clock = clock
        self._book: Lookbook | None = None
        self._at: tuple[str | None, ...] = ()
        self._asked = 0.0

    def of_identity(self, identity: str, count: int) -> list[Found]:
        """Who else looks like it.

        Raises:
            SearchError: nothing of its looks is kept.
        """
        with self._lock:
            return search_identity(self._latest(), number_of(identity), count, self._calibration())

    def of_picture(self, image: Image, count: int, *, whole: bool, box: Sequence[float] | None) -> list[Found]:
        """Who looks like the person in a picture.

        Args:
            image: (H, W, 3) uint8 BGR.
            count: identities at most.
            whole: the picture is of one person, cut out.
            box: where the person is, xyxy pixels; found by the detector if None.

        Raises:
            UnfitError: there is nobody in it.
        """
        with self._lock:
            example = self._example(image, whole, box)
            return search(self._latest(), example.vector, count, self._calibration())

    def _example(self, image: Image, whole: bool, box: Sequence[float] | None) -> Example:
        height, width = image.shape[:2]
        if box is not None:
            x1, y1, x2, y2 = box
            if not (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height):
                raise UnfitError(f"that box does not lie within the picture of {width} x {height} pixels")
            boxes = np.array([box], np.float32)
        elif whole:
            boxes = np.array([[0, 0, width, height]], np.float32)
        else:
            boxes = self._people(image)
        vectors, qualities = self._model().embed(image, boxes)
        if qualities.max() == WORTHLESS:
            raise UnfitError(f"there is nothing to recognise in this picture of {width} x {height} pixels")
        best = int(np.argmax(qualities * (boxes[:, 3] - boxes[:, 1])))
        return Example(vectors[best], boxes[best], len(boxes))

    def _people(self, image: Image) -> Float32:
        if self._detector is None:
            self._detector = open_detector("default") if self._site is None else build_detector(self._site)
        found = self._detector.detect([image])[0]
        boxes: Float32 = found.boxes[found.scores >= _CONFIDENT]
        if len(boxes) == 0:
            raise UnfitError(
                "nobody was found in this picture; cut somebody out and say whole=true, or give the box of a person"
            )
        return boxes

    def _model(self) -> Embedder:
        if self._embedder is None:
            if self._site is None:
                opened = open_embedder("default")
            else:
                path = model_path(self._site, self._site.embedder.model)
                opened = open_embedder(path, threads=self._site.resources.threads)
            if opened is None:
                raise UnfitError("this site has no embedder, so pictures cannot be compared: search by an identity")
            self._embedder = opened
        return self._embedder

    def _calibration(self) -> AppearanceCalibration:
        given = None if self._site is None else self._site.embedder.calibration
        return AppearanceCalibration(*(given or self._model().calibration))

    def forget(self) -> None:
        """Ask the ledger anew with the next search: somebody was erased."""
        with self._lock:
            self._book, self._at = None, ()

    def _latest(self) -> Lookbook:
        """What the ledger keeps, as of the last commit or of one a moment ago; a running site commits all the time."""
        if self._book is not None and self._clock() - self._asked < _FRESH_S:
            return self._book
        reader = self._place.reader()
        try:
            at = (reader.end(TRACKS), reader.end(IDENTITIES))
            if self._book is None or self._at != at:
                self._book, self._at = Lookbook(reader.state(), self._book), at
            self._asked = self._clock()
            return self._book
        finally:
            reader.close()


def decoded(data: bytes) -> Image:
    """A JPEG, PNG or whatever else OpenCV reads as (H, W, 3) uint8 BGR.

    Raises:
        UnfitError: it is none, or too large.
    """
    if not data:
        raise UnfitError("the picture that was sent is empty")
    try:
        # The size is looked at before anything is unpacked.
        with av.open(io.BytesIO(data)) as container:
            width, height = container.streams.video[0].width, container.streams.video[0].height
    except (av.error.FFmpegError, IndexError, ValueError):
        raise UnfitError("what was sent is no picture that can be read; send a JPEG or a PNG") from None
    if width * height > _LARGEST_PIXELS:
        raise UnfitError(f"a picture may have {_LARGEST_PIXELS // 1_000_000} million pixels at most")
    try:
        return picture_bytes.decoded(data)
    except picture_bytes.UnreadablePictureError:
        raise UnfitError("what was sent is no picture that can be read; send a JPEG or a PNG") from None
