"""The `tracks` topic: tracklets as they are published once their identity is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from mtmct.attributes import held
from mtmct.identities import IdentityBook, rounded
from mtmct.records import TRACKS, Record, Tracklet
from mtmct.topology import Float64
from mtmct.tracks import LocalTrack


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


class Issue(NamedTuple):
    """One tracklet about to be published.

    Attributes:
        ground: (M, 2) metres, its points on the ground, NaN where unknown.
        link: why its track was linked, once.
        guess: number under which it is published if its track waits for an identity; 0 if it has one.
    """

    track: LocalTrack
    tracklet: Tracklet
    ground: Float64
    link: Link | None
    guess: int = 0


def publish(issues: Sequence[Issue], site: str, book: IdentityBook) -> list[Record]:
    """One record a tracklet, in the order given."""
    if not issues:
        return []
    tracks, tracklets, grounds, links, guesses = zip(*issues, strict=True)
    lengths = [len(tracklet.frames) for tracklet in tracklets]
    last_ns = np.concatenate([tracklet.times_ns for tracklet in tracklets])
    ends = list(accumulate(lengths))
    latest = last_ns[np.array(ends) - 1].tolist()
    times = (last_ns // 1000).tolist()
    boxes = np.round(np.concatenate([tracklet.boxes for tracklet in tracklets]).astype(np.float64), 2)
    scores = np.round(np.concatenate([tracklet.scores for tracklet in tracklets]).astype(np.float64), 4).tolist()
    places = np.round(np.concatenate(grounds), 3)
    metres: list[list[float | None]] = places.T.tolist()
    for row in np.flatnonzero(~np.isfinite(places[:, 0])).tolist():
        metres[0][row] = metres[1][row] = None
    points = list(map(list, zip(times, *boxes.T.tolist(), scores, *metres, strict=True)))
    frames = np.concatenate([tracklet.frames for tracklet in tracklets]).tolist()
    records = []
    known: dict[int, tuple[str, int]] = {}
    for track, tracklet, link, guess, low, high, time_ns in zip(
        tracks, tracklets, links, guesses, [0, *ends], ends, latest, strict=False
    ):
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
        records.append(Record(TRACKS, name, value, time_ns))
    return records


def _link(link: Link, book: IdentityBook) -> dict[str, Any]:
    previous = None if link.previous is None else {"camera": link.previous[0], "track": link.previous[1]}
    return {
        "previous": previous,
        "score": round(link.score, 4),
        "terms": rounded(link.terms),
        "runner_up": book.named(link.runner_up),
    }
