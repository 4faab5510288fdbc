"""New analyses, started without code: a video or an address, a scenario, lines and zones; pictures and files come out.

Each lies in a folder of its own (`pipeline.serve.analysis_files`); they run one after the other
(`pipeline.serve.analysis_runner`).
"""

from __future__ import annotations

import logging
import re
import secrets
import shutil
import threading
import time
from pathlib import Path
from typing import BinaryIO

from operators.draw import Privacy
from operators.records import CrosscamError, Frame, Image
from pipeline.assembly import build_source
from pipeline.checks import check
from pipeline.config import Site
from pipeline.config_file import load
from pipeline.serve.analysis_files import CAMERA, SCENARIOS, Analysis, AnalysisFolders
from pipeline.serve.analysis_runner import USUAL_COMMAND, AnalysisRunner
from pipeline.serve.drawing import Drawn
from pipeline.serve.problems import NotFoundError, UnfitError
from pipeline.sources.masking import mask

_log = logging.getLogger(__name__)

_ADDRESS = re.compile(r"^(rtsp|rtsps|http|https)://", re.IGNORECASE)
_FIRST_PICTURE_S = 15.0


class Analyses:
    """All analyses in a folder. Those that were under way when the service ended are stopped.

    Args:
        work: the folder.
        command: how crosscam is called.
        models: see `AnalysisFolders`.
        privacy: what is blurred of everyone tracked, in the annotated video.
    """

    def __init__(
        self,
        work: Path,
        command: tuple[str, ...] = USUAL_COMMAND,
        models: Path = Path("models"),
        privacy: Privacy = Privacy.NONE,
    ) -> None:
        self._folders = AnalysisFolders(work, models)
        self._runner = AnalysisRunner(self._folders, self._become, command, privacy)
        self._lock = threading.RLock()
        self._known = {one.id: one for one in self._folders.remembered()}
        self._current: str | None = None
        self._news = threading.Condition(self._lock)
        self._closed = False
        self._thread: threading.Thread | None = None

    def all(self) -> list[Analysis]:
        """By when they were made, newest first."""
        with self._lock:
            return sorted(self._known.values(), key=lambda one: -self._folders.of(one.id).stat().st_mtime)

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
                one.progress = min(self._folders.reached_s(one.id) / one.duration_s, 1.0)
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
        folder = self._folders.of(key)
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
            self._folders.write_site(one, source, drawn)
            site = load(folder / "site.yaml")
            check(site)
            self._measure(one, site)
        except UnfitError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        except CrosscamError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise UnfitError(self._folders.plain(str(error), key)) from None
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        with self._lock:
            self._known[key] = one
            self._folders.keep(one)
        return one

    def picture(self, name: str) -> Image:
        """Its first picture, (H, W, 3) uint8 BGR; of a live camera the newest, which may take some seconds.

        Raises:
            NotFoundError: there is none, or it does not come.
        """
        self.get(name)
        site = load(self._folders.of(name) / "site.yaml")
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
            self._folders.write_site(one, self._folders.source(name), drawn)
            self._folders.keep(one)

    def start(self, name: str) -> Analysis:
        """Have it run as soon as those before it are done."""
        with self._lock:
            one = self.get(name)
            if one.state in ("ready", "stopped", "failed"):
                one.state, one.detail = "waiting", ""
                self._folders.keep(one)
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
                self._folders.keep(one)
            elif self._current == name:
                one.detail = "stopping"
                self._runner.stop()
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
            shutil.rmtree(self._folders.of(name), ignore_errors=True)

    def results(self, name: str) -> list[Path]:
        """Its files, to be looked at or taken away."""
        return self._folders.results(self.get(name).id)

    def result(self, name: str, file: str) -> Path:
        """One of them.

        Raises:
            NotFoundError: there is none of that name.
        """
        return self._folders.result(self.get(name).id, file)

    def log(self, name: str) -> str:
        """The end of what its commands said."""
        return self._folders.log(self.get(name).id)

    def close(self) -> None:
        """Stop what is running."""
        with self._lock:
            self._closed = True
            self._news.notify_all()
        self._runner.close()

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
                self._runner.run(one)
            except Exception as error:  # one analysis must not end the others
                _log.error("analysis %s broke: %s", one.id, mask(repr(error)))
                self._become(one, "failed", "it broke; the service's log says why")
            finally:
                with self._lock:
                    self._current = None

    def _become(self, one: Analysis, state: str, detail: str = "") -> None:
        with self._lock:
            one.state, one.detail = state, detail
            if state == "done":
                one.progress = 1.0
            self._folders.keep(one)

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
