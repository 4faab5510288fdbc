"""The picture of each incident, kept as it begins: live cameras are not recorded, and cannot be looked up later."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from operators.analyse.rules import Event, Severity
from operators.draw import Privacy, Style, blur_boxes
from operators.draw_rules import draw_incident
from operators.records import CrosscamError, Float32, Image

_QUALITY = 88


class PictureError(CrosscamError):
    """A picture could not be written."""


class IncidentPictures:
    """Writes one camera's incidents as JPEG files, `<folder>/<camera>/<number>-<event time in microseconds>.jpg`.

    A file's name depends on the incident alone. After a crash the same picture is written once more, over the first.
    Nothing is removed: how long pictures are kept is for who keeps them to say.

    Args:
        folder: made when the first picture is written; on every node that runs a worker, so best a shared one.
        camera: its id.
        privacy: what is blurred of everyone who is tracked in the picture.
    """

    def __init__(self, folder: Path, camera: str, privacy: Privacy = Privacy.NONE) -> None:
        self._folder, self._camera, self._privacy = folder, camera, privacy

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
        data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(data)
            partial.replace(path)
        except OSError as error:
            raise PictureError(
                f"the picture of incident {self._camera}/{fields['incident']} could not be written to {path} "
                f"({error.strerror or error}); make room, or give `snapshots` another folder"
            ) from None
