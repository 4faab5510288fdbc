"""A site that is running, seen from beside: its live cameras' pictures, how far it is, and stopping it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TypeVar

import cv2
import numpy as np
import pytest
import uvicorn
from command_line import called
from fastapi.testclient import TestClient

from pipeline.address import find
from pipeline.serve.app import Options, create_app

T = TypeVar("T")
COMMAND = (sys.executable, "-m", "pipeline.cli")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("running")
    text = (
        "site: plaza\ncameras:\n"
        "  - {id: door, fps: 5, source: 'simulated:people=8,seconds=0,paced=1,tracks=1,shown=1'}\n"
        "thumbnails: {}\n"
        f"interval: 200ms\nidle_timeout: 2s\nledger: {{sqlite: {{path: {folder / 'ledger.sqlite'}}}}}\n"
    )
    (folder / "site.yaml").write_text(text, encoding="utf-8")
    return folder / "site.yaml"


@pytest.fixture(scope="module")
def run(site: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A site that never ends by itself."""
    with subprocess.Popen([*COMMAND, "run", str(site)], cwd=site.parent, stdout=subprocess.DEVNULL) as process:
        yield process
        if process.poll() is None:
            process.terminate()


def ask(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return called(*arguments, str(site), cwd=site.parent)


def test_where_nothing_is_running_that_is_said(site: Path) -> None:
    for command in ("status", "stop"):
        said = ask(site, command)
        assert said.returncode == 3 and "no run of this site can be reached" in said.stderr


def test_it_is_watched_and_stopped_from_beside(site: Path, run: subprocess.Popen[bytes], tmp_path: Path) -> None:
    app = create_app(find(str(site)), Options(page=False, local=False, work=tmp_path))
    with TestClient(app) as client:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            # A ledger is there with the first commit, and somebody in view soon after it.
            if client.get("/readyz").status_code == 200 and client.get("/v1/tracks").json():
                break
            assert run.poll() is None
            time.sleep(0.2)
        assert client.get("/v1/site").json()["running"]
        assert client.get("/v1/cameras").json()[0]["in_view"] >= 1
        seen_as_it_happens(client)
        erased_with_its_picture(client, site)
        line = {"lines": {"middle": [[640, 0], [640, 719]]}}
        drawn = client.put("/v1/cameras/door/rules", json=line)
        assert drawn.status_code == 200, drawn.text
        assert "middle: [[640, 0], [640, 719]]" in site.read_text(encoding="utf-8")
        changes = [one.value for one in find(str(site)).reader().read("events") if one.value["type"] == "site_changed"]
        assert len(changes) == 1, "the running site goes by it"
        said = json.loads(ask(site, "status", "--json").stdout)
        assert said["commits"] > 0 and said["cameras"]["door"]["counts"]["decoded"] > 0 and said["pid"] == run.pid
        assert "door" in ask(site, "status").stdout
        again = ask(site, "run")
        assert again.returncode == 1 and "site 'plaza' runs already: `crosscam status` tells how it is" in again.stderr
        assert ask(site, "stop").stdout.strip() == "plaza: stopped; what was committed stays"
        assert run.wait(60) == 0
    assert "no run of this site" in ask(site, "status").stderr


def seen_as_it_happens(client: TestClient) -> None:
    """The live picture comes with everybody's box where he is in that very picture; plain it is as the camera gave it.

    Asked over a real connection, since the stream of a live camera has no end.
    """
    assert client.get("/v1/cameras/door").json()["size"] == [1280, 720]
    newest = client.get("/v1/site").json()["newest"]
    app = client.app
    config = uvicorn.Config(app, log_level="error", lifespan="off", port=0)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        awaited(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        address = f"http://127.0.0.1:{port}/v1/cameras/door/stream.mjpg"
        with urllib.request.urlopen(f"{address}?overlay=true", timeout=60) as stream:
            drawn = [part_of(stream) for _ in range(4)]
        with urllib.request.urlopen(f"{address}?overlay=false", timeout=60) as stream:
            plain = [part_of(stream) for _ in range(2)]
    finally:
        server.should_exit = True
        thread.join(30)
    times = [at for at, _ in drawn]
    assert times == sorted(set(times)), "no picture comes twice"
    assert times[-1] > newest, "it goes on"
    assert colours(plain[-1][1]) < colours(drawn[-1][1]), "boxes, numbers and a bar are drawn on it"


def part_of(stream: IO[bytes]) -> tuple[int, np.ndarray]:
    """Event time and picture of the next part of an MJPEG stream."""
    fields = {}
    while line := stream.readline().strip():
        name, _, value = line.decode().partition(": ")
        fields[name] = value
    data = stream.read(int(fields["Content-Length"]))
    stream.readline()
    return int(fields["X-Event-Time"]), cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def colours(image: np.ndarray) -> int:
    return len(np.unique(image.reshape(-1, 3), axis=0))


def erased_with_its_picture(client: TestClient, site: Path) -> None:
    """Somebody in view has a picture, as the camera saw him then; and none once he is erased, though he walks on."""

    def picture_of(name: str) -> str | None:
        visits = client.get(f"/v1/identities/{name}").json().get("visits", [])
        return next((visit["thumbnail"] for visit in visits if visit["thumbnail"]), None)

    name = awaited(
        lambda: next((one["identity"] for one in client.get("/v1/tracks").json() if picture_of(one["identity"])), None)
    )
    address = picture_of(name)
    answer = client.get(address)
    assert answer.status_code == 200 and answer.headers["cache-control"] == "private, no-cache"
    assert answer.content[:2] == b"\xff\xd8" and len(answer.content) < 20_000
    folder = site.parent / "ledger.sqlite.thumbnails" / "door"
    camera, track = address.removesuffix(".jpg").split("/")[-2:]
    assert camera == "door" and [*folder.glob(f"*/{track}-*.jpg")]
    assert client.delete(f"/v1/identities/{name}").json()["running"]
    assert not [*folder.glob(f"*/{track}-*.jpg")] and client.get(address).status_code == 404
    newest = client.get("/v1/site").json()["newest"]
    awaited(lambda: client.get("/v1/site").json()["newest"] > newest + 1_000_000)
    assert not [*folder.glob(f"*/{track}-*.jpg")]


def awaited(what: Callable[[], T]) -> T:
    until = time.monotonic() + 60
    while not (found := what()):
        assert time.monotonic() < until
        time.sleep(0.1)
    return found


def test_run_serves_itself_until_ctrl_c(made: Path, tmp_path: Path) -> None:
    command = [*COMMAND, "run", str(made), "--serve", "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        said: list[str] = []
        for line in process.stdout:
            said.append(line)
            if any("served until Ctrl-C" in one for one in said) and any("http://" in one for one in said):
                break
        address = next(one.split()[0] for one in said if one.startswith("http://"))
        with urllib.request.urlopen(f"{address}/v1/site", timeout=30) as answer:
            assert json.loads(answer.read())["site"] == "plaza"
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == 0, "the run itself had ended well"
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"{address}/v1/site", timeout=5)
