"""Who is to be recognised, and what is gathered of those whom it could be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from mtmct.attributes import Votes, together
from mtmct.exemplars import Exemplars, Impression, occasions
from mtmct.identities import Identity, IdentityBook, Member
from mtmct.tracks import LocalTrack
from mtmct.travel import Stay
from operators.records import Float32

_REMEMBERED = 16  # stays of the past that may still be a step of a journey


@dataclass(frozen=True, slots=True)
class Subject:
    """Who is to be recognised: a track, or all tracks of a young identity.

    Attributes:
        cls: class name.
        tracks: its tracks in memory, in order of first sight; at least one.
        spans: camera, first and last event time of all its tracks.
        past, kept: what is known of its appearance beside that of its tracks in memory: the mean, and single looks.
        earlier: its attributes, in votes, beside those of its tracks in memory.
    """

    cls: str
    tracks: Sequence[LocalTrack]
    spans: Sequence[tuple[str, int, int]]
    past: Impression
    kept: Exemplars
    earlier: Votes

    @property
    def attributes(self) -> Votes:
        """What it is like, in votes."""
        return together([self.earlier, *(track.attributes for track in self.tracks)])

    @property
    def looks(self) -> Impression:
        """What it looks like."""
        return self.past.with_looks([track.looks for track in self.tracks])

    @property
    def occasions(self) -> Float32:
        """(K, D) float32: what it looked like each time."""
        return occasions([track.looks for track in self.tracks], self.kept)

    @property
    def stays(self) -> list[Stay]:
        """Where and when it was seen, in order."""
        return sorted(
            (Stay(start, end, camera) for camera, start, end in self.spans),
            key=lambda stay: (stay.start_ns, stay.end_ns, stay.camera),
        )

    @classmethod
    def of_track(cls, track: LocalTrack) -> Subject:
        """One track."""
        span = (track.camera, track.start_ns, track.last_ns)
        return cls(track.cls, [track], [span], Impression(), Exemplars(), {})

    @classmethod
    def of_identity(cls, identity: Identity, book: IdentityBook) -> Subject:
        """A whole identity."""
        tracks, spans = book.tracks_of(identity), book.spans(identity)
        return cls(book.cls(identity), tracks, spans, identity.impression, identity.looks, identity.attributes)


@dataclass(frozen=True)
class Known:
    """What every subject asks of a candidate.

    Attributes:
        uids: the candidate's list of tracks when this was gathered: a change of its members makes a new list.
        cls: class name.
        tracks: its tracks in memory.
        spans: first and last event time of all its tracks, by camera.
        past: its tracks that are no longer in memory, and what they looked like: the mean `impression`
            and single looks `kept`.
        earlier: the votes on their attributes.
    """

    uids: Sequence[int]
    cls: str
    tracks: Sequence[LocalTrack]
    spans: Mapping[str, Sequence[tuple[int, int]]]
    past: Sequence[Member]
    impression: Impression
    kept: Exemplars
    earlier: Votes

    @cached_property
    def attributes(self) -> Votes:
        """What it is like, in votes."""
        return together([self.earlier, *(track.attributes for track in self.tracks)])

    @cached_property
    def looks(self) -> Impression:
        """What it looks like: gathered only of those that nothing else rules out."""
        return self.impression.with_looks([track.looks for track in self.tracks])

    @cached_property
    def occasions(self) -> Float32:
        """(L, D) float32: what it looked like each time."""
        return occasions([track.looks for track in self.tracks], self.kept)

    @cached_property
    def course(self) -> Sequence[Stay]:
        """Its latest stays in views, in order."""
        past = [Stay(member.start_ns, member.end_ns, member.camera) for member in self.past[-_REMEMBERED:]]
        stays = [*past, *(track.stay for track in self.tracks)]
        return sorted(stays, key=lambda stay: (stay.start_ns, stay.end_ns, stay.camera))


class Gathered:
    """What has been gathered of candidates: good until a track grows or is cut, whoever the tracks belong to."""

    def __init__(self, book: IdentityBook) -> None:
        self._book = book
        self._known: dict[int, Known] = {}

    def of(self, candidate: Identity, without: frozenset[int]) -> Known:
        """A candidate without the tracks in `without`."""
        known = self._known.get(candidate.number)
        if known is not None and known.uids is candidate.uids and without.isdisjoint(candidate.uids):
            return known
        tracks = [track for track in self._book.tracks_of(candidate) if track.uid not in without]
        spans: dict[str, list[tuple[int, int]]] = {}
        for member in candidate.past:
            spans.setdefault(member.camera, []).append((member.start_ns, member.end_ns))
        for track in tracks:
            spans.setdefault(track.camera, []).append((track.start_ns, track.last_ns))
        cls = self._book.cls(candidate)
        past = (candidate.past, candidate.impression, candidate.looks, candidate.attributes)
        known = Known(candidate.uids, cls, tracks, spans, *past)
        if len(tracks) == len(candidate.uids):
            self._known[candidate.number] = known
        return known


def alone_in_each_camera(subject: Subject, known: Known) -> bool:
    """Whether no camera shows both at once."""
    for camera, start, end in subject.spans:
        for since, until in known.spans.get(camera, ()):
            if since <= end and start <= until:
                return False
    return True
