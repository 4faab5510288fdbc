"""Whether two were in different places at once, longer ago than positions are kept: compiled, for all pairs of a pass.

What was seen of the two is forgotten then, but not what was concluded from it: they were not found near each other. A
past may hold hundreds of tracks, so it is looked at where it stands, and only where it can overlap what it is compared
with. Nothing compiled here calls what is compiled elsewhere: the cache of compiled code would not notice a change.
"""

# mypy: disable-error-code="untyped-decorator, unused-ignore, no-any-return"

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

from mtmct.columns import PeopleTable, TrackTable
from mtmct.spans import CAMERA, LAST, ROW, START, Asked, Gathered, Spans
from mtmct.topology import Float64
from operators.records import Int64

_compiled = numba.njit(cache=True, nogil=True)
_NEVER = -math.inf


@_compiled
def were_apart(
    tracks: TrackTable,
    people: PeopleTable,
    compared: Gathered,
    asked: Asked,
    shared: Float64,
    calibrated: NDArray[np.bool_],
    horizon_ns: int,
    least_ns: int,
) -> NDArray[np.bool_]:
    """Which pairs cannot be one, as both were on the ground at once for so long that they would have been found near.

    Args:
        tracks, people: the columns. compared: gathered from them. asked: the pairs.
        shared: (P,) what `mtmct.exclusion` says; who is ruled out by that is not looked at.
        calibrated: by number of the camera, whether it is known where on the ground its tracks were.
        horizon_ns: event time from which on positions are kept.
        least_ns: for how long at least, event time.

    Returns:
        (P,); not where a track of the subject is the identity's already: what was concluded is that they are one.
    """
    apart = np.zeros(len(asked.slots), np.bool_)
    mine, theirs = compared.subjects, compared.people
    for subject in range(len(asked.slot)):
        for pair in range(asked.pairs_at[subject], asked.pairs_at[subject + 1]):
            if shared[pair] != _NEVER:
                other = compared.whom[pair]
                apart[pair] = _apart(
                    people, mine, subject, theirs, other, calibrated, horizon_ns, least_ns
                ) and not _is_part(tracks.identity, mine, subject, people.number[theirs.slot[other]])
    return apart


@_compiled
def _is_part(owners: Int64, mine: Spans, subject: int, number: int) -> bool:
    alike = False
    for one in range(mine.at[subject], mine.at[subject + 1]):
        alike |= owners[mine.tracks[one, ROW]] == number
    return alike


@_compiled
def _apart(
    people: PeopleTable,
    mine: Spans,
    subject: int,
    theirs: Spans,
    other: int,
    calibrated: NDArray[np.bool_],
    horizon_ns: int,
    least_ns: int,
) -> bool:
    own, slot = mine.slot[subject], theirs.slot[other]
    for one in range(mine.at[subject], mine.at[subject + 1]):
        camera, since, until = (
            mine.tracks[one, CAMERA],
            mine.tracks[one, START],
            min(mine.tracks[one, LAST], horizon_ns),
        )
        if until - since <= least_ns or not calibrated[camera]:
            continue
        for their in range(theirs.at[other], theirs.at[other + 1]):
            which, last = theirs.tracks[their, CAMERA], min(theirs.tracks[their, LAST], horizon_ns)
            both_ns = min(until, last) - max(since, theirs.tracks[their, START])
            if which != camera and both_ns > least_ns and calibrated[which]:
                return True
        if _in_past(people, slot, camera, since, until, calibrated, horizon_ns, least_ns):
            return True
    if own < 0:
        return False
    for their in range(theirs.at[other], theirs.at[other + 1]):
        camera, since = theirs.tracks[their, CAMERA], theirs.tracks[their, START]
        until = min(theirs.tracks[their, LAST], horizon_ns)
        if until - since <= least_ns or not calibrated[camera]:
            continue
        if _in_past(people, own, camera, since, until, calibrated, horizon_ns, least_ns):
            return True
    return _both_past(people, own, slot, calibrated, horizon_ns, least_ns)


@_compiled
def _in_past(
    people: PeopleTable,
    slot: int,
    camera: int,
    since: int,
    until: int,
    calibrated: NDArray[np.bool_],
    horizon_ns: int,
    least_ns: int,
) -> bool:
    """Whether an identity's past has it elsewhere while a camera had somebody in view."""
    at = people.past_at[slot]
    end = at + people.past_count[slot]
    low, high = at, end
    while low < high:  # whatever began before is over by then
        middle = (low + high) // 2
        if people.past_reach[middle] - since <= least_ns:
            low = middle + 1
        else:
            high = middle
    for place in range(low, end):
        past = at + people.past_by_start[place]
        start, which = people.past_start_ns[past], people.past_camera[past]
        if until - start <= least_ns:
            return False
        both_ns = min(until, people.past_end_ns[past], horizon_ns) - max(since, start)
        if which != camera and both_ns > least_ns and calibrated[which]:
            return True
    return False


@_compiled
def _both_past(
    people: PeopleTable, own: int, slot: int, calibrated: NDArray[np.bool_], horizon_ns: int, least_ns: int
) -> bool:
    at, theirs_at = people.past_at[own], people.past_at[slot]
    low, end = theirs_at, theirs_at + people.past_count[slot]
    for place in range(at, at + people.past_count[own]):
        one = at + people.past_by_start[place]
        camera, since, until = (
            people.past_camera[one],
            people.past_start_ns[one],
            min(people.past_end_ns[one], horizon_ns),
        )
        if until - since <= least_ns or not calibrated[camera]:
            continue
        while low < end and people.past_reach[low] - since <= least_ns:
            low += 1
        for their_place in range(low, end):
            their = theirs_at + people.past_by_start[their_place]
            start, which = people.past_start_ns[their], people.past_camera[their]
            if until - start <= least_ns:
                break
            both_ns = min(until, people.past_end_ns[their]) - max(since, start)
            if which != camera and both_ns > least_ns and calibrated[which]:
                return True
    return False
