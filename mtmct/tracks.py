"""The memory of local tracks: what fusion keeps of every track that a camera has reported lately."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from mtmct.arrivals import Placed, one_of_each
from mtmct.attributes import Population, Votes
from mtmct.columns import FLAGS, NUMBERS, SIGHTS, TrackColumns
from mtmct.exemplars import Exemplars
from mtmct.fits import Fits, Samples, no_samples
from mtmct.gates import Spot
from mtmct.itinerary import Stay
from mtmct.learning import extend, look
from mtmct.settings import FusionSettings
from mtmct.topology import Float64, Topology
from mtmct.track_state import NOT_FILED, TrackState
from mtmct.tracklets import Tracklet, Tracklets
from operators.records import Int64

# Columns of a sight: where a track stood at one moment.
X, Y, XX, XY, YY, U, V, H = range(8)
_BY_NAME = attrgetter("camera", "track")


class _Number:
    """A number of a track, in its row of the column of this name."""

    def __set_name__(self, _: type, name: str) -> None:
        self._name = name

    def __get__(self, track: LocalTrack, _: type | None = None) -> int:
        return int(getattr(track.columns, self._name).item(track.row))

    def __set__(self, track: LocalTrack, value: int) -> None:
        getattr(track.columns, self._name)[track.row] = value


class _Flag(_Number):
    def __get__(self, track: LocalTrack, _: type | None = None) -> bool:
        return bool(getattr(track.columns, self._name).item(track.row))


class _Sight:
    """The same of several numbers: a view of the row, so that to write into it is to change the track."""

    def __set_name__(self, _: type, name: str) -> None:
        self._name = name

    def __get__(self, track: LocalTrack, _: type | None = None) -> Float64:
        row: Float64 = getattr(track.columns, self._name)[track.row]
        return row

    def __set__(self, track: LocalTrack, value: Float64) -> None:
        getattr(track.columns, self._name)[track.row] = value


class LocalTrack:
    """One object in one camera, while it is remembered: a row of columns; see `TrackState` for what is known of it.

    Attributes:
        columns, row: where it is written. A track that is forgotten cannot be read any more.
        uid, camera, track: as in `TrackState`.
        held: tracklets that wait for an identity.
        look_count: how many exemplars it has.
    """

    __slots__ = ("camera", "columns", "held", "row", "track", "uid")

    identity, start_ns, points, offered, linked_ns = _Number(), _Number(), _Number(), _Number(), _Number()
    since_ns, until_ns, filed_shard, filed_looks, looked_at = _Number(), _Number(), _Number(), _Number(), _Number()
    strayed_ns, strayed_looks, heard_ns = _Number(), _Number(), _Number()
    at_border, ended, announced, travelled, settled = _Flag(), _Flag(), _Flag(), _Flag(), _Flag()
    first, last, velocity = _Sight(), _Sight(), _Sight()

    def __init__(self, columns: TrackColumns, uid: int, camera: str, track: int, held: Sequence[Tracklet] = ()) -> None:
        self.columns, self.row = columns, columns.rows[uid]
        self.uid, self.camera, self.track = uid, camera, track
        self.held = list(held)

    @property
    def name(self) -> tuple[str, int]:
        """Camera and local track id."""
        return (self.camera, self.track)

    @property
    def last_ns(self) -> int:
        """Event time of the last point; by the camera's own clock it is `heard_ns`."""
        return int(self.columns.last_ns.item(self.row))

    @last_ns.setter
    def last_ns(self, time_ns: int) -> None:
        self.columns.heard_ns[self.row] += time_ns - self.last_ns
        self.columns.last_ns[self.row] = time_ns

    @property
    def ahead_ns(self) -> int:
        """By how much its camera's clock is taken to be ahead."""
        return self.heard_ns - self.last_ns

    @property
    def votes(self) -> Mapping[str, int]:
        """Points seen per class name."""
        return self.columns.votes(self.row)

    @votes.setter
    def votes(self, votes: Mapping[str, int]) -> None:
        self.columns.set_votes(self.row, votes)

    @property
    def cls(self) -> str:
        """The class most of its points have; the alphabet decides a tie."""
        return list(self.columns.classes)[int(self.columns.cls[self.row])]

    @property
    def look_count(self) -> int:
        """How many exemplars it has."""
        return int(self.columns.looks.counts.item(self.row))

    @property
    def looks(self) -> Exemplars:
        """Its exemplars, as long as nothing more is learned of it."""
        return self.columns.looks.of(self.row)

    @looks.setter
    def looks(self, looks: Exemplars) -> None:
        self.columns.set_looks(self.row, looks)

    @property
    def attributes(self) -> Votes:
        """What it is like, in votes."""
        return self.columns.attributes.get(self.row, _NONE)

    @property
    def stay(self) -> Stay:
        """Where and when it was seen."""
        return Stay(self.start_ns, self.last_ns, self.camera, _middle(self.first), _middle(self.last))

    @property
    def grounded(self) -> bool:
        """Whether its last position on the ground is known."""
        return math.isfinite(self.last[X])

    def overlaps(self, start_ns: int, end_ns: int) -> bool:
        """Whether it was seen while something else was seen from `start_ns` to `end_ns`."""
        return self.start_ns <= end_ns and start_ns <= self.last_ns

    def state(self) -> TrackState:
        """What is known of it, as it is now."""
        looks = self.looks
        known = {name: getattr(self, name) for name in (*NUMBERS, *FLAGS)}
        sights = {name: getattr(self, name).copy() for name in SIGHTS}
        return TrackState(
            **known,
            **sights,
            camera=self.camera,
            votes=dict(self.votes),
            looks=Exemplars(looks.sums.copy(), looks.weights.copy()),
            ahead_ns=self.ahead_ns,
            attributes={facet: dict(values) for facet, values in self.attributes.items()},
            held=list(self.held),
        )


