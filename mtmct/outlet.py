"""What of a commit is published, and what is held back until it is known who it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mtmct import state as stored
from mtmct.arrivals import Placed
from mtmct.identities import IdentityBook
from mtmct.publication import Issues, Link
from mtmct.topology import Float64, Topology
from mtmct.tracklets import Tracklet, Tracklets
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
        columns, uids = self._tracks.columns, placed.uids
        owners = columns.rows_of(uids)
        numbers = self._numbers(uids, owners)
        for row in np.flatnonzero(numbers == 0).tolist():
            self._tracks[uids[row]].held.append(_kept(placed.arrivals[row]))
            self._tracks.holding.add(uids[row])
        said, ground, released = self._with_released(placed)
        rows = np.arange(len(said))
        if released:
            uids, more = [*uids, *released], columns.rows_of(released)
            owners, numbers = np.append(owners, more), np.append(numbers, self._numbers(released, more))
            rows = np.lexsort((said.times_ns[said.heads], said.tracks, said.camera))  # as they all would have come
        rows = rows[numbers[rows] > 0]
        first: dict[int, int] = {}
        for row in rows[~columns.announced[owners[rows]]].tolist():
            first.setdefault(uids[row], row)
        for uid in first:
            if self._tracks[uid].identity:
                self._tracks[uid].announced = True
                self._tracks.changed.add(uid)
        votes, attributes = columns.attributes, {}
        if votes:
            attributes = {row: votes[owner] for row, owner in enumerate(owners.tolist()) if owner in votes}
        why = {row: links[uid] for uid, row in first.items() if uid in links}
        return Issues(said, ground, rows, numbers, columns.identity[owners] == 0, why, attributes)

    def _numbers(self, uids: Sequence[int], owners: Int64) -> Int64:
        """Of tracks, with the rows that they have in the columns, the identity, or the guess; 0 if there is neither."""
        numbers, guesses = self._tracks.columns.identity[owners], self._book.guesses
        waiting = np.flatnonzero(numbers == 0)
        numbers[waiting] = [guesses.get(uids[place], 0) for place in waiting.tolist()]
        return numbers

    def _with_released(self, placed: Placed) -> tuple[Tracklets, Float64, list[int]]:
        """What has arrived and, after it, what was held back of tracks that have a number now, which hold it no longer.

        With it where that is on the ground, and the uids of the tracks of what was held back.
        """
        holding = sorted(self._tracks.holding)
        known = self._numbers(holding, self._tracks.columns.rows_of(holding)) > 0
        tracks = [self._tracks[holding[place]] for place in np.flatnonzero(known).tolist()]
        if not tracks:
            return placed.arrivals, placed.ground, []
        released = [track.uid for track in tracks for _ in track.held]
        earlier = Tracklets.of([tracklet for track in tracks for tracklet in track.held])
        cameras = [earlier.cameras[number] for number in earlier.camera.tolist()]
        feet = self._topology.feet_of(cameras, earlier.lengths.tolist(), earlier.boxes)
        for track in tracks:
            track.held = []
            self._tracks.holding.discard(track.uid)
            self._journal.drop(stored.held_key(track))
        said = Tracklets.joined([placed.arrivals.without_looks(), earlier])
        return said, np.concatenate([placed.ground, feet.points]), released


def _kept(tracklet: Tracklet) -> Tracklet:
    """One that keeps no other alive, and has no looks: those are in the track's already."""
    columns = {name: getattr(tracklet, name).copy() for name in ("frames", "times_ns", "boxes", "scores")}
    return replace(tracklet, **columns, embeddings=None, qualities=np.zeros(0, np.float32))
