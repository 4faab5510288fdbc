"""Local track ids as a tracker would give them: lost with who leaves, sometimes broken, sometimes swapped."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.sources.simulation.site import Detected, Int64

_GAP_S = 0.3  # a box not found for so long may break its track
_LOST_S = 2.0  # and for so long it surely does


@dataclass(slots=True)
class TrackIds:
    """Who has which id, and when each was last seen: all that there is to remember from one stretch to the next.

    Attributes:
        following: the next new id.
        held: id and last frame, counted over all of the recording, by place.
    """

    following: int = 1
    held: dict[int, tuple[int, int]] = field(default_factory=dict)

    @property
    def state(self) -> list[Any]:
        """For a source's position."""
        return [self.following, [[place, *held] for place, held in self.held.items()]]

    @classmethod
    def of_state(cls, state: list[Any]) -> TrackIds:
        """As it was."""
        return cls(state[0], {place: (track, frame) for place, track, frame in state[1]})

    def give(
        self, seen: Detected, first: int, fps: float, breaks: float, swaps: float, random: np.random.Generator
    ) -> Int64:
        """(N,) ids for the boxes of the next frames.

        Args:
            seen: the boxes.
            first: frame of row 0, counted over all of the recording.
            fps: frames a second.
            breaks: share of tracks that break at a gap.
            swaps: share of tracks that go on under the id of who hid them, and those under theirs.
            random: of this stretch.
        """
        ids = np.zeros(len(seen.frames), np.int64)
        gap, lost = max(2, round(_GAP_S * fps)), max(3, round(_LOST_S * fps))
        hider: dict[int, int] = {}
        latest: dict[int, int] = {}  # by place: the row it was last seen in
        rows = zip(seen.frames.tolist(), seen.places.tolist(), seen.behind.tolist(), strict=True)
        for row, (frame, place, behind) in enumerate(rows):
            now = first + frame
            if place < 0:
                ids[row] = self._new()
                continue
            track, last = self.held.get(place, (0, -lost))
            away = now - last
            if away >= lost or (away > gap and random.uniform() < breaks):
                track = self._new()
            elif away > gap and hider.get(place, -1) in self.held and random.uniform() < swaps:
                other, when = self.held[hider[place]]
                if now - when <= gap:
                    self.held[hider[place]] = (track, when)
                    if when == now and hider[place] in latest:
                        ids[latest[hider[place]]] = track
                    track = other
            if behind >= 0:
                hider[place] = behind
            self.held[place] = (track, now)
            latest[place] = row
            ids[row] = track
        last_frame = first + (int(seen.frames[-1]) if len(seen.frames) else 0)
        self.held = {place: held for place, held in self.held.items() if last_frame - held[1] < lost}
        return ids

    def _new(self) -> int:
        self.following += 1
        return self.following - 1
