"""What the analysis remembers of each track: columns of arrays, one row a track, by slot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.analyse.kernels import NEVER

Array = NDArray[Any]
Int64 = NDArray[np.int64]
Fingerprints = Mapping[str, Sequence[str]]

# Name: which rules it has a column for, further shape, type, value of a fresh row.
_COLUMNS: Mapping[str, tuple[str, tuple[int, ...], str, Any]] = {
    "ids": ("", (), "i8", -1),
    "classes": ("", (), "i8", 0),
    "last": ("", (), "i8", NEVER),
    "counted_in": ("", (), "i8", NEVER),  # the interval in which the track was last counted
    "at": ("", (3, 2), "f8", 0.0),
    "velocity": ("", (2,), "f8", 0.0),
    "place": ("", (2,), "f8", np.nan),
    "pace": ("", (2,), "f8", 0.0),
    "still": ("", (2,), "f8", 0.0),
    "still_since": ("", (), "i8", NEVER),
    "net": ("lines", (), "i1", 0),
    "crossed": ("lines", (), "i8", NEVER),
    "touched": ("lines", (), "i8", NEVER),
    "spot": ("lines", (2,), "f8", 0.0),
    "passages": ("lines", (), "i8", 0),
    "counted": ("lines", (2,), "i8", NEVER),  # when it was last counted backward and forward
    "raw": ("zones", (), "?", False),
    "changed": ("zones", (), "i8", NEVER),
    "inside": ("zones", (), "?", False),
    "been": ("zones", (), "?", False),
    "since": ("zones", (), "i8", NEVER),
    "begun": ("limits", (), "i8", NEVER),
    "last_so": ("limits", (), "i8", NEVER),
    "active": ("limits", (), "?", False),
}


class TrackRows:
    """Rows of the tracks that are in the picture, in arrays that grow as needed; see `_COLUMNS` for what they hold.

    Args:
        fingerprints: of the lines, zones and limits, in the order of their columns.
    """

    def __init__(self, fingerprints: Fingerprints) -> None:
        self._fingerprints = fingerprints
        # Ids in order, and the row of each: a frame's rows are found all at once.
        self._known = np.zeros(0, np.int64)
        self._rows = np.zeros(0, np.int64)
        self._free: list[int] = []
        self._arrays = {name: self._fresh(name, 0) for name in _COLUMNS}

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def __len__(self) -> int:
        return len(self._known)

    def slot(self, track: int) -> int | None:
        """Where a track's row is; None if there is none."""
        at = int(np.searchsorted(self._known, track))
        return int(self._rows[at]) if at < len(self._known) and self._known[at] == track else None

    def slots(self) -> Int64:
        """All rows in use, in order of track id: an order that no history has a part in."""
        return self._rows

    def unseen_since(self, time_ns: int) -> Int64:
        """Rows of the tracks last seen before `time_ns`, in order of track id."""
        return self._rows[self._arrays["last"][self._rows] < time_ns]

    def take(self, tracks: Int64) -> tuple[Int64, NDArray[np.bool_]]:
        """Rows of these tracks, (N,), no two the same, and which of them are new."""
        rows, fresh = self._find(tracks)
        if fresh.any():
            self._add(tracks[fresh])
            rows, _ = self._find(tracks)
        return rows, fresh

    def drop(self, slot: int) -> None:
        """Forget the track of a row."""
        at = int(np.searchsorted(self._known, self._arrays["ids"][slot]))
        self._known, self._rows = np.delete(self._known, at), np.delete(self._rows, at)
        self._free.append(slot)
        for name, (_, _, _, value) in _COLUMNS.items():
            self._arrays[name][slot] = value

    def snapshot(self) -> dict[str, Any]:
        """All rows in use, in order of track id, and what their columns stand for."""
        slots = self.slots()
        return {
            "rules": {rule: list(prints) for rule, prints in self._fingerprints.items()},
            "columns": {name: self._arrays[name][slots] for name in _COLUMNS},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot. What it has of rules that have changed since is left out, and begins anew."""
        kept = state["columns"]
        n = len(kept["ids"])
        self._arrays = {name: self._fresh(name, n) for name in _COLUMNS}
        self._known, self._rows = np.array(kept["ids"], np.int64), np.arange(n, dtype=np.int64)
        self._free = []
        for name, (rule, _, _, _) in _COLUMNS.items():
            if not rule:
                self._arrays[name][:] = kept[name]
                continue
            before = list(state["rules"][rule])
            for column, fingerprint in enumerate(self._fingerprints[rule]):
                if fingerprint in before:
                    self._arrays[name][:, column] = kept[name][:, before.index(fingerprint)]

    def _find(self, tracks: Int64) -> tuple[Int64, NDArray[np.bool_]]:
        if not len(self._known):
            return np.zeros(len(tracks), np.int64), np.ones(len(tracks), bool)
        at = np.minimum(np.searchsorted(self._known, tracks), len(self._known) - 1)
        return self._rows[at], self._known[at] != tracks

    def _add(self, tracks: Int64) -> None:
        lacking = len(tracks) - len(self._free)
        if lacking > 0:
            used = len(self._arrays["ids"])
            more = max(16, used, lacking)
            self._arrays = {
                name: np.concatenate([array, self._fresh(name, more)]) for name, array in self._arrays.items()
            }
            self._free = [*range(used + more - 1, used - 1, -1), *self._free]
        slots = np.array([self._free.pop() for _ in range(len(tracks))], np.int64)
        self._arrays["ids"][slots] = tracks
        known, rows = np.concatenate([self._known, tracks]), np.concatenate([self._rows, slots])
        order = np.argsort(known, kind="stable")
        self._known, self._rows = known[order], rows[order]

    def _fresh(self, name: str, rows: int) -> Array:
        rule, shape, kind, value = _COLUMNS[name]
        columns = (len(self._fingerprints[rule]),) if rule else ()
        return np.full((rows, *columns, *shape), value, np.dtype(kind))
