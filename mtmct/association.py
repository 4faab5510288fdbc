"""Whom a track could be: the identities that are worth scoring."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from mtmct.coincidence import PairWindow
from mtmct.gallery import Gallery
from mtmct.identities import Identity, IdentityBook
from mtmct.itinerary import Whereabouts
from mtmct.movement import NEVER
from mtmct.reach import latest_of_each, recently_left, within_reach
from mtmct.settings import FusionSettings
from mtmct.shortlist import Found, first_known, offered
from mtmct.subjects import latest_stay
from mtmct.topology import Topology
from mtmct.tracks import LocalTrack, TrackMemory, X
from mtmct.travel import TravelTimes
from operators.records import SECOND_NS, Int64


class Candidates:
    """Finds the identities worth scoring: by simultaneous position, by place and time, by appearance.

    Built once per commit and kind of decision; searches all waiting tracks' looks at once.

    Args:
        before: those of an earlier decision of this commit; what was found for them by their looks need not be looked
            for again.
    """

    def __init__(
        self,
        tracks: TrackMemory,
        book: IdentityBook,
        window: PairWindow,
        gallery: Gallery,
        topology: Topology,
        settings: FusionSettings,
        now_ns: int,
        travel: TravelTimes | None = None,
        before: Candidates | None = None,
    ) -> None:
        self._travel = travel
        self._before = before
        self._latest: tuple[Int64, Whereabouts] | None = None
        self._tracks = tracks
        self._book = book
        self._window = window
        self._gallery = gallery
        self._settings = settings
        self._now_ns = now_ns
        self._topology = topology
        self._places: dict[int, int] = {}  # in what was found, by uid
        none = np.zeros((0, settings.shortlist), np.int64)
        self._found = Found(none, none, np.zeros(0, np.int64), np.zeros(1, np.int64))
        self._calibrated: dict[str, bool] = {}
        self._new: list[LocalTrack] = []
        self._new_placed: list[LocalTrack] = []
        table, columns = tracks.columns.table(), tracks.columns
        latest = latest_of_each(table, columns.by_uid()[1])
        self._left = recently_left(table, latest, now_ns - round(2 * settings.position_memory_s * SECOND_NS))
        now_seen = (table.heard_ns[latest] > now_ns - 2 * SECOND_NS) & ~table.ended[latest]
        self._in_view: Int64 = table.identity[latest[now_seen & np.isfinite(table.last[latest, X])]]
        self._left_out: Int64 = self._in_view if before is None else before._left_out

    @property
    def many(self) -> bool:
        """Whether so many looks are known that not all that could be compared is."""
        return self._gallery.large

    def look_up(self, tracks: Sequence[LocalTrack], *, linked: bool = False) -> None:
        """Search the gallery for all these tracks in one go, and for who could have come to where they began.

        Where they are `linked` and the gallery is large, it is searched once for each identity: for the track of which
        most was seen, unless an earlier decision has looked for one of them.
        """
        self._reach([track for track in tracks if track.uid not in self._places])
        seen = [track for track in tracks if track.look_count]
        if not self.many:
            self._look_up(seen, None)
            return
        chosen: dict[tuple[bool, int], LocalTrack] = {}
        keys = [(self._known_here(track), track.identity if linked else -track.uid) for track in seen]
        before = {} if self._before is None else self._before._places
        for key, track in zip(keys, seen, strict=True):
            known = chosen.get(key)
            if known is None or (track.uid in before, track.offered) > (known.uid in before, known.offered):
                chosen[key] = track
        anew = [(key, track) for key, track in chosen.items() if track.uid not in before]
        self._look_up([track for (placed, _), track in anew if not placed], None)
        # Nobody in view elsewhere is asked about, see `all_of`; so do not look at their many looks either.
        self._look_up([track for (placed, _), track in anew if placed], self._left_out)
        if self._before is not None:
            found = [track.uid for track in chosen.values() if track.uid in before]
            owners = self._before._found.alike[[before[uid] for uid in found]]
            self._found.alike[[self._places[uid] for uid in found]] = self._known(owners)
        if len(chosen) < len(seen):
            places = [self._places[track.uid] for track in seen]
            self._found.alike[places] = self._found.alike[[self._places[chosen[key].uid] for key in keys]]

    def _look_up(self, tracks: Sequence[LocalTrack], without: Int64 | None) -> None:
        if not tracks or not len(self._gallery):
            return
        columns = self._tracks.columns
        looks = columns.looks.heaviest(columns.rows_of([track.uid for track in tracks]))
        # Where looks are compared one by one, several of those found are of the same.
        count = self._settings.shortlist if self.many else 2 * self._settings.shortlist
        owners, _ = self._gallery.search(looks, count, without)
        self._found.alike[[self._places[track.uid] for track in tracks]] = self._known(owners)

    def _known(self, owners: Int64) -> Int64:
        """Of each row of numbers the first that are open identities, each once."""
        known = np.sort(np.fromiter(self._book.identities, np.int64, len(self._book)))
        found: Int64 = first_known(owners, known, self._settings.shortlist)
        return found

    def add(self, track: LocalTrack) -> None:
        """A track that has begun an identity in this very commit."""
        if track.look_count:
            (self._new_placed if self._placed(track) else self._new).append(track)

    def of(self, track: LocalTrack) -> list[Identity]:
        """Identities to score for a track, by number."""
        return [self._book[number] for number in self.all_of([track])[1].tolist()]

    def all_of(self, tracks: Sequence[LocalTrack]) -> tuple[Int64, Int64]:
        """(T + 1,) where the numbers of the identities to score for each of some tracks begin, and these, ascending."""
        bounds, numbers = self.offered(tracks)
        known = [number in self._book for number in numbers.tolist()]
        if all(known):
            return bounds, numbers
        return np.concatenate([[0], np.cumsum(known)])[bounds], numbers[known]

    def offered(self, tracks: Sequence[LocalTrack]) -> tuple[Int64, Int64]:
        """The same, and among them some who are no longer open."""
        self._reach([track for track in tracks if track.uid not in self._places])
        places = np.array([self._places[track.uid] for track in tracks], np.int64)
        placed = np.array([self._placed_now(track) for track in tracks], bool)
        owners = self._tracks.columns.identity
        more = [self._new_ones(track) | self._on_the_way(track) for track in tracks]
        more_at = np.array([0, *accumulate(map(len, more))], np.int64)
        numbers = np.array([number for one in more for number in one], np.int64)
        found: tuple[Int64, Int64] = offered(self._found, places, placed, owners, self._in_view, numbers, more_at)
        return found

    def beside(self, tracks: Sequence[LocalTrack]) -> tuple[Int64, Int64]:
        """(T + 1,) where the rows of the tracks beside each of some tracks begin, and these, -1 for one forgotten.

        Who could be a track changes only with the identities of these, and when somebody new is `added`.
        """
        places = np.array([self._places[track.uid] for track in tracks], np.int64)
        lows, bounds = self._found.bounds[places], np.zeros(len(tracks) + 1, np.int64)
        np.cumsum(self._found.bounds[places + 1] - lows, out=bounds[1:])
        rows = self._found.beside[np.arange(bounds[-1]) + np.repeat(lows - bounds[:-1], np.diff(bounds))]
        return bounds, rows

    def added(self, track: LocalTrack) -> bool:
        """Whether any have been added that a track could be; positions find those of calibrated cameras anyway."""
        return bool(self._new) or (bool(self._new_placed) and not self._placed(track))

    def _placed_now(self, track: LocalTrack) -> bool:
        """Whether it is known where a track is now: where others are says nothing of whose one was that is over."""
        return not track.ended and self._placed(track)

    def _known_here(self, track: LocalTrack) -> bool:
        """Whether who is in view elsewhere can be left out of a large gallery: but for a glimpse that is over."""
        if track.ended and self._placed(track):
            identity = self._book.identities.get(track.identity)
            return identity is not None and (len(identity.uids) > 1 or bool(identity.past))
        return self._placed(track)

    def _placed(self, track: LocalTrack) -> bool:
        known = self._calibrated.get(track.camera)
        if known is None:
            known = self._calibrated[track.camera] = self._topology.calibrated(track.camera)
        return known

    def _reach(self, tracks: Sequence[LocalTrack]) -> None:
        """Note who could have come to where these tracks began, and whose tracks have stood near them."""
        if not tracks:
            return
        columns = self._tracks.columns
        table = columns.table()
        uids = [track.uid for track in tracks]
        rows = columns.rows_of(uids)
        speeds = np.array([self._settings.motion(name).max_speed for name in columns.classes])[table.cls[rows]]
        near = within_reach(self._left, table, rows, speeds, self._settings)
        partners, bounds = self._window.partners_of(uids)
        known, of_known = columns.by_uid()
        places = np.minimum(known.searchsorted(partners), len(known) - 1)
        beside = np.where(known[places] == partners, of_known[places], -1)
        self._places.update(zip(uids, range(len(self._places), len(self._places) + len(uids)), strict=True))
        self._found = self._found.and_then(Found(np.zeros_like(near), near, beside, np.array(bounds, np.int64)))

    def _on_the_way(self, track: LocalTrack) -> set[int]:
        """Identities likeliest to come into the view of the track's camera when it did."""
        if self._travel is None or (self._placed(track) and not self._travel.given(track.camera)):
            return set()
        if self._latest is None:
            self._latest = self._seen_last(self._travel)
        numbers, last = self._latest
        if not len(last):
            return set()
        rates = self._travel.soonest(track.stay, last)
        likeliest = np.argsort(-rates, kind="stable")[: self._settings.shortlist]
        return set(numbers[likeliest[rates[likeliest] > NEVER]].tolist())

    def _seen_last(self, travel: TravelTimes) -> tuple[Int64, Whereabouts]:
        """The number of every identity, and where it was seen last."""
        stays = {number: latest_stay(one, self._book) for number, one in sorted(self._book.identities.items())}
        known = {number: stay for number, stay in stays.items() if stay is not None}
        return np.array(list(known), np.int64), travel.whereabouts(list(known.values()))

    def _new_ones(self, track: LocalTrack) -> set[int]:
        """New identities that look alike; where both cameras are calibrated, positions have found them already."""
        if not self._new and not self._new_placed:
            return set()
        new = self._new if self._placed(track) else self._new + self._new_placed
        seen = [other for other in new if other.camera != track.camera]
        if not seen or not track.look_count:
            return set()
        cosines = np.stack([other.looks.heaviest for other in seen]) @ track.looks.heaviest
        best = np.argsort(-cosines, kind="stable")[: self._settings.shortlist]
        return {seen[row].identity for row in best.tolist()}
