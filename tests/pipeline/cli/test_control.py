"""A site that goes on by itself, as its user commands it on one machine: run --detach, run --attach, status, stop."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from command_line import COMMAND, called, refused

from pipeline.address import Place
from pipeline.detached import ask
from pipeline.running import NotRunningError

SITE = """\
site: plaza
cameras:
  - {id: north, source: 'simulated:people=2,seconds=0,paced=1,tracks=1', fps: 5}
interval: 200ms
"""


def status(folder: Path) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(called("status", "plaza.yaml", "--json", cwd=folder).stdout)
    return said


def until(condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.1)


class Watcher:
    """A command that shows a site's progress, in a session of its own like a terminal's."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, *words],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.first = self.process.stdout.readline()

    def end(self) -> tuple[int, str, str]:
        out, errors = self.process.communicate(timeout=60)
        return self.process.returncode, self.first + out, errors


@pytest.fixture
def detached(tmp_path: Path) -> Iterator[Path]:
    """A folder whose site runs, started by a shell that has been hung up since."""
    (tmp_path / "plaza.yaml").write_text(SITE)
    shell = subprocess.run(
        ["/bin/sh", "-c", '"$@"; kill -HUP 0', "sh", *COMMAND, "run", "plaza.yaml", "--detach"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        start_new_session=True,
    )
    assert "plaza: runs" in shell.stdout, shell.stderr
    assert shell.returncode == -signal.SIGHUP, "the terminal is gone, and all that hung on it"
    running = status(tmp_path)
    yield tmp_path
    with suppress(ProcessLookupError):
        os.kill(running["pid"], signal.SIGKILL)


def test_a_detached_site_outlives_its_terminal_refuses_a_second_is_watched_and_stopped(detached: Path) -> None:
    until(lambda: list(status(detached)["cameras"]) == ["north"], "it tells of its cameras")
    begun = status(detached)
    assert begun["state"] == "running"
    until(lambda: status(detached)["commits"] > begun["commits"] + 2, "it goes on without its terminal")

    second = called("run", "plaza.yaml", cwd=detached)
    assert "site 'plaza' runs already" in refused(second)
    attached, following = Watcher(detached, "run", "plaza.yaml", "--attach"), Watcher(detached, "status", "--follow")
    assert attached.first.startswith("plaza: ") and following.first.startswith("plaza: ")
    attached.process.send_signal(signal.SIGINT)
    code, _, errors = attached.end()
    assert code == 130 and "Traceback" not in errors, "who only watches leaves, and the site goes on"
    assert status(detached)["pid"] == begun["pid"]

    stopped = called("stop", cwd=detached)
    assert stopped.returncode == 0 and "plaza: stopped; what was committed stays" in stopped.stdout
    code, said, errors = following.end()
    assert (code, errors) == (0, "") and said.splitlines()[-1] == "plaza: ended"
    assert called("status", cwd=detached).returncode == 3
    assert "Stopped, as `crosscam stop` has asked" in (detached / "run" / "plaza" / "plaza.log").read_text()


def test_a_site_that_ends_while_it_is_asked_how_it_is_is_not_running(tmp_path: Path) -> None:
    note = tmp_path / "ledger.sqlite.running"
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(tmp_path / "door"))
        door.listen()
        note.write_text(f"{tmp_path / 'door'}\n")

        def end() -> None:
            line, _ = door.accept()
            line.recv(1000)
            (tmp_path / "door").unlink()
            line.close()

        ending = threading.Thread(target=end)
        ending.start()
        with pytest.raises(NotRunningError):
            ask(Place(file=tmp_path / "ledger.sqlite"), "status")
        ending.join()
