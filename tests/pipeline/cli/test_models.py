"""`crosscam models`: fetching that goes on, archives that stay in their folder, a check that draws."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import pytest
from click.testing import Result
from typer.testing import CliRunner

from operators.detect import BUNDLED
from operators.inference import ModelError
from pipeline.catalogue import CATALOGUE
from pipeline.cli import app
from pipeline.model_store import ModelStoreError, bring_in, download
from pipeline.profiles import PROFILES

ROOT = Path(__file__).resolve().parents[3]
RUNNER = CliRunner()


class Server:
    """Serves one file; breaks off after `break_after` bytes of an answer, once."""

    def __init__(self, content: bytes) -> None:
        self.content, self.break_after, self.ranges = content, None, []  # type: ignore[var-annotated]
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path != "/m.tar":
                    self.send_error(404)
                    return
                wanted = self.headers.get("Range")
                outer.ranges.append(wanted)
                start = int(wanted[6:-1]) if wanted else 0
                if start >= len(outer.content):
                    self.send_error(416)
                    return
                body = outer.content[start:]
                self.send_response(206 if wanted else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: outer.break_after])
                outer.break_after = None

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}/m.tar"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def archive() -> bytes:
    """The bundled model as its publishers would pack it: one folder in a tar."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as packed:
        packed.add(BUNDLED, "nanodet_g")
    return buffer.getvalue()


@pytest.fixture
def server(archive: bytes) -> Iterator[Server]:
    found = Server(archive)
    yield found
    found.http.shutdown()
    found.http.server_close()


def test_a_download_that_broke_off_goes_on(server: Server, tmp_path: Path) -> None:
    server.break_after = 100_000
    target, seen = tmp_path / "m.tar", []
    with pytest.raises(ModelStoreError, match="the same command goes on from there"):
        download(server.address, target)
    assert not target.exists()
    have = (tmp_path / "m.tar.part").stat().st_size
    assert 0 < have <= 100_000
    found = download(server.address, target, progress=lambda done, whole: seen.append((done, whole)))
    assert server.ranges == [None, f"bytes={have}-"]
    assert target.read_bytes() == server.content
    assert found == hashlib.sha256(server.content).hexdigest()
    assert seen[-1] == (len(server.content), len(server.content))


def test_all_of_it_was_here_already(server: Server, tmp_path: Path) -> None:
    (tmp_path / "m.tar.part").write_bytes(server.content)
    download(server.address, tmp_path / "m.tar")
    assert (tmp_path / "m.tar").read_bytes() == server.content


def test_what_is_not_what_it_should_be_is_thrown_away(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ModelStoreError, match="is not what it should be"):
        download(server.address, tmp_path / "m.tar", sha256="00")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("file:///etc/passwd", "only http and https"),
        ("http://127.0.0.1:9/x", "cannot be fetched"),
        ("{}x", "the server says 404"),
    ],
)
def test_what_cannot_be_fetched(address: str, message: str, server: Server, tmp_path: Path) -> None:
    with pytest.raises(ModelStoreError, match=message):
        download(address.format(server.address), tmp_path / "m.tar")


def test_pull_fetches_and_unpacks(server: Server, tmp_path: Path) -> None:
    result = RUNNER.invoke(app, ["models", "pull", server.address, "--to", str(tmp_path), "--name", "mine"])
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checksums.json", "mine"]
    assert (tmp_path / "mine" / "infer_cfg.yml").is_file()


def test_trained_weights_are_told_from_an_export(tmp_path: Path) -> None:
    (tmp_path / "trained.pdparams").write_bytes(b"")
    with pytest.raises(ModelError, match="holds trained weights without their network: export it"):
        bring_in(tmp_path / "trained.pdparams", tmp_path / "models" / "m")
    assert not list((tmp_path / "models").iterdir())


def test_what_came_the_first_time_is_what_has_to_come_again(server: Server, tmp_path: Path) -> None:
    def pull(name: str, *more: str) -> Result:
        return RUNNER.invoke(app, ["models", "pull", server.address, "--to", str(tmp_path), "--name", name, *more])

    first = hashlib.sha256(server.content).hexdigest()
    assert f"{first}, written down in" in " ".join(pull("one").output.split())
    assert json.loads((tmp_path / "checksums.json").read_text()) == {server.address: first}
    assert "as the first time" in pull("two").output
    assert "as stated" in pull("three", "--sha256", first.upper()).output
    server.content += b"\0" * 512  # still a tar, and another one
    changed = pull("four")
    assert isinstance(changed.exception, ModelStoreError)
    assert "is not what it should be" in str(changed.exception)
    assert "if its publishers have replaced it, take its line out of" in str(changed.exception)
    assert not (tmp_path / "four").exists()
    assert pull("five", "--sha256", hashlib.sha256(server.content).hexdigest()).exit_code == 0, "who states it, knows"
    (tmp_path / "checksums.json").write_text("[]")
    assert "does not map addresses to checksums" in str(pull("six").exception)


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_model_of_the_catalogue_says_where_it_is_and_what_its_publishers_say(name: str) -> None:
    model = CATALOGUE[name]
    assert model.address.startswith("https://")
    assert name in model.address
    assert (model.archive is None) != (model.weights is None)
    assert all((model.task, model.figures, model.licence))
    assert model.size is None or 1 <= model.size <= 1000


