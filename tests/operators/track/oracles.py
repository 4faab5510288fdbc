"""DeepSORT, JDE / FairMOT and CenterTrack as their papers tell them: plain Python, one object a track, dense filters.

Slow and written apart from the product on purpose: it has to give the same ids, frame by frame. Frames last 1, every
track is of one class. Where the published code leaves new ids to the order of its lists, detections keep theirs here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

CHI2_95_OF_4 = 9.4877
WP, WV = 1 / 20, 1 / 160


class Filter:
    """DeepSORT's Kalman filter over (cx, cy, width / height, height) and their velocities, 8 x 8."""

    def __init__(self, measured: np.ndarray) -> None:
        h = measured[3]
        self.x = np.concatenate([measured, np.zeros(4)])
        self.p = np.diag(np.square([2 * WP * h, 2 * WP * h, 1e-2, 2 * WP * h, *[10 * WV * h] * 2, 1e-5, 10 * WV * h]))

    def predict(self) -> None:
        h, move = self.x[3], np.eye(8)
        move[:4, 4:] = np.eye(4)
        noise = np.diag(np.square([WP * h, WP * h, 1e-2, WP * h, WV * h, WV * h, 1e-5, WV * h]))
        self.x, self.p = move @ self.x, move @ self.p @ move.T + noise

    def expected(self) -> tuple[np.ndarray, np.ndarray]:
        """The measurement to come and its covariance."""
        h = self.x[3]
        return self.x[:4], self.p[:4, :4] + np.diag(np.square([WP * h, WP * h, 1e-1, WP * h]))

    def distance(self, measured: np.ndarray) -> float:
        mean, spread = self.expected()
        return float((measured - mean) @ np.linalg.solve(spread, measured - mean))

    def correct(self, measured: np.ndarray) -> None:
        mean, spread = self.expected()
        gain = self.p[:, :4] @ np.linalg.inv(spread)
        self.x, self.p = self.x + gain @ (measured - mean), self.p - gain @ spread @ gain.T

    @property
    def box(self) -> np.ndarray:
        cx, cy, a, h = self.x[:4]
        return np.array([cx - a * h / 2, cy - h / 2, cx + a * h / 2, cy + h / 2])


def xyah(box: np.ndarray) -> np.ndarray:
    w, h = box[2] - box[0], box[3] - box[1]
    return np.array([box[0] + w / 2, box[1] + h / 2, w / h, h])


def iou(a: np.ndarray, b: np.ndarray, pixel: float = 0.0) -> float:
    """Intersection over union; `pixel` is added to all sides where pixels count inclusively."""
    w, h = min(a[2], b[2]) - max(a[0], b[0]) + pixel, min(a[3], b[3]) - max(a[1], b[1]) + pixel
    if w <= 0 or h <= 0:
        return 0.0
    areas = [(c[2] - c[0] + pixel) * (c[3] - c[1] + pixel) for c in (a, b)]
    return w * h / (sum(areas) - w * h)


def assign(tracks: list, found: list, cost, limit: float) -> tuple[list, list, list]:  # type: ignore[no-untyped-def]
    """Pairs of least cost up to `limit`; what is left of both."""
    if not tracks or not found:
        return [], tracks, found
    table = np.array([[min(cost(t, d), limit + 1e-5) for d in found] for t in tracks])
    pairs = [(tracks[i], found[j]) for i, j in zip(*linear_sum_assignment(table), strict=True) if table[i, j] <= limit]
    matched, used = [t for t, _ in pairs], {d for _, d in pairs}
    return pairs, [t for t in tracks if t not in matched], [d for d in found if d not in used]


@dataclass(eq=False)
class Track:
    """A track of any of them; `seen` is the frame of its last match, `row` the detection it had in this frame."""

    id: int
    filter: Filter
    begun: int
    seen: int
    state: str
    looks: list[np.ndarray] = field(default_factory=list)
    hits: int = 1
    row: int | None = None


class Oracle(ABC):
    """What they share: tracks, the next id, the frame's detections."""

    def __init__(self) -> None:
        self.tracks: list[Track] = []
        self.next_id, self.frame = 1, 0

    def begin(self, d: int, state: str) -> Track:
        track = Track(self.next_id, Filter(xyah(self.boxes[d])), self.frame, self.frame, state, [self.looks[d]], row=d)
        self.next_id += 1
        self.tracks.append(track)
        return track

    def update(self, boxes: np.ndarray, scores: np.ndarray, looks: np.ndarray) -> dict[int, int]:
        """Id by detection row, of the confirmed tracks that were seen in this frame."""
        self.boxes, self.looks = boxes.astype(float), looks.astype(float)
        self.scores = np.round(scores.astype(float), 6)  # 0.4 is 0.4, also where it came as float32
        self.frame += 1
        for track in self.tracks:
            track.row = None
        self.step()
        return {t.row: t.id for t in self.tracks if t.row is not None and t.state == "confirmed"}

    @abstractmethod
    def step(self) -> None:
        """Associate the frame's detections with the tracks."""


