"""Who is to be recognised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mtmct.attributes import Votes, together
from mtmct.identities import IdentityBook
from mtmct.identity import Identity
from mtmct.itinerary import Stay
from mtmct.past import Member
from mtmct.tracks import LocalTrack

_REMEMBERED = 16  # stays of the past that may still be a step of a journey


@dataclass(frozen=True, slots=True)
class Subject:
    """Who is to be recognised: a track, or all tracks of an identity.

    Attributes:
        cls: class name.
        tracks: its tracks in memory, in order of first sight; at least one.
        identity: the identity, with its past; None for a track alone.
    """

    cls: str
    tracks: Sequence[LocalTrack]
    identity: Identity | None = None

    @property
    def attributes(self) -> Votes:
        """What it is like, in votes."""
        earlier = {} if self.identity is None else self.identity.attributes
        return together([earlier, *(track.attributes for track in self.tracks)])

    @property
    def stays(self) -> list[Stay]:
        """Where and when it was seen, in order."""
        past = () if self.identity is None else self.identity.past
        stays = [_stay(member) for member in past]
        return _in_order([*stays, *(track.stay for track in self.tracks)])

    @classmethod
    def of_track(cls, track: LocalTrack) -> Subject:
        """One track."""
        return cls(track.cls, [track])

    @classmethod
    def of_identity(cls, identity: Identity, book: IdentityBook) -> Subject:
        """A whole identity."""
        return cls(book.cls(identity), book.tracks_of(identity), identity)


def course(identity: Identity, book: IdentityBook, without: frozenset[int]) -> list[Stay]:
    """The latest stays in views of an identity without some of its tracks (uids), in order."""
    past = [_stay(member) for member in identity.past[-_REMEMBERED:]]
    return _in_order([*past, *(track.stay for track in book.tracks_of(identity) if track.uid not in without)])


def latest_stay(identity: Identity, book: IdentityBook) -> Stay | None:
    """The stay that began last, of its tracks in memory and the last of those that are not; None if there are none."""
    stays = [*(track.stay for track in book.tracks_of(identity)), *(_stay(member) for member in identity.past[-1:])]
    return _in_order(stays)[-1] if stays else None


def _stay(member: Member) -> Stay:
    return Stay(member.start_ns, member.end_ns, member.camera, member.came, member.went)


def _in_order(stays: Sequence[Stay]) -> list[Stay]:
    return sorted(stays, key=lambda stay: (stay.start_ns, stay.end_ns, stay.camera))
