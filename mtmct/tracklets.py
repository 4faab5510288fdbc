"""Tracklets: pieces of local tracks, one by one and, as they travel and are fused, many as columns."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any, SupportsIndex, overload

import numpy as np
from numpy.typing import NDArray

from mtmct.attributes import Votes
from operators.records import Float32, Int64


@dataclass(frozen=True, slots=True)
class Tracklet:
    """A piece of one track, at most one commit interval long, in time order.

    Attributes:
        camera: camera id.
        track: local track id, unique in its camera for ever.
        cls: class name.
        frames: (M,) int64, frame numbers in the source, from 1.
        times_ns: (M,) int64, event time, UTC nanoseconds, increasing.
        boxes: (M, 4) float32, xyxy, pixels of the camera's own picture.
        scores: (M,) float32.
        embeddings: (K, D) float32, L2-normalised exemplars taken in this interval; None, or K = 0, if there are none.
        qualities: (K,) float32 in (0, 1], how far each exemplar can be trusted.
        ended: the tracker has let the track go; no later tracklet continues it.
        attributes: facet, value, how much of what was seen in this interval says so: looks, each as far as it can be
            trusted, times the chance of the value. Empty if nobody looked.
    """

    camera: str
    track: int
    cls: str
    frames: Int64
    times_ns: Int64
    boxes: Float32
    scores: Float32
    embeddings: Float32 | None = None
    qualities: Float32 = field(default_factory=lambda: np.zeros(0, np.float32))
    ended: bool = False
    attributes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True, slots=True, eq=False)
class Tracklets(Sequence[Tracklet]):
    """Tracklets as columns, all points one after the other, and all looks.

    A sequence of `Tracklet`s, each made when it is asked for; its arrays are views of the columns. A camera's batch is
    a dozen arrays then, however many tracks there are, and a site's commit that dozen of every camera put together.

    Attributes:
        cameras, classes: names, in the order of the alphabet. camera, cls: (T,) int64, number of each tracklet's.
        tracks: (T,) int64. ended: (T,) bool.
        bounds: (T + 1,) int64, the points of tracklet t are those from `bounds[t]` to `bounds[t + 1]`.
        frames: (P,) int64. times_ns: (P,) int64. boxes: (P, 4) float32. scores: (P,) float32.
        look_bounds: (T + 1,) int64, likewise of the looks.
        looks: (K, D) float32, embeddings. worths: (K,) float32, their qualities.
        attributes: by row, of those tracklets that have any.
    """

    cameras: tuple[str, ...]
    camera: Int64
    tracks: Int64
    classes: tuple[str, ...]
    cls: Int64
    ended: NDArray[np.bool_]
    bounds: Int64
    frames: Int64
    times_ns: Int64
    boxes: Float32
    scores: Float32
    look_bounds: Int64
    looks: Float32
    worths: Float32
    attributes: Mapping[int, Votes] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.tracks)

    @overload
    def __getitem__(self, row: int) -> Tracklet: ...

    @overload
    def __getitem__(self, row: slice) -> Tracklets: ...

    def __getitem__(self, row: int | slice) -> Tracklet | Tracklets:
        if isinstance(row, slice):
            return self.at(np.arange(len(self))[row])
        row = range(len(self))[operator.index(row)]
        low, high = self.bounds[row : row + 2].tolist()
        first, last = self.look_bounds[row : row + 2].tolist()
        return Tracklet(
            self.cameras[self.camera[row]],
            int(self.tracks[row]),
            self.classes[self.cls[row]],
            self.frames[low:high],
            self.times_ns[low:high],
            self.boxes[low:high],
            self.scores[low:high],
            self.looks[first:last] if last > first else None,
            self.worths[first:last],
            bool(self.ended[row]),
            self.attributes.get(row, {}),
        )

    @property
    def heads(self) -> Int64:
        """(T,) where the points of each tracklet begin."""
        return self.bounds[:-1]

    @property
    def lengths(self) -> Int64:
        """(T,) how many points each has."""
        return self.bounds[1:] - self.bounds[:-1]

    @property
    def names(self) -> list[tuple[str, int]]:
        """Camera and local track id of each."""
        cameras = self.cameras
        return [
            (cameras[number], track) for number, track in zip(self.camera.tolist(), self.tracks.tolist(), strict=True)
        ]

    @property
    def heard_of(self) -> list[str]:
        """The cameras that have a tracklet here."""
        counts = np.bincount(self.camera, minlength=len(self.cameras)).tolist()
        return [name for name, count in zip(self.cameras, counts, strict=True) if count]

    @classmethod
    def of(cls, tracklets: Iterable[Tracklet]) -> Tracklets:
        """Tracklets as columns; what is that already stays as it is.

        Raises:
            ValueError: their arrays do not fit together.
        """
        if isinstance(tracklets, Tracklets):
            return tracklets
        items = list(tracklets)
        if not items:
            return _nothing()
        seen = [(one.embeddings, one.qualities) for one in items if one.embeddings is not None and len(one.embeddings)]
        if any(len(vectors) != len(worth) for vectors, worth in seen):
            raise ValueError("looks without a quality, or the other way round")
        cameras, camera = _numbered([one.camera for one in items])
        classes, numbers = _numbered([one.cls for one in items])
        parts = [[getattr(one, name) for one in items] for name in _POINTS]
        lengths = [len(part) for part in parts[0]]
        frames, times_ns, boxes, scores = map(np.concatenate, parts)
        fits = boxes.shape[1:] == (4,) and frames.ndim == times_ns.ndim == scores.ndim == 1
        # Each by itself: one may have too many of what another has too few of.
        if not fits or any([len(one) for one in part] != lengths for part in parts[1:]):
            raise ValueError("points without a time, a box of four numbers or a score, or the other way round")
        if not _are_numbers(frames, times_ns, boxes, scores):
            raise ValueError("points that are no numbers, or whose frames and times are no whole ones")
        return cls(
            cameras,
            camera,
            np.array([one.track for one in items], np.int64),
            classes,
            numbers,
            np.array([one.ended for one in items], bool),
            bounds_of(lengths),
            frames.astype(np.int64, copy=False),
            times_ns.astype(np.int64, copy=False),
            boxes,
            scores,
            bounds_of([0 if one.embeddings is None else len(one.embeddings) for one in items]),
            *_looks([vectors for vectors, _ in seen], [worth for _, worth in seen]),
            {row: one.attributes for row, one in enumerate(items) if one.attributes},
        )

    @classmethod
    def joined(cls, parts: Sequence[Tracklets]) -> Tracklets:
        """All of these, one after the other, in arrays of their own; names are in order of the alphabet.

        Raises:
            ValueError: their arrays do not fit together.
        """
        parts = [part for part in parts if len(part)]
        if not parts:
            return _nothing()
        sizes = np.array([len(part) for part in parts], np.int64)
        cameras, camera = _renumbered([(part.cameras, part.camera) for part in parts], sizes)
        classes, numbers = _renumbered([(part.classes, part.cls) for part in parts], sizes)
        return cls(
            cameras,
            camera,
            np.concatenate([part.tracks for part in parts]),
            classes,
            numbers,
            np.concatenate([part.ended for part in parts]),
            _bounds_joined([part.bounds for part in parts], sizes),
            np.concatenate([part.frames for part in parts]),
            np.concatenate([part.times_ns for part in parts]),
            np.concatenate([part.boxes for part in parts]),
            np.concatenate([part.scores for part in parts]),
            _bounds_joined([part.look_bounds for part in parts], sizes),
            *_looks(
                [part.looks for part in parts if len(part.looks)], [part.worths for part in parts if len(part.worths)]
            ),
            {
                head + row: votes
                for head, part in zip((np.cumsum(sizes) - sizes).tolist(), parts, strict=True)
                for row, votes in part.attributes.items()
            },
        )

    def at(self, rows: Int64) -> Tracklets:
        """Those in these rows ((N,) int64), in that order."""
        bounds, points = _picked(self.bounds, rows)
        look_bounds, looks = _picked(self.look_bounds, rows)
        votes = self.attributes
        return replace(
            self,
            camera=self.camera[rows],
            tracks=self.tracks[rows],
            cls=self.cls[rows],
            ended=self.ended[rows],
            bounds=bounds,
            frames=self.frames[points],
            times_ns=self.times_ns[points],
            boxes=self.boxes[points],
            scores=self.scores[points],
            look_bounds=look_bounds,
            looks=self.looks[looks],
            worths=self.worths[looks],
            attributes={place: votes[row] for place, row in enumerate(rows.tolist()) if row in votes} if votes else {},
        )

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        """One piece of bytes for all columns: a dozen arrays, each by itself, take three times as long to unpickle."""
        columns = [getattr(self, name) for name in _KINDS]
        if any(column.dtype != kind for column, kind in zip(columns, _KINDS.values(), strict=True)):
            return object.__reduce_ex__(self, protocol)  # of other kinds: as it is
        sizes = (len(self), len(self.frames), *self.looks.shape)
        data = b"".join([column.tobytes() for column in columns])
        return _unpickled, (self.cameras, self.classes, self.attributes, sizes, data)

    def without_looks(self) -> Tracklets:
        """The same tracklets as if nobody had taken their looks."""
        none = np.zeros(0, np.float32)
        return replace(self, look_bounds=np.zeros_like(self.look_bounds), looks=none.reshape(0, 0), worths=none)


def as_columns(tracklets: Sequence[Tracklet]) -> Sequence[Tracklet]:
    """Tracklets as columns; as they are where their arrays do not fit together, which fusion says in a dead letter."""
    try:
        return Tracklets.of(tracklets)
    except ValueError:
        return tuple(tracklets)


def fault_of_points(tracklet: Tracklet) -> str:
    """What is wrong with the arrays of a tracklet's points; empty if they fit together."""
    parts = [np.asarray(getattr(tracklet, name)) for name in _POINTS]
    length = parts[0].shape[:1]
    if [part.shape for part in parts] != [length, length, (*length, 4), length]:
        shapes = ", ".join(f"{name} {list(part.shape)}" for name, part in zip(_POINTS, parts, strict=True))
        return f"its arrays do not fit together: {shapes}"
    if not _are_numbers(*parts):
        return "its " + ", ".join(f"{name} are {part.dtype}" for name, part in zip(_POINTS, parts, strict=True))
    return ""


