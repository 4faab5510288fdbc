"""Which waiting track is which identity: candidates, scores, one assignment per camera and commit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from mtmct.coincidence import PairWindow
from mtmct.evidence import Judge, Score
from mtmct.gallery import Gallery
from mtmct.identities import Identity, IdentityBook
from mtmct.movement import NEVER
from mtmct.reach import nearest_within_reach
from mtmct.settings import FusionSettings
from mtmct.subjects import Subject
from mtmct.topology import Float64, Topology
from mtmct.tracks import LocalTrack, TrackMemory, X, Y
from mtmct.travel import TravelTimes
from operators.records import SECOND_NS, Int64


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an assignment came to for one track.

    Attributes:
        identity: number of the identity it belongs to, None for somebody new.
        score: of that identity; of nobody, 0 and no terms.
        odds: by how much this beats everything else, nats.
        runner_up: the next best identity and its score, None if there was none.
        promise: the best score any identity reached, minus infinity if there was none.
    """

    identity: int | None
    score: Score
    odds: float
    runner_up: tuple[int, float] | None
    promise: float


_NO_ROWS = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class _Left:
    """Where identities were seen last.

    Attributes:
        numbers: (N,) int64, their numbers.
        x, y: (N,) metres, NaN where unknown. last_ns: (N,) event time, as floats.
        by_x, sorted_x: rows of those whose place is known, by X, and that X.
        rows_of_camera: rows by the camera.
        in_view: identities in view on the ground now.
        earliest_ns: the least of `last_ns`.
    """

    numbers: Int64
    x: Float64
    y: Float64
    last_ns: Float64
    by_x: Int64
    sorted_x: Float64
    rows_of_camera: Mapping[str, Int64]
    in_view: frozenset[int]
    earliest_ns: int


class Candidates:
    """Finds the identities worth scoring: by simultaneous position, by place and time, by appearance.

    Built once per commit; searches all waiting tracks' looks at once.
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
    ) -> None:
        self._travel = travel
        self._latest: tuple[Int64, list[str], Int64, Int64] | None = None
        self._tracks = tracks
        self._book = book
        self._window = window
        self._gallery = gallery
        self._settings = settings
        self._now_ns = now_ns
        self._topology = topology
        self._alike: dict[int, set[int]] = {}
        self._new: list[LocalTrack] = []
        self._new_placed: list[LocalTrack] = []
        self._left = self._recently_left()

    def look_up(self, tracks: Sequence[LocalTrack]) -> None:
        """Search the gallery for all these tracks in one go."""
        seen = [track for track in tracks if len(track.looks)]
        if not seen or not len(self._gallery):
            return
        looks = np.stack([track.looks.heaviest for track in seen])
        owners, _ = self._gallery.search(looks, 2 * self._settings.shortlist)
        for track, row in zip(seen, owners.tolist(), strict=True):
            known = [owner for owner in dict.fromkeys(row) if owner in self._book]
            self._alike[track.uid] = set(known[: self._settings.shortlist])

    def add(self, track: LocalTrack) -> None:
        """A track that has begun an identity in this very commit."""
        if len(track.looks):
            (self._new_placed if self._topology.calibrated(track.camera) else self._new).append(track)

    def of(self, track: LocalTrack) -> list[Identity]:
        """Identities to score for a track, by number."""
        partners = {self._tracks[uid].identity for uid in self._window.partners(track.uid) if uid in self._tracks}
        numbers = (
            self._alike.get(track.uid, set()) | self._near(track) | self._new_ones(track) | self._on_the_way(track)
        )
        if self._topology.calibrated(track.camera):
            # Who is in view elsewhere and nowhere near is somebody else: no need to score it.
            numbers -= self._left.in_view
        return [self._book[number] for number in sorted(numbers | partners) if number in self._book]

    def _on_the_way(self, track: LocalTrack) -> set[int]:
        """Identities likeliest to come into the view of the track's camera when it did."""
        if self._travel is None or (self._topology.calibrated(track.camera) and not self._travel.given(track.camera)):
            return set()
        if self._latest is None:
            self._latest = self._seen_last()
        numbers, cameras, starts, ends = self._latest
        if not len(numbers):
            return set()
        rates = self._travel.soonest(track.camera, track.start_ns, cameras, starts, ends)
        likeliest = np.argsort(-rates, kind="stable")[: self._settings.shortlist]
        return set(numbers[likeliest[rates[likeliest] > NEVER]].tolist())

    def _seen_last(self) -> tuple[Int64, list[str], Int64, Int64]:
        """Of every identity: its number, the camera in which it was seen last, since when and until when."""
        numbers, cameras, starts, ends = [], [], [], []
        for number, identity in sorted(self._book.identities.items()):
            spans = [(track.start_ns, track.last_ns, track.camera) for track in self._book.tracks_of(identity)]
            spans += [(member.start_ns, member.end_ns, member.camera) for member in identity.past[-1:]]
            if spans:
                start, end, camera = max(spans)
                numbers.append(number)
                cameras.append(camera)
                starts.append(start)
                ends.append(end)
        return np.array(numbers, np.int64), cameras, np.array(starts, np.int64), np.array(ends, np.int64)

    def _new_ones(self, track: LocalTrack) -> set[int]:
        """New identities that look alike; where both cameras are calibrated, positions have found them already."""
        new = self._new if self._topology.calibrated(track.camera) else self._new + self._new_placed
        seen = [other for other in new if other.camera != track.camera]
        if not seen or not len(track.looks):
            return set()
        cosines = np.stack([other.looks.heaviest for other in seen]) @ track.looks.heaviest
        best = np.argsort(-cosines, kind="stable")[: self._settings.shortlist]
        return {seen[row].identity for row in best.tolist()}

    def _recently_left(self) -> _Left:
        horizon = self._now_ns - round(2 * self._settings.position_memory_s * SECOND_NS)
        just_now = self._now_ns - 2 * SECOND_NS
        latest: dict[int, LocalTrack] = {}
        for track in self._book.linked():
            if track.identity not in latest or track.last_ns >= latest[track.identity].last_ns:
                latest[track.identity] = track
        left = [latest[number] for number in sorted(latest) if latest[number].last_ns > horizon]
        in_view = frozenset(
            number
            for number, track in latest.items()
            if track.heard_ns > just_now and track.grounded and not track.ended
        )
        x, y = np.ascontiguousarray(np.array([track.last[:2] for track in left]).reshape(-1, 2).T)
        cameras: dict[str, list[int]] = {}
        for row, track in enumerate(left):
            cameras.setdefault(track.camera, []).append(row)
        by_x = np.argsort(x, kind="stable")[: np.count_nonzero(~np.isnan(x))]
        return _Left(
            np.array([track.identity for track in left], np.int64),
            x,
            y,
            np.array([track.last_ns for track in left], np.float64),
            by_x,
            x[by_x],
            {name: np.asarray(rows) for name, rows in cameras.items()},
            in_view,
            min((track.last_ns for track in left), default=0),
        )

    def _near(self, track: LocalTrack) -> set[int]:
        left = self._left
        if len(left.numbers) == 0:
            return set()
        speed, x, y = self._settings.motion(track.cls).max_speed, track.first[X], track.first[Y]
        rows = left.rows_of_camera.get(track.camera, _NO_ROWS)
        if not math.isnan(x):
            rows = rows[np.isnan(left.x[rows])]
            longest = max(track.start_ns - left.earliest_ns, 0) / SECOND_NS
            farthest = speed * longest + self._settings.near_m + 1.0
            low, high = left.sorted_x.searchsorted((x - farthest, x + farthest))
            rows = np.concatenate([rows, left.by_x[low:high]])
            rows.sort()
        settings = self._settings
        nearest = nearest_within_reach(
            rows, left.x, left.y, left.last_ns, (float(x), float(y)), float(track.start_ns), speed,
            settings.near_m, settings.window_s, settings.shortlist,
        )  # fmt: skip
        return set(left.numbers[nearest].tolist())


