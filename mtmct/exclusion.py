"""Does one camera show both at once? Then they are two, or a tracker took one for another: over all pairs, compiled.

A tracker that goes over to somebody else leaves its person to a track that begins before the old one is over. So two
tracks of one person may overlap: the end of the one with the beginning of the other, for a moment. That speaks against
the two identities being one, but does not rule it out; see `mtmct.hand_over` for what becomes of the moment. Nothing
compiled here calls what is compiled elsewhere: the cache of compiled code would not notice a change there.
"""

# mypy: disable-error-code="untyped-decorator, unused-ignore, no-any-return"

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from mtmct.columns import PeopleTable
from mtmct.spans import CAMERA, LAST, OVER, START, Asked, Gathered, Spans
from mtmct.topology import Float64
from operators.records import SECOND_NS

_compiled = numba.njit(cache=True, nogil=True)
_NEVER = -math.inf
_MOST_SHARED = 0.5  # of either track: where more is shared they are two, side by side


class Allowance(NamedTuple):
    """What a moment that two tracks share says: see `mtmct.settings`.

    Attributes:
        longest_ns: they are two if it is longer.
        odds, odds_a_second: what it says that there is one, and each second of it, nats.
        grain_ns: the longest tracklet seen: tracks are taken apart between tracklets.
    """

    longest_ns: int
    odds: float
    odds_a_second: float
    grain_ns: int


@_compiled
def shared(people: PeopleTable, compared: Gathered, llr: Float64, allowed: Allowance, asked: Asked) -> Float64:
    """What is said by moments in which one camera shows both, (P,) nats: 0 if there are none.

    Minus infinity where the two cannot be one: classes (`llr`, as in `mtmct.scoring.Beliefs`) rule it out, or a
    camera shows both for longer, or is about to. A track alone may share no moment with anybody: it can wait.
    """
    said = np.full(len(asked.slots), _NEVER)
    for subject in range(len(asked.slot)):
        for pair in range(asked.pairs_at[subject], asked.pairs_at[subject + 1]):
            if llr[asked.cls[subject], asked.classes[pair]] == _NEVER:
                continue
            other = compared.whom[pair]
            if _in_one_camera(compared.subjects.cameras, subject, compared.people.cameras, other):
                said[pair] = _together(people, allowed, compared.subjects, subject, compared.people, other)
            else:
                said[pair] = 0.0
    return said


@_compiled
def _in_one_camera(mine: NDArray[Any], subject: int, theirs: NDArray[Any], other: int) -> bool:
    """Whether any camera has seen both; True as well where two cameras have one bit."""
    common = np.uint64(0)
    for word in range(mine.shape[1]):
        common |= mine[subject, word] & theirs[other, word]
    return common != 0


@_compiled
def _together(people: PeopleTable, allowed: Allowance, mine: Spans, subject: int, theirs: Spans, other: int) -> float:
    own, slot = mine.slot[subject], theirs.slot[other]
    said = 0.0
    one, end = mine.at[subject], mine.at[subject + 1]
    begun, last = theirs.at[other], theirs.at[other + 1]
    while one < end and begun < last:
        if theirs.by_camera[begun, CAMERA] < mine.by_camera[one, CAMERA]:
            begun += 1
            continue
        at = begun
        while at < last and theirs.by_camera[at, CAMERA] == mine.by_camera[one, CAMERA]:
            said += _moment(
                allowed, mine.by_camera[one, START], mine.by_camera[one, LAST], mine.by_camera[one, OVER] != 0,
                theirs.by_camera[at, START], theirs.by_camera[at, LAST], theirs.by_camera[at, OVER] != 0,
            )  # fmt: skip
            at += 1
        if said == _NEVER:
            return said
        one += 1
    said += _with_past(people, allowed, mine, subject, slot)
    if own < 0:
        return _NEVER if said < 0 else said
    if said == _NEVER:
        return said
    said += _with_past(people, allowed, theirs, other, own)
    return said if said == _NEVER else said + _pasts(people, allowed, own, slot)


@_compiled
def _moment(
    allowed: Allowance,
    one_start: int,
    one_end: int,
    one_ended: bool,
    other_start: int,
    other_end: int,
    other_ended: bool,
) -> float:
    """What it says that two tracks of one camera are there from and until then."""
    if one_end < other_start or other_end < one_start:
        return 0.0
    # The one that is over first had gone over to somebody else by the time that the other began.
    if one_end > other_end:
        one_start, one_end, one_ended, other_start, other_end = other_start, other_end, other_ended, one_start, one_end
    common = one_end - other_start
    if not one_ended or common > allowed.longest_ns or other_start - allowed.grain_ns <= one_start:
        return _NEVER
    if common > _MOST_SHARED * min(one_end - one_start, other_end - other_start):
        return _NEVER
    return allowed.odds + allowed.odds_a_second * common / SECOND_NS


@_compiled
def _with_past(people: PeopleTable, allowed: Allowance, spans: Spans, whose: int, slot: int) -> float:
    """The same of somebody's tracks and those of an identity that are no longer in memory, and over."""
    begun, end = people.past_at[slot], people.past_at[slot] + people.past_count[slot]
    said = 0.0
    for one in range(spans.at[whose], spans.at[whose + 1]):
        camera = spans.by_camera[one, CAMERA]
        begun += np.searchsorted(people.past_camera[begun:end], camera)
        other = begun
        while other < end and people.past_camera[other] == camera:
            said += _moment(
                allowed, spans.by_camera[one, START], spans.by_camera[one, LAST], spans.by_camera[one, OVER] != 0,
                people.past_start_ns[other], people.past_end_ns[other], True,
            )  # fmt: skip
            other += 1
        if begun == end or said == _NEVER:
            return said
    return said


@_compiled
def _pasts(people: PeopleTable, allowed: Allowance, own: int, slot: int) -> float:
    """The same of the tracks of both that are no longer in memory; they are sorted by camera."""
    one, one_end = people.past_at[own], people.past_at[own] + people.past_count[own]
    begun, end = people.past_at[slot], people.past_at[slot] + people.past_count[slot]
    said = 0.0
    while one < one_end and begun < end:
        if people.past_camera[begun] < people.past_camera[one]:
            begun += 1
            continue
        other = begun
        while other < end and people.past_camera[other] == people.past_camera[one]:
            said += _moment(
                allowed, people.past_start_ns[one], people.past_end_ns[one], True,
                people.past_start_ns[other], people.past_end_ns[other], True,
            )  # fmt: skip
            other += 1
        one += 1
    return said
