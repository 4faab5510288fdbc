"""What to draw on a camera's frame: the `tracks` topic, read alongside the videos.

The topic comes in commit order and the videos in event time. Both are read once, side by side, with a window
of event time between them, so that the memory needed does not grow with the length of the recording.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from operators.records import SECOND_NS, Float32, Int64
from operators.trails import Trail, TrailBook

IdentityOf = Callable[[str, int, int], int | None]
"""The identity's number of (camera, track, start of the tracklet in microseconds) after all corrections; None where it
was retracted. A track may go over from one object to another, hence the time."""

# Somebody whom nobody saw for a moment is still there: for so long he is taken to be on the way between where he was
# seen, and for so long to be where he is first or was last seen.
_UNSEEN_NS, _AROUND_NS = 10 * SECOND_NS, SECOND_NS // 2
# Records count microseconds and sources nanoseconds: the same instant may differ by what rounding does to it.
_SAME_INSTANT_NS = 500_000


@dataclass(frozen=True, slots=True)
class Marks:
    """What one frame shows.

    Attributes:
        boxes: (N, 4) float32, xyxy, pixels of the camera's own picture.
        identities: N numbers.
        classes: N class names.
        retracted: (K, 4) float32, boxes of tracks that turned out to be noise: not to be drawn.
        retracted_classes: K class names.
        unseen: (U, 4) float32, about where those must be who were seen before and are seen again: to be blurred only.
        unseen_classes: U class names.
        trails: up to and including this frame.
    """

    boxes: Float32
    identities: tuple[int, ...]
    classes: tuple[str, ...]
    retracted: Float32
    retracted_classes: tuple[str, ...]
    unseen: Float32
    unseen_classes: tuple[str, ...]
    trails: tuple[Trail, ...]


@dataclass(slots=True)
class _Piece:
    """A `tracks` value on its way past the camera's frames; `passed` points lie behind already."""

    track: int
    cls: str
    identity: int | None
    times: Int64
    boxes: Float32
    step: int
    passed: int = 0

    @property
    def who(self) -> int:
        """The identity, or the track below zero."""
        return -1 - self.track if self.identity is None else self.identity


@dataclass(slots=True)
class _Camera:
    trails: TrailBook
    waiting: list[tuple[int, int, Mapping[str, Any]]] = field(default_factory=list)
    active: list[_Piece] = field(default_factory=list)
    step: int = 0
    given: int | None = None
    # For who is unseen: when and where everybody was last seen, and will be next, by identity (or track, below zero).
    last: dict[int, tuple[int, Float32, str]] = field(default_factory=dict)
    coming: dict[int, list[tuple[int, int, Mapping[str, Any]]]] = field(default_factory=dict)


class Overlay:
    """Gives each frame its boxes, identities and trails. Ask in event-time order, each camera on its own.

    Args:
        records: values of the `tracks` topic in commit order; read as far ahead as needed.
        cameras: the ones that will be asked for; all others are skipped.
        identity_of: who a track is; by default as the record itself says, without corrections.
        trail_ns: length of the trails.
        from_ns: event time of the earliest frame that will be asked for; records of before are skipped.
        lookahead_ns: how far ahead of the frames records are read, which must be longer than a record can be
            late behind others. None reads all of them at once: any order will do, memory permitting.

    Attributes:
        points: how many points the records of these cameras held, as far as they have been read.
        met: how many were shown, those of retracted tracks among them.
        late: how many came when their frame had been given out already.
        first_ns, last_ns: event time of the earliest and latest record read; None before the first.
        classes: the class names met so far.
    """

    def __init__(
        self,
        records: Iterable[Mapping[str, Any]],
        cameras: Sequence[str],
        identity_of: IdentityOf | None = None,
        *,
        trail_ns: int = 3 * SECOND_NS,
        from_ns: int | None = None,
        lookahead_ns: int | None = 60 * SECOND_NS,
    ) -> None:
        self._records: Iterator[Mapping[str, Any]] | None = iter(records)
        self._cameras = {camera: _Camera(TrailBook(trail_ns)) for camera in cameras}
        self._identity_of = identity_of
        self._lookahead = lookahead_ns
        self._earliest = None if from_ns is None else from_ns - trail_ns
        self.points = 0
        self.met = 0
        self.late = 0
        self.first_ns: int | None = None
        self.last_ns: int | None = None
        self.classes: set[str] = set()

    def at(self, camera: str, time_ns: int) -> Marks:
        """What the camera's frame of this event time shows.

        A box stays until the camera's next sampled frame, which a cap on the frame rate may have put several
        pictures later, and no longer: nothing is interpolated, and a lost track shows nothing.
        """
        self._read_until(time_ns)
        state = self._cameras[camera]
        state.given = time_ns
        reached = time_ns + _SAME_INSTANT_NS
        while state.waiting and state.waiting[0][0] <= reached:
            value = heapq.heappop(state.waiting)[2]
            heapq.heappop(state.coming[self._who(value)])
            state.active.append(self._open(camera, value))
        shown: dict[int, tuple[int, _Piece]] = {}
        for piece in state.active:
            passed = int(np.searchsorted(piece.times, reached, side="right"))
            self._extend_trail(state.trails, piece, passed)
            piece.passed = passed
            last = int(piece.times[passed - 1])
            held = reached < last + piece.step or time_ns - last <= _SAME_INSTANT_NS
            if held and last >= shown.get(piece.track, (last, piece))[0]:
                shown[piece.track] = (last, piece)
        state.active = [p for p in state.active if p.passed < len(p.times) or p.times[-1] + p.step > time_ns]
        self.met += len(shown)
        return _marks(shown, _unseen(state, shown, time_ns), tuple(state.trails.trails(reached)))

    def _read_until(self, time_ns: int) -> None:
        while self._records is not None and (
            self._lookahead is None or self.last_ns is None or self.last_ns < time_ns + self._lookahead
        ):
            value = next(self._records, None)
            if value is None:
                self._records = None
                return
            state = self._cameras.get(value["camera"])
            start, end = value["start"] * 1000, value["end"] * 1000
            self.first_ns = start if self.first_ns is None else min(start, self.first_ns)
            self.last_ns = end if self.last_ns is None else max(end, self.last_ns)
            if state is None or not value["points"]:
                continue
            self.classes.add(value["class"])
            self.points += len(value["points"])
            if self._earliest is not None and end < self._earliest:
                continue
            if state.given is not None and start <= state.given:
                self.late += sum(point[0] * 1000 <= state.given for point in value["points"])
            heapq.heappush(state.waiting, (start, self.points, value))  # the count breaks ties in reading order
            heapq.heappush(state.coming.setdefault(self._who(value), []), (start, self.points, value))

    def _number(self, value: Mapping[str, Any]) -> int | None:
        if self._identity_of is None:
            number: int | None = value["number"]
            return number
        return self._identity_of(value["camera"], value["track"], value["start"])

    def _who(self, value: Mapping[str, Any]) -> int:
        number = self._number(value)
        return -1 - int(value["track"]) if number is None else number

    def _open(self, camera: str, value: Mapping[str, Any]) -> _Piece:
        points = value["points"]
        times = np.array([point[0] for point in points], np.int64) * 1000
        state = self._cameras[camera]
        if len(times) > 1:
            state.step = int(np.median(np.diff(times)))
        boxes = np.array([point[1:5] for point in points], np.float32)
        return _Piece(value["track"], value["class"], self._number(value), times, boxes, state.step)

    @staticmethod
    def _extend_trail(trails: TrailBook, piece: _Piece, passed: int) -> None:
        if piece.identity is None:
            return
        for row in range(piece.passed, passed):
            x1, _, x2, y2 = piece.boxes[row].tolist()
            trails.add(piece.identity, int(piece.times[row]), (x1 + x2) / 2, y2)