def test_the_list_says_that_checksums_are_not_known_beforehand() -> None:
    output = RUNNER.invoke(app, ["models", "list"], env={"COLUMNS": "220"}).output
    assert f"checksums: not published for {len(CATALOGUE)} of {len(CATALOGUE)}; the first download's" in output
    assert "size not published" in output
    listed = json.loads(RUNNER.invoke(app, ["models", "list", "--json"]).output)
    assert listed.keys() == CATALOGUE.keys()
    assert listed["reid_model"]["size"] == 92
    assert listed["reid_model"]["address"].endswith("/pipeline/reid_model.zip")


@pytest.mark.parametrize("name", ["../outside.txt", "/tmp/outside.txt", "a/../../outside.txt"])
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_archives_that_write_elsewhere_are_refused(kind: str, name: str, tmp_path: Path) -> None:
    archive = tmp_path / f"m.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as packed:
            packed.writestr(name, "x")
    else:
        with tarfile.open(archive, "w") as packed_tar:
            packed_tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(ModelStoreError, match="would write outside of its folder"):
        bring_in(archive, tmp_path / "models" / "m")
    assert not (tmp_path / "outside.txt").exists()
    assert not list((tmp_path / "models").iterdir())


def test_links_out_of_the_archive_are_refused(tmp_path: Path) -> None:
    archive = tmp_path / "m.tar"
    with tarfile.open(archive, "w") as packed:
        link = tarfile.TarInfo("model.pdmodel")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        packed.addfile(link)
    with pytest.raises(ModelStoreError, match="would write outside of its folder"):
        bring_in(archive, tmp_path / "m")


def test_damaged_and_foreign_archives_are_told(archive: bytes, tmp_path: Path) -> None:
    (tmp_path / "cut.tar").write_bytes(archive[: len(archive) // 2])
    with pytest.raises(ModelStoreError, match="is damaged"):
        bring_in(tmp_path / "cut.tar", tmp_path / "m")
    (tmp_path / "text.tar").write_text("hello")
    with pytest.raises(ModelStoreError, match="is no archive that is known here"):
        bring_in(tmp_path / "text.tar", tmp_path / "m")
    with pytest.raises(ModelStoreError, match="there is nothing at"):
        bring_in(tmp_path / "nowhere", tmp_path / "m")
    (tmp_path / "empty").mkdir()
    with pytest.raises((ModelStoreError, ModelError), match="holds no"):
        bring_in(tmp_path / "empty", tmp_path / "m")


def test_import_says_what_it_brought_in(tmp_path: Path) -> None:
    arguments = ["models", "import", str(BUNDLED), "--to", str(tmp_path)]
    result = RUNNER.invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "NanoDet, 6 class names" in result.output
    assert isinstance(RUNNER.invoke(app, arguments).exception, ModelStoreError), "never written over"


def test_check_draws_what_it_finds(tmp_path: Path) -> None:
    _, frame = cv2.VideoCapture(str(ROOT / "configs" / "media" / "walkway.mp4")).read()
    picture, output = tmp_path / "in.png", tmp_path / "out.png"
    cv2.imwrite(str(picture), frame)
    result = RUNNER.invoke(app, ["models", "check", "default", str(picture), "--output", str(output)])
    assert result.exit_code == 0, result.output
    assert result.output.count("person") == 3
    drawn = cv2.imread(str(output))
    assert drawn.shape == frame.shape
    assert (drawn != frame).any()


def test_the_list_holds_every_profiles_model() -> None:
    assert {profile.model for profile in PROFILES.values()} <= set(CATALOGUE)
    assert "fairmot_dla34" in RUNNER.invoke(app, ["models", "list"], env={"COLUMNS": "200"}).output


def test_a_model_without_an_address_says_how_to_get_it() -> None:
    result = RUNNER.invoke(app, ["models", "pull", "jde_darknet53_30e_1088x608"])
    assert "offer its weights only (https://paddledet.bj" in str(result.exception)
    assert "then crosscam models import" in str(result.exception)
