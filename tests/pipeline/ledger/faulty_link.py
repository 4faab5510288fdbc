"""A line between Kafka clients and a server that can be cut at a chosen request: before it, or after it."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from enum import Enum

# Numbers of Kafka's requests, as on the wire.
PRODUCE = 0
INIT_PRODUCER_ID = 22
ADD_PARTITIONS_TO_TXN = 24
END_TXN = 26


class Fault(Enum):
    """What happens to a request."""

    LOST = "it never reaches the server"
    UNANSWERED = "the server does what it asks, the answer is lost"
    LATE = "the server sees it only after a while"


@dataclass
class _Pair:
    client: socket.socket
    server: socket.socket
    swallow_next_answer: threading.Event = field(default_factory=threading.Event)

    def close(self) -> None:
        for end in (self.client, self.server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class FaultyLink:
    """Listens on a port and passes everything on to a server, but for the faults asked for.

    Args:
        port: where clients come to.
        target: HOST:PORT of the server.
    """

    def __init__(self, port: int, target: str) -> None:
        host, _, number = target.rpartition(":")
        self._target = (host, int(number))
        self._listener = socket.create_server(("127.0.0.1", port))
        self._pairs: list[_Pair] = []
        self._faults: dict[int, Fault] = {}
        self._late_s = 0.0
        self._stay_down = False
        self._down = False
        self.hits = 0
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def fail_next(self, request: int, fault: Fault, *, stay_down: bool = False, late_s: float = 0.0) -> None:
        """Do this to the next request of that number.

        Args:
            request: number of the request.
            fault: what happens to it.
            stay_down: refuse everybody from then on, until `mend`.
            late_s: seconds that a late request takes.
        """
        self._faults[request], self._stay_down, self._late_s = fault, stay_down, late_s

    def mend(self) -> None:
        """Let clients through again."""
        self._down = False

    def close(self) -> None:
        """Cut everything."""
        # Closing alone would leave the port taken until the thread that accepts has woken up.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        self._cut_all()

    def _cut_all(self) -> None:
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            pair.close()

    def _cut(self) -> None:
        self.hits += 1
        self._down = self._stay_down
        self._cut_all()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._down:
                    client.close()
                    continue
                pair = _Pair(client, socket.create_connection(self._target))
                self._pairs.append(pair)
                threading.Thread(target=self._requests, args=[pair], daemon=True).start()
                threading.Thread(target=self._answers, args=[pair], daemon=True).start()

    def _requests(self, pair: _Pair) -> None:
        with contextlib.suppress(OSError):
            while frame := _read_frame(pair.client):
                (request,) = struct.unpack(">h", frame[4:6])
                fault = self._faults.pop(request, None)
                if fault is Fault.LOST:
                    self._cut()
                    return
                if fault is Fault.UNANSWERED:
                    pair.swallow_next_answer.set()
                if fault is Fault.LATE:
                    self.hits += 1
                    time.sleep(self._late_s)
                pair.server.sendall(frame)
        pair.close()

    def _answers(self, pair: _Pair) -> None:
        with contextlib.suppress(OSError):
            while frame := _read_frame(pair.server):
                if pair.swallow_next_answer.is_set():
                    self._cut()
                    return
                pair.client.sendall(frame)
        pair.close()


def _read_frame(end: socket.socket) -> bytes:
    """A request or an answer with its length in front; empty at the end of the connection."""
    head = _read(end, 4)
    return head + _read(end, struct.unpack(">i", head)[0]) if head else b""


def _read(end: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = end.recv(size - len(data))
        if not more:
            return b""
        data += more
    return data