def assign(
    tracks: Sequence[LocalTrack],
    candidates: Mapping[int, Sequence[Identity]],
    judge: Judge,
    without: frozenset[int] = frozenset(),
) -> dict[int, Verdict]:
    """One verdict a track (by uid), for tracks of one camera: no two of them become one identity.

    The best sum of scores over all of them (Hungarian assignment), so that a track does not take an identity
    that fits another one better. A verdict counts if it beats the other identities that are still free, and the
    new arrival, together: the posterior odds. `without` names tracks under review: they do not count as part of the
    identity that they are in.
    """
    numbers = sorted({identity.number for track in tracks for identity in candidates[track.uid]})
    column = {number: index for index, number in enumerate(numbers)}
    table = np.full((len(tracks), len(numbers)), NEVER)
    details: dict[tuple[int, int], Score] = {}
    for row, track in enumerate(tracks):
        offered = candidates[track.uid]
        for identity, score in zip(offered, judge.scores(Subject.of_track(track), offered, without), strict=True):
            table[row, column[identity.number]] = score.total
            details[row, column[identity.number]] = score
    matches = _best_sum(table)
    verdicts = {}
    for row, track in enumerate(tracks):
        chosen = matches.get(row)
        free = np.ones(len(numbers), bool)
        free[[other for holder, other in matches.items() if holder != row]] = False
        if chosen is not None:
            free[chosen] = False
        promise = float(table[row].max()) if len(numbers) else NEVER
        runner_up = _runner_up(table[row], numbers, chosen)
        if chosen is None:
            verdicts[track.uid] = Verdict(None, Score(0.0, {}), 0.0, runner_up, promise)
            continue
        score = details[row, chosen]
        rivals = {numbers[index]: float(table[row, index]) for index in np.flatnonzero(free).tolist()}
        against = math.log(1.0 + judge.rivalry(numbers[chosen], rivals, without))
        verdicts[track.uid] = Verdict(numbers[chosen], score, round(score.total - against, 6), runner_up, promise)
    return verdicts


def _best_sum(table: Float64) -> dict[int, int]:
    """Row to column, maximising the sum of positive entries; a row may stay alone at no cost."""
    rows, columns = table.shape
    if rows == 0 or columns == 0 or not (table > 0).any():
        return {}
    gains = np.maximum(table, 0.0)
    chosen_rows, chosen_columns = linear_sum_assignment(gains, maximize=True)
    pairs = zip(chosen_rows.tolist(), chosen_columns.tolist(), strict=True)
    return {row: column for row, column in pairs if table[row, column] > 0}


def _runner_up(scores: Float64, numbers: Sequence[int], chosen: int | None) -> tuple[int, float] | None:
    order = [index for index in np.argsort(-scores, kind="stable").tolist() if index != chosen]
    if not order or scores[order[0]] == NEVER:
        return None
    return numbers[order[0]], float(scores[order[0]])
