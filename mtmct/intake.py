"""The door of fusion: what batches bring is put in order, and what cannot be used is set aside with the reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtmct.attributes import fault
from mtmct.records import DEADLETTER, CameraBatch, Record, Tracklet
from mtmct.topology import Float64, Topology
from mtmct.tracks import TrackMemory
from operators.records import Float32

_BEGINNING = -(2**62)


@dataclass(frozen=True, slots=True)
class Intake:
    """What a commit has to work with.

    Attributes:
        tracklets: by camera, track and time; every row usable and newer than what its track has had.
        passed: records that the batches brought along, events first.
        letters: dead letters of this commit.
        ended: camera and track of those that ended without another point.
        dim: length of the site's embeddings, 0 while none has been seen.
    """

    tracklets: list[Tracklet]
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
    everything = [tracklet for batch in ordered for tracklet in batch.tracklets]
    ended = sorted({(tracklet.camera, tracklet.track) for tracklet in everything if tracklet.ended})
    given = [tracklet for tracklet in everything if len(tracklet)]
    given.sort(key=lambda tracklet: (tracklet.camera, tracklet.track, int(tracklet.times_ns[0])))
    check = _Check(site, dim, memory, topology)
    survey = _survey(given, topology)
    tracklets = [usable for row, one in enumerate(given) if (usable := check(one, survey[row])) is not None]
    return Intake(tracklets, events + letters, check.letters, ended, check.dim)


class _Seen(NamedTuple):
    """What one pass over all tracklets says of one of them.

    Attributes:
        doubtful: it has an empty or unfinite box, one outside of the picture, an unfinite score, or times that
            do not increase.
        start_ns, end_ns: of its first and last row.
        embeddings: brought to unit length; None if there are none, or if they have to be looked at one by one.
    """

    doubtful: bool
    start_ns: int
    end_ns: int
    embeddings: Float32 | None


def _survey(tracklets: Sequence[Tracklet], topology: Topology) -> list[_Seen]:
    if not tracklets:
        return []
    lengths = np.array([len(tracklet) for tracklet in tracklets])
    heads = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    boxes = np.concatenate([tracklet.boxes for tracklet in tracklets])
    times = np.concatenate([tracklet.times_ns for tracklet in tracklets])
    forward = np.ones(len(times), bool)
    forward[1:] = times[1:] > times[:-1]
    forward[heads] = True
    sizes = np.repeat([_size(topology, tracklet.camera) for tracklet in tracklets], lengths, axis=0)
    scores = np.concatenate([tracklet.scores for tracklet in tracklets])
    sound = _sound_boxes(boxes) & _in_picture(boxes, sizes) & np.isfinite(scores)
    good = np.logical_and.reduceat(sound & forward, heads)
    columns = (~good, times[heads], times[heads + lengths - 1])
    return list(map(_Seen, *(column.tolist() for column in columns), _units(tracklets)))


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


def _units(tracklets: Sequence[Tracklet]) -> list[Float32 | None]:
    """The embeddings of those tracklets of which all are usable, at unit length."""
    units: list[Float32 | None] = [None] * len(tracklets)
    rows_of: dict[int, list[int]] = {}
    for row, tracklet in enumerate(tracklets):
        vectors, qualities = tracklet.embeddings, tracklet.qualities
        if vectors is None or vectors.ndim != 2 or len(vectors) != len(qualities):
            continue
        if vectors.dtype == qualities.dtype == np.float32:
            rows_of.setdefault(vectors.shape[1], []).append(row)
    for rows in rows_of.values():
        vectors = np.concatenate([tracklets[row].embeddings for row in rows])
        qualities = np.concatenate([tracklets[row].qualities for row in rows])
        norms = np.linalg.norm(vectors, axis=1)
        sound = np.isfinite(norms) & (norms > 0) & np.isfinite(qualities) & (qualities > 0)
        vectors = vectors / np.where(sound, norms, 1)[:, None]
        ends = list(accumulate(len(tracklets[row].qualities) for row in rows))
        unsound = [0, *np.cumsum(~sound).tolist()]
        for row, low, high in zip(rows, [0, *ends], ends, strict=False):
            if high > low and unsound[high] == unsound[low]:
                units[row] = vectors[low:high]
    return units


def _with_embeddings(one: Tracklet, embeddings: Float32) -> Tracklet:
    """The same with other embeddings; this is done with every tracklet, and `replace` takes twice as long."""
    return Tracklet(
        one.camera,
        one.track,
        one.cls,
        one.frames,
        one.times_ns,
        one.boxes,
        one.scores,
        embeddings,
        one.qualities,
        one.ended,
        one.attributes,
    )


class _Check:
    def __init__(self, site: str, dim: int, memory: TrackMemory, topology: Topology) -> None:
        self.letters: list[Record] = []
        self.dim = dim
        self._site = site
        self._memory = memory
        self._topology = topology
        self._latest: dict[tuple[str, int], int] = {}

    def __call__(self, tracklet: Tracklet, seen: _Seen) -> Tracklet | None:
        """The tracklet, or what can be used of it."""
        name = (tracklet.camera, tracklet.track)
        known = self._memory.find(*name)
        before = self._latest.get(name, _BEGINNING if known is None else known.heard_ns)
        usable: Tracklet | None = tracklet
        if seen.doubtful or seen.start_ns <= before:
            usable = self._rows(tracklet, before)
        else:
            self._latest[name] = seen.end_ns
        if usable is not None and usable.attributes and (wrong := fault(usable.attributes)):
            self._tell(usable, "bad_attributes", f"its attributes {wrong}")
            usable = replace(usable, attributes={})
        if usable is None or usable.embeddings is None or len(usable.embeddings) == 0:
            return usable
        if seen.embeddings is not None and self.dim in (0, seen.embeddings.shape[1]):
            self.dim = seen.embeddings.shape[1]
            return _with_embeddings(usable, seen.embeddings)
        return self._embeddings(usable)

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
        if vectors.ndim != 2 or (self.dim and dim != self.dim) or len(tracklet.qualities) != len(vectors):
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
        start, end = int(tracklet.times_ns[0]), int(tracklet.times_ns[-1])
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
