"""The door of fusion: what batches bring is put in order, and what cannot be used is set aside with the reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtmct.attributes import fault
from mtmct.records import DEADLETTER, CameraBatch, Record
from mtmct.topology import Float64, Topology
from mtmct.tracklets import Tracklet, Tracklets, fault_of_points
from mtmct.tracks import TrackMemory
from operators.records import Float32, Int64

_BEGINNING = -(2**62)


@dataclass(frozen=True, slots=True)
class Intake:
    """What a commit has to work with.

    Attributes:
        arrivals: every row usable and newer than what its track has had; looks at unit length.
        rows: (T,) int64, the row of the track of each, -1 where that is new.
        passed: records that the batches brought along, events first.
        letters: dead letters of this commit.
        ended: camera and track of those that ended without another point.
        dim: length of the site's embeddings, 0 while none has been seen.
    """

    arrivals: Tracklets
    rows: Int64
    passed: list[Record]
    letters: list[Record]
    ended: list[tuple[str, int]]
    dim: int


def by_interval(batches: Sequence[CameraBatch]) -> list[list[CameraBatch]]:
    """The batches of each interval, in order of time; one empty list if there are none."""
    slices: dict[int, list[CameraBatch]] = {}
    for batch in batches:
        slices.setdefault(batch.interval, []).append(batch)
    return [slices[interval] for interval in sorted(slices)] or [[]]


def take_in(batches: Sequence[CameraBatch], memory: TrackMemory, topology: Topology, site: str, dim: int) -> Intake:
    """Sort and check. The order of `batches` leaves no mark: they are sorted by camera and sequence number.

    A batch that comes twice counts once. The length of the first embedding ever seen is the site's.
    """
    once = {(batch.camera, batch.sequence): batch for batch in sorted(batches, key=lambda b: (b.camera, b.epoch))}
    ordered = [once[key] for key in sorted(once)]
    events = [record for batch in ordered for record in batch.events]
    letters = [record for batch in ordered for record in batch.deadletters]
    passed, said = events + letters, [batch.tracklets for batch in ordered if batch.tracklets]
    check = _Check(site, dim, memory, topology)
    try:
        come = Tracklets.joined([Tracklets.of(tracklets) for tracklets in said])
    except ValueError:  # what does not fit together is looked at one by one
        everything = [tracklet for tracklets in said for tracklet in tracklets]
        whole = [one for batch in ordered for one in batch.tracklets if check.is_whole(one, batch.watermark_ns)]
        arrivals = Tracklets.of([kept for one in _in_order(whole) if (kept := check(one)) is not None])
        rows = memory.rows_of(arrivals)
        ended = {(tracklet.camera, tracklet.track) for tracklet in everything if tracklet.ended}
    else:
        ended = set(come.at(np.flatnonzero(come.ended)).names)
        arrivals, rows = _checked(_seen(come), check, memory, topology)
    return Intake(arrivals, rows, passed, check.letters, sorted(ended), check.dim)


def _in_order(tracklets: Sequence[Tracklet]) -> list[Tracklet]:
    """Those with points, by camera, track and time."""
    seen = [tracklet for tracklet in tracklets if len(tracklet)]
    return sorted(seen, key=lambda tracklet: (tracklet.camera, tracklet.track, int(tracklet.times_ns[0])))


def _seen(come: Tracklets) -> Tracklets:
    """The same of columns."""
    seen = come.lengths > 0
    if not seen.all():
        come = come.at(np.flatnonzero(seen))
    # As they mostly are: batches are in order of cameras, and theirs in order of tracks.
    later = (come.camera[1:] > come.camera[:-1]) | _of_one_camera(come) & (come.tracks[1:] > come.tracks[:-1])
    return come if later.all() else come.at(np.lexsort((come.times_ns[come.heads], come.tracks, come.camera)))


def _of_one_camera(come: Tracklets) -> NDArray[np.bool_]:
    same: NDArray[np.bool_] = come.camera[1:] == come.camera[:-1]
    return same


def _checked(come: Tracklets, check: _Check, memory: TrackMemory, topology: Topology) -> tuple[Tracklets, Int64]:
    """What can be used of tracklets in order, and the rows of their tracks, -1 of new ones.

    Only what is out of the ordinary is looked at singly.
    """
    rows = memory.rows_of(come)
    heard_ns = np.where(rows >= 0, memory.columns.heard_ns[rows], _BEGINNING)
    doubtful, units = _survey(come, heard_ns, topology, check.dim)
    if (~doubtful & (np.diff(come.look_bounds) > 0)).any():
        check.dim = units.shape[1]
    good = replace(come, looks=units)
    if not doubtful.any():
        return good, rows
    sound, unsure = np.flatnonzero(~doubtful), np.flatnonzero(doubtful)
    usable = {row: kept for row in unsure.tolist() if (kept := check(come[row])) is not None}
    left = np.array([*sound.tolist(), *usable], np.int64)
    order = np.argsort(left, kind="stable")
    return Tracklets.joined([good.at(sound), Tracklets.of(usable.values())]).at(order), rows[left[order]]


def _survey(come: Tracklets, heard_ns: Int64, topology: Topology, dim: int) -> tuple[NDArray[np.bool_], Float32]:
    """One pass over all tracklets, whose tracks were heard of last at these times by their cameras' own clocks.

    Returns:
        (T,) which tracklets have an empty or unfinite box, one outside of the picture, an unfinite score, times that do
        not increase or that their track has had, attributes or looks that cannot be used; which come as one of several
        of a track. And the looks, at unit length where that can be.
    """
    heads = come.heads
    if not len(come):
        return np.zeros(0, bool), come.looks
    forward = np.ones(len(come.times_ns), bool)
    forward[1:] = come.times_ns[1:] > come.times_ns[:-1]
    forward[heads] = True
    sizes = np.array([_size(topology, camera) for camera in come.cameras])[np.repeat(come.camera, come.lengths)]
    sound = _sound_boxes(come.boxes) & _in_picture(come.boxes, sizes) & np.isfinite(come.scores)
    doubtful = ~np.logical_and.reduceat(sound & forward, heads)
    doubtful |= come.times_ns[heads] <= heard_ns
    same = _of_one_camera(come) & (come.tracks[1:] == come.tracks[:-1])
    doubtful[1:] |= same
    doubtful[:-1] |= same
    doubtful[[row for row, votes in come.attributes.items() if fault(votes)]] = True
    if not len(come.looks):
        return doubtful, come.looks
    norms = np.linalg.norm(come.looks, axis=1)
    worths = come.worths
    kept = np.isfinite(norms) & (norms > 0) & np.isfinite(worths) & (worths > 0)
    right = come.looks.dtype == worths.dtype == np.float32 and dim in (0, come.looks.shape[1])
    if not right or (dim == 0 and not kept.all()):
        return doubtful | (np.diff(come.look_bounds) > 0), come.looks
    wrong = np.concatenate([[0], np.cumsum(~kept)])[come.look_bounds]
    return doubtful | (wrong[1:] > wrong[:-1]), come.looks / np.where(kept, norms, 1)[:, None]


def _sound_boxes(boxes: Float32) -> NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        return np.isfinite(boxes).all(axis=1) & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])


def _size(topology: Topology, camera: str) -> tuple[float, float]:
    return topology.picture_size(camera) or (math.inf, math.inf)


def _in_picture(boxes: Float32, size: Float64) -> NDArray[np.bool_]:
    """Which boxes have a part in the picture; `size` is (2,) or (N, 2), width and height, infinite where unknown."""
    with np.errstate(invalid="ignore"):
        inside = (boxes[:, 2:] > 0) & (boxes[:, :2] < size)
    return np.logical_and(inside[:, 0], inside[:, 1])


class _Check:
    def __init__(self, site: str, dim: int, memory: TrackMemory, topology: Topology) -> None:
        self.letters: list[Record] = []
        self.dim = dim
        self._site = site
        self._memory = memory
        self._topology = topology
        self._latest: dict[tuple[str, int], int] = {}

    def __call__(self, tracklet: Tracklet) -> Tracklet | None:
        """The tracklet, or what can be used of it."""
        name = (tracklet.camera, tracklet.track)
        known = self._memory.find(*name)
        usable = self._rows(tracklet, self._latest.get(name, _BEGINNING if known is None else known.heard_ns))
        if usable is not None and usable.attributes and (wrong := fault(usable.attributes)):
            self._tell(usable, "bad_attributes", f"its attributes {wrong}")
            usable = replace(usable, attributes={})
        if usable is None or usable.embeddings is None or len(usable.embeddings) == 0:
            return usable
        return self._embeddings(usable)

    def is_whole(self, tracklet: Tracklet, time_ns: int) -> bool:
        """Whether its points can be told apart; if not, that is said with this event time, as it may have none."""
        wrong = fault_of_points(tracklet)
        if wrong:
            self._say(tracklet, "wrong_shape", wrong, time_ns, time_ns)
        return not wrong

    def _rows(self, tracklet: Tracklet, before: int) -> Tracklet | None:
        boxes = tracklet.boxes
        sound = _sound_boxes(boxes)
        if not sound.all():
            self._tell(tracklet, "bad_box", f"{int((~sound).sum())} of {len(sound)} boxes are empty or not finite")
        size = _size(self._topology, tracklet.camera)
        inside = _in_picture(boxes, np.array(size)) | ~sound
        if not inside.all():
            count = int((~inside).sum())
            detail = f"{count} of {len(inside)} boxes lie outside of the picture of {size[0]:g}x{size[1]:g}"
            self._tell(tracklet, "outside_picture", detail)
        scored = np.isfinite(tracklet.scores)
        if not scored.all():
            self._tell(tracklet, "bad_score", f"{int((~scored).sum())} of {len(scored)} scores are not finite")
        latest = np.maximum.accumulate(np.concatenate([[before], tracklet.times_ns]))
        forward = tracklet.times_ns > latest[:-1]
        if not forward.all():
            count = int((~forward).sum())
            self._tell(
                tracklet, "time_backwards", f"{count} of {len(forward)} points are not newer than what came before"
            )
        keep = sound & inside & scored & forward
        if not keep.any():
            return None
        self._latest[tracklet.camera, tracklet.track] = int(tracklet.times_ns[keep][-1])
        if keep.all():
            return tracklet
        return replace(
            tracklet,
            frames=tracklet.frames[keep],
            times_ns=tracklet.times_ns[keep],
            boxes=boxes[keep],
            scores=tracklet.scores[keep],
        )

    def _embeddings(self, tracklet: Tracklet) -> Tracklet:
        vectors: Float32 = np.asarray(tracklet.embeddings, np.float32)
        dim = vectors.shape[-1]
        if vectors.ndim != 2 or (self.dim and dim != self.dim) or np.shape(tracklet.qualities) != (len(vectors),):
            self._tell(
                tracklet, "wrong_embedding", f"embeddings of shape {list(vectors.shape)} at a site of length {self.dim}"
            )
            return replace(tracklet, embeddings=None, qualities=np.zeros(0, np.float32))
        norms = np.linalg.norm(vectors, axis=1)
        qualities = np.asarray(tracklet.qualities, np.float32)
        sound = np.isfinite(norms) & (norms > 0) & np.isfinite(qualities) & (qualities > 0)
        if not sound.all():
            count = int((~sound).sum())
            self._tell(tracklet, "nan_embedding", f"{count} of {len(sound)} embeddings are zero or not finite")
        if sound.any():
            self.dim = dim
        return replace(tracklet, embeddings=vectors[sound] / norms[sound, None], qualities=qualities[sound])

    def _tell(self, tracklet: Tracklet, reason: str, detail: str) -> None:
        self._say(tracklet, reason, detail, int(tracklet.times_ns[0]), int(tracklet.times_ns[-1]))

    def _say(self, tracklet: Tracklet, reason: str, detail: str, start: int, end: int) -> None:
        payload: dict[str, Any] = {
            "track": tracklet.track,
            "class": tracklet.cls,
            "start": start // 1000,
            "end": end // 1000,
        }
        value = {
            "schema": "crosscam.deadletter/1",
            "site": self._site,
            "camera": tracklet.camera,
            "time": start // 1000,
            "reason": reason,
            "detail": f"track {tracklet.track} of camera {tracklet.camera}: {detail}",
            "payload": payload,
        }
        self.letters.append(Record(DEADLETTER, tracklet.camera, value, start))
