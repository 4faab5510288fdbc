"""What `crosscam train` reads: labels, pictures and a recipe, from YAML. Every error names the file and the field."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from operators.networks.training.identities import Crops, joined, read_crops
from operators.networks.training.reid import Recipe
from pipeline.config import ConfigError

_Count = Annotated[int, Field(ge=1)]


class Scene(BaseModel):
    """One camera's labels and pictures; paths are relative to the YAML file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    labels: Path
    pictures: Path
    first: _Count = 1
    last: _Count | None = None
    every: _Count = 1
    same: Path | None = None


class _Recipe(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    scale: float = Field(default=1.0, gt=0)
    embedding: _Count = 256
    hidden: _Count = 512
    epochs: _Count = 60
    patience: _Count = 15
    people: int = Field(default=8, ge=2)
    crops: int = Field(default=4, ge=2)
    rate: float = Field(default=1e-3, gt=0)
    warm: int = Field(default=3, ge=0)
    gap: _Count = 1
    augment: bool = True
    seed: int = Field(default=0, ge=0)


class ReidFile(BaseModel):
    """A ReID training: its scenes, the crops' size in pixels, and the recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: tuple[Scene, ...] = Field(min_length=1)
    test: tuple[Scene, ...] = Field(min_length=1)
    height: int = Field(default=128, ge=32)
    width: int = Field(default=64, ge=32)
    how: _Recipe = Field(default=_Recipe(), alias="recipe")

    @property
    def recipe(self) -> Recipe:
        """As the trainer takes it."""
        return Recipe(**self.how.model_dump())


def load(path: Path) -> ReidFile:
    """Read a ReID training's YAML file.

    Raises:
        ConfigError: the file is missing, no YAML, or says something that cannot be done.
    """
    try:
        found = ReidFile.model_validate(YAML(typ="safe").load(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file; configs/train/reid.yaml is an example") from None
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise ConfigError(f"{path}: the file cannot be read ({error})") from None
    except ValidationError as error:
        wrong = (f"{'.'.join(map(str, one['loc'])) or 'the file'}: {one['msg']}" for one in error.errors())
        raise ConfigError(f"{path}: {'; '.join(wrong)}") from None
    base = path.absolute().parent

    def placed(scenes: tuple[Scene, ...]) -> tuple[Scene, ...]:
        return tuple(
            scene.model_copy(
                update={name: base / path for name, path in scene if isinstance(path, Path)},
            )
            for scene in scenes
        )

    return found.model_copy(update={"train": placed(found.train), "test": placed(found.test)})


def read_scenes(scenes: tuple[Scene, ...], height: int, width: int) -> Crops:
    """The crops of all scenes.

    Raises:
        TrainingError: as `read_crops`.
    """
    return joined([read_crops(**dict(scene), height=height, width=width) for scene in scenes])
