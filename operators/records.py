"""The records that every room shares: struct-of-arrays, and how they become bytes.

The ground floor: imported by all, imports nothing of the project.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from itertools import pairwise
from typing import Any, Self

import msgpack
import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Image = NDArray[np.uint8]

SECOND_NS = 1_000_000_000

NO_VALUE = "none"
"""Of an attribute's facet: none of its values holds (no bag, no hat)."""


class CrosscamError(Exception):
    """Base of every error meant for people: one sentence saying what, where, and what to do."""


class StateError(CrosscamError):
    """A snapshot cannot be restored: it is damaged or of a version this build does not read."""


def homography_fault(homography: Any) -> str | None:
    """What is wrong with a homography, as the end of a sentence that names its camera; None if it can be used.

    The one check of the project. It does not depend on units: rows and columns are brought to one length first, so that
    kilometres from the origin or a matrix in thousandths are no fault, and a picture that is mapped onto a line, or all
    but so, is one.
    """
    try:
        matrix = np.asarray(homography, np.float64)
    except (TypeError, ValueError):
        matrix = np.zeros(0)
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
        return "is not a 3x3 matrix of finite numbers: correct it"
    lengths = np.linalg.norm(matrix, axis=0)
    if (lengths > 0).all():
        matrix = matrix / lengths
        lengths = np.linalg.norm(matrix, axis=1)
    if not (lengths > 0).all() or np.linalg.cond(matrix / lengths[:, None]) > 1e9:
        return (
            "is degenerate (it maps the picture onto a line): derive it again from at least four points, no three "
            "in a row"
        )
    return None


class TrackState(IntEnum):
    """Where a track stands in its life."""

    TENTATIVE = 0
    CONFIRMED = 1
    LOST = 2


@dataclass(frozen=True, slots=True)
class Detections:
    """The boxes found in one frame.

    Attributes:
        boxes: (N, 4) float32, xyxy, pixels of the camera's own (cropped) picture.
        scores: (N,) float32 in [0, 1].
        classes: (N,) int32, index into the detector's class names.
        embeddings: (N, D) float32, L2-normalised appearance; None if not computed.
        ids: (N,) int64 local track ids given by a source, -1 where unknown; None if no source gave any.
        offsets: (N, 2) float32 pixels, from each centre to where it was a frame earlier; None if no network said so.
    """

    boxes: Float32
    scores: Float32
    classes: Int32
    embeddings: Float32 | None = None
    ids: Int64 | None = None
    offsets: Float32 | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, rows: Any) -> Self:
        """The detections at `rows` (a mask, a slice or an index array)."""
        return type(self)(
            self.boxes[rows],
            self.scores[rows],
            self.classes[rows],
            None if self.embeddings is None else self.embeddings[rows],
            None if self.ids is None else self.ids[rows],
            None if self.offsets is None else self.offsets[rows],
        )

    @classmethod
    def empty(cls) -> Self:
        """No detections."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32))


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of one camera, or what a source says was seen in it.

    Attributes:
        camera: camera id.
        index: frame number in the source, counted from 1; gaps where frames were skipped.
        time_ns: event time, int64 nanoseconds UTC.
        image: (H, W, 3) uint8 BGR, already cropped; None where the source gives detections only.
        given: detections that the source brings along; None where they are still to be found.
    """

    camera: str
    index: int
    time_ns: int
    image: Image | None = None
    given: Detections | None = None


# Columns of the table of `Tracks`.
TOLD_BOX, TOLD_ID, TOLD_SCORE, TOLD_CLASS, TOLD_ROW = 0, 4, 5, 6, 7
TOLD_SEEN, TOLD_VELOCITY, TOLD_AGE, TOLD_STATE = 8, 12, 14, 15
TOLD = 16


