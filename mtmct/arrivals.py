"""The tracklets of a commit once they are taken in: whose they are, and where that is on the ground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mtmct.topology import Float64
from mtmct.tracklets import Tracklets


@dataclass(slots=True)
class Placed:
    """Tracklets that were taken in.

    Attributes:
        arrivals: the tracklets, by the cameras' own clocks.
        uids: of the track of each.
        ground: (P, 2) float64, their points on the ground, metres, NaN where unknown.
    """

    arrivals: Tracklets
    uids: list[int]
    ground: Float64


def one_of_each(uids: Sequence[int]) -> list[list[int]]:
    """Rows in turns, in which no track comes twice: one turn, unless a commit brings several pieces of a track."""
    turns: list[list[int]] = []
    times: dict[int, int] = {}
    for row, uid in enumerate(uids):
        turn = times[uid] = times.get(uid, -1) + 1
        if turn == len(turns):
            turns.append([])
        turns[turn].append(row)
    return turns
