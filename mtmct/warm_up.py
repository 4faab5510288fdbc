"""Have compiled what numba compiles at first use, before anybody waits for it.

Compiled once, it is kept on disk; the first time takes half a minute of a core, in which a live site would lose frames.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mtmct.coincidence import CommitPairs, PairRows, PairWindow
from mtmct.fusion import END_OF_TIME, FusionEngine
from mtmct.records import CameraBatch
from mtmct.settings import FusionSettings
from mtmct.topology import CameraGeometry, Topology
from mtmct.tracklets import Tracklet
from operators.records import SECOND_NS

_POINTS, _DIM, _CYCLIST = 5, 8, 3
_LOOKS = (0, 1, 2, 3, 4, 4)  # of each person
_SECONDS = (*range(12), *range(200, 204))
# Camera, track, person, and seconds from and to: seen by two at once, broken and found again, gone and come elsewhere,
# and back when nothing but their looks is remembered: one of them as either of two who look alike.
_VISITS = (
    ("a", 1, 0, 0, 8), ("b", 1, 0, 1, 8), ("a", 2, 1, 0, 4), ("a", 3, 1, 4, 8), ("c", 1, 1, 9, 12), ("b", 2, 2, 0, 5),
    ("c", 2, 2, 6, 12), ("a", 4, 3, 2, 10), ("b", 3, 3, 2, 10), ("c", 3, 0, 9, 12),
    ("a", 6, 4, 2, 8), ("a", 7, 5, 2, 8),
    ("a", 5, 0, 200, 204), ("c", 4, 1, 200, 204), ("b", 4, 2, 201, 204), ("c", 5, 5, 200, 204),
)  # fmt: skip


def warm_up(settings: FusionSettings | None = None) -> None:
    """Let a few people walk through a made-up site of three cameras, and forget it.

    Args:
        settings: of the site that is to run; the usual ones if not given.
    """
    metres = np.diag([0.01, 0.01, 1.0])
    geometry = [CameraGeometry(name, metres, (1280, 720)) for name in "ab"]
    engine = FusionEngine("warm-up", Topology([*geometry, CameraGeometry("c", None, (1280, 720))]), settings)
    for watermark_ns, batches in _scene():
        engine.advance(batches, watermark_ns)
    engine.advance([], END_OF_TIME)
    _cut()


def _cut() -> None:
    """A track is cut, as it was taken over: the scene has none."""
    window = PairWindow(FusionSettings())
    one = np.ones(1)
    window.add(CommitPairs(1, 0, SECOND_NS, PairRows(np.array([[1, 2]]), np.ones(1, np.int64), one, one)))
    assert len(window.table.names), "what follows brings it up to date"
    window.agreed_until(1, [2])
    window.hand_over([(1, 3, 0)])


def _scene() -> Iterator[tuple[int, list[CameraBatch]]]:
    for second in _SECONDS:
        batches = [
            CameraBatch(
                name, 1, second, second, (second + 1) * SECOND_NS,
                tuple(
                    _tracklet(camera, track, person, second, end)
                    for camera, track, person, begin, end in _VISITS
                    if camera == name and begin <= second < end
                ),
            )
            for name in "abc"
        ]  # fmt: skip
        yield (second + 1) * SECOND_NS, batches


def _tracklet(camera: str, track: int, person: int, second: int, end: int) -> Tracklet:
    frames = np.arange(second * _POINTS, (second + 1) * _POINTS) + 1
    times_ns = (frames - 1) * (SECOND_NS // _POINTS)
    step = np.arange(_POINTS) + _POINTS * (second % len(_SECONDS))
    x = 100.0 + 170 * person + 4 * step
    boxes = np.stack([x, np.full(_POINTS, 200.0), x + 60, np.full(_POINTS, 380.0)], axis=1).astype(np.float32)
    scores = np.full(_POINTS, 0.9, np.float32)
    look = np.random.default_rng(0).normal(size=(1, _DIM)) + np.random.default_rng(_LOOKS[person]).normal(
        0, 0.5, (1, _DIM)
    )
    looks = (look / np.linalg.norm(look)).astype(np.float32)
    cls = "bicycle" if person == _CYCLIST else "person"
    ended = second + 1 == end
    return Tracklet(camera, track, cls, frames, times_ns, boxes, scores, looks, np.ones(1, np.float32), ended)
