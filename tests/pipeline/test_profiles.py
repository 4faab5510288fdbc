"""Profiles: what they choose, what a file overrides, and what is said where only an official model serves."""

from __future__ import annotations

from pathlib import Path

import pytest

from operators.tiles import TiledDetector
from pipeline.assembly import build_detector, build_embedder, build_tracker, check
from pipeline.config import ConfigError, Site
from pipeline.config_file import load
from pipeline.profiles import PROFILES

ROOT = Path(__file__).resolve().parents[2]
CLIP = ROOT / "configs" / "media" / "walkway.mp4"


def site(tmp_path: Path, text: str) -> Site:
    file = tmp_path / "site.yaml"
    file.write_text(f"site: plaza\ncameras: [{{id: a, source: {CLIP}}}]\n{text}\n")
    return load(file)


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_names_the_official_model_that_serves_it(name: str) -> None:
    profile = PROFILES[name]
    assert profile.classes
    assert profile.model
    assert profile.figures


def test_a_profile_brings_its_tracker_and_a_line_overrides_it(tmp_path: Path) -> None:
    assert site(tmp_path, "profile: bytetrack").tracker.name == "bytetrack"
    assert site(tmp_path, "profile: deepsort\ntracker: ocsort").tracker.name == "ocsort"
    tuned = site(tmp_path, "profile: bytetrack\ntracker: {lost_seconds: 2}").tracker
    assert (tuned.name, tuned.parameters) == ("bytetrack", {"lost_seconds": 2})
    assert site(tmp_path, "profile: vehicle").tracker.name == "steady"


@pytest.mark.parametrize("name", [name for name, profile in PROFILES.items() if profile.bundled])
def test_what_the_bundled_model_serves_runs_as_it_is(name: str, tmp_path: Path) -> None:
    chosen = site(tmp_path, f"profile: {name}")
    check(chosen)
    tracker = build_tracker(chosen, chosen.cameras[0], _source(chosen))
    assert type(tracker).name == PROFILES[name].tracker


def _source(chosen: Site) -> object:
    from pipeline.assembly import build_source

    return build_source(chosen, chosen.cameras[0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("profile: head", r"profile head: the bundled model does not know 'head'; give an exported model .* MOTA 64.7"),
        ("profile: visdrone", r"profile visdrone: the bundled model does not know 'people'"),
        ("profile: fairmot", r"profile fairmot: it needs an exported network that gives embeddings .* MOTA 75.3"),
        ("profile: jde", r"profile jde: it needs an exported network"),
        ("profile: pets", r"there is no such profile: choose one of pedestrian, vehicle"),
    ],
)
def test_where_only_an_official_model_serves_it_is_named(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        check(site(tmp_path, text))


def test_aerial_looks_at_tiles_and_a_line_turns_that_off(tmp_path: Path) -> None:
    assert isinstance(build_detector(site(tmp_path, "profile: aerial")), TiledDetector)
    assert not site(tmp_path, "profile: aerial\ndetector: {tiles: false}").tiled
    assert site(tmp_path, "detector: {tiles: true}").tiled


def test_an_exported_fairmot_brings_its_own_looks(tmp_path: Path) -> None:
    from operators.networks.export import PERMUTE, UNIT, letterbox, normalise, save
    from operators.networks.fairmot import FairMot

    save(
        FairMot(1, "dla34", top=10, tiny=True),
        tmp_path / "fairmot",
        inputs={"image": [1, 3, 64, 96], "im_shape": [1, 2], "scale_factor": [1, 2]},
        architecture="FairMOT",
        labels=["pedestrian"],
        preprocess=[letterbox(64, 96), normalise(UNIT), PERMUTE],
    )
    chosen = site(tmp_path, "profile: fairmot\ndetector: {model: fairmot}")
    check(chosen)
    assert build_embedder(chosen) is None
    assert build_detector(chosen).classes == ("person",)  # type: ignore[attr-defined]
    assert chosen.tracker.name == "fairmot"
