"""A ledger of two people who walk past two cameras, one of them twice, made by the real engine; and how to make it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from mtmct.counting import CountingEngine
from mtmct.fusion import END_OF_TIME, FusionEngine
from mtmct.records import TRACKS, CameraBatch
from mtmct.site_flow import SiteFlow, SiteFlowSettings
from mtmct.topology import Topology
from mtmct.tracklets import Tracklet
from operators.records import pack
from pipeline.commit_order import SITE_KEY
from pipeline.ledger.base import LedgerWriter
from pipeline.schema.codec import open_codec

SECOND = 1_000_000_000
FPS = 10
# camera, track, person, first second, last second (exclusive)
VISITS = (("east", 1, 1, 0, 6), ("east", 2, 2, 0, 6), ("west", 1, 1, 8, 14), ("west", 2, 2, 8, 14))


def look(person: int, dim: int = 32) -> np.ndarray:
    vector = np.random.default_rng(person).normal(size=dim)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


Look = Callable[[int], np.ndarray]


def batches(looks: Look = look) -> Iterator[tuple[int, list[CameraBatch]]]:
    """Watermark and batches, second by second."""
    for second in range(16):
        yield (
            (second + 1) * SECOND,
            [
                CameraBatch(
                    camera,
                    1,
                    second,
                    second,
                    (second + 1) * SECOND,
                    tuple(
                        _tracklet(camera, track, person, second, last, looks(person))
                        for name, track, person, first, last in VISITS
                        if name == camera and first <= second < last
                    ),
                )
                for camera in ("east", "west")
            ],
        )


def _tracklet(camera: str, track: int, person: int, second: int, last: int, vector: np.ndarray) -> Tracklet:
    frames = np.arange(second * FPS, (second + 1) * FPS) + 1
    x = 100.0 + 200 * person + 0.5 * frames
    boxes = np.stack([x, np.full(FPS, 50.0), x + 40, np.full(FPS, 160.0)], axis=1).astype(np.float32)
    times = (frames - 1) * (SECOND // FPS)
    scores = np.full(FPS, 0.9, np.float32)
    one = np.ones(1, np.float32)
    bag = {"bag": {"backpack": 1.0} if person == 1 else {"none": 1.0}}
    return Tracklet(camera, track, "person", frames, times, boxes, scores, vector[None], one, second + 1 == last, bag)


def counting(interval_s: float = 5.0) -> CountingEngine:
    """An engine that counts the site as well."""
    flow = SiteFlow("plaza", SiteFlowSettings(interval_s=interval_s))
    return CountingEngine(FusionEngine("plaza", Topology([])), flow, SECOND)


def write(
    writer: LedgerWriter,
    *,
    seconds: int = 16,
    end: bool = True,
    engine: FusionEngine | CountingEngine | None = None,
    looks: Look = look,
) -> None:
    """Commit the first `seconds`; with `end` as a site that has ended."""
    engine = engine or FusionEngine("plaza", Topology([]))
    writer.open()
    steps = [*batches(looks)][:seconds] + ([(END_OF_TIME, [])] if end else [])
    for watermark, made in steps:
        commit = engine.advance(made, watermark)
        site = {
            "version": 1,
            "interval_ns": SECOND,
            "interval": min(seconds, 16) - 1,
            "finished": watermark == END_OF_TIME,
        }
        writer.commit(
            [open_codec().encode(record) for record in commit.records], {**commit.state, SITE_KEY: pack(site)}
        )
    writer.close()


class Running:
    """The site as it runs: it commits a second when it is told to.

    Attributes:
        site: its name.
        tracks: records of that topic so far.
    """

    def __init__(self, writer: LedgerWriter, site: str = "plaza") -> None:
        self.site = site
        self.tracks = 0
        self._engine = FusionEngine(site, Topology([]))
        self._writer = writer
        self._writer.open()
        self._steps = batches()

    def commit(self, seconds: int = 1) -> None:
        for _ in range(seconds):
            watermark, made = next(self._steps)
            commit = self._engine.advance(made, watermark)
            self.tracks += sum(record.topic == TRACKS for record in commit.records)
            self._writer.commit([open_codec().encode(record) for record in commit.records], commit.state)

    def close(self) -> None:
        self._writer.close()
