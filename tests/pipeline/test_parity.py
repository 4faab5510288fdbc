"""A site gives the same bytes however its batches arrive, and nearly the same people given everything at once."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from two_people import SECOND, batches, write

from mtmct.fusion import END_OF_TIME, FusionEngine
from mtmct.mot_text import find_ground_truth
from mtmct.records import CameraBatch
from mtmct.topology import Topology
from pipeline.commit_order import CommitOrder
from pipeline.config_file import load
from pipeline.fusion_service import FusionService
from pipeline.ledger.base import Encoded
from pipeline.replay import steps
from pipeline.schema.codec import open_codec
from pipeline.simulate import write_site
from pipeline.sources.simulation.settings import parse_settings
from pipeline.testing import MemoryLedger, MemoryWriter
from pipeline.tune_fusion import read_recording, score_of


def committed(arrivals: list[CameraBatch]) -> list[Encoded]:
    """What a service has written once it has been sent these batches, in this order."""
    ledger = MemoryLedger()

    async def scenario() -> None:
        service = FusionService(
            order=CommitOrder("plaza", {"east": False, "west": False}, SECOND, 10.0),
            engine=FusionEngine("plaza", Topology([])),
            ledger=MemoryWriter(ledger),
            encode=open_codec().encode,
        )
        for camera in ("east", "west"):
            await service.start_camera(camera)
        sent = []
        for batch in arrivals:
            sent.append(asyncio.create_task(service.submit(batch)))
            await asyncio.sleep(0)
        await asyncio.gather(*sent)
        await service.stop()

    asyncio.run(asyncio.wait_for(scenario(), 30))
    return ledger.records


def test_batches_that_arrive_shuffled_or_twice_leave_the_same_bytes() -> None:
    ordered = [batch for _, made in batches() for batch in made]
    expected = committed(ordered)
    whole = MemoryLedger()
    write(MemoryWriter(whole), end=False)
    assert expected == whole.records, "and the same as of the engine alone"
    for seed in range(5):
        shuffled = list(ordered)
        random.Random(seed).shuffle(shuffled)
        assert committed(shuffled) == expected
    assert committed([batch for batch in ordered for _ in range(2)]) == expected


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated hall of three cameras, a minute long, with embeddings."""
    folder = tmp_path_factory.mktemp("hall") / "site"
    settings = parse_settings(["place=hall", "cameras=3", "people=5", "seconds=60", "rank1=0.8", "tracks=1"])
    write_site(folder, settings, fps=5.0, record="jsonl")
    return folder


def test_online_and_everything_at_once_know_the_same_people(simulated: Path) -> None:
    site = load(simulated / "site.yaml")
    recorded = read_recording(site, find_ground_truth(simulated / "truth"))
    at_once = [(END_OF_TIME, [batch for _, made in recorded.steps for batch in made])]
    online, offline = score_of(recorded, recorded.steps), score_of(recorded, at_once)
    assert abs(online.corrected - offline.corrected) <= 2.0, (online, offline)
    made = [batch for _, each in recorded.steps for batch in each]
    random.Random(1).shuffle(made)
    assert score_of(recorded, steps(made, site.interval_ns)) == online
