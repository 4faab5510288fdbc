"""What deploy/RUNBOOK.md says of parts that die and of a broker that is away, by commands on one machine.

What it says of a driver that dies, of stopping and of a second driver is in tests/pipeline/cli: test_commands.py and
test_control.py; of nodes and disks in matrix.py.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from command_line import COMMAND, called

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "deploy" / "kafka"))
from server import free_port  # noqa: E402

pytestmark = [pytest.mark.faults, pytest.mark.kafka, pytest.mark.timeout(900)]


class Broker:
    """deploy/kafka/server.py, as it is started by hand."""

    def __init__(self, data: Path) -> None:
        self.port = free_port()
        script = ROOT / "deploy" / "kafka" / "server.py"
        self._command = [sys.executable, str(script), "start", "--data", str(data), "--port", str(self.port)]
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() == f"127.0.0.1:{self.port}"

    def kill(self) -> None:
        """With it the server, which ends with who has started it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None


class Site:
    """A site of one live camera in a folder of its own, and its driver."""

    def __init__(self, folder: Path, broker: int) -> None:
        self.folder, self.health = folder, free_port()
        (folder / "plaza.yaml").write_text(
            "site: plaza\ncameras:\n"
            "  - {id: north, source: 'simulated:people=2,seconds=0,paced=1,tracks=1', fps: 5}\n"
            f"health: {{port: {self.health}}}\n"
            f"ledger: {{kafka: {{bootstrap_servers: '127.0.0.1:{broker}', request_timeout_ms: 2000}}}}\n"
        )
        self.driver: subprocess.Popen[str] | None = None

    def run(self) -> None:
        self.driver = subprocess.Popen(
            [*COMMAND, "run", "plaza.yaml"],
            cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait while the driver lives."""
        end = time.monotonic() + 240
        while not condition():
            assert self.driver is not None and self.driver.poll() is None, f"{what}: {self.ends()}"
            assert time.monotonic() < end, f"{what}: it does not come to that"
            time.sleep(0.3)

    def status(self) -> dict[str, Any]:
        said = called("status", "plaza.yaml", "--json", cwd=self.folder)
        with suppress(ValueError):
            told: dict[str, Any] = json.loads(said.stdout)
            return told
        return {"state": "no answer"}

    def commits(self) -> int:
        return int(self.status().get("commits", 0))

    def probe(self, path: str) -> tuple[int, list[str]]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health}{path}", timeout=5) as answer:
                return answer.status, []
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)["because"]
        except OSError:
            return 0, []

    def ends(self) -> tuple[int, str, str]:
        assert self.driver is not None
        out, errors = self.driver.communicate(timeout=120)
        return self.driver.returncode, out, errors


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    made = Broker(tmp_path / "kafka")
    yield made
    made.kill()


@pytest.fixture
def site(tmp_path: Path, broker: Broker) -> Iterator[Site]:
    made = Site(tmp_path, broker.port)
    yield made
    if made.driver is not None and made.driver.poll() is None:
        made.driver.kill()
        made.driver.communicate()


def test_while_a_part_or_the_broker_is_away_the_site_says_so_and_goes_on_by_itself(site: Site, broker: Broker) -> None:
    # Start, with the broker away: it lives, is not ready, and says why.
    site.run()
    site.until(lambda: site.probe("/readyz")[0] == 503, "not ready without a broker")
    site.until(lambda: f"Kafka at 127.0.0.1:{broker.port}" in " ".join(site.probe("/readyz")[1]), "the reason is named")
    assert site.probe("/healthz") == (200, [])
    site.until(lambda: site.status()["state"] in ("waiting", "starting"), "the command says so, too")
    broker.start()
    site.until(lambda: site.commits() > 2, "the broker is back, the site commits")
    site.until(lambda: site.probe("/readyz") == (200, []), "it is ready")

    # A worker dies, then the fusion actor: nothing is to be done.
    for actor in ("worker-0", "fusion"):
        before = site.status()
        os.kill(before["pids"][actor], signal.SIGKILL)
        site.until(
            lambda actor=actor, before=before: site.status()["pids"][actor] != before["pids"][actor], "it is back"
        )
        reached = site.commits()
        site.until(lambda reached=reached: site.commits() > reached, "and goes on")
    assert site.status()["restarts"] == 2

    # A broker dies, and is brought back.
    broker.kill()
    site.until(lambda: site.probe("/readyz")[0] == 503, "not ready")
    assert site.probe("/healthz") == (200, [])
    site.until(lambda: "waiting" in site.status()["state"], "commits wait")
    broker.start()
    site.until(lambda: site.probe("/readyz") == (200, []), "ready again")
