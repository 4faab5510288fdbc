"""Tracks as they are being said: their points of this commit interval, gathered into tracklets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mtmct.attributes import Tally, Votes, add
from mtmct.tracklets import Tracklet, as_columns
from operators.crop_quality import WORTHLESS
from operators.records import Float32, Frame, Int64

# Exemplars of one track in one interval: enough for its look to be known, few enough to travel.
MAX_EXEMPLARS = 4


@dataclass(slots=True)
class _Piece:
    """A tracklet in the making: columns as lists, one row a frame."""

    cls: int
    frames: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    boxes: list[Float32] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    embeddings: list[Float32] = field(default_factory=list)
    qualities: list[float] = field(default_factory=list)
    attributes: Tally = field(default_factory=dict)
    ended: bool = False


@dataclass(slots=True)
class _Known:
    """A track that has been said and may still go on."""

    cls: int
    points: int
    last_ns: int


class Pieces:
    """The tracks of one camera.

    Args:
        camera: camera id.
        classes: names that class indices refer to.
    """

    def __init__(self, camera: str, classes: Sequence[str]) -> None:
        self._camera = camera
        self._classes = tuple(classes)
        self._pieces: dict[int, _Piece] = {}
        self._known: dict[int, _Known] = {}

    def point(self, track: int, cls: int, frame: Frame, box: Float32, score: float) -> None:
        """The track was seen in a frame. Its class is the one that it was first seen with."""
        known = self._known.setdefault(track, _Known(cls, 0, frame.time_ns))
        known.points += 1
        known.last_ns = frame.time_ns
        piece = self._pieces.setdefault(track, _Piece(known.cls))
        piece.frames.append(frame.index)
        piece.times.append(frame.time_ns)
        piece.boxes.append(box)
        piece.scores.append(float(score))

    def is_due(self, track: int, every: int) -> bool:
        """Whether a track that was seen just now is to be looked at, if every n-th of its points is."""
        return (self._known[track].points - 1) % every == 0

    def class_of(self, track: int) -> str:
        """Its class."""
        return self._classes[self._known[track].cls]

    def exemplars(self, ids: Int64, embeddings: Float32, qualities: Float32) -> None:
        """Looks of tracks that were seen just now: (N,), (N, D), (N,)."""
        # A row of NaN stands for a box without an embedding, a worthless one for a box that shows nothing.
        good = np.isfinite(embeddings).all(axis=1) & (qualities > WORTHLESS)
        for row in np.flatnonzero(good):
            piece = self._pieces[int(ids[row])]
            piece.embeddings.append(embeddings[row])
            piece.qualities.append(float(qualities[row]))

    def vote(self, track: int, votes: Votes) -> None:
        """What a track that was seen just now is said to be like."""
        add(self._pieces[track].attributes, votes)

    def end(self, tracks: Iterable[int]) -> None:
        """These do not go on."""
        for track in tracks:
            known = self._known.pop(track, None)
            if known is not None:
                self._pieces.setdefault(track, _Piece(known.cls)).ended = True

    @property
    def going_on(self) -> list[int]:
        """Tracks that may be seen again, in order."""
        return sorted(self._known)

    def end_all(self) -> None:
        """None goes on."""
        self.end(self.going_on)

    def unseen_for(self, life_ns: int, now_ns: int) -> list[int]:
        """Tracks that were last seen longer ago than that."""
        return [track for track, known in self._known.items() if now_ns - known.last_ns > life_ns]

    def take(self) -> Sequence[Tracklet]:
        """The tracklets of this interval, in order of ids, as columns; a new one begins."""
        taken = as_columns([self._tracklet(track, self._pieces[track]) for track in sorted(self._pieces)])
        self._pieces = {}
        return taken

    def snapshot(self) -> list[list[Any]]:
        """What is known of tracks that may still go on, without this interval's points."""
        return [[track, k.cls, k.points, k.last_ns] for track, k in self._known.items()]

    def restore(self, known: Sequence[Sequence[Any]]) -> None:
        """Go on from a snapshot."""
        self._known = {track: _Known(cls, points, last) for track, cls, points, last in known}

    def _tracklet(self, track: int, piece: _Piece) -> Tracklet:
        embeddings, qualities = None, np.zeros(0, np.float32)
        if piece.embeddings:
            best = sorted(np.argsort(-np.asarray(piece.qualities), kind="stable")[:MAX_EXEMPLARS].tolist())
            embeddings = np.stack([piece.embeddings[i] for i in best]).astype(np.float32)
            qualities = np.asarray([piece.qualities[i] for i in best], np.float32)
        return Tracklet(
            camera=self._camera,
            track=track,
            cls=self._classes[piece.cls],
            frames=np.asarray(piece.frames, np.int64),
            times_ns=np.asarray(piece.times, np.int64),
            boxes=np.asarray(piece.boxes, np.float32).reshape(-1, 4),
            scores=np.asarray(piece.scores, np.float32),
            embeddings=embeddings,
            qualities=qualities,
            ended=piece.ended,
            attributes=piece.attributes,
        )
