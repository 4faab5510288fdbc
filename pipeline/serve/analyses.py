"""New analyses, started without code: a video or an address, a scenario, lines and zones; pictures and files come out.

Each has a folder of its own with its site's file, so that what the page did can be done again, and changed, by hand:

    analyses/7f3a.../site.yaml  input.mp4  run.log  ledger.sqlite  results/

They run one after the other, by the commands that anybody would use.
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from ruamel.yaml import YAML

from operators.records import CrosscamError, Frame, Image, unpack
from pipeline.assembly import build_source
from pipeline.checks import check
from pipeline.commit_order import SITE_KEY
from pipeline.config import Site
from pipeline.config_file import load
from pipeline.ledger.sqlite import SqliteReader
from pipeline.serve.drawing import Drawn
from pipeline.serve.problems import NotFoundError, UnfitError
from pipeline.sources.masking import mask

_log = logging.getLogger(__name__)

CAMERA = "camera"
# What people want, and the profile that does it.
SCENARIOS: Mapping[str, tuple[str, str]] = {
    "pedestrians": ("pedestrian", "People"),
    "vehicles": ("vehicle", "Bicycles, cars, motorcycles, buses and lorries"),
    "classes": ("multiclass", "People and vehicles"),
    "small": ("aerial", "People and vehicles from far away"),
    "heads": ("head", "Heads in crowds; needs the official model"),
    "flow": ("pedestrian", "People across a line through the middle of the picture"),
}
_ADDRESS = re.compile(r"^(rtsp|rtsps|http|https)://", re.IGNORECASE)
_ID = re.compile(r"^[0-9a-f]{16}$")
_FIRST_PICTURE_S = 15.0
_STOP_S = 30.0


@dataclass(slots=True)
class Analysis:
    """One of them.

    Attributes:
        state: `ready`, `waiting`, `running`, `drawing`, `done`, `stopped` or `failed`. detail: why, for people.
        progress: 0 to 1; None where there is no end.
    """

    id: str
    name: str
    scenario: str
    state: str = "ready"
    detail: str = ""
    progress: float | None = 0.0
    live: bool = False
    size: tuple[int, int] | None = None
    duration_s: float | None = None
    drawn: dict[str, Any] = field(default_factory=dict)


class Analyses:
    """All analyses in a folder. Those that were under way when the service ended are stopped.

    Args:
        work: the folder.
        command: how crosscam is called.
    """

    def __init__(self, work: Path, command: tuple[str, ...] = (sys.executable, "-m", "pipeline.cli")) -> None:
        self._work = work.absolute()
        self._command = command
        self._lock = threading.RLock()
        self._known: dict[str, Analysis] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._current: str | None = None
        self._news = threading.Condition(self._lock)
        self._closed = False
        self._thread: threading.Thread | None = None
        for file in sorted(self._work.glob("*/analysis.json")):
            self._remember(file)

    def all(self) -> list[Analysis]:
        """By when they were made, newest first."""
        with self._lock:
            return sorted(self._known.values(), key=lambda one: -self._folder(one.id).stat().st_mtime)

    def get(self, name: str) -> Analysis:
        """One of them.

        Raises:
            NotFoundError: there is none of that id.
        """
        with self._lock:
            if name not in self._known:
                raise NotFoundError(f"there is no analysis {name!r} here")
            one = self._known[name]
            if one.state == "running" and one.duration_s:
                one.progress = min(self._reached_s(one) / one.duration_s, 1.0)
            return one

    def add(self, scenario: str, *, video: tuple[str, BinaryIO] | None = None, address: str | None = None) -> Analysis:
        """A new one, not started yet.

        Args:
            scenario: of `SCENARIOS`.
            video: its name, and the file itself.
            address: of a live camera.

        Raises:
            UnfitError: the scenario is unknown, what was sent is no video, or the address is none.
            CrosscamError: it cannot be run here, a model is missing for instance.
        """
        if scenario not in SCENARIOS:
            raise UnfitError(f"there is no scenario {scenario!r}: choose one of {', '.join(SCENARIOS)}")
        if (video is None) == (address is None):
            raise UnfitError("give one of a video and an address")
        if address is not None and not _ADDRESS.match(address):
            raise UnfitError("an address begins with rtsp://, rtsps://, http:// or https://")
        key = secrets.token_hex(8)
        folder = self._folder(key)
        folder.mkdir(parents=True, mode=0o700)
        try:
            if video is not None:
                # The name says what kind of file it is, and is used for nothing else.
                ending = Path(video[0]).suffix.lower()
                source = f"input{ending if re.fullmatch(r'[.][a-z0-9]{1,5}', ending) else '.video'}"
                with (folder / source).open("wb") as file:
                    shutil.copyfileobj(video[1], file, 1 << 20)
            else:
                assert address is not None
                source = address
            one = Analysis(
                key, mask(address or Path(video[0] if video else "").name)[:200], scenario, live=video is None
            )
            drawn = Drawn(lines={"middle": "horizontal"}) if scenario == "flow" else Drawn()
            self._write(one, source, drawn)
            site = load(folder / "site.yaml")
            check(site)
            self._measure(one, site)
        except UnfitError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        except CrosscamError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise UnfitError(_plain(str(error), folder)) from None
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        with self._lock:
            self._known[key] = one
            self._keep(one)
        return one

    def picture(self, name: str) -> Image:
        """Its first picture, (H, W, 3) uint8 BGR; of a live camera the newest, which may take some seconds.

        Raises:
            NotFoundError: there is none, or it does not come.
        """
        self.get(name)
        site = load(self._folder(name) / "site.yaml")
        source = build_source(site, site.camera(CAMERA))
        until = time.monotonic() + _FIRST_PICTURE_S
        try:
            source.open(None)
            while time.monotonic() < until:
                item = source.read()
                if isinstance(item, Frame) and item.image is not None:
                    return item.image
            raise NotFoundError(f"no picture came from {self.get(name).name}")
        finally:
            source.close()

    def draw(self, name: str, drawn: Drawn) -> None:
        """Give it lines and zones.

        Raises:
            UnfitError: they are none, or it has been started.
        """
        with self._lock:
            one = self.get(name)
            if one.state != "ready":
                raise UnfitError("it has been started already: make a new analysis to draw other lines")
            drawn.rules()
            self._write(one, str(self._site(name)["cameras"][0]["source"]), drawn)
            self._keep(one)

    def start(self, name: str) -> Analysis:
        """Have it run as soon as those before it are done."""
        with self._lock:
            one = self.get(name)
            if one.state in ("ready", "stopped", "failed"):
                one.state, one.detail = "waiting", ""
                self._keep(one)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work_off, name="analyses", daemon=True)
                self._thread.start()
            self._news.notify_all()
            return one

    def stop(self, name: str) -> Analysis:
        """Stop it; what it has found so far is kept, and drawn if it was of a live camera."""
        with self._lock:
            one = self.get(name)
            if one.state == "waiting":
                one.state = "stopped"
                self._keep(one)
            elif self._current == name and self._process is not None:
                one.detail = "stopping"
                self._process.send_signal(signal.SIGINT)
            return one

    def remove(self, name: str) -> None:
        """Forget it, with all its files.

        Raises:
            UnfitError: it is running.
        """
        with self._lock:
            one = self.get(name)
            if one.state in ("running", "drawing"):
                raise UnfitError("it is running: stop it first")
            del self._known[name]
            shutil.rmtree(self._folder(name), ignore_errors=True)

    def results(self, name: str) -> list[Path]:
        """Its files, to be looked at or taken away."""
        self.get(name)
        return sorted(path for path in (self._folder(name) / "results").rglob("*") if path.is_file())

    def result(self, name: str, file: str) -> Path:
        """One of them.

        Raises:
            NotFoundError: there is none of that name.
        """
        folder = (self._folder(self.get(name).id) / "results").resolve()
        path = (folder / file).resolve()
        if not path.is_relative_to(folder) or not path.is_file():
            raise NotFoundError(f"this analysis has no file {file!r}")
        return path

    def log(self, name: str) -> str:
        """The end of what its commands said."""
        self.get(name)
        try:
            text = (self._folder(name) / "run.log").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return mask(text[-4000:])

    def close(self) -> None:
        """Stop what is running."""
        with self._lock:
            self._closed = True
            process = self._process
            self._news.notify_all()
        if process is not None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()

    def _work_off(self) -> None:
        while True:
            with self._lock:
                waiting = [one for one in self._known.values() if one.state == "waiting"]
                if self._closed:
                    return
                if not waiting:
                    self._news.wait()
                    continue
                one = waiting[0]
                self._become(one, "running")
                self._current = one.id
            try:
                self._run(one)
            except Exception as error:  # one analysis must not end the others
                _log.error("analysis %s broke: %s", one.id, mask(repr(error)))
                self._become(one, "failed", "it broke; the service's log says why")
            finally:
                with self._lock:
                    self._current = None

    def _run(self, one: Analysis) -> None:
        code = self._call(one, "run", "site.yaml")
        if code not in (0, 130):
            self._become(one, "failed", self._last_words(one))
            return
        stopped = code == 130
        self._become(one, "drawing")
        results = self._folder(one.id) / "results"
        results.mkdir(exist_ok=True)
        steps: list[tuple[str, ...]] = [
            ("export", "site.yaml", "--output", "results", "--format", "mot"),
            ("export", "site.yaml", "--output", "results", "--format", "csv"),
            ("report", "site.yaml", "--output", "results/report"),
        ]
        if not one.live:
            steps.insert(0, ("render", "site.yaml", "--output", "results"))
        for step in steps:
            if self._call(one, *step) != 0:
                self._become(one, "failed", self._last_words(one))
                return
        shutil.make_archive(str(results / "report"), "zip", results / "report")
        self._become(one, "stopped" if stopped and not one.live else "done")

    def _call(self, one: Analysis, *arguments: str) -> int:
        folder = self._folder(one.id)
        environment = {**os.environ, "COLUMNS": "120"}
        package = str(Path(__file__).parents[2])
        environment["PYTHONPATH"] = os.pathsep.join([package, *filter(None, [environment.get("PYTHONPATH")])])
        with (folder / "run.log").open("ab") as log:
            with self._lock:
                if self._closed:
                    return 130
                self._process = subprocess.Popen(
                    [*self._command, *arguments],
                    cwd=folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            code = self._process.wait()
            with self._lock:
                self._process = None
        return code

    def _last_words(self, one: Analysis) -> str:
        lines = [line for line in self.log(one.id).splitlines() if line.strip()]
        return _plain(lines[-1] if lines else "it said nothing", self._folder(one.id))

    def _become(self, one: Analysis, state: str, detail: str = "") -> None:
        with self._lock:
            one.state, one.detail = state, detail
            if state == "done":
                one.progress = 1.0
            self._keep(one)

    def _measure(self, one: Analysis, site: Site) -> None:
        source = build_source(site, site.camera(CAMERA))
        if source.live:
            one.progress = None
            return
        length, rate = source.length(), source.rate()
        one.duration_s = length / rate if length and rate else None
        source.open(None)
        one.size = source.size
        source.close()

    def _reached_s(self, one: Analysis) -> float:
        path = self._folder(one.id) / "ledger.sqlite"
        if not path.exists():
            return 0.0
        try:
            reader = SqliteReader(path)
            kept = reader.state().get(SITE_KEY)
            reader.close()
        except CrosscamError:
            return 0.0
        if kept is None:
            return 0.0
        state = unpack(kept)
        return 0.0 if state["interval"] is None else float((state["interval"] + 1) * state["interval_ns"] / 1e9)

    def _write(self, one: Analysis, source: str, drawn: Drawn) -> None:
        """Its site's file."""
        camera: dict[str, Any] = {"id": CAMERA, "source": source}
        one.drawn = drawn.model_dump()
        camera |= {name: shapes for name, shapes in one.drawn.items() if shapes}
        site = {
            "site": "analysis",
            "profile": SCENARIOS[one.scenario][0],
            "cameras": [camera],
            "ledger": {"sqlite": {"path": "ledger.sqlite"}},
        }
        if one.scenario == "flow":
            site["flow_interval"] = "10s"
        path = self._folder(one.id) / "site.yaml"
        with path.open("w", encoding="utf-8") as file:
            YAML().dump(site, file)
        path.chmod(0o600)  # an address may hold a password

    def _site(self, name: str) -> Any:
        return YAML(typ="safe").load((self._folder(name) / "site.yaml").read_text(encoding="utf-8"))

    def _keep(self, one: Analysis) -> None:
        fields = {name: getattr(one, name) for name in Analysis.__slots__}
        (self._folder(one.id) / "analysis.json").write_text(json.dumps(fields), encoding="utf-8")

    def _remember(self, file: Path) -> None:
        try:
            one = Analysis(**json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            _log.warning("%s is no analysis, and is left alone", file)
            return
        if one.state in ("waiting", "running", "drawing"):
            one.state, one.detail = "stopped", "the service ended meanwhile; start it again to go on"
        one.size = None if one.size is None else (one.size[0], one.size[1])
        self._known[one.id] = one

    def _folder(self, name: str) -> Path:
        if not _ID.match(name):
            raise NotFoundError(f"there is no analysis {name!r} here")
        return self._work / name


def _plain(text: str, folder: Path) -> str:
    """A sentence without the folder's own path."""
    return mask(text.replace(f"{folder}/", "").replace(str(folder), ""))
