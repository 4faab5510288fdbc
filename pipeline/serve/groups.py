"""Tracklets by who they are now. A correction moves those that it is about, and no others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from mtmct.corrections import IdentityResolver
from pipeline.serve.known import Piece

Track = tuple[str, int]


class Group:
    """What is one identity's.

    Attributes:
        start, end: first and last event time, microseconds. cls: class of the earliest piece.
        attributes: of the latest piece that has any, and when that ended.
    """

    __slots__ = ("attributes", "cameras", "cls", "end", "pieces", "start", "tracks")

    def __init__(self, first: Piece) -> None:
        self.pieces: list[Piece] = []
        self.start, self.end, self.cls = first.start, first.end, first.cls
        self.attributes: tuple[int, Mapping[str, str]] = (-1, {})
        self.cameras: set[str] = set()
        self.tracks: set[Track] = set()

    def add(self, piece: Piece) -> None:
        """Take in a piece of it."""
        self.pieces.append(piece)
        if piece.start < self.start:
            self.start, self.cls = piece.start, piece.cls
        self.end = max(self.end, piece.end)
        if piece.attributes and piece.end >= self.attributes[0]:
            self.attributes = piece.end, piece.attributes
        self.cameras.add(piece.camera)
        self.tracks.add((piece.camera, piece.track))


class Groups:
    """Pieces, grouped by identity with all corrections that have been heard.

    Attributes:
        resolver: who a track is.
    """

    def __init__(self) -> None:
        self.resolver = IdentityResolver()
        self._groups: dict[str, Group] = {}
        self._pieces: dict[Track, list[Piece]] = defaultdict(list)
        self._followers: dict[str, set[str]] = {}  # by identity, those that were merged into it
        self._changed: set[str] | None = set()
        # Until something is said of an identity that does not stand any more: then nothing tells whom it is about.
        self._orderly = True

    def names(self) -> Iterable[str]:
        """Of whom there are pieces."""
        return self._groups.keys()

    def get(self, name: str) -> Group | None:
        """What is this identity's; None if nothing is."""
        return self._groups.get(name)

    def add(self, piece: Piece, value: Mapping[str, Any]) -> None:
        """Take in a piece, and the value of `tracks` that it was made of."""
        self.resolver.published(value)
        self._pieces[piece.camera, piece.track].append(piece)
        self._file(piece)

    def apply(self, value: Mapping[str, Any]) -> None:
        """Take in a value of `identities`."""
        event, name, into = value["event"], value["identity"], value["into"]
        self._change(name, *(() if into is None else (into,)))
        if not self._orderly:
            self.resolver.apply(value)
            self._file_all()
            return
        before = self.resolver.current(name)
        left: set[str | None] = set()
        moved: list[Piece] = []
        if event == "split":
            named = {(camera, track) for camera, track in value["tracks"]}
            about = [piece for track in sorted(named) for piece in self._pieces.get(track, ())]
            left = {piece.who for piece in about}
            moved = [piece for piece in about if piece.who is None]
        elif event in ("merged", "retracted"):
            left = {before}
        self.resolver.apply(value)
        if event in ("merged", "retracted"):
            if before != name:
                self._orderly = False
                self._file_all()
                return
            gone = self._followers.pop(name, set()) | {name}
            self._change(*gone)
            after = None if into is None else self.resolver.current(into)
            if after is not None:
                self._followers.setdefault(after, set()).update(gone)
        for one in left:
            if one is not None and one in self._groups:
                self._change(one)
                moved += self._groups.pop(one).pieces
        for piece in moved:
            self._file(piece)

    def changed(self) -> set[str] | None:
        """Of whom something is different since this was asked before; None: it may be anybody."""
        changed, self._changed = self._changed, set()
        return changed

    def span(self, camera: str) -> tuple[int, int] | None:
        """First and last event time of a camera's pieces."""
        mine = [piece for (name, _), pieces in self._pieces.items() if name == camera for piece in pieces]
        return (min(one.start for one in mine), max(one.end for one in mine)) if mine else None

    def forget(self, before: int) -> None:
        """Let go of pieces that ended earlier."""
        kept = {track: [one for one in pieces if one.end >= before] for track, pieces in self._pieces.items()}
        self._pieces = defaultdict(list, {track: pieces for track, pieces in kept.items() if pieces})
        self._file_all()

    def _file_all(self) -> None:
        """Sort everything out anew."""
        self._changed = None
        self._groups = {}
        for pieces in self._pieces.values():
            for piece in pieces:
                self._file(piece)

    def _change(self, *names: str) -> None:
        if self._changed is not None:
            self._changed.update(names)

    def _file(self, piece: Piece) -> None:
        name = piece.who = self.resolver.name_of(piece.camera, piece.track, piece.start)
        if name is None:
            return
        group = self._groups.get(name)
        if group is None:
            group = self._groups[name] = Group(piece)
        group.add(piece)
        self._change(name)
