"""Pictures as bytes and back."""

from __future__ import annotations

import numpy as np
import pytest

from operators.picture_bytes import UnreadablePictureError, decoded, jpeg, png
from operators.records import Image


def ramp() -> Image:
    across = np.tile(np.linspace(0, 255, 64, dtype=np.uint8), (48, 1))
    return np.ascontiguousarray(np.stack([across, across[:, ::-1], np.full_like(across, 90)], axis=2))


def test_a_png_is_read_back_pixel_by_pixel() -> None:
    assert np.array_equal(decoded(png(ramp())), ramp())


def test_a_jpeg_of_a_higher_quality_is_nearer_to_the_picture_and_larger() -> None:
    rough, usual, fine = jpeg(ramp(), 20), jpeg(ramp()), jpeg(ramp(), 98)
    assert len(rough) < len(usual) < len(fine)
    errors = [np.abs(decoded(data).astype(int) - ramp()).mean() for data in (rough, usual, fine)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 2


@pytest.mark.parametrize("data", [b"", b"\xff\xd8 no picture", png(ramp())[:40]], ids=["nothing", "text", "cut off"])
def test_what_is_no_picture_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(UnreadablePictureError, match=f"{len(data)} bytes that are no picture"):
        decoded(data)
