"""Who is answered, and who is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from pipeline.address import find
from pipeline.serve.app import Options, create_app
from pipeline.serve.guard import ORDINARY, GuardError, Rate, check_bind

TOKEN = "0123456789abcdef0123"


@pytest.fixture
def client(made: Path, tmp_path: Path) -> Iterator[TestClient]:
    options = Options(page=False, local=False, token=TOKEN, work=tmp_path, largest=10_000)
    with TestClient(create_app(find(str(made)), options), raise_server_exceptions=False) as client:
        yield client


def test_no_route_but_health_answers_without_the_token(client: TestClient) -> None:
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    paths = client.get("/v1/openapi.json", headers=bearer).json()["paths"]
    assert len(paths) > 20
    for path, methods in paths.items():
        for method in methods:
            status = client.request(method, path).status_code
            assert status == (401 if path not in {"/healthz", "/readyz"} else status), f"{method} {path}"
            assert path not in {"/healthz"} or status == 200
    for path in ("/v1/openapi.json", "/v1/docs", "/", "/anything"):
        assert client.get(path).status_code == 401


@pytest.mark.parametrize("given", ["Bearer wrong", "Bearer ", "Basic eDp5", f"bearer{TOKEN}", "Bearer \u00ff\u00fe"])
def test_a_wrong_or_malformed_token_is_refused_without_saying_more(client: TestClient, given: str) -> None:
    answer = client.get("/v1/site", headers={"Authorization": given.encode("latin-1")})
    assert answer.status_code == 401 and TOKEN not in answer.text
    assert answer.headers["www-authenticate"] == "Bearer"


def test_the_token_opens_as_header_or_cookie(client: TestClient) -> None:
    assert client.get("/v1/site", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert client.get("/v1/site", headers={"Cookie": f"a=b; crosscam_token={TOKEN}"}).status_code == 200


def test_a_websocket_asks_for_the_token_as_well(client: TestClient) -> None:
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/v1/live"):
        pass
    with client.websocket_connect("/v1/live", headers={"Authorization": f"Bearer {TOKEN}"}):
        pass


def test_a_page_from_elsewhere_cannot_write_nor_watch(client: TestClient) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Origin": "https://evil.example"}
    assert client.delete("/v1/identities/plaza-000001", headers=headers).status_code == 403
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/v1/live", headers=headers):
        pass
    assert client.get("/v1/site", headers=headers).status_code == 200, "reading is the browser's to forbid"


def test_on_loopback_other_names_of_the_host_are_not_answered(made: Path, tmp_path: Path) -> None:
    app = create_app(find(str(made)), Options(page=False, local=True, work=tmp_path))
    assert TestClient(app, base_url="http://localhost:8080").get("/healthz").status_code == 200
    assert TestClient(app, base_url="http://127.0.0.1:8080").get("/healthz").status_code == 200
    assert TestClient(app, base_url="http://rebound.example").get("/healthz").status_code == 421


def test_too_large_a_body_is_refused_whether_or_not_it_says_how_large_it_is(client: TestClient) -> None:
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    said = client.post("/v1/search", headers={**bearer, "Content-Length": str(10**10)})
    assert said.status_code == 413 and "at most" in said.json()["detail"]

    def endless() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="picture"; filename="a"\r\n\r\n'
        for _ in range(100):
            yield b"0" * 1000

    headers = {**bearer, "Content-Type": "multipart/form-data; boundary=x"}
    assert client.post("/v1/search", headers=headers, content=endless()).status_code in (400, 413)


@pytest.mark.parametrize(
    ("length", "status"), [("9" * 5000, 413), ("1" * 21, 413), ("-1", 400), ("1e3", 400), ("", 400)]
)
def test_a_length_that_is_none_is_refused(client: TestClient, length: str, status: int) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Length": length}
    assert client.post("/v1/search", content=b"", headers=headers).status_code == status


def test_nobody_is_reachable_from_elsewhere_without_a_token() -> None:
    check_bind("127.0.0.1", None)
    check_bind("::1", None)
    check_bind("0.0.0.0", TOKEN)
    with pytest.raises(GuardError, match="CROSSCAM_TOKEN"):
        check_bind("0.0.0.0", None)
    with pytest.raises(GuardError, match="16 characters"):
        check_bind("127.0.0.1", "short")


def test_permissions_fill_up_again_with_time() -> None:
    now = [0.0]
    rate = Rate(per_s=2.0, burst=2, clock=lambda: now[0])
    assert [rate.take() for _ in range(2)] == [0, 0]
    assert rate.take() == pytest.approx(0.5)
    now[0] = 0.5
    assert rate.take() == 0


def test_only_a_video_may_be_large_as_it_alone_goes_to_the_disk(made: Path, tmp_path: Path) -> None:
    options = Options(page=False, local=False, work=tmp_path)
    with TestClient(create_app(find(str(made)), options), raise_server_exceptions=False) as client:
        length = {"Content-Length": str(ORDINARY + 1)}
        for method, path in (("POST", "/v1/search"), ("PUT", "/v1/cameras/east/rules")):
            answer = client.request(method, path, headers=length)
            assert answer.status_code == 413 and "50 MB at most" in answer.json()["detail"]
        assert client.post("/v1/analyses", headers=length).status_code == 422, "let through, and found to be none"