class DeepSortOracle(Oracle):
    """Wojke, Bewley and Paulus, ICIP 2017, algorithm 1."""

    min_score, look_match, iou_match, n_init, budget, max_age = 0.3, 0.2, 0.7, 3, 100, 70

    def step(self) -> None:
        found = [d for d, score in enumerate(self.scores) if score >= self.min_score]
        for track in self.tracks:
            track.filter.predict()
        confirmed = [t for t in self.tracks if t.state == "confirmed"]
        tentative = [t for t in self.tracks if t.state == "tentative"]

        def by_looks(t: Track, d: int) -> float:
            if t.filter.distance(xyah(self.boxes[d])) > CHI2_95_OF_4:
                return 1e5
            return min(1 - float(look @ self.looks[d]) for look in t.looks[-self.budget :])

        pairs: list[tuple[Track, int]] = []
        for missed in range(1, self.max_age + 1):
            level = [t for t in confirmed if self.frame - t.seen == missed]
            more, _, found = assign(level, found, by_looks, self.look_match)
            pairs += more
        matched = [t for t, _ in pairs]
        fresh = [t for t in confirmed if t not in matched and self.frame - t.seen == 1]
        order = sorted(tentative + fresh, key=lambda t: t.id)
        more, _, found = assign(order, found, lambda t, d: 1 - iou(t.filter.box, self.boxes[d]), self.iou_match)
        for track, d in pairs + more:
            track.filter.correct(xyah(self.boxes[d]))
            track.looks.append(self.looks[d])
            track.hits, track.seen, track.row = track.hits + 1, self.frame, d
            if track.hits >= self.n_init:
                track.state = "confirmed"
        self.tracks = [
            t
            for t in self.tracks
            if t.row is not None or (t.state == "confirmed" and self.frame - t.seen <= self.max_age)
        ]
        for d in found:
            self.begin(d, "tentative")


class FairMotOracle(Oracle):
    """The tracker of Wang et al., ECCV 2020, and Zhang et al., IJCV 2021; its states, but that lost ones are marked."""

    min_score, look_match, iou_match, tentative_match, share, keep, life = 0.4, 0.4, 0.5, 0.7, 0.98, 0.9, 30

    def take(self, pairs: list[tuple[Track, int]]) -> None:
        for track, d in pairs:
            track.filter.correct(xyah(self.boxes[d]))
            look = self.keep * track.looks[0] + (1 - self.keep) * self.looks[d]
            track.looks = [look / np.linalg.norm(look)]
            track.seen, track.row, track.state = self.frame, d, "confirmed"

    def step(self) -> None:
        found = [d for d, score in enumerate(self.scores) if score > self.min_score]
        known = [t for t in self.tracks if t.state != "tentative"]
        tentative = [t for t in self.tracks if t.state == "tentative"]
        for track in known:
            if track.state == "lost":
                track.filter.x[7] = 0
            track.filter.predict()

        def by_looks(t: Track, d: int) -> float:
            distance = t.filter.distance(xyah(self.boxes[d]))
            if distance > CHI2_95_OF_4:
                return np.inf
            return self.share * max(0.0, 1 - float(t.looks[0] @ self.looks[d])) + (1 - self.share) * distance

        def by_overlap(t: Track, d: int) -> float:
            return 1 - iou(t.filter.box, self.boxes[d], 1.0)

        pairs, left, found = assign(known, found, by_looks, self.look_match)
        self.take(pairs)
        left = [t for t in left if t.state == "confirmed"]
        pairs, left, found = assign(left, found, by_overlap, self.iou_match)
        self.take(pairs)
        for track in left:
            track.state = "lost"
        pairs, over, found = assign(tentative, found, by_overlap, self.tentative_match)
        self.take(pairs)
        for d in found:
            self.begin(d, "confirmed" if self.frame == 1 else "tentative")
        gone = [*over, *(t for t in self.tracks if t.state == "lost" and self.frame - t.seen > self.life)]
        seen = [t for t in self.tracks if t.state != "lost" and t not in gone]
        lost = [t for t in self.tracks if t.state == "lost" and t not in gone]
        twins = [(p, q) for p in seen for q in lost if iou(p.filter.box, q.filter.box, 1.0) > 0.85]
        gone += [q if p.seen - p.begun > q.seen - q.begun else p for p, q in twins]
        self.tracks = [t for t in self.tracks if t not in gone]


class CenterTrackOracle(Oracle):
    """Zhou, Koltun and Krähenbühl, ECCV 2020: greedy matching; `looks` are the network's (N, 2) offsets."""

    min_score, new = 0.4, 0.4

    def step(self) -> None:
        def centre(box: np.ndarray) -> np.ndarray:
            return (box[:2] + box[2:]) / 2

        def area(box: np.ndarray) -> float:
            return float((box[2] - box[0]) * (box[3] - box[1]))

        last, self.tracks = self.tracks, []
        order = sorted((d for d, s in enumerate(self.scores) if s > self.min_score), key=lambda d: -self.scores[d])
        taken: dict[int, Track] = {}
        for d in order:
            there = centre(self.boxes[d]) + self.looks[d]
            near = [
                (float(np.square(there - centre(self.last_boxes[t.id])).sum()), t)
                for t in last
                if t not in taken.values()
            ]
            near = [(n, t) for n, t in near if n <= area(self.boxes[d]) and n <= area(self.last_boxes[t.id])]
            if near:
                taken[d] = min(near, key=lambda pair: pair[0])[1]
        for d, track in taken.items():
            track.row = d
            self.tracks.append(track)
        for d in sorted(d for d in order if d not in taken and self.scores[d] > self.new):
            self.begin(d, "confirmed")
        self.last_boxes = {t.id: self.boxes[t.row] for t in self.tracks}
