"""The `tracks` topic: tracklets as they are published once their identity is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtmct.attributes import Votes, held
from mtmct.identities import IdentityBook, rounded
from mtmct.records import TRACKS, Record
from mtmct.topology import Float64
from mtmct.tracklets import Tracklets
from operators.records import Int64


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
        said: (S) tracklets. ground: (P, 2) float64, where their points are, metres, NaN where unknown.
        rows: (N,) int64, which of `said` are published, in order.
        numbers: (S,) int64, the identity of each, or the guess. guessed: (S,) bool, which it is.
        links: by row of `said`, why its track was linked, once a track.
        attributes: by row of `said`, what is known of its track.
    """

    said: Tracklets
    ground: Float64
    rows: Int64
    numbers: Int64
    guessed: NDArray[np.bool_]
    links: Mapping[int, Link]
    attributes: Mapping[int, Votes]


def publish(issues: Issues, site: str, book: IdentityBook) -> list[Record]:
    """One record a tracklet, in the order given."""
    said, rows = issues.said, issues.rows
    numbers, who = np.unique(issues.numbers[rows], return_inverse=True)
    told = [(book.name(number), number, book[number].revision if number in book else 0) for number in numbers.tolist()]
    lows, highs = said.bounds[rows], said.bounds[rows + 1]
    latest, cameras, classes = said.times_ns[highs - 1], said.cameras, said.classes
    columns = (
        *(who, said.camera[rows], said.tracks[rows], said.cls[rows], said.ended[rows]),
        *(lows, highs, said.times_ns[lows] // 1000, latest // 1000),
    )
    frames, points = said.frames.tolist(), _points(said, issues.ground)
    values: list[dict[str, Any]] = []
    for one, camera, track, cls, ended, low, high, start, end in zip(
        *(column.tolist() for column in columns), strict=True
    ):
        name, number, revision = told[one]
        values.append(
            {
                "schema": "crosscam.tracks/1",
                "site": site,
                "camera": cameras[camera],
                "track": track,
                "class": classes[cls],
                "identity": name,
                "number": number,
                "revision": revision,
                "start": start,
                "end": end,
                "frames": frames[low:high],
                "points": points[low:high],
                "link": None,
                "ended": ended,
            }
        )
    _add_what_few_have(values, issues, book)
    return [
        Record(TRACKS, value["identity"], value, time_ns)
        for value, time_ns in zip(values, latest.tolist(), strict=True)
    ]


def _add_what_few_have(values: list[dict[str, Any]], issues: Issues, book: IdentityBook) -> None:
    """Why a track was linked, what it is like, and that it is a guess."""
    places = np.full(len(issues.said), -1)
    places[issues.rows] = np.arange(len(values))
    for place, link in zip(places[list(issues.links)].tolist(), issues.links.values(), strict=True):
        values[place]["link"] = _link(link, book)
    for place, votes in zip(places[list(issues.attributes)].tolist(), issues.attributes.values(), strict=True):
        if place >= 0 and (attributes := held(votes)):
            values[place]["attributes"] = attributes
    for place in np.flatnonzero(issues.guessed[issues.rows]).tolist():
        values[place]["provisional"] = True


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
