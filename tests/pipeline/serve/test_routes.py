"""The API as programs use it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from small_site import HEIGHT, WIDTH, make_site
from two_people import write

from mtmct.fusion import FusionEngine
from mtmct.topology import CameraGeometry, Topology
from operators.draw import Privacy
from pipeline.address import find
from pipeline.ledger.sqlite import SqliteWriter
from pipeline.serve.app import Options, create_app


def test_the_site_and_its_cameras(client: TestClient) -> None:
    site = client.get("/v1/site").json()
    assert (site["site"], site["cameras"], site["identities"], site["running"]) == ("plaza", 2, 2, False)
    assert client.get("/v1/sites").json() == [site]
    cameras = client.get("/v1/cameras").json()
    assert [(one["camera"], one["size"], one["pictures"]) for one in cameras] == [
        ("east", [WIDTH, HEIGHT], True),
        ("west", [WIDTH, HEIGHT], True),
    ]
    assert client.get("/v1/cameras/east").json() == cameras[0]


def test_identities_are_found_by_what_they_are_like(client: TestClient) -> None:
    (one,) = client.get("/v1/identities", params={"attribute": "bag:backpack"}).json()["items"]
    assert one["attributes"] == {"bag": "backpack"}
    assert client.get(f"/v1/identities/{one['identity']}").json()["attributes"] == {"bag": "backpack"}
    assert client.get("/v1/identities", params={"attribute": ["bag:backpack", "hat:hat"]}).json()["items"] == []
    refused = client.get("/v1/identities", params={"attribute": "backpack"})
    assert refused.status_code == 422 and "bag:backpack" in refused.json()["detail"]


def test_identities_come_in_pages_and_by_what_is_asked_for(client: TestClient) -> None:
    first = client.get("/v1/identities", params={"limit": 1}).json()
    second = client.get("/v1/identities", params={"limit": 1, "after": first["next"]}).json()
    names = [page["items"][0]["identity"] for page in (first, second)]
    assert len(set(names)) == 2 and second["next"] is None
    assert client.get("/v1/identities", params={"camera": "nowhere"}).json()["items"] == []
    assert client.get("/v1/identities", params={"since": 60_000_000}).json()["items"] == []
    assert len(client.get("/v1/identities", params={"class": "person", "state": "closed"}).json()["items"]) == 2


def test_an_identity_says_where_it_was_and_why(client: TestClient) -> None:
    name = client.get("/v1/identities").json()["items"][0]["identity"]
    one = client.get(f"/v1/identities/{name}").json()
    assert {visit["camera"] for visit in one["visits"]} == {"east", "west"}
    assert one["visits"][-1]["links"][-1]["terms"]["appearance"] > 0
    assert "appearance" in one["visits"][-1]["reasons"][-1]
    assert one["corrections"][0]["event"] == "created"
    assert one["journey"]["identity"] == name


def test_a_thumbnail_is_a_picture_of_the_person(client: TestClient) -> None:
    one = client.get("/v1/identities/plaza-000001").json()
    answer = client.get(one["visits"][0]["thumbnail"])
    image = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape[0] > image.shape[1] and image[image.shape[0] // 2, image.shape[1] // 2, 1] > 150, "he is bright"


def test_a_snapshot_shows_that_moment(client: TestClient) -> None:
    def bright_columns(time_us: int) -> np.ndarray:
        answer = client.get("/v1/cameras/east/snapshot.jpg", params={"time": time_us, "overlay": False})
        image = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
        assert image.shape == (HEIGHT, WIDTH, 3)
        return np.flatnonzero(image[100, :, 1] > 120)

    assert bright_columns(0).min() == pytest.approx(300, abs=3)
    assert bright_columns(5_000_000).min() == pytest.approx(325, abs=3), "half a pixel a frame, 50 frames on"
    assert len(bright_columns(7_000_000)) == 0, "both have gone"
    drawn = client.get("/v1/cameras/east/snapshot.jpg", params={"time": 5_000_000})
    assert (
        drawn.content != client.get("/v1/cameras/east/snapshot.jpg", params={"time": 5_000_000, "overlay": 0}).content
    )


def test_a_stream_gives_one_picture_after_the_other(client: TestClient) -> None:
    with client.stream("GET", "/v1/cameras/west/stream.mjpg", params={"time": 15_000_000, "speed": 16}) as answer:
        assert answer.headers["content-type"].startswith("multipart/x-mixed-replace; boundary=")
        body = b"".join(answer.iter_bytes())
    assert 2 <= body.count(b"\r\nContent-Type: image/jpeg") + body.startswith(b"--") <= 12
    assert body.endswith(b"--picture--\r\n")


def test_counts_are_of_the_site_everybody_once(client: TestClient) -> None:
    counts = client.get("/v1/counts").json()["items"]
    assert [(value["start"] // 1_000_000, value["unique"]) for value in counts] == [(0, 2), (5, 2), (10, 2), (15, 0)]
    assert [value["start"] for value in client.get("/v1/counts", params={"since": 11_000_000}).json()["items"]] == [
        10_000_000,
        15_000_000,
    ]


def test_a_heat_map_lies_over_the_picture(client: TestClient) -> None:
    answer = client.get("/v1/heatmap.png", params={"camera": "east"})
    image = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert answer.headers["content-type"] == "image/png" and image.shape == (HEIGHT, WIDTH, 3)
    assert client.get("/v1/heatmap.png", params={"camera": "nobody"}).status_code == 404


@pytest.mark.parametrize("trails", [False, True])
def test_a_heat_map_of_the_floor_holds_everybody_of_all_calibrated_cameras(tmp_path: Path, trails: bool) -> None:
    file = make_site(tmp_path)
    metres = "[[0.01, 0, 0], [0, 0.01, 0], [0, 0, 1]]"
    text = file.read_text(encoding="utf-8")
    for camera in ("east", "west"):
        text = text.replace(f"  - id: {camera}\n", f"  - id: {camera}\n    homography: {metres}\n")
    file.write_text(text, encoding="utf-8")
    (tmp_path / "ledger.sqlite").unlink()
    views = [CameraGeometry(camera, np.diag([0.01, 0.01, 1.0]), (WIDTH, HEIGHT)) for camera in ("east", "west")]
    write(SqliteWriter(tmp_path / "ledger.sqlite", "plaza"), engine=FusionEngine("plaza", Topology(views)))
    app = create_app(find(str(file)), Options(page=False, local=False, work=tmp_path))
    with TestClient(app) as client:
        assert app.served.feed.wait_until_caught_up(30)
        answer = client.get("/v1/heatmap.png", params={"trails": trails})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
        image = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
        assert image.shape[1] == 1600 and image.std() > 5, "a plan with something on it"
        early = client.get("/v1/heatmap.png", params={"trails": trails, "until": -1})
        assert early.status_code == 404 and "nobody was seen" in early.json()["detail"]


def test_a_site_without_homographies_has_no_floor(client: TestClient) -> None:
    answer = client.get("/v1/heatmap.png")
    assert answer.status_code == 404 and "homography" in answer.json()["detail"]


def test_a_camera_that_saw_nobody_has_no_heat_map(client: TestClient) -> None:
    answer = client.get("/v1/heatmap.png", params={"camera": "east", "until": -1})
    assert answer.status_code == 404 and "nobody was seen" in answer.json()["detail"]


def test_an_answer_that_has_not_changed_is_not_sent_again(client: TestClient) -> None:
    first = client.get("/v1/identities")
    again = client.get("/v1/identities", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304 and again.content == b""
    assert client.get("/v1/identities", headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "fields", "status", "says"),
    [
        ("GET", "/v1/cameras/nobody", {}, 404, "no camera 'nobody'"),
        ("GET", "/v1/identities/plaza-999999", {}, 404, "no plaza-999999"),
        ("DELETE", "/v1/identities/plaza-999999", {}, 404, "no plaza-999999"),
        ("GET", "/v1/identities?limit=0", {}, 422, "limit"),
        ("GET", "/v1/identities/plaza-000001/thumbnails/east/77.jpg", {}, 404, "no track 77"),
        ("GET", "/v1/incidents/east/1/picture.jpg", {}, 404, "no incident east/1"),
        ("GET", "/v1/nothing", {}, 404, "no /v1/nothing"),
        ("POST", "/v1/search", {}, 422, "one of `picture`, `identity` and `camera`"),
        ("POST", "/v1/search", {"files": {"picture": ("a.jpg", b"no picture")}}, 422, "no picture that can be read"),
        ("POST", "/v1/search", {"files": {"picture": ("a.jpg", b"")}}, 422, "empty"),
        ("POST", "/v1/search", {"data": {"identity": "plaza-000099"}}, 404, "no plaza-000099"),
        ("POST", "/v1/cameras/east/rules:preview", {"json": {"lines": {"a": [[1, 1]]}}}, 422, "at least two points"),
        ("POST", "/v1/cameras/east/rules:preview", {"json": {"shapes": {}}}, 422, "shapes"),
        ("GET", "/v1/analyses/../../etc", {}, 404, ""),
        ("GET", "/v1/analyses/0123456789abcdef", {}, 404, "no analysis"),
        ("POST", "/v1/analyses", {"files": {"video": ("a.mp4", b"no video")}}, 422, "no video that can be read"),
        ("POST", "/v1/analyses", {"data": {"address": "file:///etc/passwd"}}, 422, "begins with rtsp://"),
        ("POST", "/v1/analyses", {"data": {"address": "rtsp://x", "scenario": "birds"}}, 422, "choose one of"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    client: TestClient, method: str, path: str, fields: dict, status: int, says: str
) -> None:
    answer = client.request(method, path, **fields)
    problem = answer.json()
    assert (answer.status_code, problem["status"]) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in problem["detail"]


def test_a_picture_without_anybody_is_said_to_be_one(client: TestClient) -> None:
    grey = cv2.imencode(".jpg", np.full((200, 200, 3), 90, np.uint8))[1].tobytes()
    answer = client.post("/v1/search", files={"picture": ("a.jpg", grey)})
    assert answer.status_code == 422 and "nobody was found" in answer.json()["detail"]


def test_who_looks_like_an_identity(client: TestClient) -> None:
    (other,) = client.post("/v1/search", data={"identity": "plaza-000001"}).json()
    assert other["identity"] == "plaza-000002" and other["cosine"] < 0.7


def test_a_drawn_line_is_counted_at_once_and_kept_when_saved(tmp_path: Path) -> None:
    file = make_site(tmp_path)
    app = create_app(find(str(file)), Options(page=False, local=False, work=tmp_path / "analyses"))
    line = {"lines": {"post": [[310, 0], [310, 199]]}}
    with TestClient(app) as client:
        assert app.served.feed.wait_until_caught_up(30)
        assert client.post("/v1/cameras/east/rules:preview", json=line).json()["lines"] == {"post": {"in": 0, "out": 0}}
        line["lines"]["post"] = [[340, 0], [340, 199]]
        counted = client.put("/v1/cameras/east/rules", json=line).json()
        assert counted["lines"] == {"post": {"in": 0, "out": 1}}
        assert client.get("/v1/cameras/east").json()["drawn"]["lines"]["post"]["points"] == [[340, 0], [340, 199]]
    text = file.read_text(encoding="utf-8")
    assert "post: [[340, 0], [340, 199]]" in text
    assert "# a site with two cameras" in text and "# the recording" in text, "comments are kept"


def test_an_erased_identity_is_gone_and_can_be_asked_for_no_more(tmp_path: Path) -> None:
    file = make_site(tmp_path)
    app = create_app(find(str(file)), Options(page=False, local=False, work=tmp_path / "analyses"))
    with TestClient(app) as client:
        assert app.served.feed.wait_until_caught_up(30)
        erased = client.delete("/v1/identities/plaza-000001").json()
        assert erased["tracks"] == 2 and not erased["running"]
        assert client.delete("/v1/identities/plaza-000001").status_code == 409


@pytest.fixture
def without_file(made: Path, tmp_path: Path) -> Iterator[TestClient]:
    app = create_app(find(str(made.parent / "ledger.sqlite")), Options(page=False, local=False, work=tmp_path))
    with TestClient(app) as client:
        assert app.served.feed.wait_until_caught_up(30)
        yield client


def test_without_the_sites_file_there_are_no_pictures_and_nothing_to_draw_into(without_file: TestClient) -> None:
    assert [one["pictures"] for one in without_file.get("/v1/cameras").json()] == [False, False]
    answer = without_file.get("/v1/cameras/east/snapshot.jpg")
    assert answer.status_code == 404 and "not named by its site's file" in answer.json()["detail"]
    assert without_file.put("/v1/cameras/east/rules", json={}).status_code == 422
    heat = without_file.get("/v1/heatmap.png", params={"camera": "east"})
    assert heat.status_code == 200, "on a dark ground"


def test_health_is_answered_before_everything_is_read(made: Path, tmp_path: Path) -> None:
    place = find(str(made.parent / "ledger.sqlite"))
    client = TestClient(create_app(place, Options(page=False, local=False, work=tmp_path)))  # never started
    assert client.get("/healthz").json()["status"] == "ok"
    answer = client.get("/readyz")
    assert answer.status_code == 503 and "still being read" in answer.json()["detail"]


def test_cameras_are_added_changed_and_removed_in_the_sites_file(tmp_path: Path) -> None:
    file = make_site(tmp_path)
    (tmp_path / "south.mp4").write_bytes((tmp_path / "east.mp4").read_bytes())
    app = create_app(find(str(file)), Options(page=False, local=False, work=tmp_path / "analyses"))
    with TestClient(app) as client:
        assert app.served.feed.wait_until_caught_up(30)
        added = client.put("/v1/cameras/south", json={"source": "south.mp4", "crop": [0, 0, 320, 200]})
        assert added.status_code == 200 and added.json()["size"] == [320, 200]
        client.put("/v1/cameras/south", json={"source": "south.mp4", "crop": [0, 0, 160, 200]})
        assert client.get("/v1/cameras/south").json()["size"] == [160, 200]
        assert "crop: [0, 0, 160, 200]" in file.read_text(encoding="utf-8")
        assert client.delete("/v1/cameras/south").status_code == 204
        assert client.get("/v1/cameras/south").status_code == 404
    text = file.read_text(encoding="utf-8")
    assert "south" not in text and "# the recording" in text


@pytest.mark.parametrize(
    ("camera", "fields", "says"),
    [
        ("yard", {"source": "/etc/passwd"}, "a file in the folder"),
        ("yard", {"source": "detections:../../secret.txt"}, "a file in the folder"),
        ("yard", {"source": "rtsp://${HOME}.example/x"}, "by hand"),
        ("yard", {"source": "rtsp://x/y", "crop": [5, 5, 1, 1]}, "0 <= x1 < x2"),
        ("yard", {"source": "rtsp://x/y", "colour": "red"}, "colour"),
        ("yard", {}, "source"),
        ("a b", {"source": "rtsp://x/y"}, "id"),
    ],
)
def test_a_camera_that_cannot_be_changes_nothing(
    client: TestClient, made: Path, camera: str, fields: dict, says: str
) -> None:
    before = made.read_text(encoding="utf-8")
    answer = client.put(f"/v1/cameras/{camera}", json=fields)
    assert answer.status_code == 422 and says in answer.json()["detail"]
    assert str(made.parent) not in answer.text
    assert made.read_text(encoding="utf-8") == before
    assert [one["camera"] for one in client.get("/v1/cameras").json()] == ["east", "west"]


def test_whoever_a_camera_saw_is_found_by_looks_in_the_other(client: TestClient) -> None:
    asked = {"camera": "east", "time": 2_000_000, "box": "310,50,350,160"}
    found = client.post("/v1/search", data=asked).json()
    assert [one["identity"] for one in found] == ["plaza-000001", "plaza-000002"]
    assert found[0]["score"] > 0 > found[1]["score"] and found[0]["cosine"] > 0.95
    assert found[0]["cameras"] == ["east", "west"]
    assert client.get(found[0]["thumbnails"]["west"]).headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        ({}, 422, "send one of `picture`, `identity` and `camera`"),
        ({"camera": "east"}, 422, "`camera` and `time` together"),
        ({"camera": "east", "time": 0, "identity": "plaza-000001"}, 422, "send one of"),
        ({"camera": "attic", "time": 0}, 404, "no camera 'attic'"),
        ({"identity": "plaza-000099"}, 404, "no plaza-000099"),
        ({"camera": "east", "time": 7_500_000}, 422, "nobody was found"),
        ({"camera": "east", "time": 0, "box": "1,2,3"}, 422, "write the box"),
        ({"camera": "east", "time": 0, "box": "0,0,9000,10"}, 422, "does not lie within the picture"),
    ],
)
def test_a_search_that_cannot_be_made_says_why(
    client: TestClient, asked: dict[str, object], status: int, said: str
) -> None:
    answer = client.post("/v1/search", data=asked)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert said in answer.json()["detail"]


def test_what_is_to_be_blurred_is_blurred_wherever_a_picture_is_shown(made: Path, tmp_path: Path) -> None:
    def bright_in(data: bytes) -> int:
        """Pixels as they are on somebody's rectangle, of one plain colour: edges of it are blurred where he is."""
        return int((cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[:, :, 1] > 190).sum())

    def bright(client: TestClient, path: str) -> int:
        return bright_in(client.get(path).content)

    paths = [
        "/v1/cameras/east/snapshot.jpg?time=2000000&overlay=false",
        "/v1/identities/plaza-000001/thumbnails/east/1.jpg",
    ]
    options = Options(page=False, local=False, work=tmp_path, privacy=Privacy.WHOLE)
    app, open_app = (
        create_app(find(str(made)), options),
        create_app(find(str(made)), replace(options, privacy=Privacy.NONE)),
    )
    with TestClient(app) as hidden, TestClient(open_app) as shown:
        for one in (app, open_app):
            assert one.served.feed.wait_until_caught_up(30)
        for path in paths:
            assert bright(hidden, path) < 0.8 * bright(shown, path), path
        kept = shown.get("/v1/cameras/east/snapshot.jpg?time=2000000&overlay=false").content
        assert open_app.served.shots.blurred(kept, "east", 2_000_000) == kept
        again = app.served.shots.blurred(kept, "east", 2_000_000)
        assert bright_in(again) < 0.8 * bright_in(kept), "of an incident, kept by the site"
        ground = "/v1/heatmap.png?camera=east&trails=true"
        assert hidden.get(ground).content != shown.get(ground).content
        asked = {"camera": "east", "time": 2_000_000, "box": "310,50,350,160"}
        assert hidden.post("/v1/search", data=asked).json() == shown.post("/v1/search", data=asked).json()
