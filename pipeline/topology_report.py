"""What a site has learned of its own topology: the times between views, read from a ledger's state."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mtmct import state as stored
from mtmct.clocks import clocks_of
from mtmct.settings import FusionSettings
from mtmct.travel import TravelTime, TravelTimes


def travel_times_of(state: Mapping[str, bytes], least: float = 0.0) -> list[TravelTime]:
    """The times between views that a ledger holds, by name of the cameras.

    Args:
        state: all keys of the ledger.
        least: pairs learned from fewer arrivals are left out.

    Raises:
        StateError: the state is damaged or of another version.
    """
    kept = [stored.unpacked(key, data) for key, data in sorted(state.items()) if key.startswith(stored.TRAVEL)]
    # The grid of times goes up to the longest gap, which older ledgers do not name.
    longest = max((value.get("longest", FusionSettings().max_gap_s) for value in kept), default=1.0)
    times = TravelTimes([value["camera"] for value in kept], FusionSettings(max_gap_s=longest))
    for value in kept:
        times.restore(value)
    return [row for row in times.table() if row.arrivals >= least]


def clock_rows(state: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """What a ledger holds of the cameras' clocks: seconds ahead, as measured and as corrected, by camera.

    Raises:
        StateError: the state is damaged or of another version.
    """
    return [
        {"camera": camera, "skew_s": round(found.seconds, 3), "sigma_s": round(found.sigma, 3), "applied_s": applied}
        for camera, (found, applied) in sorted(clocks_of(state).items())
    ]


def as_row(row: TravelTime) -> dict[str, Any]:
    """One pair of cameras as plain values; seconds are None where nobody has left the one view for the other."""

    def number(value: float, digits: int) -> float | None:
        return round(value, digits) if math.isfinite(value) else None

    return {
        "from": row.source,
        "to": row.target,
        "share": number(row.share, 3),
        "overlap": number(row.overlap, 3),
        "low_s": number(row.low_s, 1),
        "typical_s": number(row.typical_s, 1),
        "high_s": number(row.high_s, 1),
        "arrivals": number(row.arrivals, 1),
    }
