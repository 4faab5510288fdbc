"""The `tracks` topic: tracklets as they are published once their identity is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True, slots=True)
class Issue:
    """One tracklet about to be published, with its points on the ground ((M, 2) metres, NaN where unknown).

    Attributes:
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
    tracklets = [issue.tracklet for issue in issues]
    times = (np.concatenate([tracklet.times_ns for tracklet in tracklets]) // 1000).tolist()
    boxes = np.round(np.concatenate([tracklet.boxes for tracklet in tracklets]).astype(np.float64), 2)
    scores = np.round(np.concatenate([tracklet.scores for tracklet in tracklets]).astype(np.float64), 4).tolist()
    places = np.round(np.concatenate([issue.ground for issue in issues]), 3)
    metres: list[list[float | None]] = places.T.tolist()
    for row in np.flatnonzero(~np.isfinite(places[:, 0])).tolist():
        metres[0][row] = metres[1][row] = None
    points = list(map(list, zip(times, *boxes.T.tolist(), scores, *metres, strict=True)))
    frames = np.concatenate([tracklet.frames for tracklet in tracklets]).tolist()
    records = []
    names: dict[int, str] = {}
    low = 0
    for issue in issues:
        high = low + len(issue.tracklet)
        number = issue.guess or issue.track.identity
        name = names.get(number) or names.setdefault(number, book.name(number))
        records.append(_record(issue, number, name, frames[low:high], points[low:high], site, book))
        low = high
    return records


def _record(
    issue: Issue,
    number: int,
    name: str,
    frames: list[int],
    points: list[list[Any]],
    site: str,
    book: IdentityBook,
) -> Record:
    tracklet = issue.tracklet
    value = {
        "schema": "crosscam.tracks/1",
        "site": site,
        "camera": tracklet.camera,
        "track": tracklet.track,
        "class": tracklet.cls,
        "identity": name,
        "number": number,
        "revision": book[number].revision if number in book else 0,
        "start": points[0][0],
        "end": points[-1][0],
        "frames": frames,
        "points": points,
        "link": None if issue.link is None else _link(issue.link, book),
        "ended": tracklet.ended,
    }
    if issue.track.attributes and (attributes := held(issue.track.attributes)):
        value["attributes"] = attributes
    if issue.guess:
        value["provisional"] = True
    return Record(TRACKS, name, value, int(tracklet.times_ns[-1]))


def _link(link: Link, book: IdentityBook) -> dict[str, Any]:
    previous = None if link.previous is None else {"camera": link.previous[0], "track": link.previous[1]}
    return {
        "previous": previous,
        "score": round(link.score, 4),
        "terms": rounded(link.terms),
        "runner_up": book.named(link.runner_up),
    }
