"""A broker that does not answer: buffers fill up to their bound, and what was kept is written once it is back."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from backpressure import FILE, FILE_FPS, LIVE, measure, problems, write_site

from pipeline.assembly import build_reader
from pipeline.config import Ledger, Site, Sqlite
from pipeline.launch import Supervisor

pytestmark = [pytest.mark.faults, pytest.mark.kafka]
HOLD_S, SECONDS = 10.0, 45.0
# What Python's allocator and kafka-python's tries to connect may take beyond what was there when all was full.
SLACK_MB = 16.0


def tracks_of(site: Site, camera: str) -> list[dict[str, Any]]:
    with contextlib.closing(build_reader(site)) as reader:
        return [stored.value for stored in reader.read("tracks") if stored.value["camera"] == camera]


def alone(site: Site, folder: Path) -> Site:
    """The file's camera by itself, and run."""
    of_file = site.model_copy(
        update={
            "site": "alone",
            "cameras": [site.camera(FILE)],
            "ledger": Ledger(sqlite=Sqlite(path=folder / "alone.sqlite")),
        }
    )
    Supervisor(of_file).run()
    return of_file


def test_while_the_broker_is_frozen_files_pause_live_cameras_drop_and_memory_stays_what_it_is(
    tmp_path: Path, ray_in_place: None, kafka_server: Any
) -> None:
    site = write_site(tmp_path, kafka_server.bootstrap, SECONDS, SECONDS)
    outage = measure(site, kafka_server.frozen, HOLD_S)
    assert problems(outage, round(SECONDS * FILE_FPS)) == []
    for actor, (first, most, _) in outage.rss_mb.items():
        assert most - first < SLACK_MB, f"{actor} grows: {outage.rss_mb}"

    seen = [(value["track"], value["frames"], value["points"]) for value in tracks_of(site, FILE)]
    whole = tracks_of(alone(site, tmp_path), FILE)
    undisturbed = [(value["track"], value["frames"], value["points"]) for value in whole]
    assert sorted(seen) == sorted(undisturbed), "what was kept of the file is written, once"
    frames = Counter((value["track"], frame) for value in tracks_of(site, LIVE) for frame in value["frames"])
    assert max(frames.values()) == 1, "nothing of the live camera is there twice"
    assert len({frame for _, frame in frames}) == outage.counts[LIVE]["tracked"], "and everything that was tracked is"
