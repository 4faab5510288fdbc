"""How many a subject could be: the prior of each of them."""

from __future__ import annotations

import numpy as np

from mtmct.columns import TrackTable
from mtmct.identities import IdentityBook
from mtmct.settings import FusionSettings
from mtmct.topology import Topology
from operators.records import SECOND_NS, Int64

_NUMBER_BITS = 40  # of an identity's number beside that of a camera in one key
_FEW = 50


class Rivals:
    """Who could be anybody, as things stand at one commit.

    Who is in view is counted when it is first asked for. The identities are counted anew once their number has changed
    by a fiftieth: one more of thousands is no reason to score anew whoever could be any of them.

    Args:
        book: the identities.
        topology: which cameras are calibrated.
        settings: the least to be reckoned with.
        now_ns: the commit's event time.
    """

    def __init__(self, book: IdentityBook, topology: Topology, settings: FusionSettings, now_ns: int) -> None:
        self._book, self._topology, self._settings, self._now_ns = book, topology, settings, now_ns
        self._away: Int64 | None = None
        self._counted = 0

    def recount(self) -> int:
        """Count the identities anew, if their number has changed by much; how many were counted last."""
        known = len(self._book)
        if abs(known - self._counted) * _FEW > self._counted:
            self._counted = known
        return self._counted

    def of(self, rows_at: Int64, rows: Int64) -> Int64:
        """(S,) int64, how many open identities each subject could be for all that the cameras show now.

        Whoever is in view of the same camera, or on the ground of a calibrated one while the subject is, too, is
        somebody else unless the positions agree, and then no prior is needed. Where only one or two are away, it
        is not they who come back in two of three cases: newcomers do not become fewer for that.

        Args:
            rows_at, rows: the rows of the tracks in memory of each subject, see `mtmct.spans.Asked`.
        """
        tracks = self._book.track_table()
        if self._away is None:
            self._away = self._presence(tracks)
        found = np.ones(len(rows_at) - 1, np.int64)
        if len(rows):
            shown = rows_at[1:] > rows_at[:-1]
            cameras = tracks.camera[rows[rows_at[:-1][shown]]]
            found[shown] = np.maximum(self._settings.least_rivals, self.recount() - self._away[cameras])
        return found

    def _presence(self, tracks: TrackTable) -> Int64:
        """By camera, how many identities whoever is in it cannot be, as they are in view elsewhere or beside it."""
        columns = self._book.columns
        rows = columns.by_uid()[1]
        rows = rows[(tracks.heard_ns[rows] >= self._now_ns - 2 * SECOND_NS) & (tracks.identity[rows] > 0)]
        seen = _distinct((tracks.camera[rows] << _NUMBER_BITS) | tracks.identity[rows])
        cameras, numbers = seen >> _NUMBER_BITS, seen & ((1 << _NUMBER_BITS) - 1)
        calibrated = np.array([self._topology.calibrated(name) for name in columns.cameras], bool)
        on_the_ground = len(_distinct(numbers[calibrated[cameras]]))
        return np.where(calibrated, on_the_ground, np.bincount(cameras, minlength=len(calibrated)))


def _distinct(numbers: Int64) -> Int64:
    """Each of some numbers once, ascending; none is negative. `np.unique` takes twice as long."""
    ordered = np.sort(numbers)
    found: Int64 = ordered[np.diff(ordered, prepend=-1) != 0]
    return found
