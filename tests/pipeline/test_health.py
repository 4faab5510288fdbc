"""What probes are told of a site."""

from __future__ import annotations

import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import pytest

from mtmct.records import Commit
from pipeline.commit_order import CommitOrder
from pipeline.config import Health
from pipeline.fusion_service import FusionService
from pipeline.health import HealthError, HealthServer
from pipeline.schema.codec import open_codec
from pipeline.testing import LocalFusion, MemoryLedger, MemoryWriter


class Engine:
    def advance(self, batches: Any, watermark_ns: int) -> Commit:
        return Commit(watermark_ns)

    def restore(self, state: Mapping[str, bytes]) -> None: ...

    def erase(self, number: int, now_ns: int, last_said: Any = None) -> Commit:
        return Commit(now_ns)


@contextmanager
def site(ledger: MemoryLedger) -> Iterator[tuple[LocalFusion, HealthServer]]:
    """A site of one live camera, and where it answers."""
    server = HealthServer("127.0.0.1", 0)

    def build() -> FusionService:
        return FusionService(
            order=CommitOrder("plaza", {"north": True}, 10**9, 10.0),
            engine=Engine(),
            ledger=MemoryWriter(ledger),
            encode=open_codec().encode,
            health=server,
        )

    with closing(LocalFusion(build)) as fusion:
        fusion.call(lambda service: service.start()).result(10)
        yield fusion, server


def ask(server: HealthServer, path: str) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_a_site_is_ready_once_every_camera_has_a_worker() -> None:
    with site(MemoryLedger()) as (fusion, server):
        assert ask(server, "/healthz") == (200, {"status": "ok"})
        waiting = {"status": "unavailable", "because": ["camera 'north' has no worker yet"]}
        assert ask(server, "/readyz") == (503, waiting)
        fusion.call(lambda service: service.start_camera("north")).result(10)
        assert ask(server, "/readyz") == (200, {"status": "ok"})


def test_a_ledger_that_does_not_answer_makes_a_site_unready_but_not_dead_and_shows_no_password() -> None:
    with site(MemoryLedger()) as (fusion, server):
        fusion.call(lambda service: service.start_camera("north")).result(10)
        fusion._service.on_wait("kafka://ann:s3cret@k1 does not answer; trying again in 1 s")
        code, said = ask(server, "/readyz")
        assert (code, said["because"]) == (503, ["kafka://***@k1 does not answer; trying again in 1 s"])
        assert ask(server, "/healthz")[0] == 200


def test_a_site_whose_ledger_was_taken_over_is_dead_and_says_why() -> None:
    ledger = MemoryLedger()
    with site(ledger) as (fusion, server):
        MemoryWriter(ledger).open()
        with pytest.raises(Exception, match="another writer"):
            fusion.call(lambda service: service.erase(1)).result(10)
        for path in ("/healthz", "/readyz"):
            code, said = ask(server, path)
            assert code == 503
            assert "another writer has opened this ledger" in said["because"][0]


def test_an_event_loop_that_is_stuck_is_not_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.health._ANSWER_S", 0.1)
    with site(MemoryLedger()) as (fusion, server):
        hold = threading.Event()
        fusion._loop.call_soon_threadsafe(hold.wait, 5)
        try:
            because = ["fusion has not answered within 0.1 s"]
            assert ask(server, "/healthz") == (503, {"status": "unavailable", "because": because})
        finally:
            hold.set()


def test_other_paths_are_unknown_and_a_taken_port_is_a_sentence() -> None:
    with site(MemoryLedger()) as (_, server):
        assert ask(server, "/metrics")[0] == 404
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(HealthError, match="every site of a machine needs a port of its own"):
            HealthServer("127.0.0.1", taken.getsockname()[1]).open(alive=list, ready=list)


def test_it_listens_on_loopback_unless_told_otherwise() -> None:
    assert Health(port=8081).host == "127.0.0.1"
