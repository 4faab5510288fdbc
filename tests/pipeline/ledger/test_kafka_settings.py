"""Settings of the Kafka ledger: what is refused, in which words, and that secrets stay secret."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import Any

import pytest
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    KafkaAdminClient,
    ResourcePattern,
    ResourceType,
)

from pipeline.ledger.base import LedgerError
from pipeline.ledger.kafka import KafkaReader, KafkaWriter
from pipeline.ledger.kafka.settings import parse

SERVERS = {"bootstrap_servers": "127.0.0.1:9092"}
LOGIN = {
    "security_protocol": "SASL_SSL",
    "sasl_mechanism": "SCRAM-SHA-512",
    "sasl_plain_username": "operator",
    "sasl_plain_password": "hunter-2",
}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "bootstrap_servers is missing"),
        ({**SERVERS, "sasl_plain_pasword": "hunter-2"}, "did you mean sasl_plain_password?"),
        ({**SERVERS, "acks": 1}, "there is no setting 'acks'"),
        ({**SERVERS, "security_protocol": "TLS"}, "'TLS' is none of PLAINTEXT, SSL"),
        ({**SERVERS, "security_protocol": "SASL_SSL"}, "needs sasl_mechanism"),
        ({**SERVERS, **LOGIN, "sasl_plain_password": None}, "needs sasl_plain_password"),
        ({**SERVERS, "ssl_cafile": "no-such-folder/ca.pem"}, "there is no file no-such-folder/ca.pem"),
        ({**SERVERS, "request_timeout_ms": "soon"}, "request_timeout_ms must be a whole number"),
        ({**SERVERS, "partitions": 0}, "partitions must be a whole number"),
        ({**SERVERS, "compression_type": "rar"}, "'rar' is none of gzip, lz4, zstd"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_in_one_sentence(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(LedgerError) as refusal:
        KafkaWriter("plaza", settings)
    assert words in str(refusal.value)
    assert "hunter-2" not in str(refusal.value)
    with pytest.raises(LedgerError):
        KafkaReader("plaza", settings)


@pytest.mark.parametrize("site", ["the plaza", "", "a/b", "x" * 201])
def test_a_site_whose_name_cannot_name_a_topic_is_refused(site: str) -> None:
    with pytest.raises(LedgerError, match="cannot name Kafka topics"):
        KafkaWriter(site, SERVERS)


def test_a_secret_does_not_show_where_settings_are_printed() -> None:
    settings = parse({**SERVERS, **LOGIN})
    assert "hunter-2" not in repr(settings)
    assert "hunter-2" not in f"{settings.client}"
    assert settings.client["sasl_plain_password"] == "hunter-2"
    assert settings.scrub("refused 'hunter-2'") == "refused '***'"


@pytest.fixture
def login(kafka_server: Any) -> dict[str, Any]:
    """Settings that log in to the server."""
    return {
        "bootstrap_servers": kafka_server.secured,
        "bootstrap_timeout_ms": 3_000,
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": "operator",
        "sasl_plain_password": "open-sesame-42",
    }


@pytest.mark.kafka
def test_logging_in_works_and_leaves_no_password_in_the_log(
    login: dict[str, Any], new_ledger: Any, record: Any, caplog: pytest.LogCaptureFixture
) -> None:
    site = new_ledger("kafka").site
    with caplog.at_level(logging.DEBUG):
        writer = KafkaWriter(site, login)
        writer.open()
        writer.commit([record(0)], {"a": b"1"})
        writer.close()
        assert KafkaReader(site, login).state() == {"a": b"1"}
    assert "kafka" in caplog.text
    assert login["sasl_plain_password"] not in caplog.text


@pytest.mark.kafka
def test_a_wrong_password_is_an_error_at_once_that_does_not_repeat_it(
    login: dict[str, Any], new_ledger: Any, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = {**login, "sasl_plain_password": "not-the-password"}
    with caplog.at_level(logging.DEBUG), pytest.raises(LedgerError) as refusal:
        KafkaWriter(new_ledger("kafka").site, wrong).open()
    assert "Invalid username or password" in str(refusal.value)
    assert "not-the-password" not in str(refusal.value) + caplog.text


@pytest.fixture
def encrypted(kafka_server: Any, login: dict[str, Any]) -> dict[str, Any]:
    """Settings that log in over TLS, and trust the server's certificate."""
    authority = kafka_server.data / "ca.pem"
    if not authority.exists():
        pytest.skip("needs openssl to make a certificate")
    tls = {"bootstrap_servers": kafka_server.encrypted, "security_protocol": "SASL_SSL"}
    return {**login, **tls, "ssl_cafile": str(authority)}


