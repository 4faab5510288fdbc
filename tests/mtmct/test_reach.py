"""Who could have come here: the same as if each track were compared with everybody."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mtmct.columns import TrackTable
from mtmct.reach import latest_of_each, recently_left, within_reach
from mtmct.settings import FusionSettings
from mtmct.tracks import TrackMemory
from operators.records import SECOND_NS

SETTINGS = FusionSettings()


def tracks(dice: np.random.Generator, count: int, wide: float) -> TrackTable:
    """So many tracks of nearly as many identities, some on no ground, and some beyond it."""
    table = TrackMemory().columns.table()
    first, last = dice.uniform(0, wide, (2, count, 8))
    first[dice.random(count) < 0.1] = np.nan
    last[dice.random(count) < 0.1] = np.nan
    last[dice.random(count) < 0.02] += 1e5
    start_ns = dice.integers(0, 30 * SECOND_NS, count)
    return table._replace(
        uid=np.arange(1, count + 1),
        camera=dice.integers(0, 12, count),
        identity=dice.integers(0, count, count),
        start_ns=start_ns,
        last_ns=start_ns + dice.integers(0, 20 * SECOND_NS, count),
        first=first,
        last=last,
    )


@pytest.mark.parametrize(("count", "wide"), [(0, 9.0), (1, 9.0), (40, 9.0), (400, 80.0), (400, 0.5), (1500, 300.0)])
def test_the_nearest_who_could_have_come_are_those_of_a_look_at_everybody(count, wide):
    dice = np.random.default_rng(count)
    table = tracks(dice, count, wide)
    latest = latest_of_each(table, np.arange(count))
    left = recently_left(table, latest, 10 * SECOND_NS)
    rows = dice.permutation(count)[:60]
    speeds = dice.uniform(0.5, 4, len(rows))
    found = within_reach(left, table, rows, speeds, SETTINGS)
    some = 0
    for row, speed, mine in zip(rows.tolist(), speeds.tolist(), found.tolist(), strict=True):
        near = []
        for place, number in enumerate(left.numbers.tolist()):
            seconds = (table.start_ns[row] - left.last_ns[place]) / 1e9
            far = math.hypot(left.x[place] - table.first[row, 0], left.y[place] - table.first[row, 1])
            if math.isnan(far):
                # One picture has to do.
                far = 0.0 if left.cameras[place] == table.camera[row] else math.inf
            if seconds > -SETTINGS.window_s and far <= speed * max(seconds, 0.0) + SETTINGS.near_m:
                near.append((far, place, number))
        plainly = [number for _, _, number in sorted(near)[: SETTINGS.shortlist]]
        assert mine == plainly + [0] * (SETTINGS.shortlist - len(plainly))
        some += len(plainly) > 1
    assert some or count < 40
