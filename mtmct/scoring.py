"""The terms of `mtmct.evidence` for many pairs of a subject and an identity in one pass, compiled.

Tracks and identities come as columns (`mtmct.columns`), so that nothing has to be gathered of those who are asked
about. What the looks say is in `mtmct.likeness`. Nothing compiled here calls what is compiled elsewhere: the cache of
compiled code would not notice a change there.
"""

# mypy: disable-error-code="untyped-decorator, unused-ignore, no-any-return"

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from mtmct.columns import PeopleTable, TrackTable
from mtmct.terms import ARRIVAL, CLASS, GROUND, HAND_OVER, OVERLAP, RULED_OUT, SCORED, TIMED
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


class Asked(NamedTuple):
    """Subjects, and for each of them identities.

    Attributes:
        rows_at: (S + 1,) and rows: the rows of each subject's tracks, in order of first sight, at least one.
        slot: (S,) slot of the identity that the subject is, with its past; -1 for a track alone.
        cls: (S,) class of the subject. rivals: (S,) how many it could be.
        pairs_at: (S + 1,) and slots: the slots of the identities asked about; classes: the class of each.
        without: (W,) rows that do not count as part of the identities.
    """

    rows_at: Int64
    rows: Int64
    slot: Int64
    cls: Int64
    rivals: Int64
    pairs_at: Int64
    slots: Int64
    classes: Int64
    without: Int64


@_compiled
def score(
    tracks: TrackTable, people: PeopleTable, beside: Pairs, beliefs: Beliefs, asked: Asked, shared: Float64
) -> tuple[Int64, Float64, Float64]:
    """What speaks for each pair, but for the looks and for what `mtmct.terms.among_rivals` adds.

    `shared` is what `mtmct.exclusion` says of the pairs.

    Returns:
        Of each pair, in the order asked: (P,) what it comes to; (P, 8) float64, the terms, nats; (P, 6) float64, the
        steps from the identity's last track before the subject to the subject, and on, see `mtmct.terms`.
    """
    count = len(asked.slots)
    status = np.zeros(count, np.int64)
    terms, steps = np.full((count, 8), np.nan), np.full((count, 6), np.nan)
    excluded = np.zeros(len(tracks.uid), np.bool_)
    for row in asked.without:
        excluded[row] = True
    for subject in range(len(asked.slot)):
        rows = asked.rows[asked.rows_at[subject] : asked.rows_at[subject + 1]]
        first, last = _ends(tracks, rows)
        own = asked.slot[subject]
        for pair in range(asked.pairs_at[subject], asked.pairs_at[subject + 1]):
            slot = asked.slots[pair]
            agreement = beliefs.llr[asked.cls[subject], asked.classes[pair]]
            if shared[pair] == _NEVER:
                continue
            if _were_apart(tracks, people, beliefs, rows, own, slot, excluded):
                continue
            mine = terms[pair]
            status[pair] = _spoken(
                tracks, people, beside, beliefs, rows, first, last, slot, excluded, steps[pair], mine
            )
            if agreement != 0:
                mine[CLASS] = agreement
            if shared[pair] != 0:
                mine[HAND_OVER] = shared[pair]
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
def _were_apart(
    tracks: TrackTable,
    people: PeopleTable,
    beliefs: Beliefs,
    rows: Int64,
    own: int,
    slot: int,
    excluded: NDArray[np.bool_],
) -> bool:
    """Whether both were on the ground at once, longer ago than positions are kept, and were not found to be one.

    What was seen of the two is forgotten then, but not what was concluded from it.
    """
    horizon, least = beliefs.now_ns - beliefs.window_ns, 2 * beliefs.slot_ns
    latest = horizon - least  # for long enough to have been found near somebody
    past_at = people.past_at[own] if own >= 0 else 0
    past_count = people.past_count[own] if own >= 0 else 0
    earliest, some = 0, False
    for place in range(len(rows) + past_count):
        camera, start, end = _span(tracks, people, rows, past_at, place)
        if start < latest and beliefs.calibrated[camera]:
            earliest = min(earliest, start) if some else start
            some = True
    if not some:
        return False
    for row in rows:
        if tracks.identity[row] == people.number[slot]:
            return False
    theirs_at = people.rows_at[slot]
    theirs = people.rows[theirs_at : theirs_at + people.rows_count[slot]]
    for other in range(len(theirs) + people.past_count[slot]):
        if other < len(theirs) and excluded[theirs[other]]:
            continue
        elsewhere, since, until = _span(tracks, people, theirs, people.past_at[slot], other)
        if not beliefs.calibrated[elsewhere] or min(until, horizon) - max(since, earliest) <= least:
            continue
        for place in range(len(rows) + past_count):
            camera, start, end = _span(tracks, people, rows, past_at, place)
            if camera == elsewhere or start >= latest or not beliefs.calibrated[camera]:
                continue
            if min(until, end, horizon) - max(since, start) > least:
                return True
    return False


