"""Which waiting track is which identity: candidates, scores, one assignment per camera and commit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from mtmct.coincidence import PairWindow
from mtmct.evidence import NEVER, Judge, Score, Subject
from mtmct.gallery import Gallery
from mtmct.identities import Identity, IdentityBook
from mtmct.settings import FusionSettings
from mtmct.topology import Float64
from mtmct.tracks import LocalTrack, TrackMemory, X, Y
from operators.records import SECOND_NS


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
        settings: FusionSettings,
        now_ns: int,
    ) -> None:
        self._tracks = tracks
        self._book = book
        self._window = window
        self._gallery = gallery
        self._settings = settings
        self._now_ns = now_ns
        self._alike: dict[int, set[int]] = {}
        self._left = self._recently_left()

    def look_up(self, tracks: Sequence[LocalTrack]) -> None:
        """Search the gallery for all these tracks in one go."""
        seen = [track for track in tracks if len(track.looks)]
        if not seen or not len(self._gallery):
            return
        heaviest = np.stack([track.looks.vectors[int(np.argmax(track.looks.weights))] for track in seen])
        owners, _ = self._gallery.search(heaviest, 2 * self._settings.shortlist)
        for track, row in zip(seen, owners.tolist(), strict=True):
            known = [owner for owner in dict.fromkeys(row) if owner in self._book]
            self._alike[track.uid] = set(known[: self._settings.shortlist])

    def of(self, track: LocalTrack, created: Iterable[int]) -> list[Identity]:
        """Identities to score for a track, by number; `created` are those of this very commit."""
        numbers = set(self._alike.get(track.uid, ())) | self._near(track) | set(created)
        for uid in self._window.of(track.uid).partners.tolist():
            if uid in self._tracks:
                numbers.add(self._tracks[uid].identity)
        return [self._book[number] for number in sorted(numbers) if number in self._book]

    def _recently_left(self) -> tuple[list[LocalTrack], Float64]:
        horizon = self._now_ns - round(2 * self._settings.position_memory_s * SECOND_NS)
        left = []
        for identity in self._book.identities.values():
            tracks = self._book.tracks_of(identity)
            if tracks:
                latest = max(tracks, key=lambda track: (track.last_ns, track.uid))
                if latest.last_ns > horizon:
                    left.append(latest)
        return left, np.array([[track.last[X], track.last[Y], track.last_ns] for track in left]).reshape(-1, 3)

    def _near(self, track: LocalTrack) -> set[int]:
        left, places = self._left
        if not left:
            return set()
        seconds = (track.start_ns - places[:, 2]) / SECOND_NS
        same_camera = np.array([other.camera == track.camera for other in left])
        far = np.hypot(places[:, 0] - track.first[X], places[:, 1] - track.first[Y])
        reach = self._settings.motion(track.cls).max_speed * np.maximum(seconds, 0.0) + self._settings.near_m
        with np.errstate(invalid="ignore"):
            reachable = np.where(np.isfinite(far), far <= reach, same_camera)
        rows = np.flatnonzero(reachable & (seconds > -self._settings.window_s))
        by_distance = rows[np.argsort(np.nan_to_num(far[rows], nan=0.0), kind="stable")]
        return {left[row].identity for row in by_distance[: 2 * self._settings.shortlist].tolist()}


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
        rest = table[row, free]
        promise = float(table[row].max()) if len(numbers) else NEVER
        runner_up = _runner_up(table[row], numbers, chosen)
        if chosen is None:
            verdicts[track.uid] = Verdict(None, Score(0.0, {}), 0.0, runner_up, promise)
            continue
        score = details[row, chosen]
        against = math.log(1.0 + float(np.exp(rest).sum()))
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
