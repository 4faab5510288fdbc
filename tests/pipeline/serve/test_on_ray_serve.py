"""A site on a real Ray Serve, as its user starts it and as KubeRay does: asked, watched, and its replica killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from command_line import COMMAND
from ruamel.yaml import YAML
from two_people import Running
from websockets.sync.client import connect

from pipeline.ledger.sqlite import SqliteWriter
from pipeline.serve.client import Crosscam, ServiceError

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
PATIENCE_S = 180.0
TOKEN = "0123456789abcdef"
SERVICE = Path(__file__).resolve().parents[3] / "deploy" / "kuberay" / "service.yaml"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    file = tmp_path / "plaza.yaml"
    ledger = tmp_path / "ledger.sqlite"
    file.write_text(
        "site: plaza\ncameras: [{id: east, source: 'rtsp://10.0.0.1/'}, {id: west, source: 'rtsp://10.0.0.2/'}]\n"
        f"ledger: {{sqlite: {{path: {ledger}}}}}\n"
    )
    return file


@pytest.fixture
def running(site: Path) -> Iterator[Running]:
    with closing(Running(SqliteWriter(site.parent / "ledger.sqlite", "plaza"))) as running:
        running.commit(3)
        yield running


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def descendants(pid: int) -> dict[int, str]:
    """Every process that descends from this one, and what it calls itself."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue  # it has just ended
    found, known = {}, {pid}
    while grown := {child for child, parent in parents.items() if parent in known} - known:
        known |= grown
    for child in known - {pid}:
        try:
            found[child] = Path(f"/proc/{child}/cmdline").read_text()
        except OSError:
            continue
    return found


def replicas(pid: int) -> set[int]:
    return {child for child, name in descendants(pid).items() if name.startswith("ray::ServeReplica:site:site")}


def until(answer: Callable[[], Any], process: subprocess.Popen[bytes]) -> Any:
    """What is answered, as soon as something is."""
    end = time.monotonic() + PATIENCE_S
    last: Exception | None = None
    while time.monotonic() < end:
        assert process.poll() is None, f"it ended with {process.returncode}"
        try:
            return answer()
        except (ServiceError, AssertionError) as error:
            last = error
            time.sleep(0.2)
    raise AssertionError(f"it does not come to that: {last}")


@contextmanager
def started(command: list[str], folder: Path, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command, which Ctrl-C ends in good order: Ray leaves no process behind."""
    said = folder / "said.txt"
    with said.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=folder, stdout=out, stderr=out, env={**os.environ, **variables},
        )  # fmt: skip
    left: dict[int, str] = {}
    try:
        yield process
        left = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        process.wait(60)
    finally:
        if process.poll() is None:
            process.kill()
    assert "Traceback" not in said.read_text(), said.read_text()
    end = time.monotonic() + 30
    while remaining := [name for pid, name in left.items() if Path(f"/proc/{pid}/cmdline").exists()]:
        assert time.monotonic() < end, remaining
        time.sleep(0.1)


def everything(service: Crosscam) -> dict[str, Any]:
    """What the service knows of the site."""
    told = {path: service.get(path) for path in ("/v1/site", "/v1/tracks")}
    assert told["/v1/tracks"], "it is still reading the ledger"
    return {**told, "identities": [service.identity(one["identity"]) for one in service.identities()]}


def loses_its_replica(service: Crosscam, process: subprocess.Popen[bytes], running: Running) -> None:
    """Kill the replica: another reads the ledger, and knows what the first knew and what has come since."""
    before = until(lambda: everything(service), process)
    assert len(before["/v1/tracks"]) == 2 and len(before["identities"]) == 2
    (replica,) = replicas(process.pid)
    os.kill(replica, signal.SIGKILL)
    running.commit()

    def anew() -> dict[str, Any]:
        told = everything(service)
        assert told["/v1/site"]["newest"] > before["/v1/site"]["newest"]
        return told

    after = until(anew, process)
    assert [one["identity"] for one in after["identities"]] == [one["identity"] for one in before["identities"]]
    assert replica not in replicas(process.pid) and len(replicas(process.pid)) == 1


def test_crosscam_serve_on_ray_is_asked_watched_and_comes_back(site: Path, running: Running, tmp_path: Path) -> None:
    port = free_port()
    command = [*COMMAND, "serve", str(site), "--port", str(port), "--ray", "local", "--no-page"]
    with started(command, tmp_path) as process:
        service = Crosscam(f"http://127.0.0.1:{port}")
        loses_its_replica(service, process, running)
        with connect(f"ws://127.0.0.1:{port}/v1/live?topics=tracks") as socket:
            running.commit()
            said = json.loads(socket.recv(timeout=30))
        assert {one["record"]["start"] for one in said["records"]} == {4_000_000}


def test_the_serve_file_of_kuberay_is_deployed_asks_for_the_token_and_comes_back(
    site: Path, running: Running, tmp_path: Path
) -> None:
    port, yaml = free_port(), YAML(typ="safe")
    described = yaml.load(yaml.load(SERVICE)["spec"]["serveConfigV2"])
    described["http_options"] = {"host": "127.0.0.1", "port": port}
    described["applications"][0]["args"]["ledger"] = str(site)
    described["applications"][0]["args"]["page"] = False
    file = tmp_path / "serve.yaml"
    yaml.dump(described, file)
    command = [str(Path(sys.executable).with_name("serve")), "run", "--address", "local", str(file)]
    with started(command, tmp_path, CROSSCAM_TOKEN=TOKEN) as process:
        loses_its_replica(Crosscam(f"http://127.0.0.1:{port}", token=TOKEN), process, running)
        with pytest.raises(ServiceError) as refused:
            Crosscam(f"http://127.0.0.1:{port}").get("/v1/site")
        assert refused.value.status == 401
