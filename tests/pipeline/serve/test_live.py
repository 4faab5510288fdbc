"""Records as they are committed, over a WebSocket."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from two_people import Running

from pipeline.address import find
from pipeline.ledger.sqlite import SqliteReader, SqliteWriter
from pipeline.serve.app import Options, create_app
from pipeline.serve.problems import sentence


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def running(ledger: Path) -> Iterator[Running]:
    with closing(Running(SqliteWriter(ledger, "plaza"))) as running:
        running.commit(3)
        yield running


@pytest.fixture
def client(running: Running, ledger: Path, tmp_path: Path) -> Iterator[TestClient]:
    app = create_app(find(str(ledger)), Options(page=False, local=False, work=tmp_path))
    with TestClient(app) as client:
        assert app.served.feed.wait_until_caught_up(30)
        yield client


def everything(ledger: Path, topic: str) -> list[dict]:
    return [stored.value for stored in SqliteReader(ledger).read(topic)]


def test_a_watcher_gets_what_is_committed_from_now_on(client: TestClient, running: Running) -> None:
    with client.websocket_connect("/v1/live?topics=tracks") as socket:
        running.commit()
        said = json.loads(socket.receive_text())
    assert {one["topic"] for one in said["records"]} == {"tracks"}
    assert {one["record"]["start"] for one in said["records"]} == {3_000_000}
    assert set(said["positions"]) == {"tracks"}


@pytest.mark.parametrize("held", [20_000, 0], ids=["from the ring", "from the ledger"])
def test_one_who_comes_back_misses_nothing_and_gets_nothing_twice(
    client: TestClient, running: Running, ledger: Path, held: int
) -> None:
    heard: list[dict] = []
    start = SqliteReader(ledger).end("tracks")
    positions = {"tracks": start}
    before = len(everything(ledger, "tracks"))
    for _ in range(3):
        query = "&".join(f"{topic}={position}" for topic, position in positions.items())
        with client.websocket_connect(f"/v1/live?topics=tracks&{query}") as socket:
            running.commit()
            while len(heard) + before < len(everything(ledger, "tracks")):
                said = json.loads(socket.receive_text())
                heard += [one["record"] for one in said["records"]]
                positions = said["positions"]
        running.commit()  # while nobody watches
        if not held:
            ring = client.app.served.feed.ring  # type: ignore[attr-defined]
            assert client.app.served.feed.wait_until_caught_up(5)  # type: ignore[attr-defined]
            ring._pages.clear()
    with client.websocket_connect(f"/v1/live?topics=tracks&tracks={positions['tracks']}") as socket:
        while len(heard) + before < len(everything(ledger, "tracks")):
            heard += [one["record"] for one in json.loads(socket.receive_text())["records"]]
    assert heard == everything(ledger, "tracks")[before:]


def test_a_question_is_answered_anew_once_more_has_been_read(client: TestClient, running: Running) -> None:
    first = client.get("/v1/tracks")
    again = client.get("/v1/tracks", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    with client.websocket_connect("/v1/live?topics=tracks") as socket:
        running.commit()
        socket.receive_text()
    newer = client.get("/v1/tracks", headers={"If-None-Match": first.headers["etag"]})
    assert newer.status_code == 200
    assert newer.json()[0]["time"] > first.json()[0]["time"]


def test_watchers_of_one_camera_and_of_all_are_each_sent_theirs(client: TestClient, running: Running) -> None:
    asked = ("topics=tracks", "topics=tracks,identities", "topics=tracks&camera=east", "topics=tracks&schema=nvidia")
    with ExitStack() as stack:
        sockets = [stack.enter_context(client.websocket_connect(f"/v1/live?{one}")) for one in asked * 2]
        running.commit()
        said = [socket.receive_text() for socket in sockets]
    assert said[:4] == said[4:]
    assert [len(json.loads(text)["records"]) for text in said[:4]] == [2, 2, 2, 10]


def test_nothing_is_left_of_a_watcher_whose_connection_is_lost(client: TestClient, running: Running) -> None:
    ring = client.app.served.feed.ring  # type: ignore[attr-defined]
    with client.websocket_connect("/v1/live?topics=tracks") as socket:
        running.commit()
        socket.receive_text()
        assert wait_until(lambda: len(ring._waiting) == 1)
    assert wait_until(lambda: not ring._waiting)
    running.commit()
    assert client.get("/v1/site").status_code == 200


def wait_until(true: Callable[[], bool]) -> bool:
    tick = threading.Event()
    return any(true() or tick.wait(0.01) for _ in range(1000))


def test_only_the_camera_that_was_asked_for(client: TestClient, running: Running) -> None:
    with client.websocket_connect("/v1/live?topics=tracks&camera=west") as socket:
        running.commit(6)
        said = json.loads(socket.receive_text())
    assert {one["record"]["camera"] for one in said["records"]} == {"west"}


def test_an_unknown_topic_and_a_foreign_position_are_refused(client: TestClient) -> None:
    for query, says in (("topics=secrets", "topics are"), ("tracks=elsewhere", "not a position")):
        with client.websocket_connect(f"/v1/live?{query}") as socket, pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
        assert closed.value.code == 1008 and says in closed.value.reason


def test_consumers_of_nvidias_layout_are_spoken_to_in_it(client: TestClient, running: Running) -> None:
    with client.websocket_connect("/v1/live?topics=tracks&schema=nvidia") as socket:
        running.commit()
        said = json.loads(socket.receive_text())
    assert {one["sensorId"] for one in said["records"]} == {"east"}
    assert [len(one["objects"]) for one in said["records"]] == [2] * 10, "ten pictures of two people"
    with client.websocket_connect("/v1/live?schema=klingon") as socket, pytest.raises(WebSocketDisconnect) as closed:
        socket.receive_text()
    assert "schemas are crosscam, nvidia" in closed.value.reason


def test_what_is_refused_says_why_and_not_where_files_lie(client: TestClient, ledger: Path) -> None:
    with client.websocket_connect("/v1/live?tracks=nonsense") as socket, pytest.raises(WebSocketDisconnect) as closed:
        socket.receive_text()
    assert closed.value.reason == f"'nonsense' is not a position of the ledger {ledger.name}: use one that it gave"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("there is no ledger at /srv/run/plaza/ledger.sqlite: run it", "there is no ledger at ledger.sqlite: run it"),
        ("'/home/me/run/ledger.sqlite' is damaged", "'ledger.sqlite' is damaged"),
        ("/v1/docs says what there is", "/v1/docs says what there is"),
        ("rtsp://10.0.0.1/main/low does not answer", "rtsp://10.0.0.1/main/low does not answer"),
        ("3/4 of it, and/or more", "3/4 of it, and/or more"),
    ],
)
def test_paths_are_taken_out_of_sentences(said: str, told: str) -> None:
    assert sentence(said).startswith(told)
