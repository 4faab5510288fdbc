"""What looks at a camera's picture, in a site's file: detector, embedder, attributes, tracker."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, model_validator

from pipeline.config_fusion import Model


class Detector(Model):
    """Which detector, and which of its boxes count.

    Attributes:
        model: `default` (bundled), or the path of an exported model.
        classes: names to keep; the profile's if not given.
        score_threshold: boxes below are dropped; low ones help ByteTrack through occlusion.
        tiles: look at large pictures tile by tile as well, for small objects; the profile's choice if not given.
    """

    model: str = "default"
    classes: tuple[str, ...] | None = None
    score_threshold: Annotated[float, Field(ge=0, le=1)] = 0.1
    tiles: bool | None = None


class Embedder(Model):
    """Which appearance embedding.

    Attributes:
        model: `default` (colour and texture), the path of a ReID model, or `none`.
        every: a track is embedded in every n-th of its frames.
        calibration: slope and offset of the log-likelihood ratio "same" against "another" over the cosine; the
            model's own if not given.
    """

    model: str = "default"
    every: Annotated[int, Field(ge=1)] = 3
    calibration: tuple[float, float] | None = None


class Attributes(Model):
    """What objects are like (sleeves, bag, age; colour and type), by exported networks; nothing is asked without one.

    Attributes:
        person: path of PP-Human's attribute network, or one with the same 26 scores.
        vehicle: path of PP-Vehicle's, or one with the same 19.
        every: a track is looked at in every n-th of its frames.
    """

    person: str | None = None
    vehicle: str | None = None
    every: Annotated[int, Field(ge=1)] = 15

    @property
    def models(self) -> dict[str, str]:
        """Paths by what they tell of."""
        named = {"person": self.person, "vehicle": self.vehicle}
        return {kind: model for kind, model in named.items() if model is not None}


class Tracker(Model):
    """Which tracker, the profile's if not given; every further field is a parameter of that tracker.

    Its name alone will do, too: `tracker: bytetrack`.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str = "steady"

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @property
    def parameters(self) -> dict[str, Any]:
        """The tracker's own parameters."""
        return dict(self.model_extra or {})
