"""Models behind an address, on Ray Serve: pictures in, boxes or embeddings out, batched and scaled by load.

    POST /v1/models/people:predict   a picture, as the body or as the form's `picture`
    GET  /v1/models                  what is served

Each model is a deployment of its own. Requests that come within some milliseconds of each other go through the network
together, and replicas are added while more wait than one can serve.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from fastapi import FastAPI, Form, Request, UploadFile
from pydantic import BaseModel, Field

from operators.records import CrosscamError
from pipeline.serve import problems
from pipeline.serve.guard import Guard
from pipeline.serve.looks import decoded
from pipeline.serve.problems import NotFoundError, UnfitError

APP = "models"
LARGEST = 50_000_000
_WAIT_S = 0.02


@dataclass(frozen=True, slots=True)
class Served:
    """A model to be served.

    Attributes:
        name: in its address. kind: what it does. model: `default`, or a folder or file.
        device: `cpu`, or `gpu` (not verified here). gpus: share of a GPU a replica.
        most: replicas at most. batch: pictures a call of the network at most.
    """

    name: str
    kind: Literal["detect", "embed"]
    model: str = "default"
    device: str = "cpu"
    gpus: float = 0.0
    most: int = 1
    batch: int = 8
    threads: int = 1
    score_threshold: float = 0.3


class Found(BaseModel):
    """A box. `box`: x1, y1, x2, y2 in pixels of the picture."""

    cls: str = Field(serialization_alias="class")
    score: float
    box: tuple[float, float, float, float]


class Prediction(BaseModel):
    """What a model says of a picture.

    Attributes:
        size: width and height of the picture, pixels.
        detections: of a detector, best first.
        embeddings: of an embedder: one a box that was asked for, of length 1. qualities: how far each can be trusted.
    """

    model: str
    size: tuple[int, int]
    detections: list[Found] | None = None
    embeddings: list[list[float]] | None = None
    qualities: list[float] | None = None


class ModelAnswer(BaseModel):
    """A model that is served."""

    name: str
    kind: str
    classes: list[str]
    dim: int | None


def said(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """A replica's answer; what it could not do is raised here, as errors do not travel well out of a batch.

    Raises:
        UnfitError: the picture is none, or of no use.
    """
    if "problem" in answer:
        raise UnfitError(answer["problem"])
    return answer


class Detecting:
    """A detector in a replica."""

    def __init__(self, served: Served) -> None:
        from operators.detect import open_detector

        self._detector = open_detector(
            served.model, device=served.device, threads=served.threads, score_threshold=served.score_threshold
        )

    def about(self) -> dict[str, Any]:
        """Its classes."""
        return {"classes": list(self._detector.classes), "dim": None}

    def predict(self, asked: Sequence[tuple[bytes, str | None]]) -> list[dict[str, Any]]:
        """Boxes in each of some pictures, given as they were sent."""
        answers: list[dict[str, Any]] = [{} for _ in asked]
        images = {}
        for row, (data, _) in enumerate(asked):
            try:
                images[row] = decoded(data)
            except UnfitError as error:
                answers[row] = {"problem": str(error)}
        found = self._detector.detect(list(images.values())) if images else []
        for (row, image), some in zip(images.items(), found, strict=True):
            order = np.argsort(-some.scores, kind="stable")
            answers[row] = {
                "size": (image.shape[1], image.shape[0]),
                "detections": [
                    {
                        "cls": self._detector.classes[some.classes[one]],
                        "score": round(float(some.scores[one]), 4),
                        "box": [round(float(value), 2) for value in some.boxes[one]],
                    }
                    for one in order
                ],
            }
        return answers


class Embedding:
    """An embedder in a replica."""

    def __init__(self, served: Served) -> None:
        from operators.embed import open_embedder

        opened = open_embedder(served.model, device=served.device, threads=served.threads)
        if opened is None:
            raise CrosscamError(f"{served.model!r} is no embedder: name `default`, or a ReID model's folder")
        self._embedder = opened

    def about(self) -> dict[str, Any]:
        """How long its vectors are."""
        return {"classes": [], "dim": self._embedder.dim}

    def predict(self, asked: Sequence[tuple[bytes, str | None]]) -> list[dict[str, Any]]:
        """Vectors of the boxes of each of some pictures, of the whole picture where no boxes were given."""
        return [self._one(data, boxes) for data, boxes in asked]

    def _one(self, data: bytes, boxes: str | None) -> dict[str, Any]:
        try:
            image = decoded(data)
            height, width = image.shape[:2]
            wanted = read_boxes(boxes) if boxes is not None else np.array([[0, 0, width, height]], np.float32)
        except UnfitError as error:
            return {"problem": str(error)}
        vectors, qualities = self._embedder.embed(image, wanted)
        return {"size": (width, height), "embeddings": vectors.tolist(), "qualities": qualities.tolist()}


def read_boxes(text: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Boxes as JSON, `[[x1, y1, x2, y2], ...]`.

    Raises:
        UnfitError: they are none.
    """
    try:
        boxes = np.array(json.loads(text), np.float32)
    except (ValueError, TypeError):
        boxes = np.zeros((0,), np.float32)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not 0 < len(boxes) <= 1000 or not np.isfinite(boxes).all():
        raise UnfitError("write boxes as JSON, [[x1, y1, x2, y2], ...] in pixels, a thousand at most")
    return boxes


