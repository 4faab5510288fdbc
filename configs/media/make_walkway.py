"""Make `walkway.mp4`, the demo's clip, from OpenCV's sample video `vtest.avi`.

The sample is in the OpenCV sources (`samples/data/vtest.avi`) and in Debian's package opencv-doc. It is encoded to
H.264 with a keyframe every five seconds, so that a stopped run can seek, and the index first, so that it also plays
from the web. Every picture is kept, and what encoding cost is printed.

    python configs/media/make_walkway.py path/to/vtest.avi
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

RATE = 10
KEYFRAME_EVERY = 50
# The best quality that stays below 3 MB; most of what is lost is the grain of the original.
QUALITY = "30"


def encode(source: Path, target: Path) -> int:
    """Encode every picture of `source`, `RATE` a second; returns how many there were."""
    count = 0
    with av.open(str(source)) as video, av.open(str(target), "w", options={"movflags": "+faststart"}) as output:
        given = video.streams.video[0]
        stream = output.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = given.width, given.height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, RATE)
        stream.codec_context.thread_count = 1  # the same input gives the same bytes
        stream.options = {
            "crf": QUALITY,
            "preset": "slower",
            "tune": "psnr",
            "x264-params": f"keyint={KEYFRAME_EVERY}:min-keyint={KEYFRAME_EVERY}:scenecut=0",
        }
        for picture in video.decode(given):
            picture.pts, picture.time_base = count, Fraction(1, RATE)
            picture.pict_type = 0  # the original's keyframes are no business of the copy
            output.mux(stream.encode(picture))
            count += 1
        output.mux(stream.encode(None))
    return count


def pictures(path: Path) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Presentation time in seconds and luma plane of every picture."""
    with av.open(str(path)) as video:
        for picture in video.decode(video=0):
            yield float(picture.time), picture.to_ndarray(format="gray")


def psnr(source: Path, target: Path) -> list[float]:
    """Peak signal-to-noise ratio of every picture's luma in decibels.

    Raises:
        ValueError: a picture is missing, or one is not shown when it should be.
    """
    ratios = []
    for n, ((_, before), (time, after)) in enumerate(zip(pictures(source), pictures(target), strict=True)):
        if abs(time - n / RATE) > 1e-6:
            raise ValueError(f"picture {n} is shown at {time} s instead of {n / RATE} s")
        error = np.mean((before.astype(np.float64) - after) ** 2)
        ratios.append(float(10 * np.log10(255**2 / max(error, 1e-12))))
    return ratios


def main() -> int:
    """Encode, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="the sample video vtest.avi")
    parser.add_argument("target", type=Path, nargs="?", default=Path(__file__).with_name("walkway.mp4"))
    chosen = parser.parse_args()
    count = encode(chosen.source, chosen.target)
    ratios = psnr(chosen.source, chosen.target)
    size = chosen.target.stat().st_size / 1e6
    print(
        f"{chosen.target}: {count} pictures, {size:.2f} MB, PSNR {np.mean(ratios):.1f} dB, worst {min(ratios):.1f} dB"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
