"""Parts that do not go together are refused before anything starts; parts that do are calibrated for each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtmct.fusion import END_OF_TIME
from mtmct.site_marks import PREFIX
from operators.embed import NeuralEmbedder, StripeEmbedder
from operators.inference import ModelError
from operators.track import TrackerError
from pipeline import assembly
from pipeline.assembly import build_describers, build_engine, build_source, build_tracker
from pipeline.checks import check
from pipeline.config import ConfigError, Site
from pipeline.config_file import parse
from pipeline.fusion_settings import site_flow_settings
from pipeline.sources.factory import open_source

LIVE = "rtsp://127.0.0.1:1/main"
PICTURES = "simulated:people=1,picture=1"
LOOKS = "simulated:people=1,embedding=8"


def make_site(folder: Path, *sources: str, extra: str = "") -> Site:
    cameras = "".join(f"  - {{id: c{n}, fps: 10, source: '{source}'}}\n" for n, source in enumerate(sources))
    return parse(f"site: plaza\ncameras:\n{cameras}{extra}", folder / "plaza.yaml")


def write_rows(path: Path, **fields: object) -> None:
    path.write_text(json.dumps({**fields, "box": [10, 10, 50, 90], "score": 0.9}) + "\n")


@pytest.mark.parametrize("source", ["detections:lab.txt", "detections:frames.jsonl", "simulated:people=1,paced=1"])
def test_a_recording_from_1970_is_refused_beside_a_live_camera(source: str, tmp_path: Path) -> None:
    (tmp_path / "lab.txt").write_text("1,-1,10,10,40,80,0.9\n")
    write_rows(tmp_path / "frames.jsonl", frame=1)
    with pytest.raises(ConfigError, match=r"plaza\.yaml: camera 'c1': give it a `start:`"):
        check(make_site(tmp_path, LIVE, source))
    text = f"site: p\ncameras: [{{id: a, source: '{LIVE}'}}, {{id: b, fps: 10, source: '{source}', start: 2026-05-01}}]"
    check(parse(text, tmp_path / "plaza.yaml"))
    check(make_site(tmp_path, source, source))


def test_rows_with_times_of_their_own_go_with_a_live_camera(tmp_path: Path) -> None:
    write_rows(tmp_path / "lab.jsonl", time="2026-05-01T08:00:00Z")
    check(make_site(tmp_path, LIVE, "detections:lab.jsonl"))


def test_embeddings_of_a_file_and_of_the_built_in_descriptor_are_not_mixed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"camera 'c1' come from its file and those of 'c0'"):
        check(make_site(tmp_path, PICTURES, LOOKS))
    check(make_site(tmp_path, PICTURES, LOOKS, extra="embedder: {model: none}\n"))


def test_a_class_of_detection_files_need_not_be_known_to_the_detector(tmp_path: Path) -> None:
    write_rows(tmp_path / "lab.jsonl", frame=1, cls="forklift")
    check(make_site(tmp_path, "detections:lab.jsonl", extra="detector: {classes: [forklift]}\n"))
    with pytest.raises(ConfigError, match="does not know 'forklift'"):
        check(make_site(tmp_path, PICTURES, extra="detector: {classes: [person, forklift]}\n"))


@pytest.mark.parametrize(
    ("source", "extra", "calibration"),
    [
        (PICTURES, "", StripeEmbedder.calibration),
        ("detections:looks.jsonl", "", NeuralEmbedder.calibration),
        (LOOKS, "", open_source("c0", LOOKS).calibration),
        (LOOKS, "embedder: {calibration: [3, -1]}\n", (3.0, -1.0)),
    ],
)
def test_fusion_is_calibrated_for_the_embeddings_that_come(
    source: str, extra: str, calibration: tuple[float, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rows(tmp_path / "looks.jsonl", frame=1, embedding=[1.0, 0.0])
    monkeypatch.setattr(assembly, "FusionEngine", lambda site, topology, settings: settings.appearance)
    appearance: Any = build_engine(make_site(tmp_path, source, extra=extra))
    assert (appearance.slope, appearance.offset) == calibration


def test_a_tracker_on_the_ground_gets_the_cameras_homography_and_asks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parameters(camera: str, tracker: str = "") -> Any:
        site = parse(
            f"site: p\ntracker: {{name: ucmctrack{tracker}}}\n"
            f"cameras: [{{id: a, source: 'simulated:people=1'{camera}}}]",
            tmp_path / "p.yaml",
        )
        check(site)
        with monkeypatch.context() as patch:
            patch.setattr("operators.track.create", lambda name, **known: known)
            return build_tracker(site, site.camera("a"), build_source(site, site.camera("a")))

    ground = "[[0.01, 0, 1], [0, 0.02, 2], [0, 0, 1]]"
    assert parameters(f", homography: {ground}")["homography"] == ((0.01, 0, 1), (0, 0.02, 2), (0, 0, 1))
    assert parameters("", f", homography: {ground}")["homography"][0] == [0.01, 0, 1]
    with pytest.raises(TrackerError, match=r"camera a: .* give the camera a `homography`"):
        parameters("")


@pytest.mark.parametrize(
    ("extra", "published"),
    [
        ("", False),
        ("flow_interval: 10s\n", True),
        ("site_figures: {publish: true}\n", True),
        ("flow_interval: 10s\nsite_figures: {publish: false}\n", False),
    ],
)
def test_the_sites_own_figures_come_where_something_is_counted_or_if_asked_for(
    extra: str, published: bool, tmp_path: Path
) -> None:
    commit = build_engine(make_site(tmp_path, LOOKS, extra=extra)).advance([], END_OF_TIME)
    assert any(key.startswith(PREFIX) for key in commit.state) is published


def test_lines_of_one_name_are_one_line_with_the_directions_of_all(tmp_path: Path) -> None:
    text = (
        "site: plaza\nflow_interval: 10s\nsite_figures: {gone_after: 30s, restate: 5m}\ncameras:\n"
        f"  - {{id: a, source: '{LOOKS}', lines: {{door: horizontal}}}}\n"
        f"  - {{id: b, source: '{LOOKS}', lines: {{door: {{points: vertical, directions: [in, away]}}}}}}\n"
    )
    settings = site_flow_settings(parse(text, tmp_path / "plaza.yaml"))
    assert settings.lines == (("door", ("in", "out", "away")),)
    assert (settings.interval_s, settings.gone_after_s, settings.restate_s) == (10, 30, 300)


def test_tracks_that_wait_for_longer_than_figures_are_restated_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"fusion\.max_wait is longer than site_figures\.restate"):
        make_site(tmp_path, LOOKS, extra="fusion: {max_wait: 20s}\nsite_figures: {restate: 10s}\n")


@pytest.fixture(scope="module")
def vehicle_network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported attribute network with PP-Vehicle's 19 scores; it has learned nothing."""
    from paddle import nn

    from operators.networks.export import export
    from operators.networks.reid import LCNetEmbedding

    network = nn.Sequential(LCNetEmbedding(0.25, 19, 64), nn.Sigmoid())
    return export(network, tmp_path_factory.mktemp("attributes"), height=64, width=64)


def test_attribute_networks_are_opened_by_what_they_tell_of(vehicle_network: Path, tmp_path: Path) -> None:
    site = make_site(tmp_path, "rtsp://x", extra=f"attributes: {{vehicle: {vehicle_network}}}")
    (reader,) = build_describers(site)
    picture = np.full((100, 100, 3), 90, np.uint8)
    (votes,) = reader.votes(picture, np.array([[10, 10, 80, 80]], np.float32), [0])
    assert "car" in reader.classes and set(votes) == {"colour", "type"}
    assert build_describers(make_site(tmp_path, "rtsp://x")) == []


def test_an_attribute_network_of_the_other_kind_is_refused(vehicle_network: Path, tmp_path: Path) -> None:
    site = make_site(tmp_path, "rtsp://x", extra=f"attributes: {{person: {vehicle_network}}}")
    with pytest.raises(ModelError, match=r"attributes.person: .* tells of a vehicle; give it as `vehicle`"):
        build_describers(site)


def test_an_attribute_network_that_is_not_there_is_told_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere"):
        check(make_site(tmp_path, "rtsp://x", extra="attributes: {person: nowhere}"))
