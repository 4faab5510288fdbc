"""A simulated site as a folder: other commands read all of it, and a recording gives what the simulation gives."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mtmct.evaluation import evaluate
from mtmct.mot_text import find_ground_truth
from operators.records import Frame
from pipeline.assembly import build_engine, build_source, picture_size
from pipeline.checks import check
from pipeline.cli import app
from pipeline.config import Site
from pipeline.config_file import load
from pipeline.simulate import SimulationError, write_site
from pipeline.sources.simulation.settings import Settings

SITE = Settings(place="mall", cameras=3, people=12, seconds=20, embedding=16, rank1=0.7, tracks=True, outages=100)


def simulate(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["simulate", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def frames_of(site: Site, camera: str) -> list[Frame]:
    source = build_source(site, site.camera(camera))
    source.open(None)
    frames = []
    while isinstance(item := source.read(), Frame):
        frames.append(item)
    return frames


def test_the_command_writes_a_site_that_checks_and_ground_truth_that_eval_reads(tmp_path: Path) -> None:
    said = simulate("--out", f"{tmp_path}/s", "--minutes", "0.2", "--cameras", "10", "--people", "30", "--rank1", "0.8")
    assert "10 cameras" in said and "crosscam run" in said
    site = load(tmp_path / "s" / "site.yaml")
    assert [camera.id for camera in site.cameras[::9]] == ["cam-01", "cam-10"]
    check(site)
    build_engine(site)
    truth = find_ground_truth(tmp_path / "s" / "truth")
    assert len(truth) == 10
    assert evaluate(truth, truth).across.idf1 == 100
    plan = json.loads((tmp_path / "s" / "plan.json").read_text())
    assert len(plan["cameras"]) == 10 and plan["walls"]


def test_vehicles_have_a_profile_of_their_own(tmp_path: Path) -> None:
    simulate("--out", f"{tmp_path}/s", "--place", "streets", "--minutes", "0.5", "--people", "40")
    site = load(tmp_path / "s" / "site.yaml")
    assert site.profile == "vehicle"
    check(site)
    assert any(len(frame.given) for camera in site.cameras for frame in frames_of(site, camera.id))


@pytest.mark.parametrize("record", ["jsonl", "parquet"])
def test_a_recording_gives_what_the_simulation_gives(record: str, tmp_path: Path) -> None:
    write_site(tmp_path / "live", SITE, fps=5)
    written = write_site(tmp_path / "recorded", SITE, fps=5, record=record)
    live, recorded = load(tmp_path / "live" / "site.yaml"), load(tmp_path / "recorded" / "site.yaml")
    assert written.recorded > 50
    assert recorded.embedder.calibration == build_source(live, live.cameras[0]).calibration
    for camera in ("cam-1", "cam-2", "cam-3"):
        one, other = frames_of(live, camera), frames_of(recorded, camera)
        assert picture_size(live, live.camera(camera)) == picture_size(recorded, recorded.camera(camera))
        assert [(f.index, f.time_ns) for f in one] == [(f.index, f.time_ns) for f in other]
        for a, b in zip(one, other, strict=True):
            assert np.array_equal(a.given.ids if len(a.given) else [], b.given.ids if len(b.given) else [])
            assert np.allclose(a.given.boxes, b.given.boxes, atol=0.01)
            if len(a.given):
                assert np.allclose(a.given.embeddings, b.given.embeddings, atol=0.001)


def test_ground_truth_is_of_the_frames_that_are_given(tmp_path: Path) -> None:
    write_site(tmp_path / "s", Settings(cameras=2, people=12, seconds=300, outages=100, seed=1), fps=2)
    site = load(tmp_path / "s" / "site.yaml")
    for camera, truth in find_ground_truth(tmp_path / "s" / "truth").items():
        given = {frame.index for frame in frames_of(site, camera)}
        assert len(given) < 600
        assert set(truth.frames.tolist()) <= given


def test_a_site_is_not_written_over_another(tmp_path: Path) -> None:
    write_site(tmp_path, Settings(seconds=1), fps=1)
    with pytest.raises(SimulationError, match=r"site\.yaml is there already; choose another folder by --out"):
        write_site(tmp_path, Settings(seconds=1), fps=1)
    (tmp_path / "file").write_text("")
    with pytest.raises(SimulationError, match="cannot be written"):
        write_site(tmp_path / "file" / "x", Settings(seconds=1), fps=1)
    with pytest.raises(SimulationError, match="pictures cannot be recorded"):
        write_site(tmp_path / "y", Settings(picture=True), fps=1, record="jsonl")


def test_a_setting_that_is_not_there_is_said(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["simulate", "--out", f"{tmp_path}/s", "--set", "mist=1"])
    assert result.exit_code == 2
    assert "unknown setting 'mist'" in result.output.replace("\n", " ")
    assert not (tmp_path / "s").exists()
