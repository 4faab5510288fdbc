"""What a commit forgets: tracks that are too old to be corrected, identities that will not be found again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mtmct import state as stored
from mtmct.album import Album
from mtmct.expiry import Expiry
from mtmct.identities import IdentityBook
from mtmct.keeping import Keeping
from mtmct.settings import FusionSettings
from mtmct.topology import Topology
from mtmct.tracks import LocalTrack, TrackMemory
from operators.records import SECOND_NS, Int64

_FOR_EVER = int(np.iinfo(np.int64).max)


class Forgetting:
    """Lets go of what is too old, by event time.

    Args:
        tracks, book: who is who.
        topology: which cameras are calibrated.
        settings: how long things are kept.
        expiry: when identities were last seen.
        album: takes those in that are closed, if they can be searched for.
        keeping: is told of which cameras tracks have changed.
        journal: loses the keys of what is forgotten.
    """

    def __init__(
        self,
        tracks: TrackMemory,
        book: IdentityBook,
        topology: Topology,
        settings: FusionSettings,
        expiry: Expiry,
        album: Album,
        keeping: Keeping,
        journal: stored.Journal,
    ) -> None:
        self._tracks, self._book, self._topology, self._settings = tracks, book, topology, settings
        self._expiry, self._album, self._keeping, self._journal = expiry, album, keeping, journal

    def parting(self, now_ns: int, *, flush: bool) -> Int64:
        """The tracks that this commit will forget, where positions or times speak: looks alone would join too much.

        Their rows in the columns, in order of first sight.
        """
        old, silent = self._bounds(now_ns)
        columns, rows = self._tracks.columns, self._tracks.linked_until(_FOR_EVER if flush else old, ended=False)
        if not self._settings.travel:
            calibrated = np.array([self._topology.calibrated(name) for name in columns.cameras], bool)
            rows = rows[calibrated[columns.camera[rows]]]
        return rows if flush else rows[columns.ended[rows] | (columns.last_ns[rows] < silent)]

    def forget(self, now_ns: int, *, flush: bool) -> None:
        """Forget tracks and close identities; `flush`: all of them, as nothing follows."""
        settings = self._settings
        old, silent = self._bounds(now_ns)
        columns, quiet = self._tracks.columns, self._tracks.silent_since(silent)
        columns.ended[quiet] = True
        self._keeping.stale_cameras |= {track.camera for track in self._tracks.at(quiet)}
        self._forget(self._tracks.at(self._tracks.linked_until(_FOR_EVER if flush else old, ended=not flush)))
        guessed = set(self._book.guesses.values())
        self._expiry.note(self._book.changed)
        unseen = sorted(self._book.identities) if flush else self._expiry.unseen_since(now_ns - settings.max_gap_ns)
        for number in unseen:
            identity = self._book[number]
            if number in guessed and not flush:
                self._expiry.note([number])
                continue
            self._forget(self._book.tracks_of(identity))
            if flush or settings.searchable_s > 0:
                self._album.keep(identity, self._journal)
            self._book.close(identity, now_ns)
        self._album.forget(0 if flush else now_ns - round(settings.searchable_s * SECOND_NS), self._journal)

    def _bounds(self, now_ns: int) -> tuple[int, int]:
        """Event times: who was seen last before the one is forgotten, before the other has ended."""
        return (
            now_ns - round(self._settings.memory_s * SECOND_NS),
            now_ns - round(self._settings.silence_s * SECOND_NS),
        )

    def _forget(self, tracks: Sequence[LocalTrack]) -> None:
        if not tracks:
            return
        self._book.forget(tracks)
        for track in tracks:
            self._journal.drop(stored.track_key(track))
            self._keeping.stale_cameras.add(track.camera)
            self._tracks.forget(track.uid)
