"""What was learned of the times between views, as events: once it is worth something, and whenever it has changed.

fusion/told    what the latest event of each pair of cameras said
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mtmct import state as stored
from mtmct.records import EVENTS, Record
from mtmct.travel import TravelTime
from operators.records import SECOND_NS

TOLD = stored.PREFIX + "told"
LEAST_ARRIVALS = 5.0  # a time learned from fewer is not said
_EVERY_NS = 30 * SECOND_NS
_CHANGED = 0.2  # a time is news when it has changed by this part of it, and by a second; a share by this much


class TravelNews:
    """Says what is new of travel times, as `travel_time` events with revisions.

    Args:
        site: site name.
    """

    def __init__(self, site: str) -> None:
        self._site = site
        self._told: dict[tuple[str, str], list[float | None]] = {}
        self._revisions: dict[tuple[str, str], int] = {}

    @staticmethod
    def due(since_ns: int, now_ns: int) -> bool:
        """Whether it is time to look again after a commit of event time `since_ns` to `now_ns`: twice a minute."""
        return now_ns // _EVERY_NS > since_ns // _EVERY_NS

    def review(self, table: Sequence[TravelTime], now_ns: int, journal: stored.Journal) -> list[Record]:
        """The events for what has become known, or has changed; keeps what they say in the state."""
        records = []
        for row in table:
            pair = (row.source, row.target)
            if row.arrivals < LEAST_ARRIVALS:
                continue
            figures = [_plain(row.share, 3), *(_plain(value, 1) for value in (row.low_s, row.typical_s, row.high_s))]
            if pair in self._told and not _news(self._told[pair], figures):
                continue
            self._told[pair] = figures
            self._revisions[pair] = self._revisions.get(pair, 0) + 1
            records.append(self._record(row, figures, self._revisions[pair], now_ns))
        if records:
            entries = [[*pair, self._revisions[pair], figures] for pair, figures in sorted(self._told.items())]
            journal.put(TOLD, stored.packed({"told": entries}))
        return records

    def _record(self, row: TravelTime, figures: list[float | None], revision: int, now_ns: int) -> Record:
        value: dict[str, Any] = {
            "schema": "crosscam.events/1",
            "site": self._site,
            "camera": row.source,
            "type": "travel_time",
            "time": now_ns // 1000,
            "revision": revision,
            "to": row.target,
            "share": figures[0],
            "overlap": _plain(row.overlap, 3),
            "low": figures[1],
            "typical": figures[2],
            "high": figures[3],
            "arrivals": _plain(row.arrivals, 1),
        }
        return Record(EVENTS, row.source, value, now_ns)

    def restore(self, state: Mapping[str, bytes]) -> None:
        """Go on from the keys of a ledger."""
        if TOLD in state:
            value = stored.unpacked(TOLD, state[TOLD])
            for source, target, revision, figures in value["told"]:
                self._told[source, target], self._revisions[source, target] = figures, revision


def _plain(value: float, digits: int) -> float | None:
    return round(value, digits) if math.isfinite(value) else None


def _news(before: Sequence[float | None], after: Sequence[float | None]) -> bool:
    (share, *times), (share_now, *times_now) = before, after
    if abs((share or 0.0) - (share_now or 0.0)) > _CHANGED:
        return True
    return any(_moved(one, other) for one, other in zip(times, times_now, strict=True))


def _moved(before: float | None, after: float | None) -> bool:
    if before is None or after is None:
        return before is not after
    return abs(after - before) > max(1.0, _CHANGED * abs(before))
