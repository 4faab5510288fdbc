"""What Ray's actors do beside what the parts that they hold do."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import actors
from pipeline.actors import CameraWorker, FusionActor
from pipeline.config_file import parse

SITE = "site: plaza\ncameras: [{id: north, source: 'simulated:people=1'}]\n"


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """As it was, afterwards."""
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def walked() -> int:
    """Objects that a full collection looks at, in a process that has loaded a hundred thousand."""
    return len(gc.get_objects())


def test_a_worker_stops_for_no_collection_of_what_it_has_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Walking:
        def run(self) -> dict[str, int]:
            return {"before the first frame": walked()}

    def build(*_: Any) -> Walking:
        assert walked() > 100_000
        return Walking()

    monkeypatch.setattr(actors, "build_shard", build)
    found: Any = CameraWorker().run(parse(SITE, tmp_path / "plaza.yaml"), ("north",), None, True)
    assert found["before the first frame"] < 10_000


def test_fusion_stops_for_no_collection_of_what_it_has_loaded(tmp_path: Path) -> None:
    async def begun() -> int:
        actor = FusionActor()
        await actor.begin(parse(SITE, tmp_path / "plaza.yaml"))
        found = walked()
        await actor.stop()
        return found

    assert asyncio.run(begun()) < 10_000