def names_of(tracklets: Sequence[Tracklet]) -> list[tuple[str, int]]:
    """Camera and local track id of each, columns or not."""
    return tracklets.names if isinstance(tracklets, Tracklets) else [(one.camera, one.track) for one in tracklets]


def those_at(tracklets: Sequence[Tracklet], rows: Sequence[int]) -> Sequence[Tracklet]:
    """Those in some rows, as columns if they are."""
    if isinstance(tracklets, Tracklets):
        return tracklets.at(np.array(rows, np.int64))
    return tuple(tracklets[row] for row in rows)


_POINTS = ("frames", "times_ns", "boxes", "scores")
_INTEGER, _REAL, _FLAG = np.dtype("<i8"), np.dtype("<f4"), np.dtype("?")
# The columns in the order in which they are pickled.
_KINDS: dict[str, np.dtype[Any]] = {
    **dict.fromkeys(("camera", "tracks", "cls", "bounds", "frames", "times_ns", "look_bounds"), _INTEGER),
    **dict.fromkeys(("boxes", "scores", "looks", "worths"), _REAL),
    "ended": _FLAG,
}


def _unpickled(
    cameras: tuple[str, ...],
    classes: tuple[str, ...],
    attributes: Mapping[int, Votes],
    sizes: tuple[int, int, int, int],
    data: bytes,
) -> Tracklets:
    """The tracklets again; their arrays are views of the bytes and cannot be written to."""
    count, points, looks, dim = sizes
    shapes: dict[str, tuple[int, ...]] = {
        "bounds": (count + 1,),
        "look_bounds": (count + 1,),
        "frames": (points,),
        "times_ns": (points,),
        "boxes": (points, 4),
        "scores": (points,),
        "looks": (looks, dim),
        "worths": (looks,),
    }
    columns: dict[str, Any] = {}
    at = 0
    for name, kind in _KINDS.items():
        columns[name] = np.ndarray(shapes.get(name, (count,)), kind, data, at)
        at += columns[name].nbytes
    return Tracklets(cameras=cameras, classes=classes, attributes=attributes, **columns)


