"""Does one camera show both at once? Then they are two, or a tracker took one for another: over all pairs, compiled.

A tracker that goes over to somebody else leaves its person to a track that begins before the old one is over. So two
tracks of one person may overlap: the end of the one with the beginning of the other, for a moment. That speaks against
the two identities being one, but does not rule it out; see `mtmct.hand_over` for what becomes of the moment. Nothing
compiled here calls what is compiled elsewhere: the cache of compiled code would not notice a change there.
"""

# mypy: disable-error-code="untyped-decorator, unused-ignore, no-any-return"

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from mtmct.columns import PeopleTable, TrackTable
from mtmct.scoring import Asked
from mtmct.topology import Float64
from operators.records import SECOND_NS, Int64

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
def shared(tracks: TrackTable, people: PeopleTable, llr: Float64, allowed: Allowance, asked: Asked) -> Float64:
    """What is said by moments in which one camera shows both, (P,) nats: 0 if there are none.

    Minus infinity where the two cannot be one: classes (`llr`, as in `mtmct.scoring.Beliefs`) rule it out, or a
    camera shows both for longer, or is about to. A track alone may share no moment with anybody: it can wait.
    """
    said = np.full(len(asked.slots), _NEVER)
    excluded = np.zeros(len(tracks.uid), np.bool_)
    for row in asked.without:
        excluded[row] = True
    for subject in range(len(asked.slot)):
        rows = asked.rows[asked.rows_at[subject] : asked.rows_at[subject + 1]]
        own = asked.slot[subject]
        for pair in range(asked.pairs_at[subject], asked.pairs_at[subject + 1]):
            if llr[asked.cls[subject], asked.classes[pair]] == _NEVER:
                continue
            said[pair] = _together(tracks, people, allowed, rows, own, asked.slots[pair], excluded)
    return said


@_compiled
def _together(
    tracks: TrackTable,
    people: PeopleTable,
    allowed: Allowance,
    rows: Int64,
    own: int,
    slot: int,
    excluded: NDArray[np.bool_],
) -> float:
    at = people.rows_at[slot]
    theirs = people.rows[at : at + people.rows_count[slot]]
    said = 0.0
    for row in rows:
        for other in theirs:
            if tracks.camera[other] != tracks.camera[row] or excluded[other]:
                continue
            said += _moment(
                allowed, tracks.start_ns[row], tracks.last_ns[row], tracks.ended[row],
                tracks.start_ns[other], tracks.last_ns[other], tracks.ended[other],
            )  # fmt: skip
    for row in rows:
        said += _with_past(tracks, people, allowed, row, slot)
    if own < 0:
        return _NEVER if said < 0 else said
    if said == _NEVER:
        return said
    for other in theirs:
        if not excluded[other]:
            said += _with_past(tracks, people, allowed, other, own)
    return said + _pasts(people, allowed, own, slot)


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
def _with_past(tracks: TrackTable, people: PeopleTable, allowed: Allowance, row: int, slot: int) -> float:
    """The same of a track and those of an identity that are no longer in memory, and over."""
    at, count = people.past_at[slot], people.past_count[slot]
    said = 0.0
    if count == 0:
        return said
    camera = tracks.camera[row]
    cameras = people.past_camera[at : at + count]
    place = np.searchsorted(cameras, camera)
    while place < count and cameras[place] == camera:
        said += _moment(
            allowed, tracks.start_ns[row], tracks.last_ns[row], tracks.ended[row],
            people.past_start_ns[at + place], people.past_end_ns[at + place], True,
        )  # fmt: skip
        place += 1
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
