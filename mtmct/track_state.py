"""A local track as plain values: as it begins, as it is stored, as it is cut; in memory it is a row of columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mtmct.attributes import Tally
from mtmct.exemplars import Exemplars
from mtmct.topology import Float64
from mtmct.tracklets import Tracklet

NOT_FILED = -(2**62)


@dataclass(slots=True)
class TrackState:
    """What is known of one object in one camera.

    Attributes:
        uid: number of the track in this site, in order of first sight; never reused.
        camera, track: the camera's id and the track's id in it.
        votes: points seen per class name.
        start_ns, last_ns: event time of the first and the last point.
        points: how many points there were.
        first, last: (8,) float64, where it stood at `start_ns` and `last_ns`, smoothed over a tracklet:
            metres X, Y, covariance xx, xy, yy (NaN without calibration), foot pixel u, v and box height.
        velocity: (4,) float64, metres a second (2), pixels a second (2).
        at_border: it began at an edge of the picture, where people arrive.
        identity: number of its identity, 0 while it waits.
        linked_ns: event time of the commit that linked it.
        announced: its first tracklet has been published.
        ended: its camera let it go, or it has been silent for long.
        looks: its exemplars; `offered` counts the embeddings seen.
        filed_shard, filed_looks: gallery shard that holds its look, and `offered` when it was filed.
        looked_at: `offered` when its identity was last compared with those that look alike.
        since_ns, until_ns: the part of the local track that this is, where the track was cut because it had gone
            over to somebody else: event time from (0: its beginning) and to (exclusive; 0: still open).
        travelled: the times between views have learned from it.
        strayed_ns: event time since when it has not looked like itself any more; 0: it does. `strayed_looks` counts
            the embeddings that say so.
        ahead_ns: by how much its camera's clock is taken to be ahead: `start_ns` and `last_ns` are that much less
            than the camera said, `since_ns` and `until_ns` are as it said.
        settled: it is over and stored as it is, see `mtmct.state`.
        attributes: what it is like, in votes, see `mtmct.attributes`.
        held: tracklets that wait for an identity.
    """

    uid: int
    camera: str
    track: int
    votes: Mapping[str, int]
    start_ns: int
    last_ns: int
    points: int
    first: Float64
    last: Float64
    velocity: Float64
    at_border: bool
    identity: int = 0
    linked_ns: int = 0
    announced: bool = False
    ended: bool = False
    offered: int = 0
    looks: Exemplars = field(default_factory=Exemplars)
    filed_shard: int = NOT_FILED
    filed_looks: int = 0
    looked_at: int = 0
    since_ns: int = 0
    until_ns: int = 0
    travelled: bool = False
    strayed_ns: int = 0
    strayed_looks: int = 0
    ahead_ns: int = 0
    settled: bool = False
    attributes: Tally = field(default_factory=dict)
    held: list[Tracklet] = field(default_factory=list)

    @property
    def name(self) -> tuple[str, int]:
        """Camera and local track id."""
        return (self.camera, self.track)


def most_voted(votes: Mapping[str, int]) -> str:
    """The name with most votes; the alphabet decides a tie."""
    return min(votes, key=lambda name: (-votes[name], name)) if len(votes) > 1 else next(iter(votes))
