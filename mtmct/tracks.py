"""The memory of local tracks: what fusion keeps of every track that a camera has reported lately."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from mtmct.attributes import Population, Tally, add
from mtmct.columns import TrackColumns
from mtmct.exemplars import Exemplars, due, is_another
from mtmct.records import Tracklet
from mtmct.settings import FusionSettings
from mtmct.topology import Float64, Topology
from mtmct.travel import Stay
from operators.records import SECOND_NS, Int64

# Columns of a sight: where a track stood at one moment.
X, Y, XX, XY, YY, U, V, H = range(8)
_KNOWN_LOOKS = 4  # embeddings after which it is known what a track looks like
NOT_FILED = -(2**62)
_MIN_SPAN_S = 0.15  # a velocity fitted over less is noise


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
        return Stay(self.start_ns, self.last_ns, self.camera)

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


def most_voted(votes: Mapping[str, int]) -> str:
    """The name with most votes; the alphabet decides a tie."""
    return min(votes, key=lambda name: (-votes[name], name)) if len(votes) > 1 else next(iter(votes))


@dataclass(frozen=True, slots=True)
class Samples:
    """Positions on the common grid of time slots, sorted by track, then slot.

    Attributes:
        uids: (S,) int64. slots: (S,) int64, event time divided by the slot's length.
        points: (S, 2) float64, metres at the middle of the slot. covariances: (S, 3) float64, xx, xy, yy.
    """

    uids: Int64
    slots: Int64
    points: Float64
    covariances: Float64

    def __len__(self) -> int:
        return len(self.uids)


@dataclass(frozen=True, slots=True)
class Placed:
    """A tracklet and its (M, 2) points on the ground, metres, NaN where unknown."""

    uid: int
    tracklet: Tracklet
    ground: Float64


class TrackMemory:
    """All tracks that are open to linking or correction, by `uid` in order of first sight.

    Attributes:
        columns: the same as columns.
    """

    def __init__(self) -> None:
        self.tracks: dict[int, LocalTrack] = {}
        self.next_uid = 1
        self.changed: set[int] = set()
        self.population = Population()
        self.columns = TrackColumns()
        self._uids: dict[tuple[str, int], int] = {}

    def __getitem__(self, uid: int) -> LocalTrack:
        return self.tracks[uid]

    def __contains__(self, uid: int) -> bool:
        return uid in self.tracks

    def find(self, camera: str, track: int) -> LocalTrack | None:
        """The track of this name, if it is remembered."""
        uid = self._uids.get((camera, track))
        return None if uid is None else self.tracks[uid]

    def put(self, track: LocalTrack) -> None:
        """Remember a track (a new one, or one restored)."""
        self.tracks[track.uid] = track
        self._uids[track.name] = track.uid
        self.columns.moved(track.uid)
        self.columns.looked(track.uid)

    def forget(self, uid: int) -> LocalTrack:
        """Drop a track; it will not be corrected any more."""
        track = self.tracks.pop(uid)
        if self._uids[track.name] == uid:
            del self._uids[track.name]
        self.changed.discard(uid)
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
        if self._uids[track.name] == track.uid:
            self._uids[rest.name] = rest.uid
        self.changed |= {track.uid, rest.uid}
        self.columns.moved(track.uid)
        self.columns.moved(rest.uid)
        return rest

    def take(
        self,
        said: Sequence[Tracklet],
        topology: Topology,
        settings: FusionSettings,
        ahead_ns: Mapping[str, int] = MappingProxyType({}),
    ) -> tuple[list[Placed], Samples]:
        """Learn from tracklets, sorted by camera, track and time, already checked.

        `ahead_ns` says of which cameras the clocks are ahead and by how much; what is placed has the camera's times,
        all else corrected ones.
        """
        if not said:
            return [], _no_samples()
        tracklets = [_corrected(tracklet, ahead_ns) for tracklet in said] if ahead_ns else said
        fits = _Fits(tracklets, topology)
        tracks = []
        for row, tracklet in enumerate(tracklets):
            track = self.find(tracklet.camera, tracklet.track)
            if track is None:
                track = self._begin(tracklet, fits.beginnings[row], topology, settings)
                track.ahead_ns = ahead_ns.get(tracklet.camera, 0)
            tracks.append(track)
        starts = fits.starts.tolist()
        placed = []
        for row, (track, tracklet) in enumerate(zip(tracks, said, strict=True)):
            placed.append(Placed(track.uid, tracklet, fits.ground[starts[row] : starts[row + 1]]))
        for rows in _one_of_each([track.uid for track in tracks]):
            _speed_up([tracks[row] for row in rows], fits.velocities[rows])
            for row in rows:
                self._extend(tracks[row], tracklets[row], fits.ends[row], settings)
        uids = np.array([track.uid for track in tracks], np.int64)
        return placed, fits.samples(uids, settings.slot_ns)

    def _begin(self, tracklet: Tracklet, first: Float64, topology: Topology, settings: FusionSettings) -> LocalTrack:
        track = LocalTrack(
            uid=self.next_uid,
            camera=tracklet.camera,
            track=tracklet.track,
            votes={},
            start_ns=int(tracklet.times_ns[0]),
            last_ns=int(tracklet.times_ns[0]),
            points=0,
            first=first.copy(),
            last=first.copy(),
            velocity=np.zeros(4),
            at_border=topology.at_border(tracklet.camera, tracklet.boxes[0], settings.border),
        )
        self.next_uid += 1
        self.put(track)
        self.changed.add(track.uid)
        return track

    def _extend(self, track: LocalTrack, tracklet: Tracklet, end: Float64, settings: FusionSettings) -> None:
        track.votes[tracklet.cls] = track.votes.get(tracklet.cls, 0) + len(tracklet)
        track.points += len(tracklet)
        track.last_ns = int(tracklet.times_ns[-1])
        track.last = end.copy()
        track.ended = tracklet.ended
        if tracklet.attributes:
            add(track.attributes, tracklet.attributes)
            self.population.add(tracklet.attributes)
            self.changed.add(track.uid)
        self.columns.moved(track.uid)
        if tracklet.embeddings is not None:
            self.look(track, tracklet, settings)

    def look(self, track: LocalTrack, tracklet: Tracklet, settings: FusionSettings) -> None:
        """Learn what a track looks like, unless it no longer looks like itself: then note since when."""
        vectors, qualities = tracklet.embeddings, tracklet.qualities
        if vectors is None or not len(vectors):
            return
        known = track.offered >= _KNOWN_LOOKS
        if known and is_another(vectors, qualities, track.looks, settings.appearance, settings.unlike):
            track.strayed_ns = track.strayed_ns or int(tracklet.times_ns[0])
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


def _corrected(tracklet: Tracklet, ahead_ns: Mapping[str, int]) -> Tracklet:
    ahead = ahead_ns.get(tracklet.camera, 0)
    return replace(tracklet, times_ns=tracklet.times_ns - ahead) if ahead else tracklet


def _one_of_each(uids: Sequence[int]) -> list[list[int]]:
    """Rows in turns, in which no track comes twice: one turn, unless a commit brings several pieces of a track."""
    turns: list[list[int]] = []
    times: dict[int, int] = {}
    for row, uid in enumerate(uids):
        turn = times[uid] = times.get(uid, -1) + 1
        if turn == len(turns):
            turns.append([])
        turns[turn].append(row)
    return turns


def _speed_up(tracks: Sequence[LocalTrack], fitted: Float64) -> None:
    """Velocities halfway between what they were and what was fitted ((N, 4), NaN where nothing was)."""
    before = np.array([track.velocity for track in tracks])
    old = np.array([track.points > 0 for track in tracks])[:, None]
    after = np.where(old, np.where(np.isfinite(fitted), (fitted + before) / 2, before), fitted)
    for track, velocity in zip(tracks, np.where(np.isfinite(after), after, 0.0), strict=True):
        track.velocity = velocity.copy()


class _Fits:
    """A straight line through every tracklet: where it began and ended, how fast it went. One pass over all points."""

    def __init__(self, tracklets: Sequence[Tracklet], topology: Topology) -> None:
        lengths = np.array([len(tracklet) for tracklet in tracklets])
        self.starts = np.concatenate([[0], np.cumsum(lengths)])
        self.times_ns = np.concatenate([tracklet.times_ns for tracklet in tracklets])
        boxes = np.concatenate([tracklet.boxes for tracklet in tracklets])
        placed = topology.feet_of([tracklet.camera for tracklet in tracklets], lengths.tolist(), boxes)
        self.ground, self.covariances = placed.points, placed.covariances
        heads = self.starts[:-1]
        rows = np.repeat(np.arange(len(tracklets)), lengths)
        origin = self.times_ns[heads]
        seconds = (self.times_ns - origin[rows]) / SECOND_NS
        corners = boxes.astype(np.float64)
        feet = np.stack([(corners[:, 0] + corners[:, 2]) / 2, corners[:, 3]], axis=1)
        values = np.concatenate([self.ground, feet], axis=1)
        middle = np.add.reduceat(seconds, heads) / lengths
        means = np.add.reduceat(values, heads, axis=0) / lengths[:, None]
        offsets = seconds - middle[rows]
        spread = np.add.reduceat(offsets**2, heads)
        slopes = np.add.reduceat(offsets[:, None] * (values - means[rows]), heads, axis=0)
        last = seconds[self.starts[1:] - 1]
        enough = (lengths >= 3) & (last >= _MIN_SPAN_S)
        with np.errstate(divide="ignore", invalid="ignore"):
            self.velocities = np.where(enough[:, None], slopes / spread[:, None], np.nan)
        moving = np.where(np.isfinite(self.velocities), self.velocities, 0.0)
        heights = np.add.reduceat(corners[:, 3] - corners[:, 1], heads) / lengths
        spreads = np.add.reduceat(self.covariances, heads, axis=0) / lengths[:, None]
        begun = means - moving * middle[:, None]
        done = means + moving * (last - middle)[:, None]
        self.beginnings = np.concatenate([begun[:, :2], spreads, begun[:, 2:], heights[:, None]], axis=1)
        self.ends = np.concatenate([done[:, :2], spreads, done[:, 2:], heights[:, None]], axis=1)
        self._rows = rows
        self._moving = moving[:, :2]

    def samples(self, uids: Int64, slot_ns: int) -> Samples:
        """Positions at the middles of the time slots: the mean of a slot's points, moved there along the line."""
        known = np.isfinite(self.ground[:, 0])
        if not known.any():
            return _no_samples()
        rows = self._rows[known]
        times, points, covariances = self.times_ns[known], self.ground[known], self.covariances[known]
        slots = times // slot_ns
        owners = uids[rows]
        new = np.ones(len(slots), bool)
        new[1:] = (slots[1:] != slots[:-1]) | (owners[1:] != owners[:-1])
        heads = np.flatnonzero(new)
        counts = np.diff(np.append(heads, len(slots)))
        from_middle = (times - (slots * slot_ns + slot_ns // 2)) / SECOND_NS
        lag = np.add.reduceat(from_middle, heads) / counts
        mean = np.add.reduceat(points, heads, axis=0) / counts[:, None]
        spread = np.add.reduceat(covariances, heads, axis=0) / counts[:, None]
        return Samples(owners[heads], slots[heads], mean - self._moving[rows[heads]] * lag[:, None], spread)


def _no_samples() -> Samples:
    return Samples(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 2)), np.zeros((0, 3)))


def in_order(tracks: Iterable[LocalTrack]) -> list[LocalTrack]:
    """Tracks by camera, then local id: the order in which decisions are taken and published."""
    return sorted(tracks, key=lambda track: track.name)
