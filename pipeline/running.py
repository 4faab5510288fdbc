"""How another process speaks to a site that is running: through its driver, over a socket in a private folder.

Beside the ledger the driver leaves a note of where its socket is, and takes it away when it ends; one that was left by
a driver that was killed names a socket on which nobody answers.

    run/plaza/ledger.sqlite.running    path of the socket
    run/plaza.running                  the same of a site whose ledger is in Kafka

A request is one line of JSON, `{"method": "erase", "arguments": [17, null]}`, its answer another, `{"answer": ...}` or
`{"error": "a sentence"}`. Whoever may enter the folder may ask: the user who runs the site, and root.
"""

from __future__ import annotations

import json
import shutil
import socket
import socketserver
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from operators.records import CrosscamError
from pipeline.address import Place
from pipeline.config import Site

_ANSWER_S = 60.0


class NotRunningError(CrosscamError):
    """No run of the site can be reached from here."""


class UnansweredError(CrosscamError):
    """A run was asked and has not answered: it is ending, or stuck. What it did is not known."""


def note_of(place: Place) -> Path:
    """Where the note of a ledger's run is."""
    if place.file is not None:
        return place.file.with_name(place.file.name + ".running")
    assert place.kafka is not None
    return Path("run") / f"{place.kafka[0]}.running"


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    methods: Mapping[str, Callable[..., Any]]


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        try:
            asked = json.loads(self.rfile.readline())
            said = {"answer": self.server.methods[asked["method"]](*asked["arguments"])}
        except CrosscamError as error:
            said = {"error": str(error)}
        except (ValueError, KeyError, TypeError) as error:
            said = {"error": f"the running site does not understand the request ({error}): use the same build"}
        with suppress(OSError):
            self.wfile.write(json.dumps(said).encode() + b"\n")


class Door:
    """The driver's end: answers until it is closed. A folder that cannot be written costs the door, not the run.

    Args:
        site: what is running.
        methods: what may be asked; each is called in a thread of its own, with JSON types, and gives JSON types.
    """

    def __init__(self, site: Site, methods: Mapping[str, Callable[..., Any]]) -> None:
        self._note = note_of(Place.of(site)).absolute()
        self._folder: str | None = None
        self._server: _Server | None = None
        with suppress(OSError):
            # Short, as a socket's path must be, and of mode 0700.
            self._folder = tempfile.mkdtemp(prefix="crosscam-")
            path = f"{self._folder}/door"
            self._server = _Server(path, _Handler)
            self._server.methods = methods
            threading.Thread(target=self._server.serve_forever, name="door", daemon=True).start()
            self._note.parent.mkdir(parents=True, exist_ok=True)
            self._note.write_text(path + "\n", encoding="utf-8")

    def close(self) -> None:
        """Take the note and the socket away."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        with suppress(OSError):
            if self._folder is not None and self._note.read_text(encoding="utf-8").startswith(self._folder):
                self._note.unlink()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def ask(place: Place, method: str, *arguments: Any) -> Any:
    """Have the run that writes this ledger do something.

    Raises:
        NotRunningError: none can be reached from here.
        UnansweredError: it was asked, and has not answered.
        CrosscamError: it could not do it.
    """
    with socket.socket(socket.AF_UNIX) as line:
        try:
            line.connect(note_of(place).read_text(encoding="utf-8").strip())
        except PermissionError:
            raise CrosscamError("the site is run by another user: ask as that user") from None
        except OSError:
            raise NotRunningError("no run of this site can be reached from here") from None
        line.settimeout(_ANSWER_S)
        try:
            line.sendall(json.dumps({"method": method, "arguments": arguments}).encode() + b"\n")
            said = json.loads(line.makefile("rb").readline())
        except (OSError, ValueError) as error:
            raise UnansweredError(
                f"the running site has not answered ({error}): whether it did what was asked is not known; look again"
            ) from None
    if "error" in said:
        raise CrosscamError(said["error"])
    return said["answer"]
