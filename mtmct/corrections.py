"""Who a track is, now and as it was first published: the consumer's side of corrections.

An identity that was published may later be merged into another, lose some of its tracks to a new one, or be
retracted. A reader that follows the `identities` topic is never wrong for ever; this is the following.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from math import inf
from typing import Any, Self

from operators.records import CrosscamError

Track = tuple[str, int]


class CorrectionError(CrosscamError):
    """An `identities` record does not make sense to this version."""


class IdentityResolver:
    """Resolves (camera, track) to an identity after all corrections heard so far.

    Feed it the values of the `tracks` and `identities` topics, each topic in its commit order. The two topics
    need not be interleaved as they were committed: what a split moves is remembered even before the moved track
    has been read, and a track read after its identity was merged away still follows the merge.

    A tracklet is whose it was published as, until a correction says otherwise; a correction speaks of tracklets that
    start before it was made. So a local track that comes back, after it was so long away that nobody remembered it,
    is what it is published as then: trackers that are kept elsewhere and give their ids do that.

    Identities are groups in a disjoint-set forest (Tarjan, "Efficiency of a good but not linear set union
    algorithm", 1975): a merge joins two groups, a split moves the named tracks to a group of their own, so both
    cost next to nothing however many tracks an identity has. The survivor of a merge is given, not chosen by
    size, so paths are kept short by compression alone.
    """

    def __init__(self) -> None:
        self._group: dict[str, int] = {}  # identity -> the group it was last known as
        self._parent: list[int] = []  # group -> the group it was merged into, or itself
        self._name: list[str | None] = []  # root group -> identity; None: retracted
        self._owner: dict[Track, TrackOwners] = {}
        self._first: dict[Track, str] = {}

    @classmethod
    def of(cls, tracks: Iterable[Mapping[str, Any]], identities: Iterable[Mapping[str, Any]]) -> Self:
        """One that has heard all of these values of the two topics."""
        resolver = cls()
        for value in tracks:
            resolver.published(value)
        for value in identities:
            resolver.apply(value)
        return resolver

    def published(self, value: Mapping[str, Any]) -> None:
        """Take in a value of the `tracks` topic."""
        track = (value["camera"], value["track"])
        self._first.setdefault(track, value["identity"])
        owners, group = self._owner.setdefault(track, TrackOwners()), self._group_of(value["identity"])
        known = owners.find(value["start"])
        # Two that have been merged are one, whichever of the two a tracklet was published as.
        if known is None or self._root(known) != self._root(group):
            owners.publish(value["start"], group)

    def apply(self, value: Mapping[str, Any]) -> None:
        """Take in a value of the `identities` topic.

        Raises:
            CorrectionError: an event this version does not know, or a merge or split that does not say into what.
        """
        match value["event"]:
            case "created" | "closed":
                self._group_of(value["identity"])
            case "merged":
                gone = self._root(self._group_of(value["identity"]))
                self._parent[gone] = self._root(self._group_of(_into(value)))
            case "split":
                target = self._standing_group(_into(value))
                since, until, time = value.get("since"), value.get("until"), value["time"]
                for camera, track in value["tracks"]:
                    self._owner.setdefault((camera, track), TrackOwners()).assign(since, until, target, time)
            case "retracted":
                self._name[self._root(self._group_of(value["identity"]))] = None
            case other:
                raise CorrectionError(
                    f"identity {value['identity']} has a record of the unknown event '{other}': "
                    "it was written by a newer crosscam; update this one"
                )

    def identity_of(self, camera: str, track: int, time: int | None = None) -> int | None:
        """The identity's number as corrected so far; None if it was retracted.

        Args:
            camera: camera id.
            track: local track id.
            time: a track may have gone over from one object to another, so a tracklet belongs to whom its track
                was at the tracklet's `start` (microseconds); None means at the track's end.

        Raises:
            KeyError: neither topic has named the track yet.
        """
        name = self.name_of(camera, track, time)
        return None if name is None else number_of(name)

    def name_of(self, camera: str, track: int, time: int | None = None) -> str | None:
        """Like `identity_of`, but the whole identity: `plaza-000017`."""
        return self._name[self._root(self._owner[camera, track].at(time))]

    def first_published(self, camera: str, track: int) -> str:
        """The identity under which the track's first tracklet was published.

        Raises:
            KeyError: no tracklet of it has been read.
        """
        return self._first[camera, track]

    def current(self, identity: str) -> str | None:
        """The identity that `identity` has been merged into, itself if it still stands, None if retracted.

        Says nothing of tracks that a split took away: ask `name_of` for those.
        """
        group = self._group.get(identity)
        return identity if group is None else self._name[self._root(group)]

    def _standing_group(self, identity: str) -> int:
        group = self._group_of(identity)
        # One that had been merged away or retracted stands again, but its former tracks stay where they went.
        return group if self._name[self._root(group)] == identity else self._new_group(identity)

    def _group_of(self, identity: str) -> int:
        group = self._group.get(identity)
        return self._new_group(identity) if group is None else group

    def _new_group(self, identity: str) -> int:
        group = len(self._parent)
        self._parent.append(group)
        self._name.append(identity)
        self._group[identity] = group
        return group

    def _root(self, group: int) -> int:
        root = group
        while self._parent[root] != root:
            root = self._parent[root]
        while self._parent[group] != root:
            self._parent[group], group = root, self._parent[group]
        return root


class TrackOwners:
    """Whose a track was, over time, in parts: their starts, ascending, and their owners, as numbers.

    A part whose owner is not known yet (a split has been read before the track) holds None. `told` says of each part up
    to where its owner is what a correction said; from there on, as in all parts that none speaks of, it is what is
    published.
    """

    def __init__(
        self,
        starts: list[float] | None = None,
        owners: list[int | None] | None = None,
        told: list[float] | None = None,
    ) -> None:
        self._starts: list[float] = starts or [-inf]
        self._owners: list[int | None] = owners or [None]
        # A state of before this was kept: nothing was taken as published but the first tracklet.
        self._told: list[float] = told or [-inf if starts is None else inf] * len(self._starts)

    def publish(self, start: int, owner: int) -> bool:
        """A tracklet that starts then (microseconds) has been published as this one's; whether that was news."""
        news = None in self._owners
        self._owners = [owner if known is None else known for known in self._owners]
        part = bisect_right(self._starts, start) - 1
        if self._owners[part] == owner or start < self._told[part]:
            return news
        self._starts.insert(part + 1, start)
        self._owners.insert(part + 1, owner)
        self._told.insert(part + 1, -inf)
        return True

    def assign(self, since: int | None, until: int | None, owner: int, time: int) -> None:
        """From `since` to `until` (microseconds, exclusive) it was somebody else's, as was said at `time`.

        None: since its beginning; to its end, but for what was published after `time`.
        """
        low, high = -inf if since is None else since, time if until is None else until
        parts = list(zip(self._starts, [*self._starts[1:], inf], self._owners, self._told, strict=True))
        kept = [(start, known, told) for start, _, known, told in parts if start < low]
        kept.append((low, owner, high if until is None else inf))
        if until is None:
            kept += [(start, known, told) for start, _, known, told in parts if start >= max(low, high)]
        else:
            kept += [(max(start, high), known, told) for start, end, known, told in parts if end > high]
        self._starts, self._owners, self._told = (list(column) for column in zip(*kept, strict=True))

    def at(self, time: int | None) -> int:
        """Whose it was then; None means at its end.

        Raises:
            KeyError: nobody has said so yet.
        """
        owner = self.find(time)
        if owner is None:
            raise KeyError("no tracklet of this part of the track has been read")
        return owner

    def find(self, time: int | None) -> int | None:
        """Whose it was then, None if nobody has said so yet."""
        if len(self._owners) == 1:
            return self._owners[0]
        return self._owners[len(self._starts) - 1 if time is None else bisect_right(self._starts, time) - 1]

    def rename(self, one: int, other: int) -> None:
        """What was one's is the other's."""
        self._owners = [other if known == one else known for known in self._owners]

    @property
    def owners(self) -> set[int]:
        """All that are known."""
        return {known for known in self._owners if known is not None}

    def stored(self) -> list[list[Any]]:
        """Starts, owners, and up to where they were told, as the constructor takes them."""
        return [[*self._starts], [*self._owners], [*self._told]]


def _into(value: Mapping[str, Any]) -> str:
    into = value.get("into")
    if into is None or into == value["identity"]:
        raise CorrectionError(
            f"identity {value['identity']} was {value['event']} without saying into which other identity: "
            "the ledger was not written by crosscam, or is damaged"
        )
    return str(into)


def number_of(identity: str) -> int:
    """The number in an identity: 17 of `plaza-000017`.

    Raises:
        CorrectionError: it does not end in a number.
    """
    digits = identity.rpartition("-")[2]
    if not digits.isdecimal():
        raise CorrectionError(f"'{identity}' is not an identity: it should look like plaza-000017")
    return int(digits)
