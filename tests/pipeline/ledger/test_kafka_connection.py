"""A client that would never be there is given up; no cluster is needed for that."""

from __future__ import annotations

import threading

import pytest
from kafka import KafkaConsumer
from kafka.errors import KafkaConnectionError, KafkaTimeoutError
from kafka.future import Future

from pipeline.ledger.kafka import connection
from pipeline.ledger.kafka.settings import parse

SETTINGS = parse({"bootstrap_servers": "127.0.0.1:1", "bootstrap_timeout_ms": 100})


def test_a_client_that_waits_for_ever_for_its_first_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it does where the connection is lost while it is being made: nobody tells those who wait for it."""

    async def bootstrap(self: object, deadline: float | None) -> bool:
        return bool(await Future())

    monkeypatch.setattr(connection, "_LATE_S", 0.1)
    monkeypatch.setattr(connection._Manager, "_do_bootstrap", bootstrap)
    before = set(threading.enumerate())
    with pytest.raises((KafkaConnectionError, KafkaTimeoutError)):
        connection.connect(KafkaConsumer, SETTINGS)
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("kafka-io")]
