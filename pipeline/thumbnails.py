"""Small pictures of whom a live camera tracks, each cut out when its object was seen best.

Boxes reach the ledger a second or two after their frame, and nobody has that frame any more. So the worker, which has
it, keeps a cut-out of each track, a better one in place of the one before: large, whole, sharp, sure. It is written
once the commit that tells of the track stands, by a thread of its own: a slow disk holds up no camera.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import cv2
import numpy as np

from operators.crop_quality import WORTHLESS, crop_quality
from operators.draw import Privacy, blur_boxes
from operators.picture_bytes import jpeg
from operators.records import Float32, Frame, Image, Int64
from pipeline.thumbnail_files import MOST_MERIT, CameraThumbnails, ThumbnailError

MARGIN = 0.12  # of a box's sides, around the cut-out
HEIGHT, WIDTH = 128, 192  # pixels, at most
_EVERY_NS = 400_000_000  # between two looks at everybody in view
_AGAIN_NS = 2_000_000_000  # after which somebody who looks no larger is cut out once more: he may be sharper now
_BETTER = 1.1  # times as good as the one that is there
_SHARP = 100.0  # variance of the Laplacian, grey levels squared, at which a cut-out is half as sharp as can be
_TIDY_NS = 60_000_000_000  # between two looks at what is too old
_QUALITY = 82
_WAITING = 500  # cut-outs on their way to the disk; what comes beyond is left out

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CutOut:
    """An object as it was seen best so far. `merit`: see `merits`. `picture`: (h, w, 3) uint8 BGR."""

    track: int
    time_ns: int
    merit: float
    picture: Image


class Thumbnails:
    """The cut-outs of one camera's tracks.

    Args:
        files: where they go.
        classes: names that class indices refer to.
        privacy: what is made unrecognisable of everyone tracked.
    """

    def __init__(self, files: CameraThumbnails, classes: Sequence[str] = (), privacy: Privacy = Privacy.NONE) -> None:
        self._files, self._classes, self._privacy = files, tuple(classes), privacy
        self._best: dict[int, float] = {}
        self._tried: dict[int, tuple[float, int]] = {}  # how good but for sharpness, and when to try that again
        self._better: dict[int, CutOut] = {}  # than what was closed
        # By batch: cut-outs, ended tracks, and event time where it is time to remove what is old.
        self._closed: dict[int, tuple[tuple[CutOut, ...], tuple[int, ...], int | None]] = {}
        self._tidied_ns: int | None = None
        self._ended: list[int] = []
        self._look_at_ns: int | None = None
        self._thread = ThreadPoolExecutor(1, "thumbnails")
        self._writing: set[Future[None]] = set()
        self._in_trouble = False

    def begin(self, known: Collection[int] = ()) -> None:
        """Before the first look. `known`: tracks that go on from an earlier worker, and may be shown already."""
        try:
            self._best = {track: merit / MOST_MERIT for track, merit in self._files.open(known).items()}
        except ThumbnailError as error:
            self._say(error)

    def look(self, frame: Frame, ids: Int64, boxes: Float32, scores: Float32, classes: Sequence[int] = ()) -> None:
        """Everybody who was tracked in a frame.

        Args:
            frame: without a picture there is nothing to do.
            ids, boxes, scores: (N,), (N, 4) xyxy pixels, (N,).
            classes: (N,) indices, for what is blurred of a head.
        """
        if frame.image is None or len(ids) == 0:
            return
        tracks = ids.tolist()
        resting = self._look_at_ns is not None and frame.time_ns < self._look_at_ns
        if resting and all(track in self._best for track in tracks):
            return
        self._look_at_ns = frame.time_ns + _EVERY_NS
        quality = crop_quality(frame.image.shape, boxes)
        most = np.where(quality > WORTHLESS, quality * np.clip(scores, 0.0, 1.0), 0.0)
        for row, track in enumerate(tracks):
            if track not in self._best:
                self._best[track] = 0.0
            # Before it is cut out, and its sharpness known: could it be better at all?
            tried, again_ns = self._tried.get(track, (0.0, 0))
            new = most[row] > _BETTER * tried or frame.time_ns >= again_ns
            if new and most[row] > _BETTER * self._best[track]:
                self._tried[track] = float(most[row]), frame.time_ns + _AGAIN_NS
                self._cut(frame, row, track, float(most[row]), boxes, classes)

    def end(self, tracks: Iterable[int]) -> None:
        """These are over."""
        for track in tracks:
            self._ended.append(track)
            self._best.pop(track, None)
            self._tried.pop(track, None)

    def close(self, sequence: int, now_ns: int) -> None:
        """What there is by now belongs to the batch of that number.

        Args:
            now_ns: event time that the camera has come to: what is too old then goes, also where nobody comes any more.
        """
        tidy_ns = now_ns if self._tidied_ns is None or now_ns - self._tidied_ns > _TIDY_NS else None
        if self._better or self._ended or tidy_ns is not None:
            self._closed[sequence] = tuple(self._better.values()), tuple(self._ended), tidy_ns
            self._better, self._ended = {}, []
            self._tidied_ns = tidy_ns or self._tidied_ns

    def committed(self, sequence: int) -> None:
        """Batches up to that number stand: have written what belongs to them."""
        for number in [number for number in self._closed if number <= sequence]:
            closed = self._closed.pop(number)
            self._writing = {job for job in self._writing if not job.done()}
            if len(self._writing) < _WAITING:
                self._writing.add(self._thread.submit(self._write, *closed))

    def flush(self, seconds: float) -> None:
        """Wait until all is written, or no longer than that. Nothing is taken any more."""
        wait(self._writing, seconds)
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _cut(self, frame: Frame, row: int, track: int, most: float, boxes: Float32, classes: Sequence[int]) -> None:
        assert frame.image is not None
        x1, y1, x2, y2 = boxes[row].tolist()
        wide, high = (x2 - x1) * MARGIN, (y2 - y1) * MARGIN
        left, top = max(0, int(x1 - wide)), max(0, int(y1 - high))
        cut = frame.image[top : int(y2 + high) + 1, left : int(x2 + wide) + 1]
        if self._privacy != Privacy.NONE:
            cut = cut.copy()
            names = [self._classes[cls] for cls in classes] if len(classes) else ()
            blur_boxes(cut, boxes - np.array([left, top, left, top], np.float32), self._privacy, names)
        scale = min(1.0, HEIGHT / cut.shape[0], WIDTH / cut.shape[1])
        size = max(1, round(cut.shape[1] * scale)), max(1, round(cut.shape[0] * scale))
        small = np.asarray(cv2.resize(cut, size, interpolation=cv2.INTER_AREA), np.uint8)
        merit = most * _sharpness(small)
        if merit > _BETTER * self._best[track]:
            self._best[track] = merit
            self._better[track] = CutOut(track, frame.time_ns, merit, small)

    def _write(self, cuts: Iterable[CutOut], ended: Sequence[int], tidy_ns: int | None) -> None:
        try:
            for cut in cuts:
                data = jpeg(cut.picture, _QUALITY)
                self._files.write(cut.track, cut.time_ns, round(cut.merit * MOST_MERIT), data)
                self._in_trouble = False
        except ThumbnailError as error:
            self._say(error)
        self._files.end(ended)
        if tidy_ns is not None:
            self._files.expire(tidy_ns)

    def _say(self, error: ThumbnailError) -> None:
        """Once, until it goes well again: pictures are not worth a log full of it."""
        if not self._in_trouble:
            _log.warning(str(error))
        self._in_trouble = True


def _sharpness(image: Image) -> float:
    """From 0 to 1; a half where the variance of the Laplacian is `_SHARP`."""
    variance = float(cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.CV_32F).var())
    return variance / (variance + _SHARP)