def _are_numbers(frames: NDArray[Any], times_ns: NDArray[Any], boxes: NDArray[Any], scores: NDArray[Any]) -> bool:
    whole = frames.dtype.kind in "iu" and times_ns.dtype.kind in "iu"
    return whole and boxes.dtype.kind in "fiu" and scores.dtype.kind in "fiu"


def _numbered(names: Sequence[str]) -> tuple[tuple[str, ...], Int64]:
    """The names that there are, and (N,) the number of each."""
    known = tuple(sorted(set(names)))
    number = {name: place for place, name in enumerate(known)}
    return known, np.array([number[name] for name in names], np.int64)


def _renumbered(parts: Sequence[tuple[tuple[str, ...], Int64]], sizes: Int64) -> tuple[tuple[str, ...], Int64]:
    """The names of all parts, and the numbers of all rows."""
    known = tuple(sorted({name for names, _ in parts for name in names}))
    number = {name: place for place, name in enumerate(known)}
    if all(len(names) == 1 for names, _ in parts):
        return known, np.repeat(np.array([number[names[0]] for names, _ in parts], np.int64), sizes)
    numbers = [np.array([number[name] for name in names], np.int64)[each] for names, each in parts]
    return known, np.concatenate(numbers)


def bounds_of(counts: Sequence[int]) -> Int64:
    """(N + 1,) where pieces of these lengths begin, one after the other, and the last one ends."""
    return np.array([0, *accumulate(counts)], np.int64)


