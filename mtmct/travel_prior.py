"""What is believed of the times between views before anything was learned: the grid of times, and rates on it."""

from __future__ import annotations

import math

import numpy as np

from mtmct.settings import FusionSettings, Path
from mtmct.topology import Float64

BESIDE, GONE = 0, 1  # while in the view of the camera, by the time since coming; after, by the time since leaving
COMING = 2.0 / 3.0  # how many of those who leave a view are seen again, and of arrivals have been seen
_STARTS_S = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 14.0)
_GROWTH = 1.2  # of the bins after those
_SOON_S = 2.0  # the density of travel times falls as 1 / (time + this)
_PRIOR_DEPARTURES = 5.0  # what is believed of a pair weighs, in departures
_GIVEN_DEPARTURES = 20.0  # and where the site's file gives the travel time
_OFF_THE_PATH = 0.05  # share of those on a given path who take other times than it says


class Believed:
    """Rates of coming from one view into another as they are before anybody came.

    Args:
        settings: the longest gap, the paths the site's file gives.

    Attributes:
        edges: (B + 1,) float64, seconds, between the bins of time. widths: (B,) of these.
        paths: given travel times, by source and target.
    """

    def __init__(self, settings: FusionSettings) -> None:
        self.edges = _edges(settings.max_gap_s)
        self.widths = np.diff(self.edges)
        self.paths = {(path.source, path.target): path for path in settings.paths}
        ends = np.log(self.edges + _SOON_S)
        density = np.diff(ends) / (ends[-1] - ends[0]) / self.widths
        self._usual = np.stack([math.exp(settings.unseen_overlap) * density, density])

    def rates(self, source: str, target: str, cameras: int) -> tuple[float, Float64]:
        """What it weighs, in departures, and (2, B) how many a second come, in a site of so many cameras."""
        prior = self._usual * (COMING / max(cameras - 1, 1))
        path = self.paths.get((source, target))
        if path is None:
            return _PRIOR_DEPARTURES, prior
        given = np.stack([self._usual[BESIDE] * (path.low_s <= 0), _between(path, self.edges)])
        return _GIVEN_DEPARTURES, (1 - _OFF_THE_PATH) * COMING * given + _OFF_THE_PATH * prior


def _edges(longest_s: float) -> Float64:
    edges = list(_STARTS_S)
    while edges[-1] * _GROWTH < longest_s:
        edges.append(round(edges[-1] * _GROWTH, 1))
    return np.array([*(edge for edge in edges if edge < longest_s), longest_s])


def _between(path: Path, edges: Float64) -> Float64:
    """Density of a triangle over a path's times, in each bin."""
    low, top, high = path.low_s, path.typical_s, path.high_s
    span = max(high - low, 1e-3)

    def below(t: Float64) -> Float64:
        rising = (t - low) ** 2 / (span * max(top - low, 1e-9))
        falling = 1 - (high - t) ** 2 / (span * max(high - top, 1e-9))
        return np.where(t <= low, 0.0, np.where(t >= high, 1.0, np.where(t < top, rising, falling)))

    return np.diff(below(edges)) / np.diff(edges)
