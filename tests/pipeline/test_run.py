"""A whole site on a real Ray: accounting, the same bytes whatever the workers, and recovery from kill -9."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ray_metrics import Scraped
from recorded_site import FPS, contents, sqlite, undisturbed, write_walkers

from pipeline.assembly import build_reader
from pipeline.config import Site
from pipeline.config_file import load
from pipeline.launch import Outcome, Supervisor
from pipeline.metrics.catalogue import (
    COMMIT_SECONDS,
    COMMITS,
    FRAMES_DECODED,
    IDENTITIES_ALIVE,
    LATENCY_SECONDS,
    READY,
    WATERMARK_LAG,
)
from pipeline.progress import Progress
from pipeline.summary import summarise

pytestmark = pytest.mark.usefixtures("ray_in_place")


def make_site(
    folder: Path, *, seconds: int, cameras_per_worker: int = 2, ledger: str = "{}", name: str = "plaza"
) -> Site:
    for seed, camera in enumerate(("east", "west")):
        if not (folder / f"{camera}.txt").exists():
            write_walkers(folder / f"{camera}.txt", seed, seconds)
    file = folder / f"{name}.yaml"
    file.write_text(
        f"site: {name}\n"
        "cameras:\n"
        f"  - {{id: east, source: 'detections:east.txt', fps: {FPS}, homography: [[0.01,0,0],[0,0.01,0],[0,0,1]],\n"
        "     lines: {door: [[300, 0], [300, 500]]}, zones: {till: {points: [[200, 100], [400, 100], [400, 300]],\n"
        "     restricted: true}}}\n"
        f"  - {{id: west, source: 'detections:west.txt', fps: {FPS}, homography: [[0.01,0,3],[0,0.01,0],[0,0,1]]}}\n"
        "flow_interval: 10s\n"
        f"resources: {{cameras_per_worker: {cameras_per_worker}}}\n"
        f"ledger: {ledger}\n"
    )
    return load(file)


class Killer:
    """Kills -9 one actor of a running site as soon as a few commits are made."""

    def __init__(self, victim: str) -> None:
        self._victim = victim
        self.killed = threading.Event()

    def __call__(self, progress: Progress) -> None:
        if progress.commits >= 3 and self._victim in progress.pids and not self.killed.is_set():
            os.kill(progress.pids[self._victim], signal.SIGKILL)
            self.killed.set()


def run(site: Site, on_progress: Callable[[Progress], None] = lambda progress: None) -> Outcome:
    return Supervisor(site, on_progress).run()


@pytest.fixture(scope="module")
def finished(ray_in_place: None, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Run to its end, by one worker for both cameras."""
    folder = tmp_path_factory.mktemp("finished")
    site = make_site(folder, seconds=30, ledger=sqlite(folder / "ledger.sqlite"))
    assert run(site) == Outcome({}, 31, False)
    return site


def test_every_decoded_frame_is_tracked_or_counted_as_dropped(finished: Site) -> None:
    summary = summarise(build_reader(finished))
    assert {name: c.decoded for name, c in summary.cameras.items()} == {"east": 300, "west": 300}
    assert all(c.decoded == c.tracked + sum(c.dropped.values()) for c in summary.cameras.values())
    assert summary.identities > 0


def test_one_worker_and_two_write_the_same_bytes(finished: Site, tmp_path: Path) -> None:
    by_one = contents(finished)
    assert by_one["tracks"]
    types = {json.loads(raw)["type"] for _, raw in by_one["events"]}
    assert types >= {"crossing", "entry", "exit", "counts", "site_counts", "journey"}
    by_two = make_site(tmp_path, seconds=30, cameras_per_worker=1, ledger=sqlite(tmp_path / "two.sqlite"))
    run(by_two)
    assert contents(by_two) == by_one


def test_one_worker_four_and_a_live_stream_write_the_same_bytes(tmp_path: Path) -> None:
    """Simulated cameras with embeddings: as fast as can be in one worker and in four, and at the pace of a clock."""
    written = []
    for name, size, pace in (("one", 4, ""), ("four", 1, ""), ("live", 4, ",paced=1")):
        settings = f"place=hall,cameras=4,people=4,seconds=5,rank1=0.8{pace}"
        cameras = [f"  - {{id: c{n}, source: 'simulated:{settings},camera={n}', fps: 5}}\n" for n in range(1, 5)]
        file = tmp_path / f"{name}.yaml"
        file.write_text(
            "site: hall\ncameras:\n" + "".join(cameras) + f"resources: {{cameras_per_worker: {size}}}\n"
            f"ledger: {sqlite(tmp_path / f'{name}.sqlite')}\n"
        )
        site = load(file)
        run(site)
        written.append(contents(site))
    assert written[0]["tracks"]
    assert written[0] == written[1], "four workers"
    assert written[0] == written[2], "a live stream"


def test_prometheus_finds_what_a_running_site_measures(tmp_path: Path) -> None:
    file = tmp_path / "metered.yaml"
    file.write_text(
        "site: metered\ncameras:\n"
        f"  - {{id: north, source: 'simulated:people=2,seconds=60,paced=1', start: {datetime.now(UTC).isoformat()}}}\n"
        f"ledger: {sqlite(tmp_path / 'ledger.sqlite')}\n"
    )
    wanted = [
        (FRAMES_DECODED, "north"), (WATERMARK_LAG, "north"), (COMMITS,), (IDENTITIES_ALIVE,), (READY,),
    ]  # fmt: skip
    found: list[Scraped] = []

    def look(progress: Progress) -> None:
        if progress.commits:
            found.append(Scraped("metered"))
            measured = [found[-1].of(COMMIT_SECONDS, part="_count"), found[-1].of(LATENCY_SECONDS, part="_count")]
            if all((*measured, *(found[-1].of(*one) for one in wanted))):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(load(file), look)
    assert 0 < found[-1].of(WATERMARK_LAG, "north") < 30


def test_a_finished_run_is_not_run_again(finished: Site) -> None:
    before = contents(finished)
    assert run(finished).already_complete
    assert contents(finished) == before


@pytest.mark.parametrize("victim", ["worker-0", "fusion"])
def test_a_killed_actor_leaves_no_mark_on_an_sqlite_ledger(victim: str, tmp_path: Path) -> None:
    site = make_site(tmp_path, seconds=300, ledger=sqlite(tmp_path / "killed.sqlite"))
    killer = Killer(victim)
    run(site, killer)
    assert killer.killed.is_set()
    whole = make_site(tmp_path, seconds=300, ledger=sqlite(tmp_path / "whole.sqlite"))
    assert contents(site) == undisturbed(whole)


@pytest.mark.kafka
@pytest.mark.parametrize("victim", ["worker-0", "fusion"])
def test_a_killed_actor_leaves_no_mark_on_a_kafka_ledger(
    victim: str, tmp_path: Path, kafka_settings: dict[str, str]
) -> None:
    ledger = f"{{kafka: {{bootstrap_servers: '{kafka_settings['bootstrap_servers']}'}}}}"
    name = f"run-{victim}-{os.getpid()}"
    site = make_site(tmp_path, seconds=120, ledger=ledger, name=f"{name}-killed")
    killer = Killer(victim)
    run(site, killer)
    assert killer.killed.is_set()
    whole = make_site(tmp_path, seconds=120, ledger=sqlite(tmp_path / "whole.sqlite"), name=f"{name}-whole")
    assert contents(site) == undisturbed(whole)
