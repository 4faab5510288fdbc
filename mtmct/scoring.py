"""The terms of `mtmct.evidence` for many pairs of a subject and an identity in one pass, compiled.

Tracks and identities come as columns (`mtmct.columns`), and those who are compared gathered from them
(`mtmct.spans`). What the looks say is in `mtmct.likeness`. Nothing compiled here calls what is compiled elsewhere: the
cache of compiled code would not notice a change there.
"""

# mypy: disable-error-code="untyped-decorator, unused-ignore, no-any-return"

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from mtmct.columns import PeopleTable, TrackTable
from mtmct.spans import CAMERA, LAST, ROW, START, Asked, Gathered, Spans
from mtmct.terms import ARRIVAL, CLASS, GROUND, HAND_OVER, OVERLAP, RULED_OUT, SCORED, TIMED, UNREACHED
from mtmct.topology import Float64
from mtmct.tracks import XX, XY, YY, H, U, V, X, Y
from operators.records import SECOND_NS, Int64

_compiled = numba.njit(cache=True, nogil=True)
_NEVER = -math.inf
_UNMEASURED_NS = 1_000_000_000  # so long a track may go on with nobody measured
_NONE = math.nan
PAIR_LIMIT = 12.0  # the most that one pair of tracks may say for an identity, nats


class Beliefs(NamedTuple):
    """What `mtmct.settings` says, and the commit's time, as plain numbers; and by class or camera number.

    Attributes:
        llr: (C, C) float64, what the classes of the two say, minus infinity where they rule it out.
        max_speed, wander, unsteady: (C,) float64.
        body_m: height of a body.
        calibrated, timed: by camera, bool: positions count, times between views count.
    """

    now_ns: int
    window_ns: int
    slot_ns: int
    split_odds: float
    apart_m: float
    unseen_overlap: float
    returns: float
    inside: float
    velocity_memory_s: float
    position_memory_s: float
    surprise: float
    area: float
    body_m: float
    llr: Float64
    max_speed: Float64
    wander: Float64
    unsteady: Float64
    calibrated: NDArray[np.bool_]
    timed: NDArray[np.bool_]


class Pairs(NamedTuple):
    """Simultaneous positions: the columns of `mtmct.coincidence.PairTable`."""

    names: Int64
    heads: Int64
    partners: Int64
    llr: Float64
    distance: Float64


@_compiled
def score(
    tracks: TrackTable,
    people: PeopleTable,
    compared: Gathered,
    beside: Pairs,
    beliefs: Beliefs,
    asked: Asked,
    shared: Float64,
    apart: NDArray[np.bool_],
) -> tuple[Int64, Float64, Float64]:
    """What speaks for each pair, but for the looks and for what `mtmct.terms.among_rivals` adds.

    `shared` is what `mtmct.exclusion` says of the pairs, `apart` what `mtmct.long_ago` does.

    Returns:
        Of each pair, in the order asked: (P,) what it comes to; (P, 8) float64, the terms, nats; (P, 6) float64, the
        steps from the identity's last track before the subject to the subject, and on, see `mtmct.terms`.
    """
    count = len(asked.slots)
    status = np.zeros(count, np.int64)
    terms, steps = np.full((count, 8), np.nan), np.full((count, 6), np.nan)
    mine = compared.subjects
    for subject in range(len(asked.slot)):
        low, high = mine.at[subject], mine.at[subject + 1]
        rows = mine.tracks[low:high, ROW]
        first, last = _ends(tracks, rows)
        found = np.full((high - low, 2), -1)
        for pair in range(asked.pairs_at[subject], asked.pairs_at[subject + 1]):
            other = compared.whom[pair]
            agreement = beliefs.llr[asked.cls[subject], asked.classes[pair]]
            if shared[pair] == _NEVER or apart[pair]:
                continue
            status[pair] = _spoken(
                tracks, compared, beside, beliefs, subject, other, first, last, found, steps[pair], terms[pair]
            )
            if agreement != 0:
                terms[pair, CLASS] = agreement
            if shared[pair] != 0:
                terms[pair, HAND_OVER] = shared[pair]
    return status, terms, steps


