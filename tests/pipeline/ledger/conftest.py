"""One Kafka server for the whole folder, and the two ledgers behind one face."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pipeline.ledger.base import Encoded, LedgerReader, LedgerWriter
from pipeline.ledger.kafka import KafkaReader, KafkaWriter
from pipeline.ledger.sqlite import SqliteReader, SqliteWriter


def load_server_module() -> ModuleType:
    """deploy/kafka/server.py: a script beside the packages, not in one."""
    path = Path(__file__).resolve().parents[3] / "deploy" / "kafka" / "server.py"
    spec = importlib.util.spec_from_file_location("deploy_kafka_server", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def kafka_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server of our own, which tests may stop, kill and start again."""
    if os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        pytest.skip("needs a Kafka server that may be stopped; unset KAFKA_BOOTSTRAP_SERVERS")
    module = load_server_module()
    if shutil.which("java") is None:
        pytest.skip("needs Java 17 or newer, or KAFKA_BOOTSTRAP_SERVERS")
    try:
        jars = module.fetch()
    except module.ServerError as error:
        pytest.skip(str(error))
    server = module.KafkaServer(
        tmp_path_factory.mktemp("kafka"),
        users={"operator": "open-sesame-42"},
        detour=module.free_port(),
        # Looks for transactions that have timed out twice a second instead of every ten.
        extra={"transaction.abort.timed.out.transaction.cleanup.interval.ms": "500"},
        jars=jars,
    )
    with server:
        yield server


@pytest.fixture(scope="session")
def kafka_settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Settings that reach a Kafka cluster: KAFKA_BOOTSTRAP_SERVERS, or a server of our own."""
    servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    return {"bootstrap_servers": servers or request.getfixturevalue("kafka_server").bootstrap}


@dataclass(frozen=True)
class Ledger:
    """One ledger of a site that nobody else uses: makes its writers and readers."""

    kind: str
    site: str
    place: Any

    def writer(self, **options: Any) -> LedgerWriter:
        """A writer, not yet open."""
        if self.kind == "sqlite":
            return SqliteWriter(self.place, self.site, **options)
        return KafkaWriter(self.site, self.place, **options)

    def reader(self) -> LedgerReader:
        """A reader."""
        if self.kind == "sqlite":
            return SqliteReader(self.place, self.site)
        return KafkaReader(self.site, self.place)

    def values(self, topic: str = "tracks") -> list[Any]:
        """The field "n" of all committed records of a topic, in order."""
        return [stored.value["n"] for stored in self.reader().read(topic)]


@pytest.fixture
def new_ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Ledger]:
    """Makes ledgers that nothing has been written to, of the kind asked for."""

    def make(kind: str) -> Ledger:
        site = f"site-{uuid.uuid4().hex[:12]}"
        if kind == "sqlite":
            return Ledger(kind, site, tmp_path / f"{site}.sqlite")
        return Ledger(kind, site, request.getfixturevalue("kafka_settings"))

    return make


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def ledger(request: pytest.FixtureRequest, new_ledger: Callable[[str], Ledger]) -> Ledger:
    """An empty ledger of each kind."""
    return new_ledger(request.param)


@pytest.fixture
def kafka_ledger(new_ledger: Callable[[str], Ledger]) -> Ledger:
    """An empty ledger in Kafka."""
    return new_ledger("kafka")


@pytest.fixture
def record() -> Callable[..., Encoded]:
    """Makes records that are told by their number."""

    def make(n: int, topic: str = "tracks", key: str | None = None) -> Encoded:
        value = b'{"n":%d}' % n
        return Encoded(topic, key or f"plaza-{n % 5:06}", value, 1_700_000_000_000_000_000 + n * 40_000_001)

    return make
