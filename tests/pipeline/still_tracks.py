"""Values of the `tracks` topic in which nobody moves."""

from __future__ import annotations

SECOND = 1_000_000_000
NOON = 1_244_721_600 * SECOND


def tracks(camera: str, track: int, number: int, frames, box=(40, 40, 70, 100), *, fps=10, start_ns=NOON, cls="person"):
    """A value of the `tracks` topic: one box that does not move, at these frame numbers from 1."""
    points = [
        [(start_ns + round((frame - 1) * SECOND / fps)) // 1000, *map(float, box), 0.9, None, None] for frame in frames
    ]
    return {
        "schema": "crosscam.tracks/1",
        "site": "plaza",
        "camera": camera,
        "track": track,
        "class": cls,
        "identity": f"plaza-{number:06d}",
        "number": number,
        "revision": 0,
        "start": points[0][0],
        "end": points[-1][0],
        "frames": list(frames),
        "points": points,
        "link": None,
        "ended": False,
    }
