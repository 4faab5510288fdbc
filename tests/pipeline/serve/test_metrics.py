"""Figures of the service for Prometheus, and how its site works."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from operators.records import pack
from pipeline.address import Place
from pipeline.config_file import parse
from pipeline.ledger.sqlite import SqliteWriter
from pipeline.metrics.served import SERVED
from pipeline.running import Door
from pipeline.serve.metrics import Requests
from pipeline.serve.workings import Frames, Workings


def figures(client: TestClient) -> dict[str, float]:
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_the_service_tells_of_its_site_and_of_what_was_asked(client: TestClient) -> None:
    before = figures(client)
    assert before['crosscam_serve_ready{site="plaza"}'] == 1
    assert before['crosscam_serve_records_total{site="plaza"}'] > 20
    assert before['crosscam_serve_identities{site="plaza",state="closed"}'] == 2
    assert before['crosscam_serve_camera_behind_seconds{camera="west",site="plaza"}'] == 0
    client.get("/v1/site")
    client.get("/v1/cameras/attic")
    with client.websocket_connect("/v1/live"):
        after = figures(client)
    watchers = 'crosscam_serve_watchers{site="plaza"}'
    assert after[watchers] == 1 and before[watchers] == 0
    for status, more in (("200", 2), ("404", 1)):
        name = f'crosscam_serve_requests_total{{site="plaza",status="{status}"}}'
        assert after[name] - before.get(name, 0) == more
    count = 'crosscam_serve_request_seconds_count{site="plaza"}'
    bucket = 'crosscam_serve_request_seconds_bucket{le="+Inf",site="plaza"}'
    assert after[count] == after[bucket] == before[count] + 3


def test_what_is_told_is_what_the_catalogue_says(client: TestClient) -> None:
    client.get("/v1/site")
    families = {family.name: family for family in text_string_to_metric_families(client.get("/metrics").text)}
    assert set(families) == {metric.name.removesuffix("_total") for metric in SERVED}
    for metric in SERVED:
        family = families[metric.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (metric.kind, metric.help)
        for sample in family.samples:
            assert sample.labels["site"] == "plaza"
            assert sample.labels.keys() - {"site", "le"} <= set(metric.tags)


def test_answers_are_counted_by_how_long_they_took() -> None:
    requests = Requests()
    for seconds in (0.001, 0.03, 0.03, 60.0):
        requests.answered(200, seconds)
    assert dict(requests.histogram()) | {} == {
        "0.005": 1, "0.01": 1, "0.025": 1, "0.05": 3, "0.1": 3, "0.25": 3, "0.5": 3, "1.0": 3, "2.5": 3, "10.0": 3,
        "+Inf": 4,
    }  # fmt: skip


def test_a_program_that_asks_for_what_is_not_there_gets_no_page(client: TestClient) -> None:
    answer = client.get("/v1/nothing/at/all")
    assert answer.status_code == 404 and answer.headers["content-type"] == "application/problem+json"
    assert "/v1/docs says what there is" in answer.json()["detail"]
    answer = client.post("/v1/site")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


COUNTS = {"decoded": 100, "tracked": 90, "dropped.stale": 7, "dropped.late": 3, "boxes.off_floor": 5}


def test_a_ledger_at_rest_says_how_its_cameras_fared(tmp_path: Path) -> None:
    writer = SqliteWriter(tmp_path / "ledger.sqlite", "plaza")
    writer.open()
    writer.commit([], {"camera/north": pack({"counts": COUNTS})})
    writer.close()
    frames = Workings(Place(file=tmp_path / "ledger.sqlite")).frames()
    assert frames == {"north": Frames(100, 90, {"stale": 7, "late": 3}, None)}
    assert Workings(Place(file=tmp_path / "nothing.sqlite")).frames() == {}


def test_a_running_site_says_how_many_frames_it_does_a_second(tmp_path: Path) -> None:
    text = "site: plaza\ncameras: [{id: north, source: a.mp4}]\n"
    text += f"ledger: {{sqlite: {{path: {tmp_path}/ledger.sqlite}}}}\n"
    site = parse(text, tmp_path / "plaza.yaml")
    now, tracked = [0.0], [90]

    def status() -> dict[str, object]:
        return {"cameras": {"north": {"counts": {**COUNTS, "tracked": tracked[0]}}}}

    door = Door(site, {"status": status})
    try:
        workings = Workings(Place.of(site), lambda: now[0])
        assert workings.frames()["north"].fps is None, "nothing to compare with"
        now[0], tracked[0] = 0.5, 95
        assert workings.frames()["north"].tracked == 90, "not asked again so soon"
        for _ in range(30):
            now[0] += 1.0
            tracked[0] += 10
            workings.frames()
        assert workings.frames()["north"].fps == pytest.approx(10, abs=0.6)
        now[0], tracked[0] = now[0] + 2, 4
        assert workings.frames()["north"].fps is None, "it has been started anew"
    finally:
        door.close()
