"""What a site has learned of its topology, read from a ledger's state."""

from __future__ import annotations

import math

import pytest

from mtmct import state as stored
from mtmct.itinerary import Stay
from mtmct.settings import FusionSettings
from mtmct.travel import TravelTimes
from operators.records import SECOND_NS, StateError
from pipeline.topology_report import as_row, clock_rows, travel_times_of


def learned(max_gap_s: float) -> dict[str, bytes]:
    times = TravelTimes(["a", "b"], FusionSettings(travel=True, max_gap_s=max_gap_s))
    for visit in range(10):
        start = 60.0 * visit
        gone = Stay(round(start * SECOND_NS), round((start + 5) * SECOND_NS), "a")
        come = Stay(round((start + 19) * SECOND_NS), round((start + 25) * SECOND_NS), "b")
        times.arrived(come, [(gone, 1.0)], 0.0)
        times.left(gone)
    return {stored.TRAVEL + name: stored.packed(times.stored(name)) for name in ("a", "b")}


@pytest.mark.parametrize("max_gap_s", [60.0, 300.0, 3600.0])
def test_travel_times_are_read_from_a_state_whatever_the_longest_gap_was(max_gap_s: float) -> None:
    (row,) = travel_times_of({**learned(max_gap_s), "fusion/meta": b"", "site": b""})
    told = as_row(row)
    assert (told["from"], told["to"]) == ("a", "b")
    assert told["low_s"] < 14 < told["high_s"] and abs(told["typical_s"] - 14) < 1.5
    assert told["overlap"] == 0.0 and told["arrivals"] > 9


def test_pairs_with_few_arrivals_are_left_out_and_a_state_without_any_is_no_mistake() -> None:
    assert travel_times_of(learned(300.0), least=20.0) == []
    assert travel_times_of({}) == []


def test_a_time_that_nobody_took_is_none() -> None:
    times = TravelTimes(["a", "b"], FusionSettings(travel=True))
    times.arrived(Stay(SECOND_NS, 2 * SECOND_NS, "b"), [(Stay(0, 3 * SECOND_NS, "a"), 1.0)], 0.0)
    (row,) = times.table()
    assert math.isnan(row.typical_s) and as_row(row)["typical_s"] is None


def test_a_state_of_another_version_is_refused() -> None:
    with pytest.raises(StateError, match="another version"):
        travel_times_of({stored.TRAVEL + "a": stored.pack({"version": 99})})


def test_a_ledger_without_clocks_has_no_rows_of_them() -> None:
    assert clock_rows({}) == [] and clock_rows({"fusion/meta": b"", "site": b""}) == []
