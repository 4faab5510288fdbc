"""The memory of local tracks: what fusion keeps of every track that a camera has reported lately."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from mtmct.arrivals import Placed, one_of_each
from mtmct.attributes import Population, Tally, add
from mtmct.columns import TrackColumns
from mtmct.exemplars import Exemplars, all_due, due
from mtmct.fits import Fits, Samples, halfway, no_samples
from mtmct.gates import Spot
from mtmct.itinerary import Stay
from mtmct.leaders import are_others
from mtmct.settings import FusionSettings
from mtmct.topology import Float64, Topology
from mtmct.tracklets import Tracklet, Tracklets
from operators.records import Float32, Int64

# Columns of a sight: where a track stood at one moment.
X, Y, XX, XY, YY, U, V, H = range(8)
_KNOWN_LOOKS = 4  # embeddings after which it is known what a track looks like
NOT_FILED = -(2**62)
_BY_NAME = attrgetter("camera", "track")


@dataclass(slots=True)
class LocalTrack:
    """One object in one camera.

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
        attributes: what it is like, in votes, see `mtmct.attributes`.
        held: tracklets that wait for an identity.
    """

    uid: int
    camera: str
    track: int
    votes: dict[str, int]
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
    attributes: Tally = field(default_factory=dict)
    held: list[Tracklet] = field(default_factory=list)

    @property
    def name(self) -> tuple[str, int]:
        """Camera and local track id."""
        return (self.camera, self.track)

    @property
    def heard_ns(self) -> int:
        """Event time of the last point by the camera's own clock."""
        return self.last_ns + self.ahead_ns

    @property
    def stay(self) -> Stay:
        """Where and when it was seen."""
        return Stay(self.start_ns, self.last_ns, self.camera, _middle(self.first), _middle(self.last))

    @property
    def cls(self) -> str:
        """The class most of its points have; the alphabet decides a tie."""
        return most_voted(self.votes)

    @property
    def grounded(self) -> bool:
        """Whether its last position on the ground is known."""
        return math.isfinite(self.last[X])

    def overlaps(self, start_ns: int, end_ns: int) -> bool:
        """Whether it was seen while something else was seen from `start_ns` to `end_ns`."""
        return self.start_ns <= end_ns and start_ns <= self.last_ns


def _middle(sight: Float64) -> Spot | None:
    """The middle of the box, pixels; None where the sight is not known."""
    u, v, height = sight[U:].tolist()
    return (u, v - height / 2) if math.isfinite(u) else None


def most_voted(votes: Mapping[str, int]) -> str:
    """The name with most votes; the alphabet decides a tie."""
    return min(votes, key=lambda name: (-votes[name], name)) if len(votes) > 1 else next(iter(votes))


