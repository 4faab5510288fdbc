"""The service over a ledger in Kafka, from the broker to whoever asks and watches."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from two_people import Running

from pipeline.address import find
from pipeline.ledger.kafka import KafkaWriter
from pipeline.serve.app import Options, create_app

pytestmark = pytest.mark.kafka


@pytest.fixture
def address(kafka_settings: dict[str, Any]) -> str:
    return f"kafka://{kafka_settings['bootstrap_servers']}/plaza-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def running(kafka_settings: dict[str, Any], address: str) -> Iterator[Running]:
    site = address.rpartition("/")[2]
    with closing(Running(KafkaWriter(site, kafka_settings), site)) as running:
        running.commit(3)
        yield running


def test_a_site_in_kafka_is_served_watched_searched_and_taken_up_again(
    running: Running, address: str, tmp_path: Path
) -> None:
    app = create_app(find(address), Options(page=False, local=False, work=tmp_path))
    with TestClient(app) as client:
        assert app.served.feed.wait_until_caught_up(60), app.served.feed.error
        assert client.get("/readyz").status_code == 200
        assert client.get("/v1/site").json()["site"] == running.site
        assert [one["camera"] for one in client.get("/v1/tracks").json()] == ["east", "east"]

        heard: list[dict[str, Any]] = []
        with client.websocket_connect("/v1/live?topics=tracks") as socket:
            before = running.tracks
            running.commit(2)
            while len(heard) < running.tracks - before:
                said = json.loads(socket.receive_text())
                heard += [one["record"] for one in said["records"]]
        before = running.tracks
        running.commit(2)  # while nobody watches
        rest: list[dict[str, Any]] = []
        query = {"topics": "tracks", "tracks": said["positions"]["tracks"]}
        with client.websocket_connect("/v1/live", params=query) as socket:
            while len(rest) < running.tracks - before:
                rest += [one["record"] for one in json.loads(socket.receive_text())["records"]]
        starts = [value["start"] // 1_000_000 for value in heard + rest]
        assert starts == sorted(starts) and set(starts) == {3, 4, 5}
        keys = [(value["camera"], value["track"], value["start"]) for value in heard + rest]
        assert len(set(keys)) == len(keys), "nothing twice"

        names = [one["identity"] for one in client.get("/v1/identities").json()["items"]]
        found = client.post("/v1/search", data={"identity": names[0]})
        assert found.status_code == 200 and [one["identity"] for one in found.json()] == names[1:]


def test_one_who_comes_back_after_a_restart_of_the_service_misses_nothing(
    running: Running, address: str, tmp_path: Path
) -> None:
    def watched(query: dict[str, str], expected: int) -> tuple[list[tuple[str, int, int]], dict[str, str]]:
        app = create_app(find(address), Options(page=False, local=False, work=tmp_path))
        heard: list[tuple[str, int, int]] = []
        with TestClient(app) as client:
            assert app.served.feed.wait_until_caught_up(60), app.served.feed.error
            with client.websocket_connect("/v1/live", params={"topics": "tracks", **query}) as socket:
                running.commit()
                while len(heard) < expected:
                    said = json.loads(socket.receive_text())
                    values = [one["record"] for one in said["records"]]
                    heard += [(value["camera"], value["track"], value["start"]) for value in values]
        return heard, said["positions"]

    first, positions = watched({}, 2)
    running.commit()  # while the service is away
    second, _ = watched(positions, 4)
    assert [start for _, _, start in first + second] == [3_000_000] * 2 + [4_000_000] * 2 + [5_000_000] * 2