@_compiled
def _span(tracks: TrackTable, people: PeopleTable, rows: Int64, past_at: int, place: int) -> tuple[int, int, int]:
    """Camera, first and last event time of a track: of those in memory, then of those that are past."""
    if place < len(rows):
        row = rows[place]
        return tracks.camera[row], tracks.start_ns[row], tracks.last_ns[row]
    past = past_at + place - len(rows)
    return people.past_camera[past], people.past_start_ns[past], people.past_end_ns[past]


@_compiled
def _spoken(
    tracks: TrackTable,
    people: PeopleTable,
    beside: Pairs,
    beliefs: Beliefs,
    rows: Int64,
    first: int,
    last: int,
    slot: int,
    excluded: NDArray[np.bool_],
    steps: Float64,
    terms: Float64,
) -> int:
    """Where and when: all terms but those of class and appearance."""
    ground, compared, unseen = 0.0, False, False
    at = people.rows_at[slot]
    theirs = people.rows[at : at + people.rows_count[slot]]
    for row in rows:
        low = high = -1
        for other in theirs:
            if excluded[other] or tracks.last_ns[other] < tracks.start_ns[row]:
                continue
            if tracks.last_ns[row] < tracks.start_ns[other]:
                continue
            if low < 0:
                low = high = 0
                name = np.searchsorted(beside.names, tracks.uid[row])
                if name < len(beside.names) and beside.names[name] == tracks.uid[row]:
                    low, high = beside.heads[name], beside.heads[name + 1]
            place = low + np.searchsorted(beside.partners[low:high], tracks.uid[other])
            if place < high and beside.partners[place] == tracks.uid[other]:
                if beside.llr[place] < -beliefs.split_odds and beside.distance[place] > beliefs.apart_m:
                    return RULED_OUT
                ground += min(beside.llr[place], PAIR_LIMIT)
                compared = True
                continue
            if not (beliefs.calibrated[tracks.camera[row]] and beliefs.calibrated[tracks.camera[other]]):
                unseen = True
                continue
            if math.isfinite(tracks.last[row, X]) and math.isfinite(tracks.last[other, X]):
                since = max(tracks.start_ns[row], tracks.start_ns[other], beliefs.now_ns - beliefs.window_ns)
                # Both were on the ground at once for longer than a track goes unmeasured, and yet never near enough to
                # be compared.
                if min(tracks.last_ns[row], tracks.last_ns[other]) - since > _UNMEASURED_NS:
                    return RULED_OUT
    if compared:
        terms[GROUND] = ground
    elif beliefs.timed[tracks.camera[first]]:
        return TIMED
    elif unseen:
        terms[OVERLAP] = beliefs.unseen_overlap
    if not _transitions(tracks, beliefs, first, last, theirs, excluded, steps):
        return RULED_OUT
    terms[ARRIVAL] = beliefs.returns + (0.0 if tracks.at_border[first] else beliefs.inside)
    return SCORED


@_compiled
def _transitions(
    tracks: TrackTable,
    beliefs: Beliefs,
    first: int,
    last: int,
    theirs: Int64,
    excluded: NDArray[np.bool_],
    steps: Float64,
) -> bool:
    """Fill in the `steps`, see `mtmct.movement.transitions`; False if nobody could walk them."""
    before = after = -1
    for row in theirs:
        if excluded[row]:
            continue
        if tracks.last_ns[row] < tracks.start_ns[first]:
            later = before < 0 or tracks.last_ns[row] >= tracks.last_ns[before]
            before = row if later else before
        elif tracks.start_ns[row] > tracks.last_ns[last]:
            sooner = after < 0 or tracks.start_ns[row] < tracks.start_ns[after]
            after = row if sooner else after
    possible = True
    if before >= 0:
        possible = _step(tracks, beliefs, before, first, steps[:3])
    if after >= 0:
        possible = _step(tracks, beliefs, last, after, steps[3:]) and possible
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
