"""Whom a track could be: the identities that are worth scoring."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mtmct.coincidence import PairWindow
from mtmct.gallery import Gallery
from mtmct.identities import IdentityBook
from mtmct.identity import Identity
from mtmct.itinerary import Whereabouts
from mtmct.movement import NEVER
from mtmct.questions import pieces
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
        none = np.zeros((0, settings.shortlist), np.int64)
        self._found = Found(none, none, np.zeros(0, np.int64), np.zeros(1, np.int64))
        self._new: list[LocalTrack] = []
        self._new_placed: list[LocalTrack] = []
        table, columns = tracks.columns.table(), tracks.columns
        self._place = np.full(len(table.uid), -1)  # in what was found, by row
        self._calibrated = np.array([topology.calibrated(name) for name in columns.cameras], bool)  # by camera
        given = [travel is not None and travel.given(name) for name in columns.cameras]
        self._timed = (~self._calibrated & (travel is not None)) | np.array(given, bool)
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
        rows, columns = _rows(tracks), self._tracks.columns
        self._reach(rows)
        rows = rows[columns.looks.counts[rows] > 0]
        if not self.many:
            self._look_up(rows, None)
            return
        known, earlier = self._known_here(rows), self._before
        before = np.zeros(len(rows), bool) if earlier is None else earlier._place[rows] >= 0
        keys = 2 * (columns.identity[rows] if linked else columns.uid[rows]) + known
        chosen, of_each = _best_of_each(keys, before, columns.offered[rows])
        anew = chosen[~before[chosen]]
        self._look_up(rows[anew[~known[anew]]], None)
        # Nobody in view elsewhere is asked about, see `all_of`; so do not look at their many looks either.
        self._look_up(rows[anew[known[anew]]], self._left_out)
        places, alike = self._place[rows], self._found.alike
        if earlier is not None:
            found = chosen[before[chosen]]
            alike[places[found]] = self._known(earlier._found.alike[earlier._place[rows[found]]])
        if len(chosen) < len(rows):
            alike[places] = alike[places[chosen[of_each]]]

    def _look_up(self, rows: Int64, without: Int64 | None) -> None:
        if not len(rows) or not len(self._gallery):
            return
        looks = self._tracks.columns.looks.heaviest(rows)
        # Where looks are compared one by one, several of those found are of the same.
        count = self._settings.shortlist if self.many else 2 * self._settings.shortlist
        owners, _ = self._gallery.search(looks, count, without)
        self._found.alike[self._place[rows]] = self._known(owners)

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
        rows, columns = _rows(tracks), self._tracks.columns
        self._reach(rows)
        # Where others are says nothing of whose a track was that is over.
        placed = self._calibrated[columns.camera[rows]] & ~columns.ended[rows]
        more_at, more = self._more(tracks, rows)
        found: tuple[Int64, Int64] = offered(
            self._found, self._place[rows], placed, columns.identity, self._in_view, more, more_at
        )
        return found

    def _more(self, tracks: Sequence[LocalTrack], rows: Int64) -> tuple[Int64, Int64]:
        """(T + 1,) where those begin whom each track could be, having begun in this commit or being on the way."""
        new = bool(self._new or self._new_placed)
        asked = self._timed[self._tracks.columns.camera[rows]] | new
        found = [
            sorted(self._new_ones(tracks[place]) | self._on_the_way(tracks[place]))
            for place in np.flatnonzero(asked).tolist()
        ]
        counts = np.zeros(len(rows) + 1, np.int64)
        counts[1:][asked] = [len(numbers) for numbers in found]
        return np.cumsum(counts), np.array([number for numbers in found for number in numbers], np.int64)

    def beside(self, tracks: Sequence[LocalTrack]) -> tuple[Int64, Int64]:
        """(T + 1,) where the rows of the tracks beside each of some tracks begin, and these, -1 for one forgotten.

        Who could be a track changes only with the identities of these, and when somebody new is `added`.
        """
        places = self._place[_rows(tracks)]
        lows, bounds = self._found.bounds[places], np.zeros(len(tracks) + 1, np.int64)
        np.cumsum(self._found.bounds[places + 1] - lows, out=bounds[1:])
        rows = self._found.beside[np.arange(bounds[-1]) + np.repeat(lows - bounds[:-1], np.diff(bounds))]
        return bounds, rows

    def added(self, track: LocalTrack) -> bool:
        """Whether any have been added that a track could be; positions find those of calibrated cameras anyway."""
        return bool(self._new) or (bool(self._new_placed) and not self._placed(track))

    def _known_here(self, rows: Int64) -> NDArray[np.bool_]:
        """Of which who is in view elsewhere can be left out of a large gallery: but for a glimpse that is over."""
        columns = self._tracks.columns
        placed: NDArray[np.bool_] = self._calibrated[columns.camera[rows]]
        over = np.flatnonzero(placed & columns.ended[rows])
        whose = map(self._book.identities.get, columns.identity[rows[over]].tolist())
        placed[over] = [one is not None and (len(one.uids) > 1 or bool(one.past)) for one in whose]
        return placed

    def _placed(self, track: LocalTrack) -> bool:
        return bool(self._calibrated[self._tracks.columns.camera[track.row]])

    def _reach(self, rows: Int64) -> None:
        """Note who could have come to where tracks began, and whose tracks have stood near them, if not noted yet."""
        rows = rows[self._place[rows] < 0]
        if not len(rows):
            return
        columns = self._tracks.columns
        table = columns.table()
        speeds = np.array([self._settings.motion(name).max_speed for name in columns.classes])[table.cls[rows]]
        near = within_reach(self._left, table, rows, speeds, self._settings)
        partners, bounds = self._window.partners_of(table.uid[rows])
        known, of_known = columns.by_uid()
        places = np.minimum(known.searchsorted(partners), len(known) - 1)
        beside = np.where(known[places] == partners, of_known[places], -1)
        begun = len(self._found.near)
        self._place[rows] = np.arange(begun, begun + len(rows))
        self._found = self._found.and_then(Found(np.zeros_like(near), near, beside, bounds))

    def _on_the_way(self, track: LocalTrack) -> set[int]:
        """Identities likeliest to come into the view of the track's camera when it did."""
        if self._travel is None or not self._timed[self._tracks.columns.camera[track.row]]:
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


def _rows(tracks: Sequence[LocalTrack]) -> Int64:
    return np.array([track.row for track in tracks], np.int64)


def _best_of_each(keys: Int64, before: NDArray[np.bool_], offered: Int64) -> tuple[Int64, Int64]:
    """Of each key one place, in the order in which the keys come; and of each place which of these is of its key.

    One that was found before, if any; else that of which most was offered; of equals the first.
    """
    order = np.lexsort((-offered, ~before, keys))
    bounds, _ = pieces(keys[order])
    heads = bounds[:-1]
    turn = np.argsort(np.minimum.reduceat(order, heads)) if len(heads) else heads
    rank, of_each = np.empty(len(heads), np.int64), np.empty(len(keys), np.int64)
    rank[turn] = np.arange(len(heads))
    of_each[order] = np.repeat(rank, np.diff(bounds))
    return order[heads][turn], of_each
