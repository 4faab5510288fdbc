"""What one camera sees of a site, and what a detector makes of it, for some frames in a row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.sources.simulation.pinhole import Pinhole, hidden_by_blocks
from pipeline.sources.simulation.plan import Plan

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

LEAST_VISIBLE = 0.3
"""Of somebody hidden more than this leaves, neither a detector nor the ground truth knows."""
_SURE = 0.7  # visible share from which on a box is found as surely as one in the open
_LEAST_INSIDE = 0.4  # part of a box that lies in the picture
_LEAST_HEIGHT = 20.0  # pixels
_SPELL = 5  # frames for which half of the misses last
_SLOW_HZ = (0.23, 0.61)  # half of a box's error varies slowly, at these frequencies


@dataclass(frozen=True, slots=True)
class Sight:
    """What is to be seen: one row a person and frame, in order of frames and then of places.

    Attributes:
        frames: (N,) row of the frame.
        places: (N,) whose place among the site's people it is.
        boxes: (N, 4) xyxy, pixels, cut off at the picture's edges.
        visible: (N,) share of the box that nobody nearer hides.
        behind: (N,) the place of whoever hides most of it; -1: nobody.
        depths: (N,) metres.
        ground: (N, 2) metres.
    """

    frames: Int64
    places: Int64
    boxes: Float64
    visible: Float64
    behind: Int64
    depths: Float64
    ground: Float64

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, rows: NDArray[np.bool_] | Int64) -> Sight:
        """The rows at `rows` (a mask or an index array)."""
        return Sight(
            self.frames[rows],
            self.places[rows],
            self.boxes[rows],
            self.visible[rows],
            self.behind[rows],
            self.depths[rows],
            self.ground[rows],
        )


def look(camera: Pinhole, plan: Plan, places: Int64, ground: Float64, headings: Float64, sizes: Float64) -> Sight:
    """Everybody who can be seen at least a little.

    Args:
        camera: who looks.
        plan: where.
        places: (P,) whose places they are, ascending.
        ground: (P, T, 2) where they are in each frame, metres; NaN: away.
        headings: (P, T) which way they face.
        sizes: (P, 4), see `Pinhole.boxes`.
    """
    mount = camera.mount
    away = ground - (mount.x, mount.y)
    near = np.einsum("ptk,ptk->pt", away, away) <= mount.reach**2  # NaN is not
    ahead = away @ np.array([np.cos(mount.heading), np.sin(mount.heading)]) > 0
    frames, rows = np.nonzero((near & ahead).T)
    feet = ground[rows, frames]
    open_ = ~hidden_by_blocks(camera.place, feet, _around(plan, camera))
    frames, rows, feet = frames[open_], rows[open_], feet[open_]
    full, depths = camera.boxes(feet, headings[rows, frames], sizes[rows])
    boxes = np.clip(full, 0, np.tile([camera.width, camera.height], 2))
    share = _area(boxes) / np.maximum(_area(full), 1e-9)
    inside = (share >= _LEAST_INSIDE) & (boxes[:, 3] - boxes[:, 1] >= _LEAST_HEIGHT)  # NaN is not
    seen = Sight(
        frames[inside],
        places[rows[inside]],
        boxes[inside],
        np.ones(int(inside.sum())),
        np.full(int(inside.sum()), -1),
        depths[inside],
        feet[inside],
    )
    return _occlude(seen)


def _around(plan: Plan, camera: Pinhole) -> Float64:
    """The blocks within a camera's reach."""
    x, y, reach = camera.mount.x, camera.mount.y, camera.mount.reach
    blocks = plan.blocks
    near = (blocks[:, 0] < x + reach) & (blocks[:, 2] > x - reach)
    found: Float64 = blocks[near & (blocks[:, 1] < y + reach) & (blocks[:, 3] > y - reach)]
    return found


def _area(boxes: Float64) -> Float64:
    area: Float64 = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return area


def _occlude(seen: Sight) -> Sight:
    """Say how much of each is visible; leave out of whom too little is.

    What several nearer ones leave is the product of what each leaves: they cover each other's shadows at random.
    """
    if not len(seen):
        return seen
    starts = np.searchsorted(seen.frames, np.arange(seen.frames[-1] + 2))
    most = int(np.diff(starts).max())
    at = starts[:-1, None] + np.arange(most)  # (T, most) rows of each frame, filled up
    real = at < starts[1:, None]
    at = np.where(real, at, 0)
    boxes, depths = seen.boxes[at], np.where(real, seen.depths[at], np.inf)
    low = np.maximum(boxes[:, :, None, :2], boxes[:, None, :, :2])
    high = np.minimum(boxes[:, :, None, 2:], boxes[:, None, :, 2:])
    shared = np.maximum(high - low, 0).prod(axis=-1)
    covered = shared / _area(boxes.reshape(-1, 4)).reshape(real.shape)[:, :, None]
    covered[depths[:, None, :] >= depths[:, :, None]] = 0.0
    left = (1 - covered).prod(axis=2)
    worst = covered.argmax(axis=2)
    who = np.where(
        np.take_along_axis(covered, worst[:, :, None], 2)[:, :, 0] > 0,
        np.take_along_axis(seen.places[at], worst, 1),
        -1,
    )
    visible, behind = left[real], who[real]
    known = Sight(seen.frames, seen.places, seen.boxes, visible, behind, seen.depths, seen.ground)
    return known[visible >= LEAST_VISIBLE]


def found(sight: Sight, missed: float, random: np.random.Generator) -> NDArray[np.bool_]:
    """(N,) which a detector finds: of those in the open all but `missed`, of half hidden ones fewer.

    Half of the misses last for some frames.
    """
    chance = np.clip((sight.visible - LEAST_VISIBLE) / (_SURE - LEAST_VISIBLE), 0, 1)
    failing = np.sqrt(1 - missed)
    spells, rows = np.unique(np.stack([sight.places, sight.frames // _SPELL], axis=1), axis=0, return_inverse=True)
    lasting = random.uniform(size=len(spells))[rows.ravel()] < failing
    hit: NDArray[np.bool_] = lasting & (random.uniform(size=len(sight)) < failing * chance)
    return hit


def shaken(
    sight: Sight, seconds: Float64, jitter: float, camera: Pinhole, number: int, random: np.random.Generator
) -> NDArray[np.float32]:
    """(N, 4) float32, the boxes as a detector gives them: sides off by `jitter` of the box's size.

    Half of the error's variance is new in every frame, half varies slowly; of hidden ones both are larger.

    Args:
        sight: who is seen.
        seconds: (N,) when.
        jitter: one standard deviation.
        camera: whose picture it is.
        number: the camera's.
        random: of what is new.
    """
    size = np.tile(sight.boxes[:, 2:] - sight.boxes[:, :2], 2)
    # Each side of each box has phases of its own, as irregular as multiples of the golden ratio.
    side = np.arange(4) + 4 * (sight.places[:, None] + 1009 * number)
    slow = sum(np.sin(2 * np.pi * (hz * seconds[:, None] + 0.618034 * (i + 1) * side)) for i, hz in enumerate(_SLOW_HZ))
    error = np.sqrt(0.5) * (random.normal(size=(len(sight), 4)) + slow)
    boxes = sight.boxes + jitter * (2 - sight.visible[:, None]) * error * size
    # A box stays one however large the error: its far side is at least a few pixels from the near one.
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 4)
    limits = np.array([camera.width, camera.height, camera.width, camera.height])
    inside: NDArray[np.float32] = np.clip(boxes, [0, 0, 4, 4], limits - [4, 4, 0, 0]).astype(np.float32)
    return inside
