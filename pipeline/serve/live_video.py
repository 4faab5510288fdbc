"""The annotated video of a live analysis: there is no recording of a live camera, so it is made while the site runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from operators.draw import Privacy
from operators.picture_bytes import decoded
from pipeline.address import Place
from pipeline.config import Site
from pipeline.serve.feed import Feed
from pipeline.serve.live_shots import EVERY_S, LiveShots, Shot
from pipeline.serve.problems import NoPictureError
from pipeline.serve.view import SiteView

_MOST_BYTES = 4_000_000_000
_NO_PICTURE_S = 0.5
_CLOSING_S = 10.0
_MS = Fraction(1, 1000)

_log = logging.getLogger(__name__)


@contextmanager
def recorded(site: Site, ledger: Path, camera: str, file: Path, privacy: Privacy = Privacy.NONE) -> Iterator[None]:
    """Meanwhile write what a camera of a running site sees, with everybody's number, to a video.

    Args:
        site, ledger: what runs, and where.
        file: MP4; there is none if no picture came.
        privacy: what is blurred of everyone tracked.
    """
    view = SiteView()
    place = Place(file=ledger, site=site)
    feed = Feed(place.reader, view)
    shots = LiveShots(place, view, lambda _: site.rules(site.camera(camera)), privacy)
    over = threading.Event()

    def run() -> None:
        try:
            write(lambda: shots.newest(camera, overlay=True), file, over)
        except (OSError, av.error.FFmpegError) as error:  # the disk is full, say: the analysis itself goes on
            _log.warning("the video of a live analysis was broken off (%s)", error)

    thread = threading.Thread(target=run, name="live-video", daemon=True)
    feed.start()
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(_CLOSING_S)
        feed.close()


def write(newest: Callable[[], Shot], file: Path, over: threading.Event, most: int = _MOST_BYTES) -> int:
    """Write pictures as they come, each at its event time, until it is over.

    Args:
        newest: asked again and again; raises `NoPictureError` while there is none.
        most: bytes of the file, about: then no more is written.

    Returns:
        How many there were.
    """
    video: _Video | None = None
    last: int | None = None
    try:
        while not over.is_set():
            try:
                shot = newest()
            except NoPictureError:
                over.wait(_NO_PICTURE_S)
                continue
            if last is None or shot.time > last:
                video = video or _Video(file, shot)
                video.add(shot)
                last = shot.time
                if video.bytes > most:
                    break
            over.wait(EVERY_S)
    finally:
        if video is not None:
            video.close()
    return 0 if video is None else video.frames


class _Video:
    """An H.264 file in fragments: what is written can be played even if the rest never comes."""

    def __init__(self, file: Path, first: Shot) -> None:
        height, width = decoded(first.jpeg).shape[:2]
        self.frames = self.bytes = 0
        self._start = first.time
        self._size = width // 2 * 2, height // 2 * 2
        file.parent.mkdir(parents=True, exist_ok=True)
        self._container = av.open(str(file), "w", format="mp4", options={"movflags": "frag_keyframe+empty_moov"})
        self._stream = self._container.add_stream("libx264", rate=round(1 / EVERY_S))
        self._stream.width, self._stream.height, self._stream.pix_fmt = *self._size, "yuv420p"
        self._stream.codec_context.time_base = _MS
        self._stream.options = {"preset": "veryfast", "crf": "24", "tune": "zerolatency", "g": "20"}

    def add(self, shot: Shot) -> None:
        """The next picture."""
        image = decoded(shot.jpeg)
        if image.shape[1::-1] != self._size:
            image = np.asarray(cv2.resize(image, self._size, interpolation=cv2.INTER_AREA), np.uint8)
        frame = av.VideoFrame.from_ndarray(image, format="bgr24")
        frame.pts, frame.time_base = (shot.time - self._start) // 1000, _MS
        packets = self._stream.encode(frame)
        self._container.mux(packets)
        self.bytes += sum(packet.size for packet in packets)
        self.frames += 1

    def close(self) -> None:
        """Write what is left, if there is room for it."""
        with suppress(OSError, av.error.FFmpegError):
            self._container.mux(self._stream.encode(None))
        with suppress(OSError, av.error.FFmpegError):
            self._container.close()
