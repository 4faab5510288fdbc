"""`/healthz` and `/readyz` of a running site, for probes: a small HTTP server in the process that commits.

200 {"status": "ok"}
503 {"status": "unavailable", "because": ["camera 'north' has no worker yet"]}
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from operators.records import CrosscamError
from pipeline.sources.masking import mask

# What keeps it from being well, a sentence each; empty where it is.
Question = Callable[[], Sequence[str]]
_ASKER_S = 5.0
# An event loop that does not answer within this is stuck.
_ANSWER_S = 2.0


def answered_by(loop: asyncio.AbstractEventLoop, question: Callable[[], list[str]]) -> Question:
    """The question, put to fusion's event loop from a thread of the server's: one that is stuck is not well."""

    async def answer() -> list[str]:
        return question()

    def ask() -> list[str]:
        try:
            return asyncio.run_coroutine_threadsafe(answer(), loop).result(_ANSWER_S)
        except TimeoutError:
            return [f"fusion has not answered within {_ANSWER_S:g} s"]

    return ask


class HealthError(CrosscamError):
    """The address cannot be listened on."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _ASKER_S  # of a peer that connects and says nothing
    server_version = "crosscam"
    sys_version = ""

    def do_GET(self) -> None:
        question = self.server.questions.get(self.path)
        if question is None:
            self._answer(404, {"status": "unknown", "because": ["there are /healthz and /readyz"]})
            return
        reasons = [mask(reason) for reason in question()]
        self._answer(
            503 if reasons else 200, {"status": "unavailable", "because": reasons} if reasons else {"status": "ok"}
        )

    def _answer(self, code: int, said: Mapping[str, Any]) -> None:
        body = json.dumps(said).encode() + b"\n"
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Probes come every few seconds; they are not news."""


class _Server(ThreadingHTTPServer):
    questions: Mapping[str, Question]


class HealthServer:
    """Answers probes until it is closed.

    Args:
        host: address to listen on.
        port: 0 picks a free one.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._server: _Server | None = None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._port if self._server is None else self._server.server_port

    def open(self, *, alive: Question, ready: Question) -> None:
        """Begin to answer; both are asked in threads of the server's own.

        Raises:
            HealthError: the address cannot be listened on.
        """
        try:
            self._server = _Server((self._host, self._port), _Handler)
        except (OSError, OverflowError) as error:
            raise HealthError(
                f"health: {self._host}:{self._port} cannot be listened on ({error}); every site of a machine needs a "
                "port of its own"
            ) from None
        self._server.questions = {"/healthz": alive, "/readyz": ready}
        threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()

    def close(self) -> None:
        """Stop listening; safe to call twice."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