_NONE: Votes = MappingProxyType({})


def _middle(sight: Float64) -> Spot | None:
    """The middle of the box, pixels; None where the sight is not known."""
    u, v, height = sight[U:].tolist()
    return (u, v - height / 2) if math.isfinite(u) else None


class TrackMemory:
    """All tracks that are open to linking or correction, by `uid` in order of first sight.

    Attributes:
        columns: what is known of them.
        holding: uids of the tracks that hold tracklets back.
    """

    def __init__(self) -> None:
        self.tracks: dict[int, LocalTrack] = {}
        self.next_uid = 1
        self.holding: set[int] = set()
        self.population = Population()
        self.columns = TrackColumns()
        self._newest: dict[str, dict[int, int]] = {}  # row by camera, then local track id

    def __getitem__(self, uid: int) -> LocalTrack:
        return self.tracks[uid]

    def __contains__(self, uid: int) -> bool:
        return uid in self.tracks

    def find(self, camera: str, track: int) -> LocalTrack | None:
        """The track of this name, if it is remembered."""
        row = self._newest.get(camera, {}).get(track)
        return None if row is None else self.tracks[int(self.columns.uid[row])]

    def rows_of(self, said: Tracklets) -> Int64:
        """(T,) of each tracklet the row of the track that is remembered by its name; -1 where none is."""
        by_camera = [self._newest.get(camera, {}) for camera in said.cameras]
        names = zip(said.camera.tolist(), said.tracks.tolist(), strict=True)
        return np.array([by_camera[camera].get(track, -1) for camera, track in names], np.int64)

    def put(self, *states: TrackState) -> None:
        """Remember tracks, in order of uid: new ones, or such as were stored."""
        self.columns.add(states)
        for state in states:
            self._remember(LocalTrack(self.columns, state.uid, state.camera, state.track, state.held))

    def _remember(self, track: LocalTrack) -> None:
        self.tracks[track.uid] = track
        newest, since_ns = self._newest.setdefault(track.camera, {}), self.columns.since_ns
        before = newest.get(track.track)
        # Of a track that was cut its last part, which need not be the one that was cut off last.
        if before is None or since_ns[before] <= since_ns[track.row]:
            newest[track.track] = track.row

    def forget(self, uid: int) -> None:
        """Drop a track; it will not be corrected any more."""
        track = self.tracks.pop(uid)
        if self._newest[track.camera][track.track] == track.row:
            del self._newest[track.camera][track.track]
        self.holding.discard(uid)
        self.columns.forget(uid)
        del track.columns  # its row will be another's

    def waiting(self) -> Int64:
        """Rows of those without an identity, in order of first sight."""
        _, rows = self.columns.by_uid()
        waiting: Int64 = rows[self.columns.identity[rows] == 0]
        return waiting

    def silent_since(self, time_ns: int) -> Int64:
        """Rows of those that have not ended, and were last seen before an event time."""
        _, rows = self.columns.by_uid()
        return rows[~self.columns.ended[rows] & (self.columns.last_ns[rows] < time_ns)]

    def linked_until(self, time_ns: int, *, ended: bool) -> Int64:
        """Rows of those with an identity that were last seen before an event time; `ended`: and have ended."""
        columns, (_, rows) = self.columns, self.columns.by_uid()
        chosen = (columns.identity > 0) & (columns.last_ns < time_ns) & (columns.ended | (not ended))
        return rows[chosen[rows]]

    def at(self, rows: Int64) -> list[LocalTrack]:
        """The tracks in these rows."""
        tracks = self.tracks
        return [tracks[uid] for uid in self.columns.uid[rows].tolist()]

    def retime(self, camera: str, ahead_ns: int) -> None:
        """From now on the clock of a camera is taken to be so much ahead: its tracks move in time."""
        columns = self.columns
        _, rows = columns.by_uid()
        rows = rows[columns.camera[rows] == columns.cameras.get(camera, -1)]
        later = columns.heard_ns[rows] - columns.last_ns[rows] - ahead_ns
        columns.start_ns[rows] += later
        columns.last_ns[rows] += later
        columns.strayed_ns[rows] += np.where(columns.strayed_ns[rows] != 0, later, 0)
        columns.changed[rows] = True

    def cut(self, track: LocalTrack, since_ns: int) -> LocalTrack:
        """From `since_ns` on the local track is somebody else: that part becomes a track of its own, without identity.

        Where exactly the two stood at the cut is not known any more; nothing is said of it.
        """
        nowhere = np.full_like(track.last, np.nan)
        rest = replace(
            track.state(),
            uid=self.next_uid,
            votes={track.cls: 0},
            start_ns=since_ns - track.ahead_ns,
            points=max(track.points, 1),
            first=nowhere,
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
            settled=False,
            attributes={},
            held=[],
        )
        self.next_uid += 1
        track.last_ns = since_ns - track.ahead_ns - 1
        track.last, track.ended, track.until_ns = nowhere, True, since_ns
        self.put(rest)
        self.columns.changed[[track.row, self.tracks[rest.uid].row]] = True
        return self.tracks[rest.uid]

    def shorten(self, track: LocalTrack, since_ns: int) -> None:
        """A track that has ended was over before an event time: from then on it had gone over to somebody else."""
        track.last_ns = since_ns - 1
        track.last, track.until_ns = np.full_like(track.last, np.nan), since_ns + track.ahead_ns
        self.columns.changed[track.row] = True

    def take(
        self,
        said: Sequence[Tracklet],
        topology: Topology,
        settings: FusionSettings,
        ahead_ns: Mapping[str, int] = MappingProxyType({}),
        known: Int64 | None = None,
    ) -> tuple[Placed, Samples]:
        """Learn from tracklets, sorted by camera, track and time, already checked.

        `ahead_ns` says of which cameras the clocks are ahead and by how much; what is placed has the camera's times,
        all else corrected ones. `known`: the tracklets' `rows_of`, by who has asked for them already.
        """
        arrivals = Tracklets.of(said)
        if not len(arrivals):
            return Placed(arrivals, np.zeros(0, np.int64), np.zeros((0, 2))), no_samples()
        times_ns = arrivals.times_ns
        if ahead_ns:
            ahead = np.array([ahead_ns.get(camera, 0) for camera in arrivals.cameras], np.int64)
            times_ns = times_ns - np.repeat(ahead[arrivals.camera], arrivals.lengths)
        fits = Fits(arrivals, times_ns, topology)
        longest = int((fits.last_ns - fits.start_ns).max())
        self.columns.longest_ns = max(self.columns.longest_ns, longest)
        rows = self.rows_of(arrivals) if known is None else known
        # One that was over, and gone over to somebody else by then, is somebody else's where it goes on.
        over = (rows >= 0) & (self.columns.until_ns[rows] > 0)
        fresh = np.flatnonzero(over | (rows < 0))
        if len(fresh):
            self._begin(arrivals, fresh, over, fits, topology, settings, ahead_ns)
            rows[fresh] = self.rows_of(arrivals.at(fresh))
        for of in one_of_each(rows):
            changed = extend(self.columns, self.population, rows[of], arrivals, fits, of, settings)
            self.columns.changed[rows[of[changed]]] = True
        return Placed(arrivals, rows, fits.ground), fits.samples(self.columns.uid[rows], settings.slot_ns)

    def _begin(
        self,
        arrivals: Tracklets,
        fresh: Int64,
        over: NDArray[np.bool_],
        fits: Fits,
        topology: Topology,
        settings: FusionSettings,
        ahead_ns: Mapping[str, int],
    ) -> None:
        """Remember the tracks that `fresh` tracklets begin; the one before some of them is `over`."""
        # Of several pieces of one track, which come one after the other, the first begins it.
        camera, track = arrivals.camera[fresh], arrivals.tracks[fresh]
        of = fresh[np.append(True, (camera[1:] != camera[:-1]) | (track[1:] != track[:-1]))]
        cameras = [arrivals.cameras[number] for number in arrivals.camera[of].tolist()]
        columns, heads, tracks = self.columns, arrivals.heads[of], arrivals.tracks[of]
        uids = range(self.next_uid, self.next_uid + len(of))
        self.next_uid += len(of)
        rows = columns.new(uids)
        columns.camera[rows] = [columns.camera_number(camera) for camera in cameras]
        columns.track[rows] = tracks
        columns.sole[rows] = [columns.number_of(arrivals.classes[cls]) for cls in arrivals.cls[of].tolist()]
        columns.cls[rows] = columns.sole[rows]
        columns.start_ns[rows] = columns.last_ns[rows] = fits.start_ns[of]
        columns.heard_ns[rows] = fits.start_ns[of] + [ahead_ns.get(camera, 0) for camera in cameras]
        columns.since_ns[rows] = np.where(over[of], arrivals.times_ns[heads], 0)
        columns.first[rows] = columns.last[rows] = fits.beginnings[of]
        seen = zip(cameras, arrivals.boxes[heads].tolist(), strict=True)
        columns.at_border[rows] = [topology.at_border(camera, box, settings.border) for camera, box in seen]
        for name in zip(uids, cameras, tracks.tolist(), strict=True):
            self._remember(LocalTrack(columns, *name))
        columns.changed[rows] = True

    def look(self, track: LocalTrack, arrivals: Tracklets, place: int, settings: FusionSettings) -> None:
        """Learn what a track looks like from the tracklet at a place, unless it no longer looks like itself."""
        of = np.array([place], np.int64)
        if arrivals.look_bounds[place + 1] > arrivals.look_bounds[place]:
            starts, row = arrivals.times_ns[arrivals.heads[of]], np.array([track.row])
            self.columns.changed[row] |= look(self.columns, row, arrivals, starts, of, settings)


def in_order(tracks: Iterable[LocalTrack]) -> list[LocalTrack]:
    """Tracks by camera, then local id: the order in which decisions are taken and published."""
    return sorted(tracks, key=_BY_NAME)
