"""The files that `crosscam train` reads: the example, and what is wrong with others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from operators.networks.training import detector, one_shot
from operators.networks.training.augmentation import Augmentation
from operators.networks.training.reid import PLAN, Recipe
from pipeline.config import ConfigError
from pipeline.detector_training_file import DetectorFile
from pipeline.training_file import FairMotFile, JdeFile, ReidFile, load

EXAMPLES = Path(__file__).parents[2] / "configs" / "train"
EXAMPLE = EXAMPLES / "reid.yaml"


def test_the_example_is_read_and_its_paths_are_beside_it() -> None:
    found = load(EXAMPLE, ReidFile)
    assert found.train[0].labels == EXAMPLE.parent / "street" / "gt.txt"
    assert found.recipe == Recipe(plan=PLAN, gap=20)


def test_the_examples_of_one_shot_trackers_have_the_published_networks_and_the_trainers_defaults() -> None:
    fairmot, jde = load(EXAMPLES / "fairmot.yaml", FairMotFile), load(EXAMPLES / "jde.yaml", JdeFile)
    assert fairmot.recipe == one_shot.Recipe(one_shot.FairMotShape(), fps=6.0)
    assert jde.recipe == one_shot.Recipe(one_shot.JdeShape(), fps=6.0)
    assert (fairmot.classes, jde.classes) == (("person",), ("person",))
    assert jde.test[0].pictures == EXAMPLES / "square" / "img1"


def test_what_the_file_leaves_out_is_the_trainers(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    scenes = "train: [{labels: gt.txt, pictures: img}]\ntest: [{labels: gt.txt, pictures: img}]\n"
    path.write_text(scenes)
    assert load(path, FairMotFile).recipe == one_shot.Recipe(one_shot.FairMotShape())
    assert load(path, ReidFile).recipe == Recipe()
    path.write_text(scenes + "network: {width: 8}\nrecipe: {schedule: steps, drops: [20], batch: 2}\n")
    shape, plan = one_shot.JdeShape(width=8), replace(one_shot.PLAN, schedule="steps", drops=(20,))
    assert load(path, JdeFile).recipe == one_shot.Recipe(shape, plan, batch=2)


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ("  epochs: 60", "  epochs: 0", "recipe.epochs"),
        ("  epochs: 60", "  epoch: 60", "recipe.epoch: there is no such field"),
        ("  people: 8", "  people: 1", "recipe.people"),
        ("  - labels: street/gt.txt", "  - label: street/gt.txt", "train.0.label"),
        ("height: 128", "height: [", "cannot be read"),
    ],
)
def test_a_wrong_field_is_named(was: str, becomes: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "reid.yaml"
    path.write_text(EXAMPLE.read_text().replace(was, becomes))
    with pytest.raises(ConfigError, match=says):
        load(path, ReidFile)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path / "none.yaml", ReidFile)


def test_the_detectors_example_is_read() -> None:
    found = load(EXAMPLES / "detector.yaml", DetectorFile)
    assert found.recipe == detector.Recipe(
        detector.PicoDetShape(), scales=(0.75, 1.0, 1.25), augment=Augmentation(expand=0.0), threads=4
    )
    assert found.train[0].coco == EXAMPLES / "coco" / "instances_train.json"


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ("  - coco: coco", "  - voc: x\n    coco: coco", "train.0: .*name the labels by one of"),
        ("    class: person\n", "", "say by class: which of the classes"),
        ("    class: person", "    class: bus", "class 'bus' of a data set is not among classes"),
        ("    pictures: voc/JPEGImages", "    pictures: voc/JPEGImages\n    every: 2", "every is of MOT labels only"),
        ("size: s ", "size: x ", "picodet comes in sizes xs, s, m, l"),
        ("kind: picodet", "kind: ppyoloe", "version is of picodet only"),
        ("[person, car] ", "[person, person] ", "a name stands there twice"),
        ("flip: 0.5", "flip: 2", "augment.flip"),
    ],
)
def test_what_no_detector_can_be_trained_by_is_named(was: str, becomes: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "detector.yaml"
    text = (EXAMPLES / "detector.yaml").read_text()
    assert was in text
    path.write_text(text.replace(was, becomes, 1))
    with pytest.raises(ConfigError, match=says):
        load(path, DetectorFile)
