"""Runs analyses one after the other, by the commands that anybody would use, each in a process of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import RLock

from operators.draw import Privacy
from pipeline.config_file import load
from pipeline.serve.analysis_files import CAMERA, VIDEO, Analysis, AnalysisFolders
from pipeline.serve.live_video import recorded

USUAL_COMMAND = (sys.executable, "-m", "pipeline.cli")
_STOP_S = 30.0
_STOPPED = 130  # as a shell says what Ctrl-C ended


class AnalysisRunner:
    """Runs an analysis from its site's file to its results.

    Args:
        folders: where they lie.
        become: told each state that one comes to, with a sentence of why.
        command: how crosscam is called.
        privacy: what is blurred of everyone tracked, in the annotated video.
    """

    def __init__(
        self,
        folders: AnalysisFolders,
        become: Callable[[Analysis, str, str], None],
        command: tuple[str, ...] = USUAL_COMMAND,
        privacy: Privacy = Privacy.NONE,
    ) -> None:
        self._folders, self._become, self._command, self._privacy = folders, become, command, privacy
        self._lock = RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def run(self, one: Analysis) -> None:
        """Run it, draw it, export it."""
        folder = self._folders.of(one.id)
        results = folder / "results"
        if one.live:
            with recorded(load(folder / "site.yaml"), folder / "ledger.sqlite", CAMERA, results / VIDEO, self._privacy):
                code = self._call(one, "run", "site.yaml")
        else:
            code = self._call(one, "run", "site.yaml")
        if code not in (0, _STOPPED):
            self._become(one, "failed", self._folders.last_words(one.id))
            return
        stopped = code == _STOPPED
        self._become(one, "drawing", "")
        results.mkdir(exist_ok=True)
        anybody = self._folders.has_tracks(one.id)
        steps: list[tuple[str, ...]] = [
            ("export", "site.yaml", "--output", "results", "--format", "mot"),
            ("export", "site.yaml", "--output", "results", "--format", "csv"),
        ]
        if anybody:
            steps.append(("report", "site.yaml", "--output", "results/report"))
        if not one.live:
            steps.insert(0, ("render", "site.yaml", "--output", "results", "--blur", self._privacy.value))
        for step in steps:
            if self._call(one, *step) != 0:
                self._become(one, "failed", self._folders.last_words(one.id))
                return
        if anybody:
            shutil.make_archive(str(results / "report"), "zip", results / "report")
        said = "" if anybody else "Nothing of that kind was seen, so there is no report."
        self._become(one, "stopped" if stopped and not one.live else "done", said)

    def stop(self) -> None:
        """Have the command under way end in good order, if there is one."""
        with self._lock:
            if self._process is not None:
                # Not SIGINT: whom a script has started in the background ignores it, and so do those whom he starts.
                self._process.send_signal(signal.SIGTERM)

    def close(self) -> None:
        """Stop for good."""
        with self._lock:
            self._closed = True
            process = self._process
        if process is not None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()

    def _call(self, one: Analysis, *arguments: str) -> int:
        folder = self._folders.of(one.id)
        environment = {**os.environ, "COLUMNS": "120"}
        package = str(Path(__file__).parents[2])
        environment["PYTHONPATH"] = os.pathsep.join([package, *filter(None, [environment.get("PYTHONPATH")])])
        with (folder / "run.log").open("ab") as log:
            with self._lock:
                if self._closed:
                    return _STOPPED
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
