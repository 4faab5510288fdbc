"""Pictures as bytes, to be kept, sent or shown: JPEG, PNG, and back."""

from __future__ import annotations

import cv2
import numpy as np

from operators.records import CrosscamError, Image


class UnreadablePictureError(CrosscamError):
    """Bytes that are no picture."""


def jpeg(image: Image, quality: int = 85) -> bytes:
    """An (H, W, 3) uint8 BGR picture as JPEG, of a quality from 0 to 100."""
    return bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


def png(image: Image) -> bytes:
    """An (H, W, 3) uint8 BGR picture as PNG: every pixel as it is."""
    return bytes(cv2.imencode(".png", image)[1])


def decoded(data: bytes) -> Image:
    """A JPEG, PNG or whatever else OpenCV reads, as (H, W, 3) uint8 BGR.

    Raises:
        UnreadablePictureError: it is none.
    """
    try:
        image: Image | None = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # of no bytes at all, or of a size that nobody has memory for
        image = None
    if image is None:
        raise UnreadablePictureError(f"{len(data)} bytes that are no picture; a JPEG or a PNG can be read")
    return image
