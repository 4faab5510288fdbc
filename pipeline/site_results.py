"""A ledger's topics, or an engine's commits, as arrays that can be scored (`mtmct.site_evaluation`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from mtmct.corrections import IdentityResolver
from mtmct.mot_text import Boxes
from mtmct.records import IDENTITIES, TRACKS
from mtmct.site_evaluation import CameraResults
from pipeline.ledger.base import LedgerReader


def read_results(reader: LedgerReader) -> tuple[dict[str, CameraResults], dict[str, int]]:
    """Results by camera, and number of `identities` records by event.

    When something was published is not stored; it is taken to be the latest event time of anything published up to
    then, which is exact to a commit interval.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    return results_of(
        (stored.value for stored in reader.read(TRACKS)), (stored.value for stored in reader.read(IDENTITIES))
    )


def results_of(
    tracks: Iterable[Mapping[str, Any]], identities: Iterable[Mapping[str, Any]]
) -> tuple[dict[str, CameraResults], dict[str, int]]:
    """The same of the values of both topics, each in commit order."""
    resolver = IdentityResolver()
    events: dict[str, int] = {}
    for value in identities:
        resolver.apply(value)
        events[value["event"]] = events.get(value["event"], 0) + 1
    kept: dict[str, list[tuple[Mapping[str, Any], int]]] = {}
    reached = 0
    for value in tracks:
        resolver.published(value)
        reached = max(reached, value["end"])
        kept.setdefault(value["camera"], []).append((value, reached))
    return {camera: _camera(rows, resolver) for camera, rows in kept.items()}, events


def _camera(rows: list[tuple[Mapping[str, Any], int]], resolver: IdentityResolver) -> CameraResults:
    named = [
        (value, said, number)
        for value, said in rows
        if (number := resolver.identity_of(value["camera"], value["track"], value["start"])) is not None
    ]
    lengths = [len(value["points"]) for value, _, _ in named]
    points = np.array([point[:6] for value, _, _ in named for point in value["points"]], np.float64).reshape(-1, 6)
    frames = np.array([frame for value, _, _ in named for frame in value["frames"]], np.float64)

    def spread(column: list[Any], kind: type) -> Any:
        return np.repeat(np.array(column, kind), lengths)

    boxes = Boxes(
        frames,
        spread([number for _, _, number in named], np.int64),
        np.concatenate([points[:, 1:3], points[:, 3:5] - points[:, 1:3]], axis=1),
        points[:, 5],
        np.full(len(frames), -1),
    )
    return CameraResults(
        boxes,
        spread([value["number"] for value, _, _ in named], np.int64),
        points[:, 0].astype(np.int64),
        spread([said for _, said, _ in named], np.int64),
        spread([value.get("provisional", False) for value, _, _ in named], np.bool_),
    )
