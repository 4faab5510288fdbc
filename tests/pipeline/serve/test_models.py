"""Models behind an address."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from rich.console import Console

from operators.records import CrosscamError
from pipeline.resources import configs
from pipeline.serve.client import Crosscam, ServiceError
from pipeline.serve.models import Detecting, Embedding, Served, application, create_app


def picture_of_the_demo() -> bytes:
    capture = cv2.VideoCapture(str(configs() / "media" / "walkway.mp4"))
    _, image = capture.read()
    capture.release()
    return bytes(cv2.imencode(".jpg", image)[1].tobytes())


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    """Both models in this process, batches of one."""
    served = [Served("people", "detect"), Served("looks", "embed")]
    models: dict[str, Any] = {"people": Detecting(served[0]), "looks": Embedding(served[1])}

    async def ask(name: str, method: str, arguments: Sequence[Any]) -> Any:
        model = models[name]
        return model.about() if method == "about" else model.predict([arguments])[0]

    with TestClient(create_app(served, ask, local=False)) as client:
        yield client


def test_people_are_found_in_a_picture_however_it_is_sent(client: TestClient) -> None:
    data = picture_of_the_demo()
    as_body = client.post("/v1/models/people:predict", content=data).json()
    as_form = client.post("/v1/models/people:predict", files={"picture": ("a.jpg", data)}).json()
    assert as_body == as_form and as_body["size"] == [768, 576]
    found = as_body["detections"]
    assert len(found) >= 3 and found[0]["class"] == "person"
    assert [one["score"] for one in found] == sorted((one["score"] for one in found), reverse=True)


def test_boxes_become_vectors_of_length_one(client: TestClient) -> None:
    data = {"boxes": "[[100, 100, 160, 250], [300, 100, 360, 250]]"}
    answer = client.post("/v1/models/looks:predict", data=data, files={"picture": picture_of_the_demo()}).json()
    assert np.linalg.norm(answer["embeddings"], axis=1) == pytest.approx([1, 1], abs=1e-5)
    assert len(answer["qualities"]) == 2


def test_what_is_served_is_said(client: TestClient) -> None:
    people, looks = client.get("/v1/models").json()
    assert (people["kind"], people["classes"][0], people["dim"]) == ("detect", "person", None)
    assert (looks["kind"], looks["dim"]) == ("embed", 126)


@pytest.mark.parametrize(
    ("model", "fields", "status", "says"),
    [
        ("cats", {"content": b"x"}, 404, "there are people, looks"),
        ("people", {"content": b"no picture"}, 422, "no picture that can be read"),
        ("people", {"content": b""}, 422, "empty"),
        ("looks", {"data": {"boxes": "[1, 2]"}, "files": {"picture": b"x"}}, 422, "no picture"),
        ("looks", {"data": {"boxes": "[[1, 2]]"}, "files": {"picture": picture_of_the_demo()}}, 422, "write boxes"),
    ],
)
def test_what_is_wrong_is_said(client: TestClient, model: str, fields: dict, status: int, says: str) -> None:
    answer = client.post(f"/v1/models/{model}:predict", **fields)
    assert answer.status_code == status and says in answer.json()["detail"]


def test_a_bad_picture_spoils_nobody_elses_answer() -> None:
    good = picture_of_the_demo()
    answers = Detecting(Served("people", "detect")).predict([(good, None), (b"bad", None), (good, None)])
    assert answers[0] == answers[2] and len(answers[0]["detections"]) >= 3 and "problem" in answers[1]


def test_two_models_of_one_name_are_refused() -> None:
    with pytest.raises(CrosscamError, match="same name"):
        application([Served("a", "detect"), Served("a", "embed")])


def test_on_ray_serve_a_model_answers_the_client_of_one_file() -> None:
    from pipeline.serve.on_ray import serve_models

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ready, until = threading.Event(), threading.Event()

    class Told(Console):
        def print(self, *_: Any, **__: Any) -> None:
            ready.set()

    seen: list[Any] = []

    def use() -> None:
        try:
            if not ready.wait(200):
                return
            client = Crosscam(f"http://127.0.0.1:{port}")
            seen.append(client.get("/v1/models"))
            seen.append(client.embed("looks", picture_of_the_demo()))
            with pytest.raises(ServiceError, match="no model 'cats'"):
                client.detect("cats", b"x")
            seen.append(None)
        finally:
            until.set()

    user = threading.Thread(target=use)
    user.start()
    serve_models([Served("looks", "embed")], "127.0.0.1", port, Told(), until=until)
    user.join()
    assert len(seen) == 3 and seen[0][0]["name"] == "looks" and len(seen[1][0]) == 126
