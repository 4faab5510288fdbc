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
    lows, highs = said.bounds[rows], said.bounds[rows + 1]
    latest, cameras, classes = said.times_ns[highs - 1], said.cameras, said.classes
    columns = (
        *(rows, lows, highs, said.camera[rows], said.tracks[rows], said.cls[rows], issues.numbers[rows]),
        *(said.times_ns[lows] // 1000, latest // 1000, said.ended[rows], issues.guessed[rows], latest),
    )
    frames, points = said.frames.tolist(), _points(said, issues.ground)
    records = []
    known: dict[int, tuple[str, int]] = {}
    for row, low, high, camera, track, cls, number, start, end, ended, guessed, time_ns in zip(
        *(column.tolist() for column in columns), strict=True
    ):
        if number not in known:
            known[number] = book.name(number), book[number].revision if number in book else 0
        name, revision = known[number]
        value = {
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
            "link": _link(issues.links[row], book) if row in issues.links else None,
            "ended": ended,
        }
        if row in issues.attributes and (attributes := held(issues.attributes[row])):
            value["attributes"] = attributes
        if guessed:
            value["provisional"] = True
        records.append(Record(TRACKS, name, value, time_ns))
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