Ask = Callable[[str, str, Sequence[Any]], Any]
"""Has a method of a model's deployment called, by the model's name; awaited."""


def create_app(served: Sequence[Served], ask: Ask, *, token: str | None = None, local: bool = True) -> Guard:
    """The address of these models, as an ASGI application."""
    known = {one.name: one for one in served}
    app = FastAPI(title="crosscam models", docs_url="/v1/docs", redoc_url=None, openapi_url="/v1/openapi.json")
    problems.install(app)

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        """It lives."""
        return {"status": "ok"}

    @app.get("/v1/models")
    async def models() -> list[ModelAnswer]:
        """What is served."""
        return [ModelAnswer(name=one.name, kind=one.kind, **await ask(one.name, "about", ())) for one in known.values()]

    @app.post("/v1/models/{name}:predict")
    async def predict(
        request: Request, name: str, picture: UploadFile | None = None, boxes: str | None = Form(None)
    ) -> Prediction:
        """Boxes in a picture, or vectors of what is in it. The picture is the body itself, or the form's `picture`."""
        if name not in known:
            raise NotFoundError(f"no model {name!r} is served here; there are {', '.join(known)}")
        data = await picture.read() if picture is not None else await request.body()
        answer = said(await ask(name, "predict", (data, boxes)))
        return Prediction(model=name, **answer)

    return Guard(app, token=token, largest=LARGEST, local=local)


def application(served: Sequence[Served], *, token: str | None = None, local: bool = True) -> Any:
    """The same as a Ray Serve application, to be given to `serve.run`, or named in a Serve file.

    Raises:
        CrosscamError: two models have one name.
    """
    from ray import serve

    if len({one.name for one in served}) != len(served):
        raise CrosscamError("two models have the same name: give each its own, NAME=MODEL")

    def deployed(one: Served) -> Any:
        kind = Detecting if one.kind == "detect" else Embedding

        class Replica:
            def __init__(self) -> None:
                self._model = kind(one)

            def about(self) -> dict[str, Any]:
                return self._model.about()

            async def predict(self, data: list[bytes], boxes: list[str | None]) -> list[dict[str, Any]]:
                return self._model.predict(list(zip(data, boxes, strict=True)))

        Replica.predict = serve.batch(max_batch_size=one.batch, batch_wait_timeout_s=_WAIT_S)(Replica.predict)  # type: ignore[method-assign]
        return serve.deployment(
            Replica,
            name=one.name,
            ray_actor_options={"num_cpus": one.threads, "num_gpus": one.gpus},
            autoscaling_config={"min_replicas": 1, "max_replicas": one.most, "target_ongoing_requests": 2 * one.batch},
            max_ongoing_requests=8 * one.batch,
        ).bind()

    def build() -> Guard:
        handles = {one.name: serve.get_deployment_handle(one.name, app_name=APP) for one in served}

        async def ask(name: str, method: str, arguments: Sequence[Any]) -> Any:
            return await getattr(handles[name], method).remote(*arguments)

        return create_app(served, ask, token=token, local=local)

    ingress = serve.deployment(
        serve.ingress(build)(), name="address", ray_actor_options={"num_cpus": 0}, max_ongoing_requests=1000
    )
    return ingress.bind(*(deployed(one) for one in served))
