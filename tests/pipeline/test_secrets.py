"""Passwords and token of a site on a real Ray, Kafka and RTSP server: they turn up nowhere that anybody may look."""

from __future__ import annotations

import base64
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import ray
from fastapi.testclient import TestClient
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent / "sources"))

from command_line import COMMAND
from streaming import Server, needed
from tiny_videos import write_video

from mtmct.records import TOPICS
from operators.records import CrosscamError
from pipeline.address import Place, find
from pipeline.assembly import build_reader
from pipeline.cli import app as commands
from pipeline.config_file import load
from pipeline.running import ask
from pipeline.serve.app import Options, create_app

# With characters that an address may hold only quoted.
CAMERA, KAFKA, WRONG, TOKEN = "p@ss w/rd&7+%", "open-sesame-42", "n0t:the one", "tok3n-of-the-service"
PATIENCE_S = 120.0


def spellings(secret: str) -> set[bytes]:
    """As it is, quoted, escaped, and as HTTP and SASL PLAIN wrap it."""
    wrapped = [f"viewer:{secret}", f"\0operator\0{secret}"]
    texts = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
    return {text.encode() for text in texts} | {base64.b64encode(text.encode()) for text in wrapped}


SPELLINGS = {spelt for secret in (CAMERA, KAFKA, WRONG, TOKEN) for spelt in spellings(secret)}


@dataclass
class Seen:
    """Everything that somebody may look at, by where it is."""

    texts: dict[str, bytes] = field(default_factory=dict)

    def add(self, where: str, what: str | bytes) -> None:
        self.texts[where] = what.encode() if isinstance(what, str) else what

    def add_folder(self, where: str, folder: Path, but: tuple[str, ...] = ()) -> None:
        for file in folder.rglob("*"):
            if file.is_file() and file.name not in but:
                self.add(f"{where}/{file.relative_to(folder)}", file.read_bytes())

    def secrets(self) -> list[str]:
        return [f"{where}: {spelt!r}" for where, text in self.texts.items() for spelt in SPELLINGS if spelt in text]


@dataclass(frozen=True)
class Session:
    """The Ray of this process: its address, and the folder where its logs are."""

    address: str
    folder: Path

    def metrics_with(self, name: bytes) -> bytes:
        """As Prometheus gets them, once there is that one: a node hands on what its actors say now and then."""
        until = time.monotonic() + PATIENCE_S
        while name not in (metrics := self._metrics()):
            assert time.monotonic() < until, f"there is no {name!r} in {metrics!r}"
            time.sleep(0.2)
        return metrics

    def _metrics(self) -> bytes:
        (node,) = [node for node in ray.nodes() if node["Alive"]]
        with urllib.request.urlopen(
            f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
        ) as answer:
            metrics: bytes = answer.read()
        return metrics


@pytest.fixture(scope="module")
def session(ray_in_place: None) -> Session:
    return Session(ray.get_runtime_context().gcs_address, Path(ray._private.worker._global_node.get_session_dir_path()))


