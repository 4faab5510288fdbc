"""What `crosscam train detector` reads, beside what all trainings have in `training_file`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from operators.networks.training import detector
from operators.networks.training.augmentation import Augmentation
from operators.networks.training.label_formats import read_coco, read_jde, read_mot, read_voc
from operators.networks.training.labelled import Labelled, joined
from pipeline.training_file import Count, Schedule, Side, Strict

_Share = Annotated[float, Field(ge=0, le=1)]
_FORMATS = ("coco", "voc", "mot", "jde")


class DataSet(Strict):
    """Labels in one of four formats, and their pictures; `class`, `first`, `last` and `every` are of MOT's."""

    coco: Path | None = None
    voc: Path | None = None
    mot: Path | None = None
    jde: Path | None = None
    pictures: Path
    name: str | None = Field(default=None, alias="class")
    first: Count = 1
    last: Count | None = None
    every: Count = 1

    @model_validator(mode="after")
    def _one_format(self) -> Self:
        given = [name for name in _FORMATS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"name the labels by one of {', '.join(_FORMATS)}")
        strange = self.model_fields_set & {"name", "first", "last", "every"}
        if given != ["mot"] and strange:
            field = sorted(strange)[0].replace("name", "class")
            raise ValueError(f"{field} is of MOT labels only; {given[0]} has none")
        return self

    def read(self, classes: tuple[str, ...]) -> Labelled:
        """The labels; pictures are read later.

        Raises:
            TrainingError: as `read_coco`.
        """
        if self.coco is not None:
            return read_coco(self.coco, self.pictures, classes)
        if self.voc is not None:
            return read_voc(self.voc, self.pictures, classes)
        if self.jde is not None:
            return read_jde(self.jde, self.pictures, classes)
        assert self.mot is not None
        name = self.name or classes[0]
        return read_mot(self.mot, self.pictures, name, first=self.first, last=self.last, every=self.every)


class _Network(Strict):
    kind: Literal["picodet", "ppyoloe"] = "picodet"
    size: Literal["xs", "s", "m", "l", "x"] = "s"
    version: Literal[1, 2] = 2
    start: Path | None = None

    @model_validator(mode="after")
    def _there_is_one(self) -> Self:
        if self.size == ("x" if self.kind == "picodet" else "xs"):
            raise ValueError(f"{self.kind} comes in sizes {'xs, s, m, l' if self.kind == 'picodet' else 's, m, l, x'}")
        if self.kind == "ppyoloe" and "version" in self.model_fields_set:
            raise ValueError("version is of picodet only")
        if self.version == 1 and self.size != "s":
            raise ValueError("picodet's first version comes in size s only")
        return self

    @property
    def shape(self) -> detector.PicoDetShape | detector.PPYoloEShape:
        """As the trainer takes it."""
        if self.kind == "picodet":
            return detector.PicoDetShape(self.size, self.version)
        return detector.PPYoloEShape(self.size)


class _Augment(Strict):
    flip: _Share = 0.5
    colour: _Share = 0.5
    expand: _Share = 0.5
    largest: float = Field(default=4.0, ge=1)
    crop: _Share = 0.8


class _Recipe(Schedule):
    batch: Count = 1
    scales: tuple[Annotated[float, Field(gt=0, le=4)], ...] = Field(default=(1.0,), min_length=1)
    still: int = Field(default=4, ge=0)
    loss: Literal["varifocal", "quality"] = "varifocal"
    threads: int = Field(default=0, ge=0)


class DetectorFile(Strict):
    """A detector's training."""

    example: ClassVar[str] = "configs/train/detector.yaml"

    classes: tuple[str, ...] = Field(min_length=1)
    train: tuple[DataSet, ...] = Field(min_length=1)
    test: tuple[DataSet, ...] = Field(min_length=1)
    height: Side = 416
    width: Side = 416
    network: _Network = _Network()
    augment: _Augment = _Augment()
    how: _Recipe = Field(default=_Recipe(), alias="recipe")

    @model_validator(mode="after")
    def _known_classes(self) -> Self:
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("classes: a name stands there twice")
        for part in (*self.train, *self.test):
            if part.name is not None and part.name not in self.classes:
                raise ValueError(f"class {part.name!r} of a data set is not among classes")
            if part.mot is not None and part.name is None and len(self.classes) > 1:
                raise ValueError("say by class: which of the classes MOT's boxes are of")
        return self

    @property
    def recipe(self) -> detector.Recipe:
        """As the trainer takes it."""
        plan, rest = self.how.moves(detector.PLAN)
        return detector.Recipe(
            self.network.shape,
            plan,
            height=self.height,
            width=self.width,
            augment=Augmentation(**self.augment.given()),
            start=self.network.start,
            **rest,
        )

    def read(self, parts: tuple[DataSet, ...]) -> Labelled:
        """The labels of all data sets.

        Raises:
            TrainingError: as `read_coco`.
        """
        return joined([part.read(self.classes) for part in parts], self.classes)
