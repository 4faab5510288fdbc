"""The files that `crosscam train` reads: the example, and what is wrong with others."""

from __future__ import annotations

from pathlib import Path

import pytest

from operators.networks.training.reid import Recipe
from pipeline.config import ConfigError
from pipeline.training_file import load

EXAMPLE = Path(__file__).parents[2] / "configs" / "train" / "reid.yaml"


def test_the_example_is_read_and_its_paths_are_beside_it() -> None:
    found = load(EXAMPLE)
    assert found.train[0].labels == EXAMPLE.parent / "street" / "gt.txt"
    assert found.recipe == Recipe(gap=20)


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ("  epochs: 60", "  epochs: 0", "recipe.epochs"),
        ("  epochs: 60", "  epoch: 60", "recipe.epoch"),
        ("  people: 8", "  people: 1", "recipe.people"),
        ("  - labels: street/gt.txt", "  - label: street/gt.txt", "train.0.label"),
        ("height: 128", "height: [", "cannot be read"),
    ],
)
def test_a_wrong_field_is_named(was: str, becomes: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "reid.yaml"
    path.write_text(EXAMPLE.read_text().replace(was, becomes))
    with pytest.raises(ConfigError, match=says):
        load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path / "none.yaml")
