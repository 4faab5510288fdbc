"""The tracklets of a commit once they are taken in: whose they are, and where that is on the ground."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mtmct.topology import Float64
from mtmct.tracklets import Tracklets
from operators.records import Int64


@dataclass(slots=True)
class Placed:
    """Tracklets that were taken in.

    Attributes:
        arrivals: the tracklets, by the cameras' own clocks.
        rows: (T,) int64, of the track of each, in the columns of the memory.
        ground: (P, 2) float64, their points on the ground, metres, NaN where unknown.
    """

    arrivals: Tracklets
    rows: Int64
    ground: Float64


def one_of_each(rows: Int64) -> list[Int64]:
    """Places in turns, in which no track comes twice: one turn, unless a commit brings several pieces of a track.

    Args:
        rows: (T,) of the tracks, pieces of one track one after the other.
    """
    places = np.arange(len(rows))
    if not (rows[1:] == rows[:-1]).any():
        return [places]
    begins = np.ones(len(rows), bool)
    begins[1:] = rows[1:] != rows[:-1]
    turn = places - places[begins][np.cumsum(begins) - 1]
    return [np.flatnonzero(turn == number) for number in range(int(turn.max()) + 1)]
