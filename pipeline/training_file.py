"""What `crosscam train` reads: labels, pictures and a recipe, from YAML. Every error names the file and the field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from operators.networks.training import one_shot, reid, scenes
from operators.networks.training.identities import Crops, joined, read_crops
from operators.networks.training.loop import Plan
from pipeline.config import ConfigError

Count = Annotated[int, Field(ge=1)]
Side = Annotated[int, Field(ge=32, multiple_of=32)]


class Strict(BaseModel):
    """A part of the file; what it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def given(self) -> dict[str, Any]:
        """What the file says, without what it leaves to the trainer's defaults."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class Scene(Strict):
    """One camera's labels and pictures; paths are relative to the YAML file."""

    labels: Path
    pictures: Path
    first: Count = 1
    last: Count | None = None
    every: Count = 1
    same: Path | None = None


class Schedule(Strict):
    """The part of every recipe that says how weights are moved: fields and defaults of `Plan` and its trainer."""

    epochs: Count = 1
    patience: Count = 1
    every: Count = 1
    rate: float = Field(default=1.0, gt=0)
    warm: float = Field(default=0, ge=0)
    schedule: Literal["cosine", "steps"] = "cosine"
    drops: tuple[Count, ...] = ()
    factor: float = Field(default=0.1, gt=0, le=1)
    optimiser: Literal["momentum", "adam", "adamw"] = "momentum"
    decay: float = Field(default=0, ge=0)
    clip: float | None = Field(default=None, gt=0)
    average: float | None = Field(default=None, gt=0, lt=1)
    synchronise: bool = False
    seed: int = Field(default=0, ge=0)

    def moves(self, defaults: Plan) -> tuple[Plan, dict[str, Any]]:
        """The plan, and what the file says besides it."""
        known, given = {item.name for item in fields(Plan)}, self.given()
        plan = replace(defaults, **{name: value for name, value in given.items() if name in known})
        return plan, {name: value for name, value in given.items() if name not in known}


class _ReidRecipe(Schedule):
    scale: float = Field(default=1.0, gt=0)
    embedding: Count = 1
    hidden: Count = 1
    people: int = Field(default=8, ge=2)
    crops: int = Field(default=4, ge=2)
    gap: Count = 1
    augment: bool = True


class ReidFile(Strict):
    """A ReID training: its scenes, the crops' size in pixels, and the recipe."""

    example: ClassVar[str] = "configs/train/reid.yaml"

    train: tuple[Scene, ...] = Field(min_length=1)
    test: tuple[Scene, ...] = Field(min_length=1)
    height: int = Field(default=128, ge=32)
    width: int = Field(default=64, ge=32)
    how: _ReidRecipe = Field(default=_ReidRecipe(), alias="recipe")

    @property
    def recipe(self) -> reid.Recipe:
        """As the trainer takes it."""
        plan, rest = self.how.moves(reid.PLAN)
        return reid.Recipe(plan=plan, **rest)

    def read(self, scenes: tuple[Scene, ...]) -> Crops:
        """The crops of all scenes.

        Raises:
            TrainingError: as `read_crops`.
        """
        return joined([read_crops(**dict(scene), height=self.height, width=self.width) for scene in scenes])


class _OneShotRecipe(Schedule):
    batch: Count = 1
    augment: bool = True


class _OneShotFile(Strict):
    train: tuple[Scene, ...] = Field(min_length=1)
    test: tuple[Scene, ...] = Field(min_length=1)
    height: Side = 608
    width: Side = 1088
    fps: float = Field(default=30.0, gt=0)
    how: _OneShotRecipe = Field(default=_OneShotRecipe(), alias="recipe")

    def _recipe(self, shape: one_shot.FairMotShape | one_shot.JdeShape) -> one_shot.Recipe:
        plan, rest = self.how.moves(one_shot.PLAN)
        return one_shot.Recipe(shape, plan, fps=self.fps, **rest)


class _FairMotNetwork(Strict):
    backbone: Literal["dla34", "hrnet18"] = "dla34"
    scale: float = Field(default=1.0, gt=0)
    hidden: Count = 1
    embedding: Count = 1
    top: Count = 1


class FairMotFile(_OneShotFile):
    """A FairMOT training, MCFairMOT where there are several classes."""

    example: ClassVar[str] = "configs/train/fairmot.yaml"

    classes: tuple[str, ...] = Field(default=("person",), min_length=1)
    network: _FairMotNetwork = _FairMotNetwork()

    @property
    def recipe(self) -> one_shot.Recipe:
        """As the trainer takes it."""
        return self._recipe(one_shot.FairMotShape(**self.network.given()))


class _JdeNetwork(Strict):
    width: Count = 1
    depths: tuple[Count, Count, Count, Count, Count] = (1, 1, 1, 1, 1)
    embedding: Count = 1


class JdeFile(_OneShotFile):
    """A JDE training; it knows one class."""

    example: ClassVar[str] = "configs/train/jde.yaml"

    name: str = Field(default="person", alias="class")
    network: _JdeNetwork = _JdeNetwork()

    @property
    def classes(self) -> tuple[str, ...]:
        """The one."""
        return (self.name,)

    @property
    def recipe(self) -> one_shot.Recipe:
        """As the trainer takes it."""
        return self._recipe(one_shot.JdeShape(**self.network.given()))


def read_shots(settings: FairMotFile | JdeFile, parts: tuple[Scene, ...]) -> scenes.Shots:
    """The pictures of all scenes.

    Raises:
        TrainingError: as `scenes.read_shots`.
    """
    found = [scenes.Scene(**dict(part)) for part in parts]
    return scenes.read_shots(found, settings.classes, height=settings.height, width=settings.width)


_File = TypeVar("_File", bound=Strict)


def load(path: Path, kind: type[_File]) -> _File:
    """Read a training's YAML file; paths in it are made absolute.

    Raises:
        ConfigError: the file is missing, no YAML, or says something that cannot be done.
    """
    example = kind.example  # type: ignore[attr-defined]
    try:
        content = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file; {example} is an example") from None
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise ConfigError(f"{path}: the file cannot be read ({error})") from None
    if not isinstance(content, Mapping):
        raise ConfigError(f"{path}: the file has no fields; {example} is an example")
    try:
        found = kind.model_validate(content)
    except ValidationError as error:
        wrong = (f"{'.'.join(map(str, one['loc'])) or 'the file'}: {_said(one, example)}" for one in error.errors())
        raise ConfigError(f"{path}: {'; '.join(wrong)}") from None
    placed: _File = _placed(found, path.absolute().parent)
    return placed


def _said(error: Mapping[str, Any], example: str) -> str:
    if error["type"] == "extra_forbidden":
        return f"there is no such field; {example} has all of them"
    return str(error["msg"])


def _placed(part: Any, base: Path) -> Any:
    """The same with every path in it below `base`, where it is not absolute."""
    if isinstance(part, Path):
        return base / part
    if isinstance(part, tuple):
        return tuple(_placed(one, base) for one in part)
    if isinstance(part, Strict):
        changed = {name: _placed(getattr(part, name), base) for name in part.model_fields_set}
        return part.model_copy(update=changed)
    return part
