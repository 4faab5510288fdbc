"""How a camera sees: a pinhole without distortion, upright on its horizon."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.sources.simulation.plan import Mount

Float64 = NDArray[np.float64]

_NEAREST_M = 0.3  # a corner nearer than this to the plane of the lens, or behind it, has no picture
_CORNERS = np.array([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (0.0, 1.0)])


@dataclass(frozen=True, slots=True)
class Pinhole:
    """A camera and its picture.

    Attributes:
        mount: how it hangs.
        width, height: of its picture, pixels.
    """

    mount: Mount
    width: int
    height: int

    @property
    def place(self) -> Float64:
        """(3,) metres."""
        return np.array([self.mount.x, self.mount.y, self.mount.height])

    @property
    def axes(self) -> Float64:
        """(3, 3): the directions right, down and ahead, as rows."""
        heading, tilt = self.mount.heading, self.mount.tilt
        ahead = np.array([math.cos(heading) * math.cos(tilt), math.sin(heading) * math.cos(tilt), -math.sin(tilt)])
        right = np.array([math.sin(heading), -math.cos(heading), 0.0])
        return np.stack([right, np.cross(ahead, right), ahead])

    @property
    def lens(self) -> Float64:
        """(3, 3): from right, down and ahead to pixels, homogeneous; square pixels, centred."""
        focal = self.mount.focal * self.width
        return np.array([[focal, 0.0, self.width / 2], [0.0, focal, self.height / 2], [0.0, 0.0, 1.0]])

    @property
    def homography(self) -> Float64:
        """(3, 3): from pixels to metres on the ground, scaled so that the picture's lower middle has weight 1."""
        axes = self.axes
        from_ground = self.lens @ np.column_stack([axes[:, :2], -axes @ self.place])
        to_ground = np.linalg.inv(from_ground)
        scaled: Float64 = (to_ground / (to_ground[2] @ (self.width / 2, self.height, 1.0))).astype(np.float64)
        return scaled

    def project(self, points: Float64) -> tuple[Float64, Float64]:
        """(..., 3) points in metres as (..., 2) pixels, and (...) how far ahead they are; behind: NaN."""
        seen = (points - self.place) @ (self.lens @ self.axes).T
        depth = np.where(seen[..., 2] >= _NEAREST_M, seen[..., 2], np.nan)
        return seen[..., :2] / depth[..., None], depth

    def boxes(self, feet: Float64, headings: Float64, sizes: Float64) -> tuple[Float64, Float64]:
        """Upright blocks that stand on the ground, as boxes in the picture and beyond.

        Args:
            feet: (N, 2) metres, the middles of their bases.
            headings: (N,) radians, which way they face.
            sizes: (N, 4) half length, half width and height, metres, and how large the base is against the top.

        Returns:
            (N, 4) xyxy, pixels, NaN where a corner is behind the camera; (N,) how far ahead their middles are.
        """
        cos, sin = np.cos(headings), np.sin(headings)
        taper = np.where(_CORNERS[:, 2] > 0, 1.0, sizes[:, 3:])
        along, across = taper * _CORNERS[:, 0] * sizes[:, :1], taper * _CORNERS[:, 1] * sizes[:, 1:2]
        corners = np.stack(
            [
                feet[:, :1] + cos[:, None] * along - sin[:, None] * across,
                feet[:, 1:] + sin[:, None] * along + cos[:, None] * across,
                _CORNERS[:, 2] * sizes[:, 2:3],
            ],
            axis=-1,
        )
        pixels, depths = self.project(corners)
        return np.concatenate([pixels.min(axis=1), pixels.max(axis=1)], axis=1), depths.mean(axis=1)


def hidden_by_blocks(place: Float64, feet: Float64, blocks: Float64) -> NDArray[np.bool_]:
    """Whether a wall stands between a place and each of (N, 2) points: (B, 4) blocks, x1, y1, x2, y2.

    The slab method (Kay and Kajiya, "Ray tracing complex scenes", 1986) with rays that end at the points; whoever is
    inside a block is hidden by it.
    """
    way = feet - place[:2]
    # A ray along an axis is never exactly that: the shift is far below a millimetre.
    way = np.where(np.abs(way) < 1e-9, 1e-9, way)
    low = (blocks[:, None, :2] - place[:2]) / way
    high = (blocks[:, None, 2:] - place[:2]) / way
    enters = np.minimum(low, high).max(axis=-1)
    leaves = np.maximum(low, high).min(axis=-1)
    crossed: NDArray[np.bool_] = ((enters < leaves) & (leaves > 0) & (enters < 1)).any(axis=0)
    return crossed
