"""Where in its picture a camera's view is entered and left: gates, learned, and what is counted at each of them.

Who leaves a street on the left is seen next by other cameras, at other edges and after other times, than who leaves it
on the right (cf. Makris, Ellis and Black, "Bridging the gaps between cameras", 2004). So a way is not from one camera
to another, but from a gate of the one to a gate of the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mtmct.topology import Float64

Spot = tuple[float, float]  # the middle of a box, pixels
Way = tuple[str, int, int, int]  # camera that was left, since when time counts, gate of that camera, gate of this one
ANYWHERE = -1  # in the place of a gate: it is not known which
MOST = 8  # gates a camera
_REACH = 0.15  # of a gate, as a part of the picture's width or height: farther away is another gate
_AREA = math.pi * _REACH**2  # of a gate, as a part of the picture's
_STEADY = 50.0  # a gate is the mean of about so many that passed it
_WAYS = 128  # ways kept a camera
_LEAST = 5e-4  # arrivals: a way that has had fewer is not kept; many small shares add up


@dataclass(slots=True)
class Gates:
    """The gates of one camera, and what was counted there, all of it fading.

    Attributes:
        bins: B, in how many the times are counted.
        places: of each gate its middle, as parts of the picture's width and height, and how many it is the mean of.
        began: (MOST, 2) tracks that began at each gate, and those of them never seen before.
        exposure: (2, MOST, B) seconds, as those of a camera, of the tracks that began, and that ended, at each gate.
        came: (B,) arrivals by each way.
    """

    bins: int
    places: list[list[float]] = field(default_factory=list)
    began: Float64 = field(default_factory=lambda: np.zeros((MOST, 2)))
    exposure: Float64 = field(init=False)
    came: dict[Way, Float64] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.exposure = np.zeros((2, MOST, self.bins))

    def nearest(self, spot: Spot | None) -> int:
        """The gate nearest to a spot (parts of width and height); `ANYWHERE` if there is none, or no spot."""
        if spot is None:
            return ANYWHERE
        best, least = ANYWHERE, float("inf")
        for gate, (x, y, _) in enumerate(self.places):
            apart = (x - spot[0]) ** 2 + (y - spot[1]) ** 2
            if apart < least:
                best, least = gate, apart
        return best

    def learn(self, spot: Spot | None) -> int:
        """A track began or ended at a spot: the gate that it belongs to from now on."""
        gate = self.nearest(spot)
        if spot is None:
            return ANYWHERE
        place = self.places[gate] if gate != ANYWHERE else None
        far = place is None or (place[0] - spot[0]) ** 2 + (place[1] - spot[1]) ** 2 > _REACH**2
        if place is None or (far and len(self.places) < MOST):
            self.places.append([*spot, 1.0])
            return len(self.places) - 1
        place[2] = min(place[2] + 1.0, _STEADY)
        place[0] += (spot[0] - place[0]) / place[2]
        place[1] += (spot[1] - place[1]) / place[2]
        return gate

    def share(self, gate: int, prior: float) -> float:
        """Which part of those who come into the view come through a gate; as if `prior` more had come through all."""
        return float((self.began[gate, 0] + prior / len(self.places)) / (self.began[:, 0].sum() + prior))

    def crowding(self, gate: int, usual: float, weight: float) -> float:
        """How many more newcomers begin at a gate than if they began evenly all over the picture, nats.

        Where there were none yet it is `usual`, which counts like so many (`weight`) newcomers.
        """
        here, everywhere = float(self.began[gate, 1]), float(self.began[:, 1].sum())
        return math.log((here / _AREA + weight * math.exp(usual)) / (everywhere + weight))

    def arrived(self, way: Way) -> Float64:
        """(B,) the arrivals by a way, to be added to."""
        return self.came.setdefault(way, np.zeros(self.bins))

    def tidy(self) -> None:
        """Keep the ways that are taken most."""
        if len(self.came) > _WAYS:
            busiest = sorted(self.came, key=lambda way: (-float(self.came[way].sum()), way))
            self.came = {way: self.came[way] for way in sorted(busiest[:_WAYS])}

    def fade(self, kept: float) -> None:
        """Forget: this part of everything is kept."""
        self.began, self.exposure = self.began * kept, self.exposure * kept
        self.came = {way: came * kept for way, came in self.came.items() if came.sum() * kept > _LEAST}

    def stored(self) -> dict[str, Any]:
        """All of it as plain values: of most ways most times have never been taken."""
        ways = sorted(self.came)
        return {
            "places": self.places,
            "began": self.began,
            "exposure": self.exposure[:, : len(self.places)],
            "ways": [[*way, np.flatnonzero(self.came[way]).tolist()] for way in ways],
            "came": np.concatenate([np.zeros(0), *(self.came[way][self.came[way] != 0] for way in ways)]),
        }

    @classmethod
    def restored(cls, value: Mapping[str, Any], bins: int) -> Gates:
        """What `stored` gave."""
        gates = cls(bins, [list(place) for place in value["places"]], np.array(value["began"]))
        gates.exposure[:, : len(gates.places)] = value["exposure"]
        came = np.array(value["came"])
        low = 0
        for source, since, left, entered, rows in value["ways"]:
            gates.arrived((source, since, left, entered))[rows] = came[low : low + len(rows)]
            low += len(rows)
        return gates


class Kept:
    """Values worked out of what some cameras have counted, for as long as these count nothing new."""

    def __init__(self) -> None:
        self._known: dict[Any, tuple[tuple[int, ...], Any]] = {}

    def get(self, key: Any, versions: tuple[int, ...], work_out: Callable[[], Any]) -> Any:
        """The value of a key, if it was worked out of these versions of the counts, or else as it is now."""
        known = self._known.get(key)
        if known is None or known[0] != versions:
            known = self._known[key] = versions, work_out()
        return known[1]