class TrackMemory:
    """All tracks that are open to linking or correction, by `uid` in order of first sight.

    Attributes:
        columns: the same as columns.
        holding: uids of the tracks that hold tracklets back.
    """

    def __init__(self) -> None:
        self.tracks: dict[int, LocalTrack] = {}
        self.next_uid = 1
        self.changed: set[int] = set()
        self.holding: set[int] = set()
        self.population = Population()
        self.columns = TrackColumns()
        self._uids: dict[str, dict[int, int]] = {}  # by camera, then local track id

    def __getitem__(self, uid: int) -> LocalTrack:
        return self.tracks[uid]

    def __contains__(self, uid: int) -> bool:
        return uid in self.tracks

    def find(self, camera: str, track: int) -> LocalTrack | None:
        """The track of this name, if it is remembered."""
        uid = self._uids.get(camera, {}).get(track)
        return None if uid is None else self.tracks[uid]

    def uids_of(self, said: Tracklets) -> list[int]:
        """Of each tracklet the track that is remembered by its name; 0 where none is."""
        by_camera = [self._uids.get(camera, {}) for camera in said.cameras]
        names = zip(said.camera.tolist(), said.tracks.tolist(), strict=True)
        return [by_camera[camera].get(track, 0) for camera, track in names]

    def put(self, track: LocalTrack) -> None:
        """Remember a track (a new one, or one restored)."""
        self.tracks[track.uid] = track
        self._uids.setdefault(track.camera, {})[track.track] = track.uid
        self.columns.moved(track.uid)
        self.columns.looked(track.uid)

    def forget(self, uid: int) -> LocalTrack:
        """Drop a track; it will not be corrected any more."""
        track = self.tracks.pop(uid)
        if self._uids[track.camera][track.track] == uid:
            del self._uids[track.camera][track.track]
        self.changed.discard(uid)
        self.holding.discard(uid)
        self.columns.forget(uid)
        return track

    def end(self, track: LocalTrack) -> None:
        """No more will come of a track."""
        track.ended = True
        self.columns.moved(track.uid)

    def waiting(self) -> list[LocalTrack]:
        """Those without an identity, in order of first sight."""
        table = self.columns.table(self.tracks)
        return self._at(table.identity == 0)

    def silent_since(self, time_ns: int) -> list[LocalTrack]:
        """Those that have not ended, and were last seen before an event time."""
        table = self.columns.table(self.tracks)
        return self._at(~table.ended & (table.last_ns < time_ns))

    def linked_until(self, time_ns: int, *, ended: bool) -> list[LocalTrack]:
        """Those with an identity that were last seen before an event time; `ended`: and have ended."""
        table = self.columns.table(self.tracks)
        return self._at((table.identity > 0) & (table.last_ns < time_ns) & (table.ended | (not ended)))

    def _at(self, chosen: NDArray[np.bool_]) -> list[LocalTrack]:
        uids, rows = self.columns.by_uid()
        return [self.tracks[uid] for uid in uids[chosen[rows]].tolist()]

    def retime(self, camera: str, ahead_ns: int) -> None:
        """From now on the clock of a camera is taken to be so much ahead: its tracks move in time."""
        for track in self.tracks.values():
            if track.camera == camera:
                later = track.ahead_ns - ahead_ns
                track.start_ns, track.last_ns, track.ahead_ns = track.start_ns + later, track.last_ns + later, ahead_ns
                track.strayed_ns += later if track.strayed_ns else 0
                self.changed.add(track.uid)
                self.columns.moved(track.uid)

    def cut(self, track: LocalTrack, since_ns: int) -> LocalTrack:
        """From `since_ns` on the local track is somebody else: that part becomes a track of its own, without identity.

        Where exactly the two stood at the cut is not known any more; nothing is said of it.
        """
        nowhere = np.full_like(track.last, np.nan)
        rest = replace(
            track,
            uid=self.next_uid,
            votes={track.cls: 0},
            start_ns=since_ns - track.ahead_ns,
            points=max(track.points, 1),
            first=nowhere.copy(),
            at_border=True,
            identity=0,
            linked_ns=0,
            announced=False,
            offered=0,
            looks=Exemplars(),
            filed_shard=NOT_FILED,
            filed_looks=0,
            looked_at=0,
            strayed_ns=0,
            strayed_looks=0,
            since_ns=since_ns,
            attributes={},
            held=[],
        )
        self.next_uid += 1
        track.last_ns = since_ns - track.ahead_ns - 1
        track.last, track.ended, track.until_ns = nowhere, True, since_ns
        self.tracks[rest.uid] = rest
        if self._uids[track.camera][track.track] == track.uid:
            self._uids[rest.camera][rest.track] = rest.uid
        self.changed |= {track.uid, rest.uid}
        self.columns.moved(track.uid)
        self.columns.moved(rest.uid)
        return rest

    def heard_ns(self, said: Tracklets, otherwise: int) -> Int64:
        """(T,) when the track of each was heard of last, by its camera's own clock; `otherwise` if never."""
        table, rows = self.columns.table(self.tracks), self.columns.rows
        places = np.array([rows.get(uid, -1) for uid in self.uids_of(said)], np.int64)
        heard: Int64 = np.where(places >= 0, table.heard_ns[places], otherwise)
        return heard

    def shorten(self, track: LocalTrack, since_ns: int) -> None:
        """A track that has ended was over before an event time: from then on it had gone over to somebody else."""
        track.last_ns = since_ns - 1
        track.last, track.until_ns = np.full_like(track.last, np.nan), since_ns + track.ahead_ns
        self.changed.add(track.uid)
        self.columns.moved(track.uid)

    def take(
        self,
        said: Sequence[Tracklet],
        topology: Topology,
        settings: FusionSettings,
        ahead_ns: Mapping[str, int] = MappingProxyType({}),
    ) -> tuple[Placed, Samples]:
        """Learn from tracklets, sorted by camera, track and time, already checked.

        `ahead_ns` says of which cameras the clocks are ahead and by how much; what is placed has the camera's times,
        all else corrected ones.
        """
        arrivals = Tracklets.of(said)
        if not len(arrivals):
            return Placed(arrivals, [], np.zeros((0, 2))), no_samples()
        times_ns = arrivals.times_ns
        if ahead_ns:
            ahead = np.array([ahead_ns.get(camera, 0) for camera in arrivals.cameras], np.int64)
            times_ns = times_ns - np.repeat(ahead[arrivals.camera], arrivals.lengths)
        fits = Fits(arrivals, times_ns, topology)
        longest = int((fits.last_ns - fits.start_ns).max())
        self.columns.longest_ns = max(self.columns.longest_ns, longest)
        tracks = []
        for row, uid in enumerate(self.uids_of(arrivals)):
            track = self.tracks.get(uid)
            if track is None or track.until_ns:
                track = self._begin(arrivals[row], int(fits.start_ns[row]), fits.beginnings[row], topology, settings)
                track.ahead_ns = ahead_ns.get(track.camera, 0)
            tracks.append(track)
        uids = [track.uid for track in tracks]
        for turn in one_of_each(uids):
            self._extend([tracks[row] for row in turn], arrivals, fits, np.array(turn, np.int64), settings)
        return Placed(arrivals, uids, fits.ground), fits.samples(np.array(uids, np.int64), settings.slot_ns)

    def _begin(
        self, tracklet: Tracklet, start_ns: int, first: Float64, topology: Topology, settings: FusionSettings
    ) -> LocalTrack:
        """A track for a tracklet that continues none, unless another of this commit has begun it already."""
        before = self.find(tracklet.camera, tracklet.track)
        if before is not None and not before.until_ns:
            return before
        track = LocalTrack(
            uid=self.next_uid,
            camera=tracklet.camera,
            track=tracklet.track,
            votes={tracklet.cls: 0},
            start_ns=start_ns,
            last_ns=start_ns,
            points=0,
            first=first.copy(),
            last=first.copy(),
            velocity=np.zeros(4),
            at_border=topology.at_border(tracklet.camera, tracklet.boxes[0], settings.border),
            # One that was over, and gone over to somebody else by then, is somebody else's where it goes on.
            since_ns=0 if before is None else int(tracklet.times_ns[0]),
        )
        self.next_uid += 1
        self.put(track)
        self.changed.add(track.uid)
        return track

    def _extend(
        self, tracks: Sequence[LocalTrack], arrivals: Tracklets, fits: Fits, of: Int64, settings: FusionSettings
    ) -> None:
        """Take in one tracklet (`of`, its place) for each of some tracks: in the objects and in the columns."""
        table, columns = self.columns.table(self.tracks), self.columns
        rows = np.array([columns.rows[track.uid] for track in tracks], np.int64)
        lengths, ends, last_ns = fits.lengths[of], fits.ends[of], fits.last_ns[of]
        velocities = halfway(table.velocity[rows], fits.velocities[of], columns.points[rows] > 0)
        present = np.flatnonzero(np.bincount(arrivals.cls[of])).tolist()
        number = {cls: columns.number_of(arrivals.classes[cls]) for cls in present}
        classes, ended = arrivals.cls[of].tolist(), arrivals.ended[of]
        table.heard_ns[rows] += last_ns - table.last_ns[rows]
        table.last_ns[rows], table.last[rows], table.velocity[rows] = last_ns, ends, velocities
        table.ended[rows] = ended
        columns.points[rows] += lengths
        columned = (lengths.tolist(), last_ns.tolist(), ends, velocities, ended.tolist(), table.sole[rows].tolist())
        for track, cls, length, last, end, velocity, is_ended, sole in zip(tracks, classes, *columned, strict=True):
            name = arrivals.classes[cls]
            track.votes[name] = track.votes.get(name, 0) + length
            track.points += length
            track.last_ns, track.last, track.velocity, track.ended = last, end, velocity, is_ended
            if sole != number[cls]:
                columns.moved(track.uid)
        for track, place in zip(tracks, of.tolist(), strict=True) if arrivals.attributes else ():
            if votes := arrivals.attributes.get(place):
                add(track.attributes, votes)
                self.population.add(votes)
                self.changed.add(track.uid)
        seen = np.diff(arrivals.look_bounds)[of] > 0
        if seen.all():
            self._look(tracks, arrivals, fits.start_ns[of], of, settings)
        elif seen.any():
            places = np.flatnonzero(seen)
            some, of = [tracks[place] for place in places.tolist()], of[places]
            self._look(some, arrivals, fits.start_ns[of], of, settings)

    def _look(
        self, tracks: Sequence[LocalTrack], arrivals: Tracklets, starts: Int64, of: Int64, settings: FusionSettings
    ) -> None:
        """Learn what tracks look like, unless they no longer look like themselves: then note since when (`starts`)."""
        columns = self.columns
        columns.table(self.tracks)
        rows = np.array([columns.rows[track.uid] for track in tracks], np.int64)
        lows, highs = arrivals.look_bounds[of], arrivals.look_bounds[of + 1]
        offered, calibration = columns.offered[rows], settings.appearance
        known = offered >= _KNOWN_LOOKS
        strange = are_others(
            columns.sums, np.where(known, columns.pictures[rows], 0), rows, arrivals.looks, arrivals.worths, lows,
            highs, calibration.slope, calibration.offset, settings.unlike,
        )  # fmt: skip
        columned = (lows.tolist(), highs.tolist(), strange.tolist(), starts.tolist(), all_due(offered).tolist())
        for track, low, high, is_strange, start_ns, is_due in zip(tracks, *columned, strict=True):
            if is_strange or track.strayed_ns or high - low > 1:
                looks = arrivals.looks[low:high], arrivals.worths[low:high]
                self._learn(track, *looks, start_ns, settings, strange=is_strange)
                continue
            if is_due:
                self.changed.add(track.uid)
                columns.looked(track.uid)
                track.looks.absorb(arrivals.looks[low:high], arrivals.worths[low:high], settings.track_exemplars)
            track.offered += 1
        columns.offered[rows] = [track.offered for track in tracks]

    def look(self, track: LocalTrack, arrivals: Tracklets, place: int, settings: FusionSettings) -> None:
        """Learn what a track looks like from the tracklet at a place, unless it no longer looks like itself."""
        of = np.array([place], np.int64)
        if arrivals.look_bounds[place + 1] > arrivals.look_bounds[place]:
            self._look([track], arrivals, arrivals.times_ns[arrivals.heads[of]], of, settings)

    def _learn(
        self,
        track: LocalTrack,
        vectors: Float32,
        qualities: Float32,
        start_ns: int,
        settings: FusionSettings,
        *,
        strange: bool,
    ) -> None:
        if strange:
            track.strayed_ns = track.strayed_ns or start_ns
            track.strayed_looks += len(vectors)
            self.changed.add(track.uid)
            return
        if track.strayed_ns:
            track.strayed_ns = track.strayed_looks = 0
            self.changed.add(track.uid)
        for row in range(len(vectors)):
            if due(track.offered):
                self.changed.add(track.uid)
                self.columns.looked(track.uid)
                track.looks.absorb(vectors[row : row + 1], qualities[row : row + 1], settings.track_exemplars)
            track.offered += 1


def in_order(tracks: Iterable[LocalTrack]) -> list[LocalTrack]:
    """Tracks by camera, then local id: the order in which decisions are taken and published."""
    return sorted(tracks, key=_BY_NAME)
