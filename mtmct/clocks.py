"""The clocks of a site's cameras: how far they are off, as measured, and as far as fusion puts them right.

`off` measures nothing. `report` says what `mtmct.skew` finds in a `clock_skew` event, again whenever it has changed.
`apply` also lets fusion reckon with it: whatever is compared between cameras (positions of the same moment, who was
where at once, times between views) is compared by corrected time, in whole time slots. The times that are published
stay those of the camera's own clock, so that they fit its frames, its events and its pictures; a consumer who wants
site time subtracts what the events say. Clocks that are off by more than `LIMIT_S` are reported and left alone: such
a clock is wrong by mistake, and the evidence of fusion would be held back for as long.

A change of a correction takes effect on all that is remembered at once, as if it had always been there: see
`FusionEngine`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtmct import skew
from mtmct import state as stored
from mtmct.clock_state import (
    META,
    PLACED,
    PREFIX,
    VOTES,
    WALKED,
    Placed,
    entries,
    pack_placed,
    pack_rows,
    rounded,
    rows_of,
    unpack_placed,
    unpack_rows,
)
from mtmct.fits import Samples
from mtmct.records import EVENTS, Record
from mtmct.settings import FusionSettings
from mtmct.skew import Skew, Votes, Walkers
from mtmct.tracks import TrackMemory
from operators.records import SECOND_NS, Int64

LIMIT_S = 10.0  # a clock that is off by more is reported, but not corrected
_EVERY_NS = 5 * SECOND_NS  # how often skews are worked out
_NEWS_S = 0.1  # a skew that has changed by less is no news


@dataclass(frozen=True, slots=True)
class _Said:
    """What the latest event of a camera said: how often there was one, seconds, correction and state."""

    revision: int
    seconds: float
    applied_ns: int
    state: str


@dataclass(frozen=True, slots=True)
class Beside:
    """Positions to be compared with each other.

    Attributes:
        samples: sorted by track, then slot. cameras: (S,) int64, a number that differs between cameras.
        fresh: (S,) which of them are new; two that are not have been compared before.
    """

    samples: Samples
    cameras: Int64
    fresh: NDArray[np.bool_]


class Clocks:
    """What is known of the clocks of a site's cameras.

    Args:
        site: site name.
        settings: `clock_skew`, and the grid of time slots.

    Attributes:
        ahead_ns: the corrections in force: by how much the clock of a camera is taken to be ahead, if it is.
    """

    def __init__(self, site: str, settings: FusionSettings) -> None:
        self._site = site
        self._settings = settings
        self.ahead_ns: dict[str, int] = {}
        self._names: list[str] = []
        self._numbers: dict[str, int] = {}
        self._walked: deque[tuple[int, int, Walkers]] = deque()
        self._votes: deque[tuple[int, int, Votes]] = deque()
        self._placed: deque[Placed] = deque()
        self._said: dict[str, _Said] = {}
        self._reviewed_ns = 0
        self._records: list[Record] = []
        self._written: set[str] = set()
        self._rewritten = False

    @property
    def measuring(self) -> bool:
        """Whether skews are measured at all."""
        return self._settings.clock_skew != "off"

    @property
    def applying(self) -> bool:
        """Whether they are corrected."""
        return self._settings.clock_skew == "apply"

    # --- one commit ----------------------------------------------------------------------------------------------

    def note(self, sequence: int, since_ns: int, now_ns: int, samples: Samples, tracks: TrackMemory) -> None:
        """Learn from a commit's positions (by corrected time), sorted by track."""
        if not self.measuring:
            return
        uids, rows = np.unique(samples.uids, return_inverse=True)
        columns, of = tracks.columns, tracks.columns.rows_of(uids.tolist())
        names = list(columns.cameras)
        cameras = np.array([self._number(names[number]) for number in columns.camera[of].tolist()], np.int64)
        if self.applying:
            self._placed.append(Placed(sequence, since_ns, now_ns, rounded(samples), cameras[rows]))
        velocities, ahead = columns.velocity[of, :2], columns.heard_ns[of] - columns.last_ns[of]
        new = skew.walkers(samples, cameras, velocities, ahead, self._settings.slot_ns, now_ns)
        if not len(new):
            return
        cast = skew.votes(new, [part for _, _, part in self._walked])
        self._walked.append((sequence, now_ns, new))
        if len(cast):
            self._votes.append((sequence, now_ns, cast))

    def _number(self, camera: str) -> int:
        known = self._numbers.get(camera)
        if known is None:
            known = self._numbers[camera] = len(self._names)
            self._names.append(camera)
        return known

    def beside(self, samples: Samples, tracks: TrackMemory, before: int | None = None) -> Beside:
        """New positions, and those of earlier commits at the same corrected time.

        Args:
            samples: the new ones, sorted by track.
            tracks: the tracks in memory; what is no longer there is left out.
            before: look at commits before this one only.
        """
        slots = np.unique(samples.slots)
        parts, fresh = [samples], [np.ones(len(samples), bool)]
        for placed in self._placed:
            if len(slots) and (before is None or placed.sequence < before):
                rows = np.flatnonzero(np.isin(placed.samples.slots, slots))
                parts.append(rows_of(placed.samples, rows))
                fresh.append(np.zeros(len(rows), bool))
        joined = Samples(
            np.concatenate([part.uids for part in parts]),
            np.concatenate([part.slots for part in parts]),
            np.concatenate([part.points for part in parts]),
            np.concatenate([part.covariances for part in parts]),
        )
        uids, rows = np.unique(joined.uids, return_inverse=True)
        numbers = [self._number(tracks[uid].camera) if uid in tracks else -1 for uid in uids.tolist()]
        cameras = np.array(numbers, np.int64)[rows]
        order = np.lexsort((joined.slots, joined.uids))
        order = order[cameras[order] >= 0]
        return Beside(rows_of(joined, order), cameras[order], np.concatenate(fresh)[order])

    def review(self, now_ns: int) -> dict[str, int]:
        """Every few seconds: work out the skews and say what is new.

        Returns:
            The corrections to be changed, by camera: nanoseconds that its clock is ahead.
        """
        due = self.measuring and now_ns // _EVERY_NS > self._reviewed_ns // _EVERY_NS
        if not due:
            return {}
        self._reviewed_ns = now_ns
        wanted: dict[str, int] = {}
        skews = self.skews()
        for camera in sorted(skews):
            found, applied = skews[camera], self.ahead_ns.get(camera, 0)
            target = self._target(found, applied) if self.applying else applied
            if target != applied:
                wanted[camera] = target
            self._tell(camera, found, target, now_ns)
        return wanted

    def skews(self) -> dict[str, Skew]:
        """What the votes come to, by camera; those without enough of them are left out."""
        if not self._votes:
            return {}
        known = skew.differences(Votes.joined([part for _, _, part in self._votes]))
        return {self._names[number]: found for number, found in skew.solve(known).items()}

    def _target(self, found: Skew, applied_ns: int) -> int:
        """The correction to be in force; it moves in whole slots, and not for less than most of one."""
        slot = self._settings.slot_ns
        if abs(found.seconds) > LIMIT_S:
            return 0
        off = found.seconds * SECOND_NS - applied_ns
        if 4 * found.sigma * SECOND_NS > slot or abs(off) <= 0.75 * slot:
            return applied_ns
        return round(found.seconds * SECOND_NS / slot) * slot

    def _tell(self, camera: str, found: Skew, applied_ns: int, now_ns: int) -> None:
        too_large = abs(found.seconds) > LIMIT_S
        state = "too_large" if too_large else "corrected" if applied_ns else "measured"
        before = self._said.get(camera)
        if before is not None and (before.applied_ns, before.state) == (applied_ns, state):
            news = max(_NEWS_S, 3 * found.sigma, 0.02 * abs(before.seconds))
            if abs(found.seconds - before.seconds) <= news:
                return
        revision = 1 if before is None else before.revision + 1
        self._said[camera] = _Said(revision, found.seconds, applied_ns, state)
        side = "ahead of" if found.seconds > 0 else "behind"
        detail = (
            f"the clock of camera {camera} is {abs(found.seconds):.0f} s {side} those of the cameras that see the same "
            f"ground, which is more than fusion puts right ({LIMIT_S:g} s): set the camera's clock, its "
            "clock_offset_ms, or the start of the recording"
        )
        value: dict[str, Any] = {
            "schema": "crosscam.events/1",
            "site": self._site,
            "camera": camera,
            "type": "clock_skew",
            "time": now_ns // 1000,
            "revision": revision,
            "state": state,
            "skew": round(found.seconds, 3),
            "sigma": round(found.sigma, 3),
            "applied": round(applied_ns / SECOND_NS, 3),
            "votes": round(found.votes, 1),
            "compared_with": sorted(self._names[number] for number in found.beside),
            "detail": detail if too_large else None,
        }
        self._records.append(Record(EVENTS, camera, value, now_ns))

    def said(self) -> list[Record]:
        """The events since the last call."""
        records, self._records = self._records, []
        return records

    # --- corrections ---------------------------------------------------------------------------------------------

    def set(self, changes: Mapping[str, int]) -> None:
        """Take other corrections; the positions that are remembered move to where they are by those."""
        slot = self._settings.slot_ns
        steps = {
            self._number(camera): (ahead - self.ahead_ns.get(camera, 0)) // slot for camera, ahead in changes.items()
        }
        for place, placed in enumerate(self._placed):
            moved = np.zeros(len(self._names), np.int64)
            for number, step in steps.items():
                moved[number] = step
            samples = replace(placed.samples, slots=placed.samples.slots - moved[placed.cameras])
            self._placed[place] = replace(placed, samples=samples)
        merged = {**self.ahead_ns, **changes}
        self.ahead_ns = {camera: merged[camera] for camera in sorted(merged) if merged[camera]}
        self._rewritten = True

    def hand_over(self, old: int, new: int, since_ns: int) -> None:
        """From `since_ns` on the positions of track `old` are those of track `new`."""
        for place, placed in enumerate(self._placed):
            mine = placed.samples.uids == old
            if placed.since_ns >= since_ns and mine.any():
                uids = np.where(mine, new, placed.samples.uids)
                order = np.argsort(uids, kind="stable")
                samples = rows_of(replace(placed.samples, uids=uids), order)
                self._placed[place] = replace(placed, samples=samples, cameras=placed.cameras[order])
                self._rewritten = True

    def placed(self, sequence: int) -> Samples | None:
        """The positions of a commit, if they are remembered."""
        return next((each.samples for each in self._placed if each.sequence == sequence), None)

    # --- state ---------------------------------------------------------------------------------------------------

    def forget(self, now_ns: int) -> None:
        """Drop what is too old."""
        while self._walked and self._walked[0][1] < now_ns - round(skew.RANGE_S * SECOND_NS):
            self._walked.popleft()
        total = sum(len(part) for _, _, part in self._votes)
        while total > skew.KEPT or (total and self._votes[0][1] < now_ns - round(skew.MEMORY_S * SECOND_NS)):
            total -= len(self._votes.popleft()[2])
        applied = [0, *self.ahead_ns.values()]
        horizon = now_ns - round(self._settings.window_s * SECOND_NS) - (max(applied) - min(applied))
        while self._placed and self._placed[0].time_ns <= horizon:
            self._placed.popleft()

    def write(self, journal: stored.Journal) -> None:
        """Keep all of it in the state."""
        if not self.measuring:
            return
        said = [[camera, s.revision, s.seconds, s.applied_ns, s.state] for camera, s in sorted(self._said.items())]
        value = {"names": self._names, "ahead": self.ahead_ns, "said": said, "reviewed": self._reviewed_ns}
        journal.put(META, stored.packed(value))
        rows: dict[str, tuple[int, Walkers | Votes]]
        rows = {f"{WALKED}{sequence:012d}": (time_ns, part) for sequence, time_ns, part in self._walked}
        rows |= {f"{VOTES}{sequence:012d}": (time_ns, part) for sequence, time_ns, part in self._votes}
        placed = {f"{PLACED}{each.sequence:012d}": each for each in self._placed}
        kept = {*rows, *placed}
        for key in sorted(self._written - kept):
            journal.drop(key)
        for key, (time_ns, part) in rows.items():
            if key not in self._written:
                journal.put(key, pack_rows(time_ns, part))
        for key, each in placed.items():
            if self._rewritten or key not in self._written:
                journal.put(key, pack_placed(each))
        self._written = kept
        self._rewritten = False

    def restore(self, state: Mapping[str, bytes], journal: stored.Journal) -> None:
        """Go on from a state; one that was kept while skews were measured is let go where they no longer are.

        The corrections are kept in any case: they are in the times of all that is remembered.
        """
        if META not in state:
            return
        value = stored.unpacked(META, state[META])
        self.ahead_ns = dict(value["ahead"])
        for name in value["names"]:
            self._number(name)
        for key, data in entries(state, PLACED):
            self._placed.append(unpack_placed(key, data))
        if not self.measuring:
            for key, _ in entries(state, PREFIX):
                journal.drop(key)
            return
        self._written = {key for prefix in (WALKED, VOTES, PLACED) for key, _ in entries(state, prefix)}
        self._reviewed_ns = value["reviewed"]
        self._said = {camera: _Said(*rest) for camera, *rest in value["said"]}
        for key, data in entries(state, WALKED):
            time_ns, columns = unpack_rows(key, data)
            self._walked.append((int(key.removeprefix(WALKED)), time_ns, Walkers(*columns)))
        for key, data in entries(state, VOTES):
            time_ns, columns = unpack_rows(key, data)
            self._votes.append((int(key.removeprefix(VOTES)), time_ns, Votes(*columns)))

    def dismissed(self) -> dict[str, int]:
        """The corrections to be taken back after `restore`, where none are wanted any more."""
        return {} if self.applying else dict.fromkeys(self.ahead_ns, 0)


def clocks_of(state: Mapping[str, bytes]) -> dict[str, tuple[Skew, float]]:
    """The skew and the correction (seconds) of each camera, from the keys of a ledger.

    Raises:
        StateError: the state is damaged or of another version.
    """
    clocks = Clocks("", FusionSettings(clock_skew="report"))
    clocks.restore(state, stored.Journal())
    return {camera: (found, clocks.ahead_ns.get(camera, 0) / SECOND_NS) for camera, found in clocks.skews().items()}
