"""The fusion engine with the site's own figures: each commit also holds what it changes of counts and journeys.

    site/commit    fusion's counters as of the last commit that was counted

If a site is run without the figures for a while, they have not heard of every correction: then they begin anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mtmct.erasure import Erasure
from mtmct.fusion import END_OF_TIME, FusionEngine
from mtmct.records import CameraBatch, Commit, Record
from mtmct.site_flow import SiteFlow, stored_settings
from mtmct.site_marks import PREFIX
from mtmct.state import META

COUNTED = PREFIX + "commit"


class CountingEngine:
    """An engine whose commits end with the site's figures, and whose state holds theirs.

    Args:
        engine: makes the identities.
        flow: counts them.
        interval_ns: length of a commit interval, which each batch covers.
    """

    def __init__(self, engine: FusionEngine, flow: SiteFlow, interval_ns: int) -> None:
        self._engine = engine
        self._flow = flow
        self._interval_us = interval_ns // 1000
        self._meta: bytes | None = None

    def advance(self, batches: Sequence[CameraBatch], watermark_ns: int) -> Commit:
        """See `FusionEngine.advance`."""
        commit = self._engine.advance(batches, watermark_ns)
        for interval in sorted({batch.interval for batch in batches}):
            self._flow.watched(interval * self._interval_us, (interval + 1) * self._interval_us)
        return self._counted(commit, None if watermark_ns == END_OF_TIME else watermark_ns // 1000)

    def erase(self, number: int, now_ns: int, last_said: Mapping[str, Any] | None = None) -> Commit:
        """See `FusionEngine.erase`; figures that hold the identity are told again without it."""
        return self._counted(self._engine.erase(number, now_ns, last_said), now_ns // 1000)

    def snapshot(self) -> dict[str, bytes]:
        """The whole state, all keys, as of the last commit."""
        counted = {} if self._meta is None else {COUNTED: self._meta}
        return {**self._engine.snapshot(), **self._flow.snapshot(), **counted}

    def restore(self, state: Mapping[str, bytes]) -> None:
        """Go on from a state.

        Raises:
            StateError: the state is damaged or of another version.
        """
        self._engine.restore(state)
        self._meta = state.get(META)
        if state.get(COUNTED) == state.get(META):
            self._flow.restore(state)
        else:
            self._flow.begin_anew(state)

    def _counted(self, commit: Commit, now_us: int | None) -> Commit:
        records, changes = _told(self._flow, commit.records, now_us)
        self._meta = commit.state.get(META, self._meta)
        changes[COUNTED] = self._meta
        return Commit(commit.watermark_ns, (*commit.records, *records), {**commit.state, **changes})


def restate(
    state: Mapping[str, bytes], site: str, erasure: Erasure, now_ns: int
) -> tuple[list[Record], dict[str, bytes | None]]:
    """What an erasure that is committed outside of a run changes of the figures in a state.

    Args:
        state: all keys of the ledger; figures are told only where it holds any.
        site: site name.
        erasure: from that state.
        now_ns: event time of the last commit.

    Returns:
        Records for `events`, and the changed state keys.

    Raises:
        StateError: the state is damaged or of another version.
    """
    settings = stored_settings(state)
    if settings is None or state.get(COUNTED) != state.get(META):
        return [], {}
    flow = SiteFlow(site, settings)
    flow.restore(state)
    records, changes = _told(flow, erasure.records, now_ns // 1000)
    return records, {**changes, COUNTED: erasure.changes[META]}


def _told(
    flow: SiteFlow, records: Sequence[Record], now_us: int | None
) -> tuple[list[Record], dict[str, bytes | None]]:
    for record in records:
        flow.take(record)
    return flow.advance(now_us)
