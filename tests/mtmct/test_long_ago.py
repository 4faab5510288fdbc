"""Whether two were in different places at once, longer ago than positions are kept."""

from __future__ import annotations

import numpy as np
import pytest

from mtmct.columns import PeopleTable, TrackColumns
from mtmct.long_ago import were_apart
from mtmct.past import Member, Past
from mtmct.spans import Asked, Gathered, Spans
from operators.records import Int64

CAMERAS = {"a": 0, "b": 1, "c": 2}
CALIBRATED = np.array([True, True, False])
HORIZON, LEAST = 900, 20
Track = tuple[int, int, int]  # camera, start, end


def spans(everybody: list[list[Track]], slots: list[int]) -> Spans:
    rows = [(row, *track) for row, track in enumerate(track for tracks in everybody for track in tracks)]
    tracks: Int64 = np.array(rows, np.int64).reshape(-1, 4)
    at = np.cumsum([0, *map(len, everybody)])
    return Spans(at, tracks, tracks, np.array(slots), np.zeros((len(everybody), 16), np.uint64))


def people_of(pasts: list[list[Track]]) -> PeopleTable:
    """Identities 1, 2, ..., by slot."""
    names = list(CAMERAS)
    tables = [
        Past(Member(names[camera], 1, start, end) for camera, start, end in past).timetable(CAMERAS) for past in pasts
    ]
    counts = np.array([len(past) for past in pasts])
    none, nothing = np.zeros(len(pasts), np.int64), np.zeros((len(pasts), 0), np.float32)
    columns = np.concatenate(tables, axis=1)
    heads = np.cumsum(counts) - counts
    own = (np.arange(len(pasts)) + 1, none, none, none, none, heads, counts, *columns)
    return PeopleTable._make((*own, none, nothing.reshape(len(pasts), 0, 0), np.zeros(len(pasts)), nothing))


def told(
    mine: list[list[Track]], own: list[int], theirs: list[list[Track]], pasts: list[list[Track]], owner: int = 0
) -> np.ndarray:
    """(subjects, identities), of every pair whether the two were apart; the subjects' tracks are `owner`'s."""
    columns = TrackColumns()
    columns.identity[:] = owner
    compared = Gathered(
        spans(mine, own), spans(theirs, [*range(len(theirs))]), np.tile(np.arange(len(theirs)), len(mine))
    )
    none, pairs = np.zeros(0, np.int64), len(mine) * len(theirs)
    pairs_at = np.arange(len(mine) + 1) * len(theirs)
    asked = Asked(none, none, np.array(own), none, none, pairs_at, compared.whom, none, none)
    said = were_apart(columns.table(), people_of(pasts), compared, asked, np.zeros(pairs), CALIBRATED, HORIZON, LEAST)
    return said.reshape(len(mine), len(theirs))


def at_once(one: Track, other: Track) -> bool:
    both = min(one[2], other[2], HORIZON) - max(one[1], other[1])
    return one[0] != other[0] and both > LEAST and bool(CALIBRATED[one[0]] and CALIBRATED[other[0]])


@pytest.mark.parametrize(
    ("mine", "past", "said"),
    [
        ((0, 100, 200), (1, 150, 300), True),
        ((0, 100, 200), (0, 150, 300), False),  # one camera: they shared it
        ((0, 100, 200), (1, 180, 300), False),  # too short to have been found near
        ((0, 100, 200), (2, 150, 300), False),  # it is not known where
        ((0, 100, 990), (1, 895, 990), False),  # not longer ago than positions are kept
    ],
)
def test_a_track_and_a_past_elsewhere_at_the_same_time_are_two(mine, past, said):
    assert told([[mine]], [-1], [[]], [[past]]).tolist() == [[said]]


def test_a_track_that_is_already_part_of_an_identity_stays_it():
    assert not told([[(0, 100, 200)]], [-1], [[]], [[(1, 150, 300)]], owner=1).any()


def test_it_is_what_every_track_compared_with_every_other_comes_to():
    dice = np.random.default_rng(3)

    def tracks(most: int, since: int, until: int) -> list[Track]:
        begins = dice.integers(since, until, dice.integers(0, most))
        return [(int(dice.integers(0, 3)), int(begin), int(begin + dice.integers(1, 150))) for begin in begins]

    answers = []
    for _ in range(60):
        pasts = [tracks(12, 0, 700) for _ in range(4)]
        mine, theirs = [tracks(4, 500, 950) for _ in range(4)], [tracks(4, 500, 950) for _ in range(4)]
        own = [-1, 0, 1, -1]
        said = told(mine, own, theirs, pasts)
        for subject, slot in enumerate(own):
            whole = mine[subject] + (pasts[slot] if slot >= 0 else [])
            for other in range(4):
                right = any(at_once(one, two) for one in whole for two in theirs[other] + pasts[other])
                answers.append(right)
                assert said[subject, other] == right, (whole, theirs[other], pasts[other])
    assert 0.1 < np.mean(answers) < 0.8
