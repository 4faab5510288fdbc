"""The `tracks` topic: tracklets as they are published once their identity is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mtmct.attributes import held
from mtmct.identities import IdentityBook, rounded
from mtmct.records import TRACKS, Record, Tracklet
from mtmct.topology import Float64
from mtmct.tracks import LocalTrack
from operators.records import Float32, Int64


@dataclass(frozen=True, slots=True)
class Link:
    """Why a track was linked as it was, for the first tracklet of it that is published.

    Attributes:
        previous: the track of the identity seen last before it; None if it began the identity.
        score: sum of the log-likelihood ratios.
        terms: what they were.
        runner_up: the next best identity and its score.
    """

    previous: tuple[str, int] | None
    score: float
    terms: Mapping[str, float]
    runner_up: tuple[int, float] | None


class Points(NamedTuple):
    """Points of tracklets, one after the other.

    Attributes:
        frames, times_ns: (P,) int64. boxes: (P, 4) float32. scores: (P,) float32.
        ground: (P, 2) float64, metres, NaN where unknown.
    """

    frames: Int64
    times_ns: Int64
    boxes: Float32
    scores: Float32
    ground: Float64

    def and_then(self, other: Points) -> Points:
        """These, and after them others."""
        return Points(
            np.concatenate([self.frames, other.frames]),
            np.concatenate([self.times_ns, other.times_ns]),
            np.concatenate([self.boxes, other.boxes]),
            np.concatenate([self.scores, other.scores]),
            np.concatenate([self.ground, other.ground]),
        )


class Issue(NamedTuple):
    """One tracklet about to be published.

    Attributes:
        low, high: its points are from the one to the other.
        link: why its track was linked, once.
        guess: number under which it is published if its track waits for an identity; 0 if it has one.
    """

    track: LocalTrack
    tracklet: Tracklet
    low: int
    high: int
    link: Link | None
    guess: int = 0


def publish(issues: Sequence[Issue], of: Points, site: str, book: IdentityBook) -> list[Record]:
    """One record a tracklet, in the order given."""
    if not issues:
        return []
    latest, times = of.times_ns.tolist(), (of.times_ns // 1000).tolist()
    boxes = np.round(of.boxes.astype(np.float64), 2)
    scores = np.round(of.scores.astype(np.float64), 4).tolist()
    places = np.round(of.ground, 3)
    metres: list[list[float | None]] = places.T.tolist()
    for row in np.flatnonzero(~np.isfinite(places[:, 0])).tolist():
        metres[0][row] = metres[1][row] = None
    points = list(map(list, zip(times, *boxes.T.tolist(), scores, *metres, strict=True)))
    frames = of.frames.tolist()
    records = []
    known: dict[int, tuple[str, int]] = {}
    for track, tracklet, low, high, link, guess in issues:
        number = guess or track.identity
        if number not in known:
            known[number] = book.name(number), book[number].revision if number in book else 0
        name, revision = known[number]
        value = {
            "schema": "crosscam.tracks/1",
            "site": site,
            "camera": tracklet.camera,
            "track": tracklet.track,
            "class": tracklet.cls,
            "identity": name,
            "number": number,
            "revision": revision,
            "start": times[low],
            "end": times[high - 1],
            "frames": frames[low:high],
            "points": points[low:high],
            "link": None if link is None else _link(link, book),
            "ended": tracklet.ended,
        }
        if track.attributes and (attributes := held(track.attributes)):
            value["attributes"] = attributes
        if guess:
            value["provisional"] = True
        records.append(Record(TRACKS, name, value, latest[high - 1]))
    return records


def _link(link: Link, book: IdentityBook) -> dict[str, Any]:
    previous = None if link.previous is None else {"camera": link.previous[0], "track": link.previous[1]}
    return {
        "previous": previous,
        "score": round(link.score, 4),
        "terms": rounded(link.terms),
        "runner_up": book.named(link.runner_up),
    }
