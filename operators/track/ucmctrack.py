# mypy: disable-error-code="no-untyped-def, no-untyped-call, no-any-return, unused-ignore"
# The bodies for compiled code carry no types: numba infers them.
"""UCMCTrack (Yi et al., AAAI 2024): association on the ground plane, for cameras with a homography.

Tracks begin and end as in ByteTrack. The boxes told of are smoothed in the picture, as in BoT-SORT; only who is who is
decided on the ground. What it is worth beside the default is measured in tests/benchmarks/track_ground.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from operators.records import homography_fault
from operators.track.base import Tracker
from operators.track.core.arguments import open_setup, open_tracks
from operators.track.core.assignment import assign, split
from operators.track.core.boxes import XYWH, read_detections
from operators.track.core.compilation import both_ways, entry
from operators.track.core.family import begin_sure, end_family, lose, move_known, sort_by_state, take_matches
from operators.track.core.ground import (
    GROUND,
    feet_on_ground,
    ground_gains,
    place_on_ground,
    settle_on_ground,
    walk_on,
)
from operators.track.core.layout import COUNT, DSCORE, STATE
from operators.track.core.life import open_frame, report
from operators.track.core.noise import scaled_noise
from operators.track.core.overlap import by_score
from operators.track.core.types import Floats
from operators.track.errors import TrackerError

# Without a homography the picture itself is the ground, at so many metres a pixel.
_PICTURE_AS_GROUND = ((0.02, 0.0, 0.0), (0.0, 0.02, 0.0), (0.0, 0.0, 1.0))


@both_ways
def match_ground(floats, ints, rows, labels, feet, columns, most):
    """Matched tracks, their detections, tracks left, detections left, by distance on the ground below `most`."""
    a, b, gain = ground_gains(floats, ints, rows, labels, feet, columns, most)
    return split(rows, columns, assign(len(rows), len(columns), a, b, gain))


@entry
def step(tracks, given, looks, settings, told):
    high, low, new, gate, doubtful_gate, share, push, speed = settings[:8]
    floats, ints, votes, embeds, counters, scales, groups, over = open_tracks(tracks)
    noise, dt, lifetime, shown, rate = open_setup(tracks)
    n = open_frame(floats, ints, counters, dt)
    dets, labels = read_detections(tracks, given, groups, XYWH, counters)
    feet = feet_on_ground(dets, settings[8:], share, counters)
    sure, doubtful = by_score(dets, high, low)
    state = ints[STATE, :n].copy()
    tentative, known = sort_by_state(state)
    move_known(floats, state, known, dt, noise, scales, XYWH)
    walk_on(floats, np.arange(n), dt, rate, push)

    # 1. Known tracks and sure detections.
    rows, columns, left, unused = match_ground(floats, ints, known, labels, feet, sure, gate)
    settle_on_ground(floats, rows, feet, columns, speed)
    take_matches(floats, ints, votes, counters, rows, dets, labels, columns, noise, scales, XYWH)

    # 2. What is left of them, lost ones too, and doubtful detections.
    rows, columns, left, _ = match_ground(floats, ints, left, labels, feet, doubtful, doubtful_gate)
    settle_on_ground(floats, rows, feet, columns, speed)
    take_matches(floats, ints, votes, counters, rows, dets, labels, columns, noise, scales, XYWH)
    lose(ints, left)

    # 3. Tentative tracks and what is left of the sure detections.
    rows, columns, left, unused = match_ground(floats, ints, tentative, labels, feet, unused, gate)
    settle_on_ground(floats, rows, feet, columns, speed)
    take_matches(floats, ints, votes, counters, rows, dets, labels, columns, noise, scales, XYWH)

    begun = begin_sure(floats, ints, votes, embeds, counters, dets, labels, unused, new, noise, scales, XYWH)
    place_on_ground(floats, begun, feet, unused[dets[DSCORE][unused] >= new], speed)
    ended = end_family(floats, ints, votes, embeds, counters, left, lifetime, over)
    return report(floats, ints, counters, told, shown, rate), ended, counters[COUNT]


class UcmcTrack(Tracker):
    """UCMCTrack, for a camera that stands still. A box whose foot is at or above the horizon continues no
    track and is counted in `rejected`.

    Args:
        homography: 3 x 3, box bottom centre in pixels to metres on the ground; a site's camera hands over its own.
            Without one the picture is taken for the ground, at 2 cm a pixel.
        high: detections above it are associated first and may begin tracks. Reference 0.6 (by sequence 0.5 to 0.6).
        low: detections above it, up to `high`, may continue a track only. Reference 0.01 to 0.5; 0.1 as in ByteTrack.
        new: a detection begins a track from here. Reference the same as `high`.
        gate: largest distance on the ground of a pair with a sure detection. Reference 10 (by sequence 10 to 60).
        doubtful_gate: the same with a doubtful one. Reference the same as `gate`.
        position_noise: standard deviation of a foot in the picture, as a share of the box's width and height, at least
            2 pixels. Reference 1/20.
        acceleration_noise: variance of the acceleration, metres a second squared, squared. Reference 5 (0.1 to 5).
        top_speed: nobody is faster, metres a second. Reference 0.5 (by sequence 0.5 to 10).
        lost_seconds: reference 1 (30 frames of 30 a second).
        others: see `Tracker`.
    """

    name = "ucmctrack"
    _step = step
    _form = XYWH
    _extra_floats = GROUND

    def __init__(
        self,
        *,
        homography: Sequence[Sequence[float]] | None = None,
        high: float = 0.6,
        low: float = 0.1,
        new: float = 0.6,
        gate: float = 10.0,
        doubtful_gate: float = 10.0,
        position_noise: float = 1 / 20,
        acceleration_noise: float = 5.0,
        top_speed: float = 0.5,
        lost_seconds: float = 1.0,
        **common: Any,
    ) -> None:
        super().__init__(lost_seconds=lost_seconds, **common)
        self._configure(
            noise=scaled_noise(1 / 20, 1 / 160, aspect=False),
            scales=np.array([2, 3, 2, 3]),
            settings=(
                self._score("high", high),
                self._score("low", low),
                self._score("new", new),
                self._within("gate", gate, -1e3, 1e3),
                self._within("doubtful_gate", doubtful_gate, -1e3, 1e3),
                self._within("position_noise", position_noise, 1e-6, 10.0),
                self._within("acceleration_noise", acceleration_noise, 1e-9, 1e6),
                self._within("top_speed", top_speed, 1e-3, 1e3),
                *_nine_numbers(_PICTURE_AS_GROUND if homography is None else homography),
            ),
        )

    def camera_moved(self, affine: Floats) -> NoReturn:
        """A camera that moves has no homography.

        Raises:
            TrackerError: always.
        """
        raise TrackerError(f"{self.name} is for cameras that stand still: take another tracker for one that moves")


def _nine_numbers(homography: Sequence[Sequence[float]]) -> tuple[float, ...]:
    fault = homography_fault(homography)
    if fault is not None:
        raise TrackerError(f"the homography {homography} {fault}")
    return tuple(np.asarray(homography, np.float64).ravel().tolist())