@pytest.fixture(scope="module")
def cameras(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A camera that works, one that refuses, and one that is not there."""
    if missing := needed():
        pytest.skip(missing)
    clip = write_video(tmp_path_factory.mktemp("clip") / "live.mp4", 100, gop=10, options={"bf": "0"})
    server = Server(clip, "viewer", CAMERA)
    yield {
        "works": f"rtsp://viewer:${{CAMERA_PASSWORD}}@127.0.0.1:{server.port}/live",
        "refuses": f"rtsp://viewer:${{WRONG_PASSWORD}}@127.0.0.1:{server.port}/live",
        "gone": f"rtsp://viewer:${{CAMERA_PASSWORD}}@127.0.0.1:{unused_port()}/live",
    }
    server.kill()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # the note of a run on Kafka lies where it was started
    for name, value in {
        "CAMERA_PASSWORD": quote(CAMERA, safe=""), "WRONG_PASSWORD": quote(WRONG, safe=""), "KAFKA_PASSWORD": KAFKA,
        "CROSSCAM_TOKEN": TOKEN,
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)


def unused_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def kafka_of(server: Any, password: str = "${KAFKA_PASSWORD}") -> str:
    return (
        f"{{kafka: {{bootstrap_servers: '{server.secured}', security_protocol: SASL_PLAINTEXT, sasl_mechanism: PLAIN, "
        f"sasl_plain_username: operator, sasl_plain_password: '{password}'}}}}"
    )


def write_site(
    folder: Path, session: Session, sources: Mapping[str, str], ledger: str, log: str, more: str = ""
) -> Path:
    name = folder.name.replace("_", "-")
    cameras = "".join(f"  - {{id: {camera}, source: '{source}', fps: 2}}\n" for camera, source in sources.items())
    file = folder / f"{name}.yaml"
    file.write_text(
        f"site: {name}\nray_address: '{session.address}'\nlog: {log}\ncameras:\n{cameras}embedder: {{model: none}}\n"
        f"ledger: {ledger}\nidle_timeout: 2s\nsnapshots: {{folder: '{folder}/shots'}}\n{more}"
    )
    return file


class Run:
    """`crosscam run`, and what it says."""

    def __init__(self, file: Path) -> None:
        command = [*COMMAND, "run", file.name]
        self.file, self.said = file, file.with_suffix(".out")
        with self.said.open("wb") as out:
            self.process = subprocess.Popen(command, cwd=file.parent, stdout=out, stderr=subprocess.STDOUT)

    def until_cameras_are_told(self) -> dict[str, Any]:
        """Wait until one camera has been tracked, and the others have been tried more than once."""
        place = Place.of(load(self.file))
        until = time.monotonic() + PATIENCE_S
        told: dict[str, Any] = {}
        while time.monotonic() < until and self.process.poll() is None:
            try:
                told = ask(place, "status")
                counts = {name: lane["counts"] for name, lane in told["cameras"].items()}
                if counts["works"].get("tracked") and all(
                    counts[c].get("interruptions", 0) > 1 for c in ("gone", "refuses")
                ):
                    return told
            except (CrosscamError, KeyError):
                pass  # it is not there yet
            time.sleep(0.2)
        raise AssertionError(f"{told}\n{self.said.read_text()[-3000:]}")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def asked_of_the_api(file: Path, folder: Path, seen: Seen) -> None:
    """Every GET of the API, with the token, with another and without; and the same of what goes wrong."""
    options = Options(token=TOKEN, local=False, page=False, work=folder / "analyses")
    app = create_app(find(str(file)), options)
    with TestClient(app, raise_server_exceptions=False, follow_redirects=False) as client:
        assert app.served.feed.wait_until_caught_up(60)
        known = {"camera": "works", "identity": "nobody-000001", "track": "1", "number": "1", "id": "1", "file": "x"}
        paths = client.get("/v1/openapi.json", headers={"authorization": f"Bearer {TOKEN}"}).json()["paths"]
        for path in [path for path, methods in paths.items() if "get" in methods and "stream" not in path]:
            for name, token in (("with", TOKEN), ("with another", "x" * 16), ("without", None)):
                headers = {} if token is None else {"authorization": f"Bearer {token}"}
                answer = client.get(path.format(**known), headers=headers)
                seen.add(f"GET {path} {name} token", answer.content + str(answer.headers).encode())
                assert token == TOKEN or "/v1/" not in path or answer.status_code == 401
        headers = {"authorization": f"Bearer {TOKEN}"}
        address = f"rtsp://viewer:{quote(CAMERA, safe='')}@127.0.0.1:1/x"
        made = client.post("/v1/analyses", data={"address": address, "start": "false"}, headers=headers)
        seen.add("POST /v1/analyses", made.content)
        seen.add("GET /v1/analyses after that", client.get("/v1/analyses", headers=headers).content)
    # Its own site's file has the address as it was given, as a site's file may, and is for nobody else.
    (kept,) = (folder / "analyses").glob("*/site.yaml")
    assert kept.stat().st_mode & 0o077 == 0
    kept.unlink()


@pytest.mark.kafka
@pytest.mark.parametrize(("log", "kind"), [("json", "kafka"), pytest.param("text", "sqlite", marks=pytest.mark.faults)])
def test_passwords_and_token_of_a_running_site_turn_up_nowhere(
    tmp_path: Path, session: Session, cameras: dict[str, str], environment: None, kafka_server: Any, log: str, kind: str
) -> None:
    ledger = kafka_of(kafka_server) if kind == "kafka" else f"{{sqlite: {{path: '{tmp_path}/ledger.sqlite'}}}}"
    port = unused_port()
    file = write_site(tmp_path, session, cameras, ledger, log, f"health: {{port: {port}}}\n")
    seen = Seen()
    run = Run(file)
    try:
        seen.add("status", json.dumps(run.until_cameras_are_told()))
        for path in ("healthz", "readyz"):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}") as answer:
                seen.add(path, answer.read())
        for arguments in (["status", str(file)], ["status", str(file), "--json"], ["plan", str(file), "--json"]):
            told = CliRunner().invoke(commands, arguments)
            seen.add(" ".join(arguments[::2]), told.output + repr(told.exception))
        seen.add("metrics", session.metrics_with(b"crosscam_source_interruptions_total"))
        asked_of_the_api(file, tmp_path, seen)
    finally:
        run.stop()
    with closing(build_reader(load(file))) as reader:
        for topic in TOPICS:
            seen.add(f"topic {topic}", b"\n".join(stored.raw + stored.key.encode() for stored in reader.read(topic)))
        seen.add("state", b"\n".join(key.encode() + value for key, value in reader.state().items()))
    assert b'"lost"' in seen.texts["topic events"]
    seen.add_folder("run", tmp_path, but=(file.name,))
    seen.add_folder("ray", session.folder)
    assert any(b"camera gone lost" in text for text in seen.texts.values()), "logs are not where they are looked for"
    assert not seen.secrets()


@pytest.mark.kafka
@pytest.mark.faults
def test_a_kafka_that_refuses_the_password_is_told_without_it(
    tmp_path: Path, session: Session, environment: None, kafka_server: Any
) -> None:
    file = write_site(
        tmp_path, session, {"a": "simulated:people=1,tracks=1"}, kafka_of(kafka_server, "${WRONG_PASSWORD}"), "json"
    )
    run = Run(file)
    assert run.process.wait(PATIENCE_S) == 1
    said = run.said.read_text()
    assert "Invalid username or password" in said and "Traceback" not in said
    seen = Seen({"said": said.encode()})
    seen.add_folder("run", tmp_path, but=(file.name,))
    seen.add_folder("ray", session.folder)
    assert not seen.secrets()
