"""The paths of identities over the ground, in metres, out of the `tracks` topic."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.records import SECOND_NS, CrosscamError, Int64
from pipeline.overlay import IdentityOf

Points = NDArray[np.float64]

_MEDIAN = 5  # samples of a track; feet that vanish behind something make a box jump for one or two
_STEP_S = 0.2
_EDGE = 2  # pixels
_LONGEST_GAP_S = 2.0
_SLACK_M = 0.5
_SLOWEST_LIMIT = 4.0  # metres a second: people at rest have a median speed of nought and must still be able to start
_TIMES_MEDIAN = 6.0


class PlanError(CrosscamError):
    """There is nothing to draw a plan of."""


@dataclass(frozen=True, slots=True)
class GroundPath:
    """Where one identity went.

    Attributes:
        identity: its number.
        pieces: unbroken stretches in order of time, each (M, 2) float64, metres on the site's ground plane, M >= 1.
        start_ns, end_ns: event time of its first and last point.
        cameras: that saw it on the ground plane, sorted.
    """

    identity: int
    pieces: tuple[Points, ...]
    start_ns: int
    end_ns: int
    cameras: tuple[str, ...]

    @property
    def length(self) -> float:
        """Metres walked or driven, without what lies between the pieces."""
        return float(sum(np.linalg.norm(np.diff(piece, axis=0), axis=1).sum() for piece in self.pieces))


def ground_paths(
    records: Iterable[Mapping[str, Any]],
    *,
    site: str,
    identity_of: IdentityOf | None = None,
    sizes: Mapping[str, tuple[int, int]] | None = None,
) -> list[GroundPath]:
    """One path an identity, by number, cleaned for the eye and not for measuring.

    Each track goes through a median filter; where several cameras see an identity at once, they are averaged
    every 0.2 s; a short weighted mean rounds off the rest. The line is lifted where nothing was seen for two
    seconds, or where it would need a speed far beyond the identity's usual one.

    A box that the picture's edge cuts off does not end at the feet: such points are left out where the picture's
    size is known, unless a track has no others.

    Args:
        records: values of the `tracks` topic, in any order. Memory grows with their number: hand in the time
            span that is wanted.
        site: named in errors.
        identity_of: who a track is after all corrections; by default what the records themselves say.
        sizes: widths and heights of the cameras' pictures, as far as known.

    Raises:
        PlanError: no records, or none with a place on the ground.
    """
    tracks: dict[tuple[str, int, int], list[tuple[float, ...]]] = defaultdict(list)
    grounded = False
    cameras: set[str] = set()
    for value in records:
        camera, track, number = value["camera"], value["track"], value["number"]
        cameras.add(camera)
        size = (sizes or {}).get(camera)
        points = [(p[0], p[6], p[7], _cut_off(p, size)) for p in value["points"] if None not in (p[6], p[7])]
        grounded = grounded or bool(points)
        if identity_of is not None:
            number = identity_of(camera, track, value["start"])
        if points and number is not None:
            tracks[camera, track, number] += points
    if not cameras:
        raise PlanError(f"site '{site}' has no tracks to draw a plan of: run it first, or choose another time span")
    if not grounded:
        raise PlanError(
            f"no plan can be drawn of site '{site}': none of its cameras ({', '.join(sorted(cameras))}) is calibrated; "
            "give at least one of them a `homography` (picture to metres) in the site's file and run it again"
        )
    seen: dict[int, list[tuple[str, Int64, Points]]] = defaultdict(list)
    for (camera, _, number), rows in tracks.items():
        table = np.unique(np.array(rows, np.float64), axis=0)
        whole = table[table[:, 3] == 0]
        table = whole if len(whole) else table
        seen[number].append((camera, table[:, 0].astype(np.int64) * 1000, _median(table[:, 1:3])))
    return [_path(number, seen[number]) for number in sorted(seen)]


def _path(number: int, tracks: list[tuple[str, Int64, Points]]) -> GroundPath:
    times = np.concatenate([t for _, t, _ in tracks])
    places = np.concatenate([p for _, _, p in tracks])
    slots, slot_of = np.unique(times // round(_STEP_S * SECOND_NS), return_inverse=True)
    counts = np.bincount(slot_of)
    mean = np.stack([np.bincount(slot_of, places[:, axis]) / counts for axis in (0, 1)], axis=1)
    seconds = np.diff(slots) * _STEP_S
    far = np.linalg.norm(np.diff(mean, axis=0), axis=1)
    usual = float(np.median(far / seconds)) if len(far) else 0.0
    limit = max(_SLOWEST_LIMIT, _TIMES_MEDIAN * usual) * seconds + _SLACK_M
    lifts = np.flatnonzero((seconds > _LONGEST_GAP_S) | (far > limit)) + 1
    pieces = tuple(_round_off(piece) for piece in np.split(mean, lifts))
    names = tuple(sorted({camera for camera, _, _ in tracks}))
    return GroundPath(number, pieces, int(times.min()), int(times.max()), names)


def _cut_off(point: Sequence[float], size: tuple[int, int] | None) -> bool:
    _, x1, _, x2, y2, *_ = point
    return size is not None and (x1 <= _EDGE or x2 >= size[0] - _EDGE or y2 >= size[1] - _EDGE)


def _median(points: Points) -> Points:
    """Running median of each coordinate, (M, 2); the ends are repeated outwards."""
    padded = np.pad(points, ((_MEDIAN // 2, _MEDIAN // 2), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, _MEDIAN, axis=0)
    middle: Points = np.median(windows, axis=-1)
    return middle


def _round_off(points: Points) -> Points:
    """Weighted mean over five samples, (M, 2); both ends stay where they are."""
    if len(points) < 3:
        return points
    weights = np.array([1, 2, 3, 2, 1]) / 9
    padded = np.pad(points, ((2, 2), (0, 0)), mode="reflect", reflect_type="odd")
    return np.stack([np.convolve(padded[:, axis], weights, mode="valid") for axis in (0, 1)], axis=1)
