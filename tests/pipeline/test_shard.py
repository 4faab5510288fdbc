"""A shard of cameras and fusion in one process: restarts in between, bad cameras, rejected input."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from mtmct.records import DEADLETTER, EVENTS, TRACKS, CameraBatch
from operators.records import Detections
from pipeline.assembly import build_engine, build_shard, build_source
from pipeline.camera import Delivery
from pipeline.commit_order import CommitOrder
from pipeline.config import Site
from pipeline.config_file import parse
from pipeline.fusion_service import FusionService
from pipeline.ledger.base import LedgerWriter
from pipeline.member import MAX_UNACKNOWLEDGED, Member
from pipeline.metrics.catalogue import BATCHES_UNACKNOWLEDGED, FRAMES_DROPPED, FRAMES_WAITING
from pipeline.reader import READ_AHEAD
from pipeline.schema.codec import open_codec
from pipeline.shard import Shard
from pipeline.testing import LocalFusion, LocalLink, MemoryLedger, MemoryReader, MemoryWriter, Noted

WALKERS = "simulated:people=3,seconds=20,seed=1"


def make_site(tmp_path: Path, *sources: str, extra: str = "") -> Site:
    now = datetime.now(UTC).isoformat() if any(source.startswith("rtsp:") for source in sources) else "1970-01-01"
    cameras = "".join(
        f"  - {{id: camera-{n}, source: '{source}', fps: 10, start: '{now}'}}\n" for n, source in enumerate(sources)
    )
    return parse(f"site: plaza\ncameras:\n{cameras}{extra}", tmp_path / "plaza.yaml")


class Plant:
    """A site whose parts run in threads of this process, on a ledger in memory."""

    def __init__(self, site: Site, before_commit: Callable[[int], None] = lambda number: None) -> None:
        self.site = site
        self.ledger = MemoryLedger()
        self.before_commit = before_commit
        self.fusion = LocalFusion(lambda: self.service(MemoryWriter(self.ledger, self.before_commit)))

    def service(self, ledger: LedgerWriter) -> FusionService:
        live = {camera.id: build_source(self.site, camera).live for camera in self.site.cameras}
        return FusionService(
            order=CommitOrder(self.site.site, live, self.site.interval_ns, 4.0),
            engine=build_engine(self.site),
            ledger=ledger,
            encode=open_codec().encode,
        )

    def shard(self, *cameras: str) -> Shard:
        return build_shard(self.site, cameras or tuple(c.id for c in self.site.cameras), LocalLink(self.fusion))

    def run(self) -> dict[str, str]:
        failures = self.shard().run()
        self.fusion.call(lambda service: service.finished()).result(30)
        return failures

    def values(self, topic: str) -> list[dict[str, object]]:
        return [stored.value for stored in MemoryReader(self.ledger).read(topic)]


@pytest.fixture
def plant() -> Iterator[Callable[..., Plant]]:
    plants: list[Plant] = []

    def make(site: Site, before_commit: Callable[[int], None] = lambda number: None) -> Plant:
        plants.append(Plant(site, before_commit))
        return plants[-1]

    yield make
    for one in plants:
        one.fusion.close()


def test_two_cameras_become_one_log(plant: Callable[..., Plant], tmp_path: Path) -> None:
    one = plant(make_site(tmp_path, WALKERS, WALKERS))
    assert one.run() == {}
    assert {value["camera"] for value in one.values(TRACKS)} == {"camera-0", "camera-1"}
    assert one.ledger.commits == 21  # twenty seconds, and the flush at the end


def test_the_newest_picture_of_a_camera_can_be_asked_for(plant: Callable[..., Plant], tmp_path: Path) -> None:
    one = plant(make_site(tmp_path, "simulated:people=1,picture=1,seconds=1,width=128,height=64", WALKERS))
    shard = one.shard()
    assert shard.picture("camera-0") is None, "nothing has been read yet"
    shard.run()
    found = shard.picture("camera-0")
    assert found is not None and found[1] == 900_000_000, "the last of ten a second"
    assert cv2.imdecode(np.frombuffer(found[0], np.uint8), cv2.IMREAD_COLOR).shape == (64, 128, 3)
    assert found[2] == [], "a detector finds nobody in so small a picture"
    assert shard.picture("camera-1") is None, "boxes without pictures"
    assert shard.picture("nobody") is None


def test_fusion_that_restarts_in_the_middle_leaves_no_mark(plant: Callable[..., Plant], tmp_path: Path) -> None:
    site = make_site(tmp_path, WALKERS, WALKERS)
    whole = plant(site)
    whole.run()
    reached = threading.Event()
    broken = plant(site, lambda number: reached.set() if number == 5 else None)

    def restart() -> None:
        reached.wait(20)
        broken.fusion.restart()

    thread = threading.Thread(target=restart)
    thread.start()
    broken.run()
    thread.join()
    assert broken.ledger.epoch == 2
    assert broken.ledger.records == whole.ledger.records


def test_a_worker_that_is_replaced_in_the_middle_leaves_no_mark(plant: Callable[..., Plant], tmp_path: Path) -> None:
    site = make_site(tmp_path, WALKERS, WALKERS)
    whole = plant(site)
    whole.run()
    reached = threading.Event()
    broken = plant(site, lambda number: reached.set() if number == 5 else None)
    first = broken.shard()
    thread = threading.Thread(target=first.run)
    thread.start()
    reached.wait(20)
    first.stop()
    thread.join()
    assert broken.ledger.commits < 20
    broken.run()
    assert broken.ledger.records == whole.ledger.records


def test_an_address_that_nobody_answers_is_said_once_and_the_others_go_on(
    plant: Callable[..., Plant], tmp_path: Path
) -> None:
    one = plant(
        make_site(
            tmp_path,
            "rtsp://viewer:secret@127.0.0.1:1/none",
            "simulated:people=2,seconds=0,paced=1",
            extra="embedder: {model: none}\n",
        )
    )
    shard = one.shard()
    thread = threading.Thread(target=shard.run)
    thread.start()
    try:
        while len(one.values(TRACKS)) < 4 or not one.values(EVENTS):
            assert thread.is_alive()
            thread.join(0.05)
    finally:
        shard.stop()
        thread.join()
    lost = one.values(EVENTS)
    assert [(v["camera"], v["state"]) for v in lost] == [("camera-0", "lost")]
    assert "secret" not in json.dumps(lost)
    assert shard.status()["camera-0"]["interruptions"] >= 1


def test_a_video_that_cannot_be_read_is_reported_and_the_others_go_on(
    plant: Callable[..., Plant], tmp_path: Path
) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video" * 100)
    (tmp_path / "boxes.txt").write_text("1,-1,10,10,40,100,0.9\n2,-1,12,10,40,100,0.9\n3,-1,14,10,40,100,0.9\n")
    one = plant(make_site(tmp_path, "broken.mp4", "detections:boxes.txt", extra="embedder: {model: none}\n"))
    failures = one.run()
    assert list(failures) == ["camera-0"]
    assert "this is no video that can be read" in failures["camera-0"]
    assert [v["state"] for v in one.values(EVENTS)] == ["failed"]
    assert one.values(TRACKS)


def test_a_camera_that_fails_while_fusion_restarts_loses_nothing(plant: Callable[..., Plant], tmp_path: Path) -> None:
    rows = "".join(f"{n},-1,{10 + n},10,40,100,0.9\n" for n in range(1, 200))
    (tmp_path / "good.txt").write_text(rows)
    site = make_site(tmp_path, "detections:good.txt", WALKERS)
    written = []
    for restart_at in (None, 3):
        reached = threading.Event()
        one = plant(site, lambda number, at=restart_at, reached=reached: reached.set() if number == at else None)
        shard = one.shard()
        runner = threading.Thread(target=shard.run)
        failing_detections(shard, "camera-0", at_frame=95)
        runner.start()
        if restart_at is not None:
            assert reached.wait(20)
            one.fusion.restart()
        runner.join(30)
        one.fusion.call(lambda service: service.finished()).result(30)
        assert [v["state"] for v in one.values(EVENTS)] == ["failed"]
        frames = [f for v in one.values(TRACKS) if v["camera"] == "camera-0" for f in v["frames"]]
        assert frames == list(range(1, 95))
        written.append(one.ledger.records)
    assert written[0] == written[1]


def failing_detections(shard: Shard, camera: str, at_frame: int) -> None:
    """Make the camera's chain break at one frame, as a faulty operator would."""
    open_member = shard._open_member

    def opened(name: str, news: Callable[[], None]) -> Member | None:
        member = open_member(name, news)
        if member is not None and name == camera:
            add = member.chain.add

            def broken(delivery: Delivery, detections: Detections) -> list[CameraBatch]:
                if delivery.frame.index == at_frame:
                    raise ValueError("an operator broke")
                return add(delivery, detections)

            member.chain.add = broken  # type: ignore[method-assign]
        return member

    shard._open_member = opened


