"""A folder of pictures as a camera."""

from __future__ import annotations

import re
from bisect import bisect_right
from pathlib import Path

import numpy as np

from operators.picture_bytes import UnreadablePictureError, decoded
from operators.records import SECOND_NS, Frame, Image
from pipeline.sources.base import Crop, End, Item, Rejected, Source, SourceError, read_position, write_position

_KIND = "images"
_ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})


class ImageFolder(Source):
    """Pictures in the order of their names, numbers in them read as numbers: `f2.jpg` comes before `f10.jpg`.

    The n-th picture is seen at `start_ns + (n - 1) / fps`. One that cannot be decoded, or is of another size than
    the first, is dropped, counted (`damaged`, `wrong_size`) and rejected.

    Args:
        camera: camera id.
        path: the folder.
        fps: pictures a second.
        crop: x1, y1, x2, y2, pixels of the full picture.
        start_ns: event time of the first picture.
    """

    def __init__(
        self, camera: str, path: Path, *, fps: float | None = None, crop: Crop | None = None, start_ns: int = 0
    ) -> None:
        super().__init__(camera)
        self._path = path
        self._fps = fps
        self._crop = crop
        self._start_ns = start_ns
        self._full_size: tuple[int, int] | None = None

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of the cropped picture; known once open."""
        if self._crop is not None:
            return self._crop[2] - self._crop[0], self._crop[3] - self._crop[1]
        return self._full_size

    def length(self) -> int | None:
        """See `Source.length`."""
        try:
            return len(self._names_in_folder()) or None
        except OSError:
            return None  # `open` says what is wrong with it

    def open(self, position: bytes | None) -> None:
        """See `Source.open`. Pictures added since, whose names come later, are read as well."""
        if self._fps is None:
            raise self._error("pictures say no times", "give the camera's `fps`")
        try:
            names = self._names_in_folder()
        except FileNotFoundError:
            raise self._error("there is no such folder", "check the path under `source:`") from None
        except OSError as error:
            raise self._error(f"the folder cannot be read ({error.strerror})", "check its permissions") from None
        if not names:
            raise self._error("there is no picture in it", f"put files ending in {', '.join(sorted(_ENDINGS))} there")
        self._names = sorted(names, key=_in_order)
        state = {} if position is None else read_position(_KIND, self.camera, position)
        self._index = state.get("index", 0)
        self._last: str | None = state.get("last")
        self._next = 0 if self._last is None else bisect_right(self._names, _in_order(self._last), key=_in_order)
        self._tally.restore(state.get("counts", {}))
        size = state.get("full_size") or self._first_size()
        self._full_size = (size[0], size[1])

    def read(self) -> Item | None:
        """See `Source.read`."""
        while self._next < len(self._names):
            self._last = self._names[self._next]
            self._next += 1
            self._index += 1
            self._tally.decoded()
            assert self._fps is not None
            time_ns = self._start_ns + round((self._index - 1) * SECOND_NS / self._fps)
            image = self._load(self._last)
            if image is None:
                self._drop("damaged", "this picture cannot be decoded", time_ns)
            elif (size := (image.shape[1], image.shape[0])) != self._full_size:
                self._drop("wrong_size", f"this picture is {size}, the first one {self._full_size}", time_ns)
            else:
                return Frame(self.camera, self._index, time_ns, self._cropped(image))
        return End()

    def position(self) -> bytes:
        """See `Source.position`."""
        return write_position(
            _KIND, index=self._index, last=self._last, full_size=self._full_size, counts=self._tally.counts
        )

    def _names_in_folder(self) -> list[str]:
        return [entry.name for entry in self._path.iterdir() if entry.suffix.lower() in _ENDINGS]

    def _first_size(self) -> tuple[int, int]:
        image = next((image for name in self._names if (image := self._load(name)) is not None), None)
        if image is None:
            raise self._error("none of its pictures can be decoded", "copy them again")
        height, width = image.shape[:2]
        if self._crop is not None and (self._crop[2] > width or self._crop[3] > height):
            what = f"the crop {list(self._crop)} reaches beyond its {width}x{height} pictures"
            raise self._error(what, f"write x1, y1, x2, y2 with x2 up to {width} and y2 up to {height}")
        return width, height

    def _load(self, name: str) -> Image | None:
        try:
            # Not imread: it prints to the console about every damaged file.
            return decoded((self._path / name).read_bytes())
        except (OSError, UnreadablePictureError):
            return None

    def _cropped(self, image: Image) -> Image:
        if self._crop is None:
            return image
        x1, y1, x2, y2 = self._crop
        return np.ascontiguousarray(image[y1:y2, x1:x2])

    def _drop(self, reason: str, detail: str, time_ns: int) -> None:
        self._tally.dropped(reason)
        assert self._last is not None
        self._rejected.append(Rejected(reason, f"{self._path / self._last}: {detail}", self._last, time_ns))

    def _error(self, what: str, remedy: str) -> SourceError:
        return SourceError(f"camera {self.camera!r}: {self._path}: {what}; {remedy}")


def _in_order(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """Sorts numbers in names as numbers, and is never equal for two names."""
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts], name
