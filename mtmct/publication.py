"""The `tracks` topic: tracklets as they are published once their identity is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mtmct.attributes import held
from mtmct.identities import IdentityBook, rounded
from mtmct.records import TRACKS, Record
from mtmct.topology import Float64
from mtmct.tracklets import Tracklets
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
class Issues:
    """Tracklets about to be published.

    Attributes:
        said: they are among these. ground: (P, 2) float64, where their points are, metres, NaN where unknown.
        rows: (N) which of `said` are published, in order. tracks: (N) the track of each.
        links: why its track was linked, by place in `rows`, once a track.
        guesses: the number under which a track is published that waits for an identity, by its uid.
    """

    said: Tracklets
    ground: Float64
    rows: list[int]
    tracks: list[LocalTrack]
    links: dict[int, Link]
    guesses: dict[int, int]


def publish(issues: Issues, site: str, book: IdentityBook) -> list[Record]:
    """One record a tracklet, in the order given."""
    if not issues.rows:
        return []
    said, links, guesses = issues.said, issues.links, issues.guesses
    latest, times = said.times_ns.tolist(), (said.times_ns // 1000).tolist()
    frames, points = said.frames.tolist(), _points(said, issues.ground)
    bounds, ended, local, names = said.bounds.tolist(), said.ended.tolist(), said.tracks.tolist(), said.cameras
    cameras, classes = (
        [names[each] for each in said.camera.tolist()],
        [said.classes[each] for each in said.cls.tolist()],
    )
    records = []
    known: dict[int, tuple[str, int]] = {}
    for place, (row, track) in enumerate(zip(issues.rows, issues.tracks, strict=True)):
        number = track.identity or guesses[track.uid]
        if number not in known:
            known[number] = book.name(number), book[number].revision if number in book else 0
        name, revision = known[number]
        low, high = bounds[row], bounds[row + 1]
        value = {
            "schema": "crosscam.tracks/1",
            "site": site,
            "camera": cameras[row],
            "track": local[row],
            "class": classes[row],
            "identity": name,
            "number": number,
            "revision": revision,
            "start": times[low],
            "end": times[high - 1],
            "frames": frames[low:high],
            "points": points[low:high],
            "link": _link(links[place], book) if place in links else None,
            "ended": ended[row],
        }
        if track.attributes and (attributes := held(track.attributes)):
            value["attributes"] = attributes
        if not track.identity:
            value["provisional"] = True
        records.append(Record(TRACKS, name, value, latest[high - 1]))
    return records


def _points(said: Tracklets, ground: Float64) -> list[list[float | None]]:
    """Of all points time in microseconds, box, score and metres (None where they are not known)."""
    table = np.empty((len(said.frames), 8), object)  # the numbers as Python has them, each made once
    table[:, 0] = said.times_ns // 1000
    table[:, 1:5] = np.round(said.boxes.astype(np.float64), 2)
    table[:, 5] = np.round(said.scores.astype(np.float64), 4)
    table[:, 6:] = np.round(ground, 3)
    table[~np.isfinite(ground[:, 0]), 6:] = None
    points: list[list[float | None]] = table.tolist()
    return points


def _link(link: Link, book: IdentityBook) -> dict[str, Any]:
    previous = None if link.previous is None else {"camera": link.previous[0], "track": link.previous[1]}
    return {
        "previous": previous,
        "score": round(link.score, 4),
        "terms": rounded(link.terms),
        "runner_up": book.named(link.runner_up),
    }