def test_nan_and_wrong_sized_embeddings_become_dead_letters_and_the_boxes_are_used(
    plant: Callable[..., Plant], tmp_path: Path
) -> None:
    rows = [
        {"time": n / 10, "frame": n + 1, "id": 1, "box": [10 + n, 10, 50 + n, 110], "score": 0.9, "cls": "person"}
        | {"embedding": [1.0, 0.0] if n not in (3, 5) else [float("nan"), 0.0] if n == 3 else [1.0]}
        for n in range(20)
    ]
    (tmp_path / "lab.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    one = plant(make_site(tmp_path, "detections:lab.jsonl"))
    assert one.run() == {}
    assert len(one.values(DEADLETTER)) == 2
    frames = [frame for value in one.values(TRACKS) for frame in value["frames"]]  # type: ignore[attr-defined]
    assert frames == list(range(1, 21))


def test_a_paced_camera_counts_every_frame_that_it_could_not_wait_for(
    plant: Callable[..., Plant], tmp_path: Path
) -> None:
    one = plant(make_site(tmp_path, "simulated:people=2,seconds=3,paced=1"))
    shard = one.shard()
    shard.run()
    counts = shard.status()["camera-0"]
    dropped = sum(n for key, n in counts.items() if key.startswith("dropped."))
    assert counts["decoded"] == counts["tracked"] + dropped == 30


def test_while_the_ledger_is_away_files_pause_live_cameras_drop_and_nothing_kept_is_lost(
    plant: Callable[..., Plant], tmp_path: Path
) -> None:
    away = threading.Event()
    away.set()

    def before_commit(number: int) -> None:
        if number == 2:
            while away.is_set():
                time.sleep(0.01)

    site = make_site(
        tmp_path, "simulated:people=2,seconds=2,paced=1", "simulated:people=2,seconds=2", extra="interval: 100ms\n"
    )
    one = plant(site, before_commit)
    noted = Noted()
    shard = build_shard(site, ("camera-0", "camera-1"), LocalLink(one.fusion), noted)
    running = threading.Thread(target=shard.run)
    running.start()
    try:
        until = time.monotonic() + 20
        while not noted.of(FRAMES_DROPPED, "camera-0", "ledger_backpressure"):
            assert time.monotonic() < until
            time.sleep(0.01)
        assert noted.of(BATCHES_UNACKNOWLEDGED, "camera-0") == MAX_UNACKNOWLEDGED
        assert noted.of(BATCHES_UNACKNOWLEDGED, "camera-1") == MAX_UNACKNOWLEDGED
        assert 0 < (noted.of(FRAMES_WAITING, "camera-1") or 0) <= READ_AHEAD
    finally:
        away.clear()
        running.join(30)
    one.fusion.call(lambda service: service.finished()).result(30)
    live, file = shard.status()["camera-0"], shard.status()["camera-1"]
    dropped = {name: n for name, n in live.items() if name.startswith("dropped.")}
    assert dropped["dropped.ledger_backpressure"] > 0
    assert live["decoded"] == live["tracked"] + sum(dropped.values()) == 20
    assert file == {"decoded": 20, "tracked": 20}
    committed = one.fusion.call(lambda service: service.status()).result(10)["cameras"]
    assert {camera: committed[camera]["counts"] for camera in committed} == {"camera-0": live, "camera-1": file}
