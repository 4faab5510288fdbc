"""Could somebody who was lost here have come up there? What gaps in time and space between two tracks say."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mtmct.settings import FusionSettings
from mtmct.tracks import XX, XY, YY, H, LocalTrack, U, V, X, Y
from operators.records import SECOND_NS

NEVER = float("-inf")
BODY_M = 1.7  # height of a body: the yardstick in pictures without calibration
NOTHING = 1e-30  # keeps a logarithm finite


def transitions(
    first: LocalTrack, last: LocalTrack, known: Sequence[LocalTrack], rivals: int | None, settings: FusionSettings
) -> float | None:
    """What it says that one and the same went from an identity's last track before a subject to the subject, and on.

    Args:
        first, last: which of the subject's tracks began first and was seen last.
        known: the identity's tracks.
        rivals: how many others it could be; None if they are counted elsewhere.
        settings: how people move, and for how long that is remembered.

    Returns:
        Nats; minus infinity if nobody could; None where nothing is known.
    """
    before = [track for track in known if track.last_ns < first.start_ns]
    after = [track for track in known if track.start_ns > last.last_ns]
    steps = []
    if before:
        steps.append((max(before, key=lambda track: (track.last_ns, track.uid)), first))
    if after:
        steps.append((last, min(after, key=lambda track: (track.start_ns, track.uid))))
    said = [llr for llr in (_step(*step, rivals, settings) for step in steps) if llr is not None]
    return sum(said) if said else None


def _step(gone: LocalTrack, come: LocalTrack, rivals: int | None, settings: FusionSettings) -> float | None:
    """What it says that one track ended where it did and another began where it did; None if unknown.

    A position is predicted by a velocity that fades (an Ornstein-Uhlenbeck walk) and an uncertainty that grows
    with time; it is trusted less the longer the gap, until only the prior of one of `rivals` is left, or nothing
    if they are counted elsewhere (None).
    """
    motion = settings.motion(come.cls)
    seconds = (come.start_ns - gone.last_ns) / SECOND_NS
    carried = settings.velocity_memory_s * (1 - math.exp(-seconds / settings.velocity_memory_s))
    end, begin, speed = gone.last.tolist(), come.first.tolist(), gone.velocity.tolist()
    if math.isfinite(end[X]) and math.isfinite(begin[X]):
        dx, dy, vx, vy = begin[X] - end[X], begin[Y] - end[Y], speed[0], speed[1]
        xx, xy, yy = end[XX] + begin[XX], end[XY] + begin[XY], end[YY] + begin[YY]
    elif gone.camera == come.camera and math.isfinite(end[U] + begin[U]):
        metre = 2 * BODY_M / max(end[H] + begin[H], 2.0)
        dx, dy = (begin[U] - end[U]) * metre, (begin[V] - end[V]) * metre
        vx, vy = speed[2] * metre, speed[3] * metre
        xx, xy, yy = 0.1, 0.0, 0.1
    else:
        return None
    pace = math.hypot(vx, vy)
    if math.hypot(dx, dy) > motion.max_speed * seconds + 3 * math.sqrt(xx + yy) + 1:
        return NEVER
    grown = (motion.wander**2 + (motion.unsteady * pace) ** 2) * seconds**2
    ex, ey = dx - vx * carried, dy - vy * carried
    xx, yy = xx + grown, yy + grown
    determinant = max(xx * yy - xy * xy, 1e-9)
    mahalanobis = (yy * ex * ex - 2 * xy * ex * ey + xx * ey * ey) / determinant
    area = settings.area_per_person_m2
    extent = 2 * math.pi * math.sqrt(determinant)
    trust = math.exp(-seconds / settings.position_memory_s) * (1 - settings.surprise)
    near = trust * area * math.exp(-mahalanobis / 2)
    if rivals is None:
        return math.log(near / extent + NOTHING)
    return math.log(near / min(extent, rivals * area) + (1 - trust) / rivals)
