"""The two ledgers behind one face."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipeline.ledger.base import Encoded, LedgerReader, LedgerWriter
from pipeline.ledger.kafka import KafkaReader, KafkaWriter
from pipeline.ledger.sqlite import SqliteReader, SqliteWriter


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
