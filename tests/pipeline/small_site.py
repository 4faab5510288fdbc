"""A small site: two cameras with recordings, and a finished ledger of the two people who walk past them."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from two_people import FPS, VISITS, counting, write

from operators.embed import StripeEmbedder
from pipeline.ledger.sqlite import SqliteWriter

WIDTH, HEIGHT, SECONDS = 640, 200, 16
COLOURS = {1: (60, 200, 90), 2: (220, 160, 40)}
SITE = """\
# a site with two cameras
site: plaza
cameras:
  - id: east
    source: east.mp4      # the recording
  - id: west
    source: west.mp4
"""


def record(path: Path, camera: str) -> None:
    """A video in which everybody is a bright rectangle where the ledger says that he is."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=FPS, options={"g": "20", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(SECONDS * FPS):
            image = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
            for name, _, person, first, last in VISITS:
                if name == camera and first <= number / FPS < last:
                    x = round(100 + 200 * person + 0.5 * (number + 1))
                    image[50:160, x : x + 40] = COLOURS[person]
            frame = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format="yuv420p")
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def look_of(person: int) -> np.ndarray:
    """What the default embedder makes of that rectangle: whoever searches by a picture of it finds it in the ledger."""
    image = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    image[50:160, 300:340] = COLOURS[person]
    vectors, _ = StripeEmbedder().embed(image, np.array([[300, 50, 340, 160]], np.float32))
    return np.asarray(vectors[0])


def make_site(folder: Path) -> Path:
    """The site's file, with recordings and a ledger."""
    (folder / "site.yaml").write_text(
        SITE + f"ledger: {{sqlite: {{path: {folder / 'ledger.sqlite'}}}}}\n", encoding="utf-8"
    )
    for camera in ("east", "west"):
        record(folder / f"{camera}.mp4", camera)
    write(SqliteWriter(folder / "ledger.sqlite", "plaza"), engine=counting(), looks=look_of)
    return folder / "site.yaml"
