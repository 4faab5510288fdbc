"""What of a commit is published, and what is held back until it is known who it is."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mtmct import state as stored
from mtmct.arrivals import Placed
from mtmct.identities import IdentityBook
from mtmct.publication import Issues, Link
from mtmct.topology import Float64, Topology
from mtmct.tracklets import Tracklets
from mtmct.tracks import TrackMemory
from operators.records import Int64


class Outlet:
    """Holds tracklets back whose track has no identity yet, and lets them go once it has one or a guess.

    Args:
        tracks, book: who is who.
        topology: puts what was held on the ground.
        journal: forgets what is held no longer.
    """

    def __init__(self, tracks: TrackMemory, book: IdentityBook, topology: Topology, journal: stored.Journal) -> None:
        self._tracks = tracks
        self._book = book
        self._topology = topology
        self._journal = journal

    def issues(self, placed: Placed, links: Mapping[int, Link]) -> Issues:
        """The tracklets that a commit publishes: of linked tracks, with why, and of guessed ones; others are held."""
        columns, owners = self._tracks.columns, placed.rows
        numbers = self._numbers(owners)
        waiting = np.flatnonzero(numbers == 0)
        # Columns of their own, so that what is held keeps no commit alive; its looks are in the track's already.
        held = placed.arrivals.at(waiting).without_looks()
        for uid, tracklet in zip(columns.uid[owners[waiting]].tolist(), held, strict=True):
            self._tracks[uid].held.append(tracklet)
            self._tracks.holding.add(uid)
        said, ground, released = self._with_released(placed)
        rows = np.arange(len(said))
        if len(released):
            owners, numbers = np.append(owners, released), np.append(numbers, self._numbers(released))
            rows = np.lexsort((said.times_ns[said.heads], said.tracks, said.camera))  # as they all would have come
        rows = rows[numbers[rows] > 0]
        first: dict[int, int] = {}
        newly = rows[~columns.announced[owners[rows]]]
        for row, uid in zip(newly.tolist(), columns.uid[owners[newly]].tolist(), strict=True):
            first.setdefault(uid, row)
        for uid in first:
            if self._tracks[uid].identity:
                self._tracks[uid].announced = True
                columns.changed[self._tracks[uid].row] = True
        votes, attributes = columns.attributes, {}
        if votes:
            attributes = {row: votes[owner] for row, owner in enumerate(owners.tolist()) if owner in votes}
        why = {row: links[uid] for uid, row in first.items() if uid in links}
        return Issues(said, ground, rows, numbers, columns.identity[owners] == 0, why, attributes)

    def _numbers(self, owners: Int64) -> Int64:
        """Of tracks, by their rows in the columns, the identity, or the guess; 0 where there is neither."""
        columns, guesses = self._tracks.columns, self._book.guesses
        numbers: Int64 = columns.identity[owners]
        waiting = np.flatnonzero(numbers == 0)
        numbers[waiting] = [guesses.get(uid, 0) for uid in columns.uid[owners[waiting]].tolist()]
        return numbers

    def _with_released(self, placed: Placed) -> tuple[Tracklets, Float64, Int64]:
        """What has arrived and, after it, what was held back of tracks that have a number now, which hold it no longer.

        With it where that is on the ground, and the rows of the tracks of what was held back.
        """
        holding = self._tracks.columns.rows_of(sorted(self._tracks.holding))
        known = holding[self._numbers(holding) > 0]
        tracks = [self._tracks[uid] for uid in self._tracks.columns.uid[known].tolist()]
        released = np.repeat(known, [len(track.held) for track in tracks])
        if not tracks:
            return placed.arrivals, placed.ground, released
        earlier = Tracklets.of([tracklet for track in tracks for tracklet in track.held])
        cameras = [earlier.cameras[number] for number in earlier.camera.tolist()]
        feet = self._topology.feet_of(cameras, earlier.lengths.tolist(), earlier.boxes)
        for track in tracks:
            track.held = []
            self._tracks.holding.discard(track.uid)
            self._journal.drop(stored.held_key(track))
        said = Tracklets.joined([placed.arrivals.without_looks(), earlier])
        return said, np.concatenate([placed.ground, feet.points]), released
