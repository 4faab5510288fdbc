"""The site's own figures while it runs: everybody once, whichever cameras saw them, corrections included.

    site/meta                 counters, and the settings that the state goes by
    site/interval/<number>    what was told of a flow interval

An interval's counts are told once it is over. Whatever changes them afterwards (a track is linked late, a correction
joins or splits identities, one is erased) has them told again, whole, with the next revision. What lies farther back
than the correction window stays as it was told; nothing more is kept of it but each identity's stays.

`SiteFlow` reads what a commit writes, as a consumer would: it knows nothing that is not in the topics.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from mtmct import state as stored
from mtmct.corrections import number_of
from mtmct.journeys import Journeys
from mtmct.records import EVENTS, IDENTITIES, TRACKS, Record
from mtmct.site_marks import NOBODY, PREFIX, Marks
from mtmct.stays import COOL_DOWN_S, RETURN_S, Passage, Way, count_passages
from mtmct.track_state import most_voted
from operators.records import pack

META = PREFIX + "meta"
INTERVAL = PREFIX + "interval/"
_US = 1_000_000
_STEP_US = 10 * _US  # the window moves by whole intervals and by no less
_LATELY_US = _US
_NEVER = 2**62

Lines = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class SiteFlowSettings:
    """What the site's figures go by.

    Attributes:
        interval_s: length of the intervals that are counted.
        gone_after_s: an identity seen nowhere for so long is gone: its journey is told.
        restate_s: what lies farther back is not corrected any more.
        cool_down_s: crossings of lines of one name in one direction by one identity within this time are one.
        lines: names of the site's lines and of their directions, told even where nobody crossed.
        zones: names of the site's zones, told even where nobody was.
    """

    interval_s: float = 60.0
    gone_after_s: float = RETURN_S
    restate_s: float = 600.0
    cool_down_s: float = COOL_DOWN_S
    lines: Lines = ()
    zones: tuple[str, ...] = ()


@dataclass(slots=True)
class _Interval:
    """What was told of an interval; `stale` if that may be no longer so."""

    revision: int = 0
    digest: bytes = b""
    stale: bool = True


class SiteFlow:
    """Counts and journeys of a site, from what its commits hold.

    Args:
        site: site name.
        settings: lengths and bounds.
    """

    def __init__(self, site: str, settings: SiteFlowSettings | None = None) -> None:
        self._site = site
        self._settings = settings or SiteFlowSettings()
        self._interval = round(self._settings.interval_s * _US)
        self._cool_down = round(self._settings.cool_down_s * _US)
        self._begin({})

    def _begin(self, state: Mapping[str, bytes]) -> None:
        self._journal = stored.Journal(state)
        self._marks = Marks(self._interval, min(self._interval, _LATELY_US))
        self._journeys = Journeys(self._site, self._marks, round(self._settings.gone_after_s * _US))
        self._intervals: dict[int, _Interval] = {}
        self._counted: dict[int, list[Passage]] = {}  # by identity
        self._crossed: dict[int, Counter[Way]] = {}  # by interval
        self._sequence = 0
        self._now = 0
        self._first = 0  # the first interval that can still be corrected

    # --- what comes in -----------------------------------------------------------------------------------------

    def take(self, record: Record) -> None:
        """Take in a record of a commit, in the commit's order."""
        value = record.value
        if record.topic == TRACKS:
            self._marks.published(value)
        elif record.topic == EVENTS:
            self._marks.happened(value)
        elif record.topic == IDENTITIES:
            self._correct(value)

    def _correct(self, value: Mapping[str, Any]) -> None:
        number = value["number"]
        match value["event"]:
            case "closed":
                self._journeys.close(number)
            case "merged":
                into = number_of(value["into"])
                self._marks.merge(number, into)
                self._journeys.merge(number, into)
            case "split":
                span = value["since"], value["until"]
                self._marks.split(value["tracks"], *span, number_of(value["into"]), value["time"])
            case "retracted":
                self._marks.merge(number, NOBODY)
                self._journeys.retract(number)

    def watched(self, start: int, end: int) -> None:
        """Cameras have looked from `start` to `end` (microseconds): that counts, even if they saw nobody."""
        for number in range(start // self._interval, (end - 1) // self._interval + 1):
            self._at(number)

    def _at(self, number: int) -> _Interval | None:
        """The interval, None if it is too old."""
        if number < self._first:
            return None
        if number not in self._intervals:
            self._intervals[number] = _Interval()
            self._keep(number)
        return self._intervals[number]

    # --- one commit --------------------------------------------------------------------------------------------

    def advance(self, now: int | None) -> tuple[list[Record], dict[str, bytes | None]]:
        """Tell what is over and what has changed since it was told.

        Args:
            now: event time up to which the site is complete, microseconds; None: the end, everything is over.

        Returns:
            Records for `events`, and the changed state keys.
        """
        self._sequence += 1
        self._now = self._now if now is None else max(self._now, now)
        touched = self._marks.changes()
        for number in sorted(touched.intervals):
            self._change(number)
        self._journeys.note(touched)
        for number in sorted(touched.owners | touched.passages):
            self._recount(number)
        records = [*self._tell(now is None), *self._journeys.tell(self._now, now is None)]
        self._forget()
        self._write()
        return records, self._journal.changes()

    def _change(self, number: int) -> None:
        interval = self._at(number)
        if interval is not None:
            interval.stale = True

    def _recount(self, number: int) -> None:
        """Which of an identity's crossings count."""
        person = self._journeys.people.get(number)
        passed = {} if person is None else person.passed
        old = self._counted.pop(number, [])
        new = count_passages(self._marks.passages_of(number), self._cool_down, passed)
        if new:
            self._counted[number] = new
        for sign, passages in ((-1, old), (1, new)):
            for time, line, direction in passages:
                self._crossed.setdefault(time // self._interval, Counter())[line, direction] += sign
        if old != new:
            for time, _, _ in {*old} ^ {*new}:
                self._change(time // self._interval)

    def _tell(self, everything: bool) -> list[Record]:
        records = []
        for number in sorted(number for number, interval in self._intervals.items() if interval.stale):
            interval = self._intervals[number]
            over = everything or (number + 1) * self._interval <= self._now
            if not over and not interval.revision:
                continue
            interval.stale = False
            counts = self._counts(number)
            digest = blake2b(pack(counts), digest_size=8).digest()
            if digest != interval.digest:
                interval.revision += 1
                interval.digest = digest
                self._keep(number)
                records.append(self._record(number, interval.revision, counts))
        return records

    def _counts(self, number: int) -> dict[str, Any]:
        present = 0
        classes: dict[str, dict[str, int]] = {}
        seen = self._marks.seen(number)
        for votes, last in seen.values():
            of_class = classes.setdefault(most_voted(votes), {"present": 0, "unique": 0})
            of_class["unique"] += 1
            of_class["present"] += last
            present += last
        crossed = self._crossed.get(number, Counter[Way]())
        lines = {line: dict.fromkeys(directions, 0) for line, directions in self._settings.lines}
        for (line, direction), times in sorted(crossed.items()):
            if times:
                lines.setdefault(line, {})[direction] = times
        zones: dict[str, dict[int, bool]] = {zone: {} for zone in self._settings.zones}
        zones |= dict(sorted(self._marks.in_zones(number).items()))
        return {
            "present": present,
            "unique": len(seen),
            "classes": {cls: classes[cls] for cls in sorted(classes)},
            "lines": {line: {"directions": directions} for line, directions in lines.items()},
            "zones": {zone: {"unique": len(who), "occupancy": sum(who.values())} for zone, who in zones.items()},
        }

    def _record(self, number: int, revision: int, counts: Mapping[str, Any]) -> Record:
        start, end = number * self._interval, (number + 1) * self._interval
        value = {
            "schema": "crosscam.events/1",
            "site": self._site,
            "camera": "",
            "type": "site_counts",
            "time": end,
            "start": start,
            "end": end,
            "revision": revision,
            **counts,
        }
        return Record(EVENTS, self._site, value, end * 1000)

    # --- forgetting, and the state -----------------------------------------------------------------------------

    def _forget(self) -> None:
        """Fold into the identities what is too old to be corrected."""
        step = self._interval * -(-_STEP_US // self._interval)
        first = (self._now - round(self._settings.restate_s * _US)) // step * step // self._interval
        if first > self._first or self._marks.brought_before(self._first):
            self._first = max(first, self._first)
            self._fold(self._first)
        self._journeys.tidy()

    def _fold(self, first: int) -> None:
        for number, passages in list(self._counted.items()):
            old = [passage for passage in passages if passage[0] // self._interval < first]
            if old:
                self._journeys.passed(number, old, first * self._interval - self._cool_down)
                self._counted[number] = passages[len(old) :]
            if not self._counted[number]:
                del self._counted[number]
        self._journeys.fold(self._marks.expire(first))
        self._crossed = {number: crossed for number, crossed in self._crossed.items() if number >= first}
        for number in [number for number in self._intervals if number < first]:
            del self._intervals[number]
            self._journal.drop(_interval_key(number))

    def _keep(self, number: int) -> None:
        interval = self._intervals[number]
        self._journal.put(_interval_key(number), stored.packed({"told": [interval.revision, interval.digest]}))

    def _write(self) -> None:
        self._marks.write(self._sequence, self._first, self._journal)
        self._journeys.write(self._journal)
        settings = self._settings
        meta = {
            "sequence": self._sequence,
            "now": self._now,
            "first": self._first,
            "settings": [settings.interval_s, settings.gone_after_s, settings.restate_s, settings.cool_down_s],
            "lines": settings.lines,
            "zones": settings.zones,
        }
        self._journal.put(META, stored.packed(meta))

    def snapshot(self) -> dict[str, bytes]:
        """The whole state, all keys, as of the last commit."""
        return dict(self._journal.state)

    def begin_anew(self, state: Mapping[str, bytes]) -> None:
        """Forget what a state holds; the next commit deletes it."""
        mine = {key: bytes(data) for key, data in sorted(state.items()) if key.startswith(PREFIX)}
        self._begin(mine)
        for key in mine:
            self._journal.drop(key)

    def restore(self, state: Mapping[str, bytes]) -> None:
        """Go on from a state: all keys of a ledger, those that are not the figures' are ignored.

        If intervals have another length now, counting begins anew with the next one; journeys go on.

        Raises:
            StateError: the state is damaged or of another version.
        """
        mine = {key: bytes(data) for key, data in sorted(state.items()) if key.startswith(PREFIX)}
        self._begin(mine)
        if META not in mine:
            return
        meta = stored.unpacked(META, mine[META])
        self._sequence, self._now, self._first = meta["sequence"], meta["now"], meta["first"]
        self._marks.restore(mine, self._first)
        self._journeys.restore(mine)
        interval = round(meta["settings"][0] * _US)
        if interval != self._interval:
            self._journeys.fold(self._marks.expire(_NEVER))
            self._marks.write(self._sequence, _NEVER, self._journal)
            for key in [key for key in mine if key.startswith(INTERVAL)]:
                self._journal.drop(key)
            self._first = -(-self._now // self._interval)
            return
        for key, data in mine.items():
            if key.startswith(INTERVAL):
                revision, digest = stored.unpacked(key, data)["told"]
                self._intervals[int(key.removeprefix(INTERVAL))] = _Interval(revision, digest, not revision)
        for number in self._marks.identities:
            self._recount(number)
        for interval_ in self._intervals.values():
            interval_.stale = not interval_.revision


def stored_settings(state: Mapping[str, bytes]) -> SiteFlowSettings | None:
    """What the figures in a state go by; None where there are none.

    Raises:
        StateError: the state is damaged or of another version.
    """
    if META not in state:
        return None
    meta = stored.unpacked(META, state[META])
    lines = tuple((line, tuple(directions)) for line, directions in meta["lines"])
    interval_s, gone_after_s, restate_s, cool_down_s = meta["settings"]
    return SiteFlowSettings(interval_s, gone_after_s, restate_s, cool_down_s, lines, tuple(meta.get("zones", ())))


def _interval_key(number: int) -> str:
    return f"{INTERVAL}{number:012d}"
