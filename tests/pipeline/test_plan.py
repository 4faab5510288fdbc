"""`crosscam plan`: what a site will need, by what its operators cost here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.config import Site
from pipeline.config_file import parse
from pipeline.plan import BUSY, plan

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
    assert twice.cameras[0].to_ledger == pytest.approx(2 * planned.cameras[0].to_ledger, rel=0.01)


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
