"""Whom tracks could be, put together in one compiled pass: the same as with sets, one track at a time."""

from __future__ import annotations

import numpy as np
import pytest

from mtmct.shortlist import Found, first_known, offered


@pytest.mark.parametrize("seed", range(5))
def test_the_first_known_of_each_row_are_those_found_one_by_one(seed):
    dice = np.random.default_rng(seed)
    owners = dice.integers(-1, 12, (30, 9))
    known = np.unique(dice.integers(0, 12, 6))
    found = first_known(owners, known, 4)
    for row, mine in zip(owners.tolist(), found.tolist(), strict=True):
        plainly = [owner for owner in dict.fromkeys(row) if owner in known][:4]
        assert mine == plainly + [0] * (4 - len(plainly))


@pytest.mark.parametrize("seed", range(5))
def test_whom_tracks_could_be_is_what_sets_say(seed):
    dice = np.random.default_rng(seed)
    alike, near = dice.integers(0, 20, (12, 3)), dice.integers(0, 20, (12, 3))
    bounds = np.concatenate([[0], np.cumsum(dice.integers(0, 5, 12))])
    beside, owners = dice.integers(-1, 15, bounds[-1]), dice.integers(0, 20, 15)
    in_view = np.unique(dice.integers(1, 20, 8))
    places, placed = dice.integers(0, 12, 7), dice.random(7) < 0.5
    more = [dice.integers(1, 30, dice.integers(0, 3)) for _ in range(7)]
    more_at = np.concatenate([[0], np.cumsum([len(one) for one in more])])
    found = Found(alike, near, beside, bounds)
    heads, numbers = offered(found, places, placed, owners, in_view, np.concatenate(more).astype(np.int64), more_at)
    for track, place in enumerate(places.tolist()):
        plainly = {*alike[place].tolist(), *near[place].tolist(), *more[track].tolist()}
        if placed[track]:
            plainly -= set(in_view.tolist())
        plainly |= {int(owners[row]) for row in beside[bounds[place] : bounds[place + 1]] if row >= 0}
        assert numbers[heads[track] : heads[track + 1]].tolist() == sorted(plainly - {0})