@_compiled
def sole_classes(tracks: TrackTable, people: PeopleTable, slots: Int64) -> Int64:
    """The class of all points of each of some identities, -1 where there are several classes or none."""
    found = np.empty(len(slots), np.int64)
    for place, slot in enumerate(slots):
        sole = people.cls[slot]
        at = people.rows_at[slot]
        for row in people.rows[at : at + people.rows_count[slot]]:
            if sole == -2:
                sole = tracks.sole[row]
            elif tracks.sole[row] != sole:
                sole = -1
        found[place] = max(sole, -1)
    return found


@_compiled
def _ends(tracks: TrackTable, rows: Int64) -> tuple[int, int]:
    """Which of some tracks began first, and was seen last; of equals the older, and the younger."""
    first = last = rows[0]
    for row in rows[1:]:
        if tracks.start_ns[row] < tracks.start_ns[first]:
            first = row
        if tracks.last_ns[row] >= tracks.last_ns[last]:
            last = row
    return first, last


@_compiled
def _spoken(
    tracks: TrackTable,
    compared: Gathered,
    beside: Pairs,
    beliefs: Beliefs,
    subject: int,
    other: int,
    first: int,
    last: int,
    found: Int64,
    steps: Float64,
    terms: Float64,
) -> int:
    """Where and when: all terms but those of class and appearance.

    `found`: (R, 2) where in `beside` the partners of each of the subject's tracks are, -1 where that is not known yet.
    """
    mine, theirs = compared.subjects, compared.people
    ground, met, unseen = 0.0, False, False
    low, high = theirs.at[other], theirs.at[other + 1]
    for one in range(mine.at[subject], mine.at[subject + 1]):
        start_ns, last_ns = mine.tracks[one, START], mine.tracks[one, LAST]
        mark = one - mine.at[subject]
        for their in range(low, high):
            if theirs.tracks[their, LAST] < start_ns or last_ns < theirs.tracks[their, START]:
                continue
            row, beyond = mine.tracks[one, ROW], theirs.tracks[their, ROW]
            if found[mark, 0] < 0:
                found[mark, 0], found[mark, 1] = _partners(beside, tracks.uid[row])
            begin, end = found[mark, 0], found[mark, 1]
            place = _at_least(beside.partners, begin, end, tracks.uid[beyond])
            if place < end and beside.partners[place] == tracks.uid[beyond]:
                if beside.llr[place] < -beliefs.split_odds and beside.distance[place] > beliefs.apart_m:
                    return RULED_OUT
                ground += min(beside.llr[place], PAIR_LIMIT)
                met = True
                continue
            if not (beliefs.calibrated[mine.tracks[one, CAMERA]] and beliefs.calibrated[theirs.tracks[their, CAMERA]]):
                unseen = True
                continue
            since = max(start_ns, theirs.tracks[their, START], beliefs.now_ns - beliefs.window_ns)
            # Both were on the ground at once for longer than a track goes unmeasured, and yet never near enough to be
            # compared.
            if min(last_ns, theirs.tracks[their, LAST]) - since > _UNMEASURED_NS and (
                math.isfinite(tracks.last[row, X]) and math.isfinite(tracks.last[beyond, X])
            ):
                return RULED_OUT
    if met:
        terms[GROUND] = ground
    elif beliefs.timed[tracks.camera[first]]:
        return TIMED
    elif unseen:
        terms[OVERLAP] = beliefs.unseen_overlap
    if not _transitions(tracks, beliefs, first, last, theirs, other, steps):
        return UNREACHED
    terms[ARRIVAL] = beliefs.returns + (0.0 if tracks.at_border[first] else beliefs.inside)
    return SCORED


