"""What the analysis remembers of each track: columns of arrays, one row a track, by slot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.analyse.kernels import NEVER

Array = NDArray[Any]
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
        self._slots: dict[int, int] = {}
        self._free: list[int] = []
        self._arrays = {name: self._fresh(name, 0) for name in _COLUMNS}

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def __len__(self) -> int:
        return len(self._slots)

    def slot(self, track: int) -> int | None:
        """Where a track's row is; None if there is none."""
        return self._slots.get(track)

    def slots(self) -> NDArray[np.int64]:
        """All rows in use, in order of track id: an order that no history has a part in."""
        return np.array([self._slots[track] for track in sorted(self._slots)], np.int64)

    def take(self, tracks: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Rows of these tracks, (N,), and which of them are new."""
        known = self._slots
        rows = [known.get(track, -1) for track in tracks]
        fresh = np.zeros(len(rows), bool)
        if -1 in rows:
            for i, track in enumerate(tracks):
                if rows[i] < 0:
                    fresh[i] = True
                    rows[i] = self._new(track)
        return np.array(rows, np.int64), fresh

    def drop(self, slot: int) -> None:
        """Forget the track of a row."""
        track = int(self._arrays["ids"][slot])
        del self._slots[track]
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
        self._slots = {track: slot for slot, track in enumerate(kept["ids"].tolist())}
        self._free = []
        for name, (rule, _, _, _) in _COLUMNS.items():
            if not rule:
                self._arrays[name][:] = kept[name]
                continue
            before = list(state["rules"][rule])
            for column, fingerprint in enumerate(self._fingerprints[rule]):
                if fingerprint in before:
                    self._arrays[name][:, column] = kept[name][:, before.index(fingerprint)]

    def _new(self, track: int) -> int:
        if not self._free:
            used = len(self._arrays["ids"])
            more = max(16, used)
            self._arrays = {
                name: np.concatenate([array, self._fresh(name, more)]) for name, array in self._arrays.items()
            }
            self._free = list(range(used + more - 1, used - 1, -1))
        slot = self._free.pop()
        self._slots[track] = slot
        self._arrays["ids"][slot] = track
        return slot

    def _fresh(self, name: str, rows: int) -> Array:
        rule, shape, kind, value = _COLUMNS[name]
        columns = (len(self._fingerprints[rule]),) if rule else ()
        return np.full((rows, *columns, *shape), value, np.dtype(kind))
