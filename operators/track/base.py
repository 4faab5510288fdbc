"""The base of every tracker: arrays, clock, screening, snapshots. A strategy adds its noise and its step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from operators.records import SECOND_NS, TOLD, Detections, Float32, Float64, StateError, Tracks, pack, unpack
from operators.track.core import life
from operators.track.core.arguments import DT, hand_over, make_book, make_setup, open_book
from operators.track.core.camera import warp_tracks
from operators.track.core.compilation import AVAILABLE, path_of
from operators.track.core.layout import (
    BAD_EMBEDDING,
    COUNT,
    COUNTERS,
    DETECTION_FLOATS,
    DETECTION_INTS,
    EXTRA,
    ID,
    INTS,
    NEXT_ID,
    REASONS,
    REJECTED,
    TIME_BACK,
    TIME_RESTART,
    TIME_STILL,
)
from operators.track.core.types import Floats, Ids, Ints
from operators.track.errors import TrackerError

_SNAPSHOT_VERSION = 2
_LONGEST_GAP_S = 10.0
_FIRST_CAPACITY = 64
_NO_IDS = np.zeros(0, np.int64)
_NO_IDS.flags.writeable = False


class Tracker:
    """Detections of one camera in, tracks out; frame by frame, in order of time.

    One object tracks all classes in one pass: tracks and detections of different classes never meet, unless
    `same_object` names their classes together; then the class of a track is the one with most votes (sum of scores).

    Time is the frames' own. The reference algorithms count frames; here one *reference frame* lasts 1 / `rate_hz`
    seconds, a step between two frames is so many reference frames (snapped to a whole number within 1/1000, which
    takes the rounding of nanoseconds out), and prediction, noise and the life of lost tracks follow it. With
    `rate_hz` at the video's constant frame rate every step is 1, and the results are the reference's own.

    Rules for bad input, each counted in `rejected` by reason:
        a box with NaN, infinity or a corner beyond 1e6 pixels, a box without area, a score outside [0, 1], a class
        below 0 or beyond a million: the detection is left out. An embedding that is not finite, or embeddings of
        another length than those before: they are not used, the boxes are.
        time stood still: the frame is taken, nothing moves. Time ran backwards by at most the longest gap: the same,
        and the clock stays where it was. Further back than that: the source's clock was restarted; all tracks end and
        the clock starts anew. A gap forward longer than 10 s and than the life of lost tracks ends all tracks, too.

    Args (common to all trackers):
        rate_hz: reference frames a second; the video's frame rate reproduces the reference. Default 30.
        lost_seconds: how long a track that is not seen is kept, seconds; each strategy names its reference.
        same_object: groups of class indices that the detector confuses, such as [[2, 7]] for car and truck.
        report_tentative: also report matched tracks that are not confirmed yet.
        report_lost: also report tracks that are not matched in the frame, at their predicted boxes.
        compiled: False takes the NumPy path, True insists on numba, None takes numba where it is installed.

    Raises:
        TrackerError: a parameter is out of its range.
    """

    name: ClassVar[str]
    uses_appearance: ClassVar[bool] = False  # whether detections should come with embeddings
    _form: ClassVar[int]
    _extra_floats: int = 0
    _only_dim: int = 0  # the one length of embeddings that the strategy can use; 0: whatever comes first
    _step: ClassVar[Any]

    def __init__(
        self,
        *,
        lost_seconds: float,
        rate_hz: float = 30.0,
        same_object: Sequence[Sequence[int]] = (),
        report_tentative: bool = False,
        report_lost: bool = False,
        compiled: bool | None = None,
    ) -> None:
        self.rate_hz = self._within("rate_hz", rate_hz, 0.01, 10_000.0)
        self.lost_seconds = self._within("lost_seconds", lost_seconds, 0.0, 86_400.0)
        if compiled and not AVAILABLE:
            raise TrackerError("compiled=True needs numba, which is not installed: install it or leave `compiled` out")
        self.compiled = AVAILABLE if compiled is None else bool(compiled)
        self._run = path_of(type(self)._step, self.compiled)
        self._life = self.lost_seconds * self.rate_hz + 1e-6
        self._shown = life.SHOW_TENTATIVE * bool(report_tentative) + life.SHOW_LOST * bool(report_lost)
        self._longest_ns = int(max(_LONGEST_GAP_S, self.lost_seconds) * SECOND_NS)
        self._frames_a_ns = self.rate_hz / SECOND_NS
        self._groups = _group_table(same_object)
        self._given = np.empty((_FIRST_CAPACITY, 6))  # room for the detections of `update`
        self._live = 0
        self._time_ns: int | None = None
        self._step_ns, self._step_dt = 0, 0.0  # the last step forward, and the same in reference frames
        self._dt = 0.0  # what stands in the setup, below zero where all tracks ended
        self._counters: Ids = np.zeros(COUNTERS, np.int64)
        self._counters[NEXT_ID] = 1

    # What a strategy brings -----------------------------------------------------------------------------------------
    # Its step, the frame's work, and what every step is given; its constructor ends with `_configure`.

    def _configure(self, *, noise: Floats, scales: Ints, settings: tuple[float, ...]) -> None:
        """Sets what the step works with.

        Args:
            noise: (5, 2, 4) float64, see `core.motion`.
            scales: (4,) int, the position that scales the noise of each of the four pairs: its own or a later one.
            settings: the strategy's own numbers.
        """
        self._setup = make_setup(noise, self._life, self._shown, self.rate_hz)
        self._dt = float(self._setup[DT])
        self._scales = scales
        self._settings = settings
        self._allocate(_FIRST_CAPACITY, 0)

    def _embedding_width(self, dim: int) -> int:
        """Columns of the embedding array a track needs for embeddings of `dim`; 0: the strategy uses none."""
        return 0

    # What everyone uses ---------------------------------------------------------------------------------------------

    def update(self, detections: Detections, time_ns: int) -> Tracks:
        """The tracks after the frame at `time_ns` (int64 nanoseconds) with these detections (pixels, xyxy).

        Raises:
            TrackerError: the arrays are not of the shapes that `Detections` states.
        """
        n = len(detections.scores)
        if detections.boxes.shape != (n, 4) or len(detections.classes) != n:
            raise TrackerError(
                f"detections need boxes (N, 4), scores (N,) and classes (N,), not {np.shape(detections.boxes)}, "
                f"{np.shape(detections.scores)} and {np.shape(detections.classes)}"
            )
        if n > len(self._given):
            self._given = np.empty((2 * n, 6))
        given = self._given[:n]
        given[:, :4], given[:, 4], given[:, 5] = detections.boxes, detections.scores, detections.classes
        return Tracks(*self._advance(given, detections.embeddings, time_ns))

    def update_rows(self, rows: Floats, time_ns: int) -> Floats:
        """The same on bare arrays, for callers that count microseconds.

        Args:
            rows: (N, 5) x1 y1 x2 y2 score, or (N, 6) with the class; any float type.

        Returns:
            (M, 16) float64: x1 y1 x2 y2 (smoothed), id, score, class, row of the matched detection or -1, x1 y1 x2 y2
            (measured), velocity x y (pixels a second), age (frames), state.

        Raises:
            TrackerError: `rows` has another shape.
        """
        if rows.ndim != 2 or not 5 <= rows.shape[1] <= 6:
            raise TrackerError(f"rows need the shape (N, 5) or (N, 6), not {rows.shape}")
        return self._advance(np.ascontiguousarray(rows, np.float64), None, time_ns)[0]

    def camera_moved(self, affine: Floats) -> None:
        """Carries all tracks along with a moving camera; call it before the `update` of the frame after the move.

        Args:
            affine: (2, 3), where a pixel of the last frame lies in the coming one: x' = affine[:, :2] x + affine[:, 2].
                `camera_motion.CameraMotion` estimates it. Sizes scale by the root of its determinant; of the
                covariances, what couples x and y is left out, which is exact without rotation.

        Raises:
            TrackerError: not a finite (2, 3) array, or it maps the picture to nothing.
        """
        move = np.ascontiguousarray(affine, np.float64)
        if move.shape != (2, 3) or not np.isfinite(move).all() or abs(np.linalg.det(move[:, :2])) < 1e-6:
            raise TrackerError(f"a camera's motion is a finite, invertible (2, 3) affine map, not {affine}")
        path_of(warp_tracks, self.compiled)(self._floats, self._counters, move, self._form)

    def embeddings(self, ids: Ids) -> Float32:
        """(N, D) float32, what the tracker remembers of the looks of live tracks `ids`; D is 0 if it remembers nothing.

        A running mean or the last embedding of a gallery, as the strategy keeps them; zeros where none was usable yet.

        Raises:
            TrackerError: one of `ids` is not a live track.
        """
        live = self._ints[ID, : len(self)]  # ascending: tracks keep the order of their birth
        columns = np.minimum(np.searchsorted(live, ids), max(len(self) - 1, 0))
        if len(ids) and (not len(live) or (live[columns] != ids).any()):
            raise TrackerError(f"of the ids {np.asarray(ids).tolist()} only {live.tolist()} are live tracks")
        if not self._embedding_width(1):
            return np.zeros((len(ids), 0), np.float32)
        return self._looks_of(columns)

    def _looks_of(self, columns: Ints) -> Float32:
        return self._embeddings[columns, : self._embedding_dim].copy()

    @property
    def rejected(self) -> dict[str, int]:
        """How often input was left out or repaired since the tracker began, by reason; reasons that occurred only."""
        return {reason: int(k) for reason, k in zip(REASONS, self._counters[REJECTED:], strict=True) if k}

    def __len__(self) -> int:
        """Live tracks, lost and tentative ones included."""
        return self._live

    def snapshot(self) -> bytes:
        """The whole state; a tracker made with the same parameters that restores it goes on as if never stopped."""
        n = len(self)
        return pack(
            {
                "tracker": self.name,
                "version": _SNAPSHOT_VERSION,
                "time_ns": self._time_ns,
                "counters": self._counters,
                "floats": self._floats[:, :n],
                "ints": self._ints[:, :n],
                "votes": self._votes[:n],
                "embeddings": self._embeddings[:n],
                "embedding_dim": self._embedding_dim,
            }
        )

    def restore(self, data: bytes) -> None:
        """Takes up the state of a `snapshot`.

        Raises:
            StateError: damaged, of another tracker, of other parameters or of an unknown version.
        """
        state = unpack(data)
        if (
            not isinstance(state, dict)
            or state.get("tracker") != self.name
            or state.get("version") != _SNAPSHOT_VERSION
        ):
            found = (state.get("tracker"), state.get("version")) if isinstance(state, dict) else type(state).__name__
            raise StateError(f"this is no state of {self.name} version {_SNAPSHOT_VERSION} but {found}: start afresh")
        try:
            counters, floats, ints = state["counters"], state["floats"], state["ints"]
            votes, embeddings, dim = state["votes"], state["embeddings"], int(state["embedding_dim"])
            n = int(counters[COUNT])
            fits = (
                counters.shape == self._counters.shape
                and floats.shape == (len(self._floats), n)
                and ints.shape == (len(self._ints), n)
                and votes.shape == (n, self._votes.shape[1])
                and embeddings.shape == (n, self._embedding_width(dim))
            )
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise StateError(f"a state of {self.name} is incomplete ({error!r}): start afresh") from error
        if not fits:
            raise StateError(f"a state of {self.name} was written with other parameters: restore it with the same ones")
        self._allocate(max(_FIRST_CAPACITY, n), dim)
        self._floats[:, :n], self._ints[:, :n] = floats, ints
        self._votes[:n], self._embeddings[:n] = votes, embeddings
        self._counters[:] = counters
        self._live = n
        self._time_ns = state["time_ns"]

    def __getstate__(self) -> None:
        # The compiled step knows the arrays by their addresses; a copy would go on in the original's.
        raise StateError(f"a {self.name} tracker is not copied or pickled: make another and restore a snapshot in it")

    # Inside ---------------------------------------------------------------------------------------------------------

    def _advance(self, given: Floats, embeddings: Floats | None, time_ns: int) -> tuple[Float64, Ids]:
        """One frame: the rows told of, and the ids that ended."""
        # In small frames every operation here weighs as much as a track: what did not change is not done again.
        dt = self._time_step(time_ns)
        size = len(given)
        most = self._live + size
        if most > self._capacity:
            self._reserve(most)
        forgotten = self._forget_all() if dt < 0 else None
        looks = self._no_looks if embeddings is None else self._usable_embeddings(embeddings, size)
        told = np.empty((most, TOLD))
        if dt != self._dt:
            self._dt, self._setup[DT] = dt, abs(dt)
        count, over, self._live = self._run(self._tracks, given, looks, self._settings, told)
        ended = self._over[:over].copy() if over else _NO_IDS
        if forgotten is not None:
            ended = np.concatenate([forgotten, ended])
        return told if count == most else told[:count], ended

    def _within(self, name: str, value: float, low: float, high: float) -> float:
        number = float(value)
        if not low <= number <= high:
            raise TrackerError(f"{self.name}: {name} is {value}, but must be between {low:g} and {high:g}")
        return number

    def _score(self, name: str, value: float) -> float:
        # Detections' scores are float32; a threshold is compared as the float32 that is nearest to it.
        return float(np.float32(self._within(name, value, 0.0, 1.1)))

    def _time_step(self, time_ns: int) -> float:
        """Reference frames since the last frame; -1 where all tracks end because the clock or the gap says so."""
        time_ns, last = int(time_ns), self._time_ns
        if last is None:
            self._time_ns = time_ns
            return 1.0
        step = time_ns - last
        if step <= 0:
            return self._no_step(time_ns, step)
        self._time_ns = time_ns
        if step == self._step_ns:
            return self._step_dt
        if step > self._longest_ns:
            return -1.0
        dt = step * self._frames_a_ns
        whole = int(dt + 0.5)
        self._step_ns = step
        self._step_dt = float(whole) if whole and -1e-3 < dt - whole < 1e-3 else dt
        return self._step_dt

    def _no_step(self, time_ns: int, step: int) -> float:
        if step == 0:
            self._counters[REJECTED + TIME_STILL] += 1
            return 0.0
        if -step <= self._longest_ns:
            self._counters[REJECTED + TIME_BACK] += 1
            return 0.0
        self._counters[REJECTED + TIME_RESTART] += 1
        self._time_ns = time_ns
        return -1.0

    def _usable_embeddings(self, embeddings: Floats, n: int) -> Floats:
        if not n or not self._embedding_width(1):
            return self._no_looks
        dim = embeddings.shape[1] if embeddings.ndim == 2 and len(embeddings) == n else 0
        if self._only_dim and dim != self._only_dim:
            dim = 0
        if dim and not self._embedding_dim:
            self._allocate_embeddings(dim)
        if not dim or dim != self._embedding_dim:
            self._counters[REJECTED + BAD_EMBEDDING] += n
            return self._no_looks
        usable = np.ascontiguousarray(embeddings, np.float32)
        bad = np.flatnonzero(~np.isfinite(usable).all(axis=1))
        if len(bad):
            self._counters[REJECTED + BAD_EMBEDDING] += len(bad)
            usable = usable.copy()
            usable[bad] = 0
        return usable

    def _forget_all(self) -> Ids:
        ended = self._ints[ID, : len(self)].copy()
        self._counters[COUNT] = self._live = 0
        return ended

    def _allocate(self, capacity: int, dim: int) -> None:
        # An odd number of cache lines a row: with a power of two, one track's quantities would share a few cache sets.
        capacity = 8 * (capacity // 8 | 1) + 16
        # Filled, not merely promised, so that no frame waits for its memory.
        self._floats = np.full((EXTRA + self._extra_floats, capacity), 0.0)
        self._ints = np.full((INTS, capacity), 0, np.int64)
        self._dets = np.full((DETECTION_FLOATS, capacity), 0.0)
        self._labels = np.full((DETECTION_INTS, capacity), 0, np.int64)
        self._votes = np.zeros((capacity, len(self._groups)))
        self._embedding_dim = dim
        self._embeddings = np.zeros((capacity, self._embedding_width(dim)), np.float32)
        self._book = make_book(self._counters, self._scales, self._groups, capacity)
        self._counters, _, _, self._over = open_book(self._book)
        self._capacity = capacity
        self._bind()
        self._no_looks = np.zeros((0, dim), np.float32)

    def _bind(self) -> None:
        kept = (self._floats, self._ints, self._votes, self._embeddings, self._book, self._setup)
        self._tracks = hand_over((*kept, self._dets, self._labels), self.compiled)

    def _allocate_embeddings(self, dim: int) -> None:
        self._embedding_dim = dim
        self._embeddings = np.zeros((self._floats.shape[1], self._embedding_width(dim)), np.float32)
        self._no_looks = np.zeros((0, dim), np.float32)
        self._bind()

    def _reserve(self, columns: int) -> None:
        n, old = len(self), (self._floats, self._ints, self._votes, self._embeddings)
        self._allocate(2 * columns, self._embedding_dim)
        self._floats[:, :n], self._ints[:, :n] = old[0][:, :n], old[1][:, :n]
        self._votes[:n], self._embeddings[:n] = old[2][:n], old[3][:n]


def _group_table(same_object: Sequence[Sequence[int]]) -> Ints:
    """(K,) int64: class k's association group, the smallest class of its group; classes from K on stand alone."""
    groups = [sorted({int(k) for k in group}) for group in same_object]
    members = [k for group in groups for k in group]
    if len(members) != len(set(members)) or any(k < 0 for k in members):
        raise TrackerError(f"same_object is {same_object}: class indices must not be negative and occur once at most")
    table = np.arange(max(members, default=-1) + 1, dtype=np.int64)
    for group in groups:
        table[group] = group[0]
    return table
