"""How many a subject could be: the prior of each of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtmct.identities import IdentityBook
from mtmct.settings import FusionSettings
from mtmct.subjects import Subject
from mtmct.topology import Topology
from operators.records import SECOND_NS, Int64

_ON_THE_GROUND = ""  # stands for all calibrated cameras together; no camera is called so
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
        self._away: dict[str, int] | None = None
        self._counted = 0

    def of(self, subject: Subject) -> int:
        """How many open identities the subject could be for all that the cameras show now.

        Whoever is in view of the same camera, or on the ground of a calibrated one while the subject is, too, is
        somebody else unless the positions agree, and then no prior is needed. Where only one or two are away, it
        is not they who come back in two of three cases: newcomers do not become fewer for that.
        """
        if self._away is None:
            self._away = self._presence()
        if not subject.tracks:
            return 1
        camera = subject.tracks[0].camera
        away = self._away.get(camera)
        if away is None:
            away = self._away[_ON_THE_GROUND] if self._topology.calibrated(camera) else 0
            self._away[camera] = away
        known = len(self._book)
        if abs(known - self._counted) * _FEW > self._counted:
            self._counted = known
        return max(self._settings.least_rivals, self._counted - away)

    def _presence(self) -> dict[str, int]:
        """How many identities whoever is in a camera cannot be, as they are in view elsewhere or beside it."""
        tracks, columns = self._book.track_table(), self._book.columns
        rows = columns.by_uid()[1]
        rows = rows[(tracks.heard_ns[rows] >= self._now_ns - 2 * SECOND_NS) & (tracks.identity[rows] > 0)]
        seen = _distinct((tracks.camera[rows] << _NUMBER_BITS) | tracks.identity[rows])
        cameras, numbers = seen >> _NUMBER_BITS, seen & ((1 << _NUMBER_BITS) - 1)
        names = list(columns.cameras)
        calibrated: NDArray[np.bool_] = np.array([self._topology.calibrated(name) for name in names], bool)
        on_the_ground = len(_distinct(numbers[calibrated[cameras]])) if len(cameras) else 0
        counts = np.bincount(cameras)
        found = np.flatnonzero(counts)
        away = {
            names[camera]: on_the_ground if calibrated[camera] else count
            for camera, count in zip(found.tolist(), counts[found].tolist(), strict=True)
        }
        return {**away, _ON_THE_GROUND: on_the_ground}


def _distinct(numbers: Int64) -> Int64:
    """Each of some numbers once, ascending; none is negative. `np.unique` takes twice as long."""
    ordered = np.sort(numbers)
    found: Int64 = ordered[np.diff(ordered, prepend=-1) != 0]
    return found
