"""What of a commit is published, and what is held back until it is known who it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mtmct import state as stored
from mtmct.arrivals import Placed
from mtmct.identities import IdentityBook
from mtmct.publication import Issue, Link, Points
from mtmct.records import Tracklet
from mtmct.topology import Topology
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

    def issues(self, placed: Placed, links: Mapping[int, Link]) -> tuple[list[Issue], Points]:
        """The tracklets that a commit publishes: of linked tracks, with why, and of guessed ones; others are held."""
        arrived: dict[int, list[int]] = {}
        for place, uid in enumerate(placed.uids):
            arrived.setdefault(uid, []).append(place)
        bounds, tracklets = placed.arrivals.bounds.tolist(), placed.arrivals.tracklets
        issues: list[Issue] = []
        tracks = [self._tracks[uid] for uid in arrived]  # in order, as tracklets come by camera and track
        if not arrived.keys() >= links.keys():
            tracks = in_order([*tracks, *(self._tracks[uid] for uid in links if uid not in arrived)])
        guessed = self._book.guesses
        guesses = {track.uid: 0 if track.identity else guessed.get(track.uid, 0) for track in tracks}
        released = [track for track in tracks if track.held and (track.identity or guesses[track.uid])]
        points, spans = self._with_held(placed, released)
        for track in tracks:
            uid = track.uid
            new, guess = arrived.get(uid, ()), guesses[uid]
            if track.announced and (track.identity or guess):
                # As nearly all are.
                issues += [Issue(track, tracklets[at], bounds[at], bounds[at + 1], None, guess) for at in new]
                continue
            if not track.identity and not guess:
                track.held += [tracklets[place] for place in new]
                if track.held:
                    self._tracks.holding.add(uid)
                continue
            arrivals = [(tracklets[at], bounds[at], bounds[at + 1]) for at in new]
            parts: list[tuple[Tracklet, int, int]] = [*spans.get(track.uid, ()), *arrivals]
            for place, part in enumerate(parts):
                issues.append(Issue(track, *part, None if place else links.get(track.uid), guess))
            if track.identity and parts:
                track.announced = True
                self._tracks.changed.add(track.uid)
        return issues, points

    def _with_held(
        self, placed: Placed, tracks: Sequence[LocalTrack]
    ) -> tuple[Points, dict[int, list[tuple[Tracklet, int, int]]]]:
        """The points that have arrived and those that these tracks held back, and where which of these are, by uid.

        The tracks hold them no longer.
        """
        arrivals = placed.arrivals
        points = Points(arrivals.frames, arrivals.times_ns, arrivals.boxes, arrivals.scores, placed.ground)
        held = [(track, tracklet) for track in tracks for tracklet in track.held]
        if not held:
            return points, {}
        lengths = [len(tracklet) for _, tracklet in held]
        boxes = np.concatenate([tracklet.boxes for _, tracklet in held])
        earlier = Points(
            np.concatenate([tracklet.frames for _, tracklet in held]),
            np.concatenate([tracklet.times_ns for _, tracklet in held]),
            boxes,
            np.concatenate([tracklet.scores for _, tracklet in held]),
            self._topology.feet_of([track.camera for track, _ in held], lengths, boxes).points,
        )
        spans: dict[int, list[tuple[Tracklet, int, int]]] = {}
        low = len(points.frames)
        for (track, tracklet), length in zip(held, lengths, strict=True):
            spans.setdefault(track.uid, []).append((tracklet, low, low + length))
            low += length
        for track in tracks:
            track.held = []
            self._tracks.holding.discard(track.uid)
            self._journal.drop(stored.held_key(track))
        return points.and_then(earlier), spans
