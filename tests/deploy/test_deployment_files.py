"""What is handed to other programs is accepted by them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from mtmct.settings import FusionSettings
from pipeline.config import (
    CameraEntry,
    Detector,
    Embedder,
    Fusion,
    Health,
    Kafka,
    Ledger,
    Live,
    Resources,
    Site,
    SiteFigures,
    Sqlite,
    Tracker,
)
from pipeline.config_file import load, parse
from pipeline.fusion_settings import fusion_settings
from pipeline.precompile import precompile

ROOT = Path(__file__).resolve().parents[2]
INSTRUCTIONS = {"ARG", "FROM", "RUN", "WORKDIR", "COPY", "USER", "ENV", "ENTRYPOINT", "CMD"}


def test_ray_up_accepts_the_cluster_file() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = YAML(typ="safe").load(ROOT / "ray_cluster.yaml")
    validate_config(prepare_config(config))


def test_nodes_and_driver_of_the_cluster_agree_on_how_to_sign_in() -> None:
    text = (ROOT / "ray_cluster.yaml").read_text()
    config = YAML(typ="safe").load(text)
    assert any("export RAY_AUTH_MODE=disabled" in command for command in config["setup_commands"])
    assert "ray exec ray_cluster.yaml 'cd ~/crosscam && crosscam run configs/site.yaml'" in text
    assert not any("'~" in command for command in config["setup_commands"]), "a quoted ~ is no home"


def test_the_container_recipe_copies_only_what_exists() -> None:
    text = (ROOT / "deploy" / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert {line.split()[0] for line in lines} == INSTRUCTIONS
    copies = [shlex.split(line)[1:-1] for line in lines if line.startswith("COPY")]
    copied = [source for copy in copies for source in copy if not copy[0].startswith("--from")]
    assert copied and all((ROOT / source).exists() for source in copied)
    assert all(re.match(r"(ARG|FROM)", line) for line in lines[:2])


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_the_container_recipe_has_a_target_for(target: str) -> None:
    text = (ROOT / "deploy" / "Dockerfile").read_text()
    stage = text.partition(f" AS {target}\n")[2].partition("\nFROM ")[0]
    assert f'"/opt/crosscam[{target},serve]"' in stage
    assert stage.index("useradd") < stage.index("USER crosscam")
    installed, compiled = stage.index("pip install"), stage.index("python -m pipeline.precompile")
    assert installed < stage.index("ENV NUMBA_CACHE_DIR=/opt/compiled") < compiled < stage.index("USER crosscam")


def test_what_a_site_needs_compiled_can_be_compiled_beforehand() -> None:
    precompile()
    commands = YAML(typ="safe").load(ROOT / "ray_cluster.yaml")["setup_commands"]
    (place,) = [n for n, command in enumerate(commands) if "-m pipeline.precompile" in command]
    assert "pip install" in commands[place - 1]


@pytest.mark.parametrize("name", ["demo", "site", "two-files"])
def test_the_example_sites_are_valid(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NORTH_PASSWORD", "x")
    monkeypatch.setenv("KAFKA_PASSWORD", "x")
    site = load(ROOT / "configs" / f"{name}.yaml")
    assert site.cameras


def test_the_large_example_names_every_field() -> None:
    text = (ROOT / "configs" / "site.yaml").read_text()
    models = (
        Site, CameraEntry, Live, Detector, Embedder, Tracker, Fusion, Ledger, Kafka, Sqlite, SiteFigures, Health,
        Resources,
    )  # fmt: skip
    fields = {name for model in models for name in model.model_fields} - {"base", "file"}
    assert {name for name in fields if not re.search(rf"\b{name}:", text)} == set()


def test_the_large_example_tells_what_fusion_believes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NORTH_PASSWORD", "x")
    monkeypatch.setenv("KAFKA_PASSWORD", "x")
    text = (ROOT / "configs" / "site.yaml").read_text()
    uncommented = re.sub(r"^  # (\w+: -?[\d.]+s? +#)", r"  \1", text, flags=re.MULTILINE)
    told = parse(uncommented, ROOT / "configs" / "site.yaml").fusion
    assert [name for name in Fusion.model_fields if getattr(told, name) is None] == []
    assert fusion_settings(told) == FusionSettings()


def test_the_example_of_the_readme_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NORTH_PASSWORD", "x")
    text = re.search(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert text is not None
    site = parse(text[1].replace("[[...], [...], [...]]", "[[1, 0, 0], [0, 1, 0], [0, 0, 1]]"), ROOT / "README.md")
    assert len(site.cameras) == 18