def _unseen(state: _Camera, shown: Mapping[int, tuple[int, _Piece]], time_ns: int) -> list[tuple[Float32, str]]:
    """Boxes and classes of those who are not shown and must be there."""
    for piece in state.active:
        if piece.passed:
            state.last[piece.who] = (int(piece.times[piece.passed - 1]), piece.boxes[piece.passed - 1], piece.cls)
    state.last = {who: seen for who, seen in state.last.items() if time_ns - seen[0] <= _UNSEEN_NS}
    state.coming = {who: pieces for who, pieces in state.coming.items() if pieces}
    following: dict[int, tuple[int, Float32, str]] = {}
    for who, pieces in state.coming.items():
        start, _, value = pieces[0]
        if start - time_ns <= _UNSEEN_NS:
            following[who] = (start, np.array(value["points"][0][1:5], np.float32), value["class"])
    for piece in state.active:
        if piece.passed < len(piece.times):
            following[piece.who] = (int(piece.times[piece.passed]), piece.boxes[piece.passed], piece.cls)
    here = {piece.who for _, piece in shown.values()}
    found = []
    for who in sorted({*state.last, *following} - here):
        before, after = state.last.get(who), following.get(who)
        if before is not None and after is not None and after[0] - before[0] <= _UNSEEN_NS:
            share = (time_ns - before[0]) / max(after[0] - before[0], 1)
            found.append((before[1] + np.float32(share) * (after[1] - before[1]), before[2]))
        elif before is not None and time_ns - before[0] <= _AROUND_NS:
            found.append(before[1:])
        elif after is not None and after[0] - time_ns <= _AROUND_NS:
            found.append(after[1:])
    return found


def _marks(
    shown: Mapping[int, tuple[int, _Piece]], unseen: Sequence[tuple[Float32, str]], trails: tuple[Trail, ...]
) -> Marks:
    boxes, identities, classes, retracted, kinds = [], [], [], [], []
    for track in sorted(shown):
        piece = shown[track][1]
        row = piece.passed - 1
        if piece.identity is None:
            retracted.append(piece.boxes[row])
            kinds.append(piece.cls)
        else:
            boxes.append(piece.boxes[row])
            identities.append(piece.identity)
            classes.append(piece.cls)
    return Marks(
        _rows(boxes), tuple(identities), tuple(classes), _rows(retracted), tuple(kinds), *_apart(unseen), trails
    )


def _apart(unseen: Sequence[tuple[Float32, str]]) -> tuple[Float32, tuple[str, ...]]:
    return _rows([box for box, _ in unseen]), tuple(cls for _, cls in unseen)


def _rows(boxes: list[Float32]) -> Float32:
    return np.array(boxes, np.float32).reshape(-1, 4)
