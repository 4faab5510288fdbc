"""Small pictures of identities, one a visit: cut out of the recording, or as kept by the worker of a live camera."""

from __future__ import annotations

import threading
from collections import OrderedDict

import numpy as np

from operators.draw import Privacy, blur_boxes
from operators.picture_bytes import decoded, jpeg
from pipeline.address import Place
from pipeline.serve.known import Box, Visit
from pipeline.serve.problems import NoPictureError
from pipeline.serve.shots import Shots
from pipeline.thumbnail_files import Kept, find, folder_of
from pipeline.thumbnails import MARGIN

_CUT_OUT = 2_000  # of recordings, held in memory
_HEAD = 0.4  # of a kept picture, from its top: where a head is, however it was cut out


class Thumbnails:
    """The thumbnails of a site.

    Args:
        shots: its recordings.
        place: its ledger, beside which lie those of live cameras.
        privacy: what is blurred in them, beyond what the site's file has blurred already.
    """

    def __init__(self, shots: Shots, place: Place, privacy: Privacy = Privacy.NONE) -> None:
        self._shots, self._folder, self._privacy = shots, folder_of(place), privacy
        self._lock = threading.Lock()
        self._held: OrderedDict[tuple[str, int, Box], bytes] = OrderedDict()

    def has(self, visit: Visit) -> bool:
        """Whether there is a picture of it."""
        return (visit.best is not None and self._shots.recorded(visit.camera)) or self._kept(visit) is not None

    def of(self, visit: Visit) -> bytes:
        """A picture of it, JPEG.

        Raises:
            NoPictureError: there is none.
        """
        if visit.best is not None and self._shots.recorded(visit.camera):
            return self._cut_out(visit.camera, *visit.best)
        kept = self._kept(visit)
        try:
            data = b"" if kept is None else kept.path.read_bytes()
        except OSError:
            data = b""  # a better one has taken its place, or it has just expired
        if not data:
            raise NoPictureError(f"no picture is kept of track {visit.track} of camera {visit.camera!r}")
        return data if self._privacy == Privacy.NONE else self._blurred(data)

    def forget(self) -> None:
        """Let go of those in memory: somebody was erased."""
        with self._lock:
            self._held.clear()

    def _kept(self, visit: Visit) -> Kept | None:
        return find(self._folder, visit.camera, visit.track, visit.start, visit.end)

    def _blurred(self, data: bytes) -> bytes:
        image = decoded(data)
        height, width = image.shape[:2]
        high = height if self._privacy == Privacy.WHOLE else _HEAD * height
        blur_boxes(image, np.array([[0, 0, width, high]], np.float32), Privacy.WHOLE)
        return jpeg(image)

    def _cut_out(self, camera: str, time_us: int, box: Box) -> bytes:
        """Whoever is in `box` at that time; kept for the next who asks."""
        key = (camera, time_us, box)
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        image = self._shots.frame(camera, time_us)
        x1, y1, x2, y2 = box
        wide, high = (x2 - x1) * MARGIN, (y2 - y1) * MARGIN
        top, bottom = max(0, int(y1 - high)), int(y2 + high) + 1
        cut = image[top:bottom, max(0, int(x1 - wide)) : int(x2 + wide) + 1]
        if cut.size == 0:
            raise NoPictureError(f"that box lies outside of the pictures of camera {camera!r}")
        data = jpeg(np.ascontiguousarray(cut))
        with self._lock:
            self._held[key] = data
            while len(self._held) > _CUT_OUT:
                self._held.popitem(last=False)
        return data