@_compiled
def _at_least(ascending: Int64, low: int, high: int, value: int) -> int:
    """Where in a part of an array the first is that is no less; NumPy's own takes three times as long on few."""
    while low < high:
        middle = (low + high) >> 1
        if ascending[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@_compiled
def _partners(beside: Pairs, uid: int) -> tuple[int, int]:
    """Where the partners of a track begin and end."""
    name = _at_least(beside.names, 0, len(beside.names), uid)
    if name < len(beside.names) and beside.names[name] == uid:
        return beside.heads[name], beside.heads[name + 1]
    return 0, 0


@_compiled
def _transitions(
    tracks: TrackTable, beliefs: Beliefs, first: int, last: int, theirs: Spans, other: int, steps: Float64
) -> bool:
    """Fill in the `steps`, see `mtmct.movement.transitions`; False if nobody could walk them."""
    before = after = -1
    first_ns, last_ns = tracks.start_ns[first], tracks.last_ns[last]
    for place in range(theirs.at[other], theirs.at[other + 1]):
        if theirs.tracks[place, LAST] < first_ns:
            later = before < 0 or theirs.tracks[place, LAST] >= theirs.tracks[before, LAST]
            before = place if later else before
        elif theirs.tracks[place, START] > last_ns:
            sooner = after < 0 or theirs.tracks[place, START] < theirs.tracks[after, START]
            after = place if sooner else after
    possible = True
    if before >= 0:
        possible = _step(tracks, beliefs, theirs.tracks[before, ROW], first, steps[:3])
    if after >= 0:
        possible = _step(tracks, beliefs, last, theirs.tracks[after, ROW], steps[3:]) and possible
    return possible


@_compiled
def _step(tracks: TrackTable, beliefs: Beliefs, gone: int, come: int, step: Float64) -> bool:
    """See `mtmct.movement`; nothing is filled in where nothing is known."""
    seconds = (tracks.start_ns[come] - tracks.last_ns[gone]) / SECOND_NS
    carried = beliefs.velocity_memory_s * (1 - math.exp(-seconds / beliefs.velocity_memory_s))
    end, begin, speed = tracks.last[gone], tracks.first[come], tracks.velocity[gone]
    if math.isfinite(end[X]) and math.isfinite(begin[X]):
        dx, dy, vx, vy = begin[X] - end[X], begin[Y] - end[Y], speed[0], speed[1]
        xx, xy, yy = end[XX] + begin[XX], end[XY] + begin[XY], end[YY] + begin[YY]
    elif tracks.camera[gone] == tracks.camera[come] and math.isfinite(end[U] + begin[U]):
        metre = 2 * beliefs.body_m / max(end[H] + begin[H], 2.0)
        dx, dy = (begin[U] - end[U]) * metre, (begin[V] - end[V]) * metre
        vx, vy = speed[2] * metre, speed[3] * metre
        xx, xy, yy = 0.1, 0.0, 0.1
    else:
        return True
    cls = tracks.cls[come]
    pace = math.hypot(vx, vy)
    if math.hypot(dx, dy) > beliefs.max_speed[cls] * seconds + 3 * math.sqrt(xx + yy) + 1:
        return False
    grown = (beliefs.wander[cls] ** 2 + (beliefs.unsteady[cls] * pace) ** 2) * seconds**2
    ex, ey = dx - vx * carried, dy - vy * carried
    xx, yy = xx + grown, yy + grown
    determinant = max(xx * yy - xy * xy, 1e-9)
    mahalanobis = (yy * ex * ex - 2 * xy * ex * ey + xx * ey * ey) / determinant
    extent = 2 * math.pi * math.sqrt(determinant)
    trust = math.exp(-seconds / beliefs.position_memory_s) * (1 - beliefs.surprise)
    step[0], step[1], step[2] = trust * beliefs.area * math.exp(-mahalanobis / 2), extent, 1 - trust
    return True