@pytest.mark.kafka
def test_a_ledger_is_written_and_read_over_tls(encrypted: dict[str, Any], new_ledger: Any, record: Any) -> None:
    site = new_ledger("kafka").site
    writer = KafkaWriter(site, encrypted)
    writer.open()
    writer.commit([record(0)], {"a": b"1"})
    writer.close()
    assert KafkaReader(site, encrypted).state() == {"a": b"1"}


@pytest.mark.kafka
def test_a_certificate_that_nobody_vouches_for_is_not_accepted(encrypted: dict[str, Any], new_ledger: Any) -> None:
    distrustful = {name: value for name, value in encrypted.items() if name != "ssl_cafile"}
    writer = KafkaWriter(new_ledger("kafka").site, distrustful, patience_s=0.0, on_wait=lambda sentence: None)
    with pytest.raises(LedgerError, match="certificate verify failed"):
        writer.open()


@pytest.fixture
def guest(login: dict[str, Any]) -> dict[str, Any]:
    """A user whom the broker knows and grants nothing."""
    return {**login, "sasl_plain_username": "guest", "sasl_plain_password": "may-nothing-7"}


@pytest.mark.kafka
def test_a_user_who_may_not_create_topics_is_told_which_to_have_created(
    guest: dict[str, Any], new_ledger: Any, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = new_ledger("kafka")
    with caplog.at_level(logging.DEBUG), pytest.raises(LedgerError, match="or grant CREATE") as refusal:
        KafkaWriter(ledger.site, guest).open()
    assert f"{ledger.site}.tracks" in str(refusal.value)
    assert "may-nothing-7" not in str(refusal.value) + caplog.text


@pytest.mark.kafka
def test_a_user_who_may_read_and_not_write_is_told_to_look_at_the_permissions(
    guest: dict[str, Any], kafka_server: Any, new_ledger: Any, record: Any
) -> None:
    ledger = new_ledger("kafka")
    owner = ledger.writer()
    owner.open()
    owner.commit([record(0)], {"a": b"1"})
    owner.close()
    names = ResourcePattern(ResourceType.TOPIC, ledger.site, ACLResourcePatternType.PREFIXED)
    with contextlib.closing(KafkaAdminClient(bootstrap_servers=kafka_server.bootstrap)) as admin:
        operations = (ACLOperation.DESCRIBE, ACLOperation.READ, ACLOperation.DESCRIBE_CONFIGS)
        admin.create_acls([ACL("User:guest", "*", o, ACLPermissionType.ALLOW, names) for o in operations])
    assert KafkaReader(ledger.site, guest).state() == {"a": b"1"}
    with pytest.raises(LedgerError, match=r"refuses .*check ledger\.kafka and the permissions"):
        KafkaWriter(ledger.site, guest).open()
    assert ledger.values() == [0]


@pytest.mark.kafka
def test_more_replicas_than_brokers_is_an_error_that_says_so(kafka_server: Any, new_ledger: Any) -> None:
    ledger = new_ledger("kafka")
    with pytest.raises(LedgerError, match="replication factor of 3"):
        KafkaWriter(ledger.site, {**ledger.place, "replication_factor": 3}).open()


def test_the_file_settings_are_looked_at(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text("")
    assert parse({**SERVERS, "ssl_cafile": str(authority)}).client["ssl_cafile"] == str(authority)
