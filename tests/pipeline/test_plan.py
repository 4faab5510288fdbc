"""`crosscam plan`: what a site will need, by what its operators cost here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.config import Site
from pipeline.config_file import parse
from pipeline.plan import BUSY, CameraPlan, WorkerPlan, lacks, plan
from pipeline.plan_bench import Costs

ROOM = {"cpus": 64.0, "gpus": 0.0, "memory": 1e12}


def boxes(folder: Path, cameras: int, more: str = "") -> Site:
    (folder / "a.txt").write_text("1,-1,10,10,40,80,0.9\n2,-1,12,10,40,80,0.9\n")
    listed = "".join(f"  - {{id: c{n}, source: 'detections:a.txt', fps: 10}}\n" for n in range(cameras))
    return parse(f"site: plaza\ncameras:\n{listed}{more}", folder / "plaza.yaml")


def test_a_site_of_boxes_needs_no_detector_and_a_worker_for_every_eight_cameras(tmp_path: Path) -> None:
    planned = plan(boxes(tmp_path, 10), ROOM, tmp_path / "cache")
    assert [len(worker.cameras) for worker in planned.workers] == [8, 2]
    assert planned.cpus == 2 and not planned.lacks
    for camera in planned.cameras:
        assert camera.costs.detect == camera.costs.decode == 0 < camera.costs.track
        assert camera.cores == pytest.approx(10 * camera.costs.track)
    twice = plan(boxes(tmp_path, 10), ROOM, tmp_path / "cache", people=20)
    assert twice.cameras[0].to_ledger == pytest.approx(2 * planned.cameras[0].to_ledger, rel=0.02)


def test_bytes_a_second_are_those_of_the_file_of_what_is_seen_and_of_the_state_that_goes_along(tmp_path: Path) -> None:
    (camera,) = plan(boxes(tmp_path, 1), ROOM, tmp_path / "cache").cameras
    row = (tmp_path / "a.txt").stat().st_size / 2
    assert camera.from_source == pytest.approx(row * 10 * 10, abs=1), "ten people in ten frames"
    state = camera.costs.state_bytes
    assert state > 1000 < camera.to_ledger - state
    (rarely,) = plan(boxes(tmp_path, 1, "interval: 5s\n"), ROOM, tmp_path / "cache").cameras
    assert camera.to_ledger - rarely.to_ledger == pytest.approx(state * 4 / 5, abs=2)
    assert camera.to_fusion - rarely.to_fusion == pytest.approx(state * 4 / 5, abs=2)


def test_how_busy_a_gpu_will_be_is_not_known_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.plan_bench.gpus_here", lambda: 0)
    camera = "{id: gate, source: 'rtsp://127.0.0.1:9/x', crop: [0, 0, 320, 240], fps: 10}"
    site = parse(f"site: p\ncameras: [{camera}]\nresources: {{gpus_per_worker: 0.25}}\n", tmp_path / "p.yaml")
    planned = plan(site, {**ROOM, "gpus": 1.0}, tmp_path / "cache")
    (camera_plan,), (worker,) = planned.cameras, planned.workers
    assert planned.gpus == 0.25 and planned.gpus_busy is camera_plan.gpu is worker.gpu is None
    assert camera_plan.costs.detect == 0 < camera_plan.costs.track
    assert any("how long they take on a GPU is not known" in what for what in camera_plan.assumed)
    assert camera_plan.from_source == pytest.approx(320 * 240 * 10 * 0.1 / 8)


def test_a_worker_that_keeps_more_of_a_gpu_busy_than_it_has_is_told_of(tmp_path: Path) -> None:
    site = boxes(tmp_path, 2, "resources: {gpus_per_worker: 0.25}\n")
    busy = [CameraPlan("c", None, 10.0, (), Costs(gpu=0.015), 0.1, 0.15, 0, 0.0, 0.0, 0.0)] * 2
    worker = WorkerPlan(("c0", "c1"), 0.2, 0.3, 10**8)
    sentences = lacks(site, [worker], 0.0, 0.25, sum(c.cores for c in busy), 10**8, {**ROOM, "gpus": 1.0})
    assert sentences == [
        "worker 0 keeps 0.30 of a GPU busy and has 0.25: raise `gpus_per_worker`, or lower `cameras_per_worker`"
    ]


def test_what_was_measured_is_kept_for_the_next_plan(tmp_path: Path) -> None:
    def never() -> float:
        raise AssertionError("nothing is to be measured any more")

    first = plan(boxes(tmp_path, 1), ROOM, tmp_path / "cache")
    assert plan(boxes(tmp_path, 1), ROOM, tmp_path / "cache", clock=never).cameras == first.cameras
    with pytest.raises(AssertionError):
        plan(boxes(tmp_path, 1, "tracker: sort\n"), ROOM, tmp_path / "cache", clock=never)


def test_what_there_is_not_room_for_is_said_with_a_remedy(tmp_path: Path) -> None:
    site = boxes(tmp_path, 3, "ray_address: auto\nresources: {cameras_per_worker: 1, gpus_per_worker: 0.5}\n")
    planned = plan(site, {"cpus": 2.0, "gpus": 1.0, "memory": 1e8}, tmp_path / "cache")
    cpus, gpus, memory = planned.lacks
    assert cpus == "it reserves 3 CPUs and there are 2: add nodes, or lower `threads`"
    assert gpus.startswith("it wants 1.5 GPUs and there are 1: lower `gpus_per_worker`")
    assert memory.startswith("it takes ") and memory.endswith("there are 0.1 GB")


def test_pictures_cost_what_the_real_operators_cost_and_a_live_camera_is_assumed(tmp_path: Path) -> None:
    """The bundled models on a live camera of which nothing is known; the clock says a second each time it is asked."""
    camera = "{id: gate, source: 'rtsp://127.0.0.1:9/x', crop: [0, 0, 320, 240]}"
    site = parse(f"site: plaza\ncameras: [{camera}]\n", tmp_path / "p.yaml")
    ticks = iter(range(10**6))
    planned = plan(site, ROOM, tmp_path / "cache", clock=lambda: float(next(ticks)))
    (camera,) = planned.cameras
    assert (camera.size, camera.assumed, camera.rate_hz) == ((320, 240), ("25 frames a second",), 25)
    assert camera.costs.detect > 0 and camera.costs.embed > 0 and camera.costs.track > 0 and camera.costs.decode > 0
    assert camera.held == 15 * 3 * 320 * 240, "half a second that waits, one in work, one in the decoder"
    (worker,) = planned.workers
    assert worker.cores > BUSY and any("worker 0 keeps" in sentence for sentence in planned.lacks)


def test_the_command_gives_a_table_or_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    boxes(tmp_path, 2)
    (tmp_path / "plaza.yaml").write_text(
        "site: plaza\ncameras: [{id: a, source: 'detections:a.txt', fps: 10}, {id: b, source: 'detections:a.txt', "
        "fps: 10}]\n"
    )
    shown = CliRunner().invoke(app, ["plan", str(tmp_path / "plaza.yaml")])
    assert "plaza: 1 workers, 1 CPUs reserved" in shown.output.replace("\n", " ")
    told = json.loads(CliRunner().invoke(app, ["plan", str(tmp_path / "plaza.yaml"), "--json"]).stdout)
    assert told["fits"] is True and [camera["camera"] for camera in told["cameras"]] == ["a", "b"]