def _bounds_joined(parts: Sequence[Int64], sizes: Int64) -> Int64:
    """The bounds of all rows, of parts of so many rows."""
    counts = np.diff(np.concatenate(parts))
    # Between one part's last bound and the next one's first there is no row.
    counts = np.delete(counts, np.cumsum(sizes + 1)[:-1] - 1)
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])


def _looks(looks: Sequence[NDArray[Any]], worths: Sequence[NDArray[Any]]) -> tuple[Float32, Float32]:
    if not looks:
        return np.zeros((0, 0), np.float32), np.zeros(0, np.float32)
    vectors, weights = np.concatenate(looks), np.concatenate(worths)
    if vectors.ndim != 2 or weights.ndim != 1:
        raise ValueError("looks that are no vectors")
    return vectors, weights


def _picked(bounds: Int64, rows: Int64) -> tuple[Int64, Int64 | slice]:
    """The bounds of those in some rows, and where what they bound is: a slice, which costs no copy, where it is all."""
    heads, counts = bounds[:-1][rows], bounds[rows + 1] - bounds[rows]
    picked = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    if picked[-1] == bounds[-1] and (rows[1:] > rows[:-1]).all():
        return picked, slice(None)
    return picked, np.repeat(heads - picked[:-1], counts) + np.arange(picked[-1])


def _nothing() -> Tracklets:
    none, start, nothing = np.zeros(0, np.int64), np.zeros(1, np.int64), np.zeros(0, np.float32)
    points = (start, none, none, nothing.reshape(0, 4), nothing)
    return Tracklets((), none, none, (), none, np.zeros(0, bool), *points, start, nothing.reshape(0, 0), nothing)
