"""A site's driver in a process of its own, as its user starts it, and what it tells of itself."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from waiting import PATIENCE_S, FaultError, Told

HERE = Path(__file__).resolve().parent


class Run:
    """A driver in a process of its own.

    Args:
        site: its file.
        namespace: of Ray, where it is not to know of another run of the site.

    Attributes:
        commits: of the present fusion actor, as last told.
        pids: of the actors.
        waits: what the ledger waits for.
        said: why it ended, where it ended with an error.
        until: waits for something that the driver tells.
    """

    def __init__(self, site: Path, namespace: str | None = None) -> None:
        self.commits = 0
        self.pids: dict[str, int] = {}
        self.waits: str | None = None
        self.said: str | None = None
        self._told = Told(self.state)
        self.until = self._told.until
        self.process = subprocess.Popen(
            [sys.executable, HERE / "run_site.py", site, *([namespace] if namespace else [])],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A shell's background job ignores Ctrl-C, and its children do; a terminal's command does not.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        try:
            for line in self.process.stdout:
                if line.startswith("{"):  # and is not Ray's own
                    self._told.tell(partial(self._take, json.loads(line)))
        finally:
            self._told.tell(over=True)

    def _take(self, told: dict[str, Any]) -> None:
        self.commits, self.pids = told.get("commits", self.commits), told.get("pids", self.pids)
        self.waits, self.said = told.get("waits"), told.get("error", self.said)

    def under_way(self, actors: int) -> None:
        """Wait until a few commits are made and the process ids of so many actors are known."""
        self.until(lambda: self.commits >= 3 and len(self.pids) == actors, "a run that begins")

    def goes_on(self, *dead: str) -> Callable[[], bool]:
        """Whether there are more commits, once whoever is dead has come back under another process id."""
        before = dict(self.pids)
        since: list[int] = [] if dead else [self.commits]

        def answer() -> bool:
            if not since:
                if any(self.pids[name] == before[name] for name in dead):
                    return False
                since.append(0 if "fusion" in dead else self.commits)
            return self.commits > since[0]

        return answer

    def state(self) -> str:
        """How it is, or how it ended."""
        if self.process.poll() is None:
            return f"{self.commits} commits, {self.waits or 'waiting for nothing'}"
        assert self.process.stderr is not None
        return f"status {self.process.returncode}, {self.said or self.process.stderr.read()[-2000:]}"

    def ends(self, status: int) -> None:
        """Wait for its end.

        Raises:
            FaultError: it does not end, or ends otherwise.
        """
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise FaultError(f"a run that should end: {self.state()}") from None
        self._listener.join(PATIENCE_S)
        if self.process.returncode != status:
            raise FaultError(f"a run that should end with {status}: {self.state()}")

    def signal(self, how: signal.Signals) -> None:
        """Send a signal to the driver."""
        self.process.send_signal(how)

    def close(self) -> None:
        """End it if it has not, and let go of its pipes."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._listener.join(PATIENCE_S)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
