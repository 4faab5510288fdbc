"""Tracks and identities in the stored state: what a commit writes of them, and what a restart reads."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mtmct import provisional
from mtmct import state as stored
from mtmct.attributes import Population
from mtmct.identities import IdentityBook
from mtmct.stored_tracks import pack_cameras, pack_tracks, unpack_camera, unpack_track
from mtmct.tracks import TrackMemory
from operators.records import StateError


class Keeping:
    """Writes what has changed, and reads it again.

    Args:
        tracks, book: who is who.
        journal: where it is written.

    Attributes:
        stale_cameras: those of whose tracks something has changed that changes with every point.
    """

    def __init__(self, tracks: TrackMemory, book: IdentityBook, journal: stored.Journal) -> None:
        self._tracks = tracks
        self._book = book
        self._journal = journal
        self.stale_cameras: set[str] = set()

    def write(self) -> None:
        """Write what this commit has changed."""
        journal, tracks, book = self._journal, self._tracks, self._book
        columns, (_, rows) = tracks.columns, tracks.columns.by_uid()
        rows = rows[(columns.changed | (columns.ended & ~columns.settled))[rows]]
        for key, data in pack_tracks(columns, rows):
            journal.put(key, data)
        columns.settled[rows], columns.changed[rows] = columns.ended[rows], False
        for uid in sorted(tracks.holding):
            journal.put(stored.held_key(tracks[uid]), stored.pack_held(tracks[uid]))
        self._write_cameras()
        if tracks.population.changed:
            journal.put(stored.ATTRIBUTES, stored.packed({"votes": tracks.population.votes}))
            tracks.population.changed = False
        for number in sorted(book.changed):
            if number in book:
                journal.put(stored.identity_key(number), stored.pack_identity(book[number]))
            else:
                journal.drop(stored.identity_key(number))
        book.changed.clear()
        book.touched.clear()
        book.shrunk.clear()
        provisional.write(book.guesses, journal)

    def _write_cameras(self) -> None:
        """The fast-changing part of all tracks that go on, from their columns."""
        columns = self._tracks.columns
        uids, rows = columns.by_uid()
        stale = np.array([name in self.stale_cameras for name in columns.cameras], bool)
        said_again = stale[columns.camera[rows]] & ~columns.ended[rows]
        uids, rows = uids[said_again], rows[said_again]
        order = np.argsort(columns.camera[rows], kind="stable")
        uids, rows = uids[order], rows[order]
        cameras = columns.camera[rows]
        last_ns, sights, velocities = columns.last_ns[rows], columns.last[rows], columns.velocity[rows]
        counts = np.stack([columns.points[rows], columns.offered[rows]], axis=1)
        votes = columns.votes_of(rows)
        names = list(columns.cameras)
        heads = np.flatnonzero(np.diff(cameras, prepend=-1))
        bounds = [*heads.tolist(), len(rows)]
        values = pack_cameras(bounds, uids, last_ns, counts, sights, velocities, votes)
        said = {names[number]: value for number, value in zip(cameras[heads].tolist(), values, strict=True)}
        for camera in sorted(self.stale_cameras):
            if camera in said:
                self._journal.put(stored.camera_key(camera), said[camera])
            else:
                self._journal.drop(stored.camera_key(camera))
        self.stale_cameras.clear()

    def read(self, state: Mapping[str, bytes]) -> None:
        """Fill an empty memory and an empty book.

        Raises:
            StateError: the state is damaged or of another version.
        """

        def of(prefix: str) -> list[tuple[str, bytes]]:
            return [(key, data) for key, data in state.items() if key.startswith(prefix)]

        tracks, book = self._tracks, self._book
        book.guesses = provisional.read_guesses(state)
        identities = [stored.unpack_identity(key, data) for key, data in of(stored.IDENTITY)]
        book.identities = {one.number: one for one in sorted(identities, key=lambda one: one.number)}
        for identity in identities:  # of a class there may be nothing left but what an identity remembers
            for name in identity.votes:
                tracks.columns.number_of(name)
        unpacked = [unpack_track(key, data) for key, data in of(stored.TRACK)]
        known = {track.uid: track for track in sorted(unpacked, key=lambda track: track.uid)}
        for key, data in of(stored.CAMERA):
            unpack_camera(key, data, known)
        for track in known.values():
            if not track.votes:
                raise StateError(
                    f"{stored.camera_key(track.camera)} says nothing of track {track.track}: the stored state is "
                    "damaged; restore an earlier one or start afresh"
                )
        tracks.put(*known.values())
        for track in known.values():
            if track.identity:
                book[track.identity].uids.append(track.uid)
        if stored.ATTRIBUTES in state:
            tracks.population = Population(stored.unpacked(stored.ATTRIBUTES, state[stored.ATTRIBUTES])["votes"])
        for key, data in of(stored.HELD):
            camera, track_id, tracklets = stored.unpack_held(key, data)
            waiting = tracks.find(camera, track_id)
            if waiting is not None:
                waiting.held = tracklets
                tracks.holding.add(waiting.uid)
