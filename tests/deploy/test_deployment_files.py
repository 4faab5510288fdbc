"""What is handed to other programs is accepted by them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline.config import load

ROOT = Path(__file__).resolve().parents[2]
INSTRUCTIONS = {"ARG", "FROM", "RUN", "WORKDIR", "COPY", "USER", "ENV", "ENTRYPOINT", "CMD"}


def test_ray_up_accepts_the_cluster_file() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = YAML(typ="safe").load(ROOT / "ray_cluster.yaml")
    validate_config(prepare_config(config))


def test_the_container_recipe_copies_only_what_exists() -> None:
    text = (ROOT / "deploy" / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert {line.split()[0] for line in lines} == INSTRUCTIONS
    copied = [source for line in lines if line.startswith("COPY") for source in shlex.split(line)[1:-1]]
    assert copied and all((ROOT / source).exists() for source in copied)
    assert all(re.match(r"(ARG|FROM)", line) for line in lines[:2])


@pytest.mark.parametrize("name", ["demo", "site", "two-files"])
def test_the_example_sites_are_valid(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NORTH_PASSWORD", "x")
    monkeypatch.setenv("KAFKA_PASSWORD", "x")
    site = load(ROOT / "configs" / f"{name}.yaml")
    assert site.cameras