@dataclass(frozen=True, slots=True)
class Tracks:
    """The tracks of one camera after one frame.

    They are kept as the tracker wrote them, in one table. A column is made from it each time it is asked for, since few
    readers want all of them: in a loop over tracks, take the columns before it.

    Attributes:
        table: (N, 16) float64, a row a track; its columns are named TOLD_BOX and so on.
        ended: (K,) int64, ids that the tracker let go of in this frame.
    """

    table: Float64
    ended: Int64

    def __len__(self) -> int:
        return len(self.table)

    @property
    def ids(self) -> Int64:
        """(N,) int64, local to the camera, never reused."""
        return self.table[:, TOLD_ID].astype(np.int64)

    @property
    def boxes(self) -> Float32:
        """(N, 4) float32, xyxy, pixels, smoothed by the motion model."""
        return self.table[:, TOLD_BOX : TOLD_BOX + 4].astype(np.float32)

    @property
    def measured(self) -> Float32:
        """(N, 4) float32, xyxy, pixels, the matched detection; equals `boxes` where unmatched."""
        return self.table[:, TOLD_SEEN : TOLD_SEEN + 4].astype(np.float32)

    @property
    def scores(self) -> Float32:
        """(N,) float32, the matched detection's score; the last one seen where unmatched."""
        return self.table[:, TOLD_SCORE].astype(np.float32)

    @property
    def classes(self) -> Int32:
        """(N,) int32."""
        return self.table[:, TOLD_CLASS].astype(np.int32)

    @property
    def velocities(self) -> Float32:
        """(N, 2) float32, box centre, pixels a second."""
        return self.table[:, TOLD_VELOCITY : TOLD_VELOCITY + 2].astype(np.float32)

    @property
    def ages(self) -> Int32:
        """(N,) int32, frames since the track began."""
        return self.table[:, TOLD_AGE].astype(np.int32)

    @property
    def states(self) -> NDArray[np.int8]:
        """(N,) int8, values of `TrackState`."""
        return self.table[:, TOLD_STATE].astype(np.int8)

    @property
    def detections(self) -> Int32:
        """(N,) int32, row of the matched detection in this frame, -1 where unmatched."""
        return self.table[:, TOLD_ROW].astype(np.int32)


_NDARRAY = 1
# Bytes that a packer begins with and grows from. Its own choice, 256 kB, costs more than packing what we pack.
_BUFFER = 4096


@lru_cache(maxsize=1024)
def _described(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """All but the numbers of `(dtype, shape, bytes)` as it is packed: the same for all arrays of a kind."""
    size = dtype.itemsize * math.prod(shape)
    return bytes(msgpack.packb((dtype.str, shape, bytes(size)), buf_size=_BUFFER)).removesuffix(bytes(size))


def pieces(array: NDArray[Any], bounds: Sequence[int]) -> Iterator[Any]:
    """The rows of an array from bound to bound, each piece for `pack` as the array that it is: all in one pass."""
    raw, row = array.tobytes(), array.itemsize * math.prod(array.shape[1:])
    heads: dict[int, bytes] = {}
    for low, high in pairwise(bounds):
        length = high - low
        if length not in heads:
            heads[length] = _described(array.dtype, (length, *array.shape[1:]))
        yield msgpack.ExtType(_NDARRAY, heads[length] + raw[low * row : high * row])


def _encode(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return msgpack.ExtType(_NDARRAY, _described(value.dtype, value.shape) + value.tobytes())
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"cannot keep a {type(value).__name__} in a state: use numbers, text, bytes, lists, maps or arrays")


def _decode(code: int, data: bytes) -> Any:
    if code != _NDARRAY:
        raise StateError(f"unknown extension {code} in a stored state: it was written by a newer version")
    dtype, shape, raw = msgpack.unpackb(data)
    return np.frombuffer(raw, dtype).reshape(shape).copy()


def pack(value: Any) -> bytes:
    """Numbers, text, bytes, lists, maps and NumPy arrays as bytes (MessagePack): same value, same bytes.

    Raises:
        TypeError: for anything else; there is no pickle here on purpose.
    """
    return bytes(msgpack.packb(value, default=_encode, buf_size=_BUFFER))


def pack_each(values: Iterable[Any]) -> Iterator[bytes]:
    """The same of many, with one packer for all; views of bytes are packed as bytes."""
    packer = msgpack.Packer(default=_encode, buf_size=_BUFFER)
    for value in values:
        yield bytes(packer.pack(value))


def unpack(data: bytes) -> Any:
    """What `pack` wrote; arrays are writable copies, tuples come back as lists.

    Raises:
        StateError: the bytes are damaged or from a newer version.
    """
    try:
        return msgpack.unpackb(data, ext_hook=_decode, strict_map_key=False)
    except (ValueError, TypeError, msgpack.exceptions.UnpackException) as error:
        raise StateError(f"a stored state cannot be read ({error}); restore an earlier one or start afresh") from error


@contextmanager
def reading_state(whose: str) -> Iterator[None]:
    """What reads a stored state trusts its shape; where that is not as written, this says so in a sentence.

    Args:
        whose: state it is; begins the sentence.

    Raises:
        StateError: the block stumbled over the state. Errors that are sentences already pass as they are.
    """
    try:
        yield
    except CrosscamError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        raise StateError(
            f"{whose}: the stored state is damaged ({type(error).__name__}: {error}); restore an earlier one or start "
            "afresh"
        ) from error
