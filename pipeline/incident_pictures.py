"""The picture of each incident, kept as it begins: live cameras are not recorded, and cannot be looked up later."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from operators.analyse.rules import Event, Severity
from operators.draw import Privacy, Style, blur_boxes
from operators.draw_rules import draw_incident
from operators.picture_bytes import jpeg
from operators.records import CrosscamError, Float32, Image

_QUALITY = 88
_NAME = re.compile(r"[0-9]+-(-?[0-9]+)\.jpg")


class PictureError(CrosscamError):
    """A picture could not be written."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long pictures are kept, and how many.

    Attributes:
        age_ns: event time after which one goes. size: bytes of one camera's pictures together, the newest aside.
    """

    age_ns: int
    size: int


class IncidentPictures:
    """Writes one camera's incidents as JPEG files, `<folder>/<camera>/<number>-<event time in microseconds>.jpg`.

    A file's name depends on the incident alone. After a crash the same picture is written once more, over the first.
    Those that are too old or too many are removed by the same rule, those of earlier runs included.

    Args:
        folder: made when the first picture is written; on every node that runs a worker, so best a shared one.
        camera: its id.
        privacy: what is blurred of everyone who is tracked in the picture.
        keeping: when pictures go; None: never.
    """

    def __init__(
        self, folder: Path, camera: str, privacy: Privacy = Privacy.NONE, keeping: Keeping | None = None
    ) -> None:
        self._folder, self._camera, self._privacy, self._keeping = folder, camera, privacy, keeping
        self._kept: dict[Path, tuple[int, int]] | None = None  # event time in nanoseconds, and bytes

    def name(self, event: Event) -> str:
        """Of an incident's file, relative to the folder."""
        return f"{self._camera}/{event.fields['incident']}-{event.fields['snapshot']['time']}.jpg"

    def write(self, event: Event, image: Image, boxes: Float32, classes: Sequence[str]) -> None:
        """Write the picture of an incident that has begun.

        Args:
            event: it has `started` in this very frame.
            image: (H, W, 3) uint8 BGR, left as it is.
            boxes: (N, 4) xyxy pixels, everyone tracked. classes: their N names.

        Raises:
            PictureError: the file cannot be written.
        """
        picture = np.array(image, np.uint8, order="C")
        blur_boxes(picture, boxes, self._privacy, classes)
        fields = event.fields
        style = Style.for_height(picture.shape[0])
        draw_incident(picture, fields["snapshot"]["box"], fields["kind"], Severity(fields["severity"]), style)
        path = self._folder / self.name(event)
        partial = path.with_name(f".{path.name}.partial")
        data = jpeg(picture, _QUALITY)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(data)
            partial.replace(path)
        except OSError as error:
            raise PictureError(
                f"the picture of incident {self._camera}/{fields['incident']} could not be written to {path} "
                f"({error.strerror or error}); make room, or give `snapshots` another folder"
            ) from None
        if self._kept is not None:
            self._kept[path] = _time_of(path), len(data)
        self.expire(fields["snapshot"]["time"] * 1000)

    def expire(self, now_ns: int) -> None:
        """Remove what is too old at that event time, and the oldest of what is too much."""
        if self._keeping is None:
            return
        if self._kept is None:
            self._kept = {path: (_time_of(path), path.stat().st_size) for path in self._found()}
        excess = sum(size for _, size in self._kept.values()) - self._keeping.size
        for path, (time_ns, size) in sorted(self._kept.items(), key=lambda kept: kept[1][0]):
            too_many = excess > 0 and len(self._kept) > 1
            if not too_many and now_ns - time_ns <= self._keeping.age_ns:
                return
            with suppress(OSError):  # somebody else has removed it, or may: it is not looked at again
                path.unlink()
            del self._kept[path]
            excess -= size

    def _found(self) -> list[Path]:
        with suppress(OSError):
            return [path for path in (self._folder / self._camera).iterdir() if _NAME.fullmatch(path.name)]
        return []


def _time_of(path: Path) -> int:
    """Event time in the picture's name, nanoseconds."""
    match = _NAME.fullmatch(path.name)
    assert match is not None
    return int(match[1]) * 1000
