"""A camera's newest picture with whom it tracks in it, for who wants to look while the site runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from operators.picture_bytes import jpeg
from operators.records import Float32, Image, Int64

_QUALITY = 80

# A track, its class, and its box in that very picture: x1, y1, x2, y2, pixels.
Tracked = tuple[int, str, float, float, float, float]


@dataclass(frozen=True, slots=True)
class Sighting:
    """One frame after tracking. It holds on to the frame's arrays, and copies nothing before somebody looks.

    Attributes:
        image: (H, W, 3) uint8 BGR. time_ns: event time.
        ids, boxes, classes: (N,), (N, 4) xyxy pixels, N indices of `names`.
    """

    image: Image
    time_ns: int
    ids: Int64
    boxes: Float32
    classes: Sequence[int]
    names: Sequence[str]

    def told(self) -> tuple[bytes, int, list[Tracked]]:
        """The picture as JPEG, its event time, and who is in it."""
        tracked = [
            (track, self.names[cls], *box)
            for track, cls, box in zip(self.ids.tolist(), self.classes, self.boxes.tolist(), strict=True)
        ]
        return jpeg(self.image, _QUALITY), self.time_ns, tracked
