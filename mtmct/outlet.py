"""What of a commit is published, and what is held back until it is known who it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mtmct import state as stored
from mtmct.arrivals import Placed
from mtmct.identities import IdentityBook
from mtmct.publication import Issue, Link
from mtmct.records import Tracklet
from mtmct.topology import Float64, Topology
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

    def issues(self, placed: Placed, links: Mapping[int, Link]) -> list[Issue]:
        """The tracklets that a commit publishes: of linked tracks, with why, and of guessed ones; others are held."""
        arrived: dict[int, list[int]] = {}
        for place, uid in enumerate(placed.uids):
            arrived.setdefault(uid, []).append(place)
        bounds, tracklets = placed.arrivals.bounds.tolist(), placed.arrivals.tracklets
        issues: list[Issue] = []
        tracks = in_order(self._tracks[uid] for uid in {*arrived, *links})
        guesses = {track.uid: 0 if track.identity else self._book.guesses.get(track.uid, 0) for track in tracks}
        released = self._released([track for track in tracks if track.identity or guesses[track.uid]])
        ground, nothing = placed.ground, ()
        for track in tracks:
            new, guess = arrived.get(track.uid, nothing), guesses[track.uid]
            if not track.identity and not guess:
                track.held += [tracklets[place] for place in new]
                if track.held:
                    self._tracks.holding.add(track.uid)
                continue
            if track.announced:
                # As nearly all are.
                issues += [Issue(track, tracklets[at], ground[bounds[at] : bounds[at + 1]], None, guess) for at in new]
                continue
            held, link = released.get(track.uid, nothing), links.get(track.uid)
            for tracklet, points in held:
                issues.append(Issue(track, tracklet, points, link, guess))
                link = None
            for place in new:
                issues.append(Issue(track, tracklets[place], ground[bounds[place] : bounds[place + 1]], link, guess))
                link = None
            if track.identity and (held or new):
                track.announced = True
                self._tracks.changed.add(track.uid)
        return issues

    def _released(self, tracks: Sequence[LocalTrack]) -> dict[int, list[tuple[Tracklet, Float64]]]:
        """What these tracks held back, by uid, with its points on the ground; they hold it no longer."""
        held = [(track, tracklet) for track in tracks for tracklet in track.held]
        if not held:
            return {}
        lengths = [len(tracklet) for _, tracklet in held]
        boxes = np.concatenate([tracklet.boxes for _, tracklet in held])
        points = self._topology.feet_of([track.camera for track, _ in held], lengths, boxes).points
        released: dict[int, list[tuple[Tracklet, Float64]]] = {}
        low = 0
        for (track, tracklet), length in zip(held, lengths, strict=True):
            released.setdefault(track.uid, []).append((tracklet, points[low : low + length]))
            low += length
        for track in tracks:
            if track.held:
                track.held = []
                self._tracks.holding.discard(track.uid)
                self._journal.drop(stored.held_key(track))
        return released
