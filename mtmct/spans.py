"""When and where the tracks of those who are compared are: gathered once, for all pairs that one pass looks at.

A pass asks about thousands of pairs, but about few people: each of them is in hundreds of pairs, and where his tracks
stand in the columns of `mtmct.columns` is scattered. Nothing compiled here calls what is compiled elsewhere: the cache
of compiled code would not notice a change there.
"""

# mypy: disable-error-code="untyped-decorator, unused-ignore, no-any-return"

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from mtmct.columns import PeopleTable, TrackTable
from operators.records import Int64

_compiled = numba.njit(cache=True, nogil=True)
ROW, CAMERA, START, LAST = range(4)  # columns of what is gathered
OVER = ROW  # of the same by camera
_WORDS = 16  # of 64 cameras each, in which it is noted where somebody was


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


class Spans(NamedTuple):
    """The tracks of some people, those of each one after the other.

    Attributes:
        at: (N + 1,) where those in memory of each begin.
        tracks: (T, 4) int64, of each its row, camera, first and last event time, in order of uid.
        by_camera: (T, 4) the camera, both times and whether it has ended, those of each person by camera.
        slot: (N,) slot of the identity whose past is theirs, too; -1 for none.
        cameras: (N, W) uint64, a bit for each camera that a track, past or not, is in: by its number, modulo 64 W.
    """

    at: Int64
    tracks: Int64
    by_camera: Int64
    slot: Int64
    cameras: NDArray[Any]


class Gathered(NamedTuple):
    """Whom a pass compares.

    Attributes:
        subjects: in the order asked. people: each identity once, without the tracks that do not count.
        whom: (P,) which of the people each pair is about.
    """

    subjects: Spans
    people: Spans
    whom: Int64


@_compiled
def gather(tracks: TrackTable, people: PeopleTable, asked: Asked) -> Gathered:
    """The tracks of all who are asked about."""
    excluded = np.zeros(len(tracks.uid), np.bool_)
    for row in asked.without:
        excluded[row] = True
    place_of = np.full(len(people.number), -1, np.int64)
    whom, slots = np.empty(len(asked.slots), np.int64), np.empty(len(asked.slots), np.int64)
    count, room = 0, 0
    for pair, slot in enumerate(asked.slots):
        if place_of[slot] < 0:
            place_of[slot] = count
            slots[count] = slot
            count += 1
            room += people.rows_count[slot]
        whom[pair] = place_of[slot]
    slots = slots[:count]
    rows_at, rows = np.zeros(count + 1, np.int64), np.empty(room, np.int64)
    for place, slot in enumerate(slots):
        at, end = people.rows_at[slot], rows_at[place]
        for row in people.rows[at : at + people.rows_count[slot]]:
            if not excluded[row]:
                rows[end] = row
                end += 1
        rows_at[place + 1] = end
    mine = _spans(tracks, people, asked.rows_at, asked.rows, asked.slot)
    return Gathered(mine, _spans(tracks, people, rows_at, rows[: rows_at[count]], slots), whom)


@_compiled
def _spans(tracks: TrackTable, people: PeopleTable, at: Int64, rows: Int64, slots: Int64) -> Spans:
    spans, by_camera = np.empty((len(rows), 4), np.int64), np.empty((len(rows), 4), np.int64)
    order = np.empty(len(rows), np.int64)
    cameras = np.zeros((len(slots), _WORDS), np.uint64)
    for one in range(len(slots)):
        for place in range(at[one], at[one + 1]):
            row = rows[place]
            camera = tracks.camera[row]
            spans[place, ROW], spans[place, CAMERA] = row, camera
            spans[place, START], spans[place, LAST] = tracks.start_ns[row], tracks.last_ns[row]
            cameras[one, (camera >> 6) % _WORDS] |= np.uint64(1) << np.uint64(camera & 63)
            before = place
            while before > at[one] and spans[order[before - 1], CAMERA] > camera:
                order[before] = order[before - 1]
                before -= 1
            order[before] = place
        for place in range(at[one], at[one + 1]):
            other = order[place]
            by_camera[place, CAMERA], by_camera[place, OVER] = spans[other, CAMERA], tracks.ended[rows[other]]
            by_camera[place, START], by_camera[place, LAST] = spans[other, START], spans[other, LAST]
        if slots[one] >= 0:
            past = people.past_at[slots[one]]
            for number in people.past_camera[past : past + people.past_count[slots[one]]]:
                cameras[one, (number >> 6) % _WORDS] |= np.uint64(1) << np.uint64(number & 63)
    return Spans(at, spans, by_camera, slots, cameras)
