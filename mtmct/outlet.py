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
from mtmct.tracks import LocalTrack, TrackMemory, in_order


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
        arrived: dict[int, list[int]] = {}
        for row, uid in enumerate(placed.uids):
            arrived.setdefault(uid, []).append(row)
        tracks = [self._tracks[uid] for uid in arrived]  # in order, as tracklets come by camera and track
        if not arrived.keys() >= links.keys():
            tracks = in_order([*tracks, *(self._tracks[uid] for uid in links if uid not in arrived)])
        guessed, holding = self._book.guesses, self._tracks.holding
        guesses = {uid: guess for track in tracks if not track.identity and (guess := guessed.get(uid := track.uid, 0))}
        released = [track for track in tracks if track.uid in holding and (track.identity or track.uid in guesses)]
        said, ground, held = self._with_held(placed, released)
        issues = Issues(said, ground, [], [], {}, guesses)
        for track in tracks:
            uid = track.uid
            rows = arrived.get(uid, [])
            if not track.identity and uid not in guesses:
                self._hold(track, placed.arrivals, rows)
                continue
            if not track.announced:  # as few are
                rows = [*held.get(uid, ()), *rows]
                if rows and uid in links:
                    issues.links[len(issues.rows)] = links[uid]
                if rows and track.identity:
                    track.announced = True
                    self._tracks.changed.add(uid)
            issues.rows.extend(rows)
            issues.tracks.extend([track] * len(rows))
        return issues

    def _hold(self, track: LocalTrack, arrivals: Tracklets, rows: Sequence[int]) -> None:
        track.held += [_kept(arrivals[row]) for row in rows]
        if track.held:
            self._tracks.holding.add(track.uid)

    def _with_held(
        self, placed: Placed, tracks: Sequence[LocalTrack]
    ) -> tuple[Tracklets, Float64, dict[int, list[int]]]:
        """What has arrived and, after it, what these tracks held back; where that is on the ground; the rows, by uid.

        The tracks hold it no longer.
        """
        held = [(track, tracklet) for track in tracks for tracklet in track.held]
        if not held:
            return placed.arrivals, placed.ground, {}
        earlier = Tracklets.of([tracklet for _, tracklet in held])
        cameras, lengths = [track.camera for track, _ in held], earlier.lengths.tolist()
        ground = np.concatenate([placed.ground, self._topology.feet_of(cameras, lengths, earlier.boxes).points])
        rows: dict[int, list[int]] = {}
        for row, (track, _) in enumerate(held, len(placed.arrivals)):
            rows.setdefault(track.uid, []).append(row)
        for track in tracks:
            track.held = []
            self._tracks.holding.discard(track.uid)
            self._journal.drop(stored.held_key(track))
        return Tracklets.joined([placed.arrivals.without_looks(), earlier]), ground, rows


def _kept(tracklet: Tracklet) -> Tracklet:
    """One that keeps no other alive, and has no looks: those are in the track's already."""
    columns = {name: getattr(tracklet, name).copy() for name in ("frames", "times_ns", "boxes", "scores")}
    return replace(tracklet, **columns, embeddings=None, qualities=np.zeros(0, np.float32))
