"""What may stand under `ledger: kafka:`, checked before any broker is asked.

All names but three are kafka-python's own and are passed through; the three say how topics are created.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.ledger.base import LedgerError

_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "GSSAPI", "OAUTHBEARER", "AWS_MSK_IAM")
_FILES = ("ssl_cafile", "ssl_certfile", "ssl_keyfile", "ssl_crlfile")
_SECRETS = ("sasl_plain_password", "ssl_password")

# Settings of kafka-python that each of its three clients (admin, producer, consumer) knows.
_CLIENT = (
    "bootstrap_servers",
    "bootstrap_timeout_ms",
    "client_dns_lookup",
    "client_id",
    "connections_max_idle_ms",
    "metadata_max_age_ms",
    "proxy_url",
    "receive_buffer_bytes",
    "reconnect_backoff_max_ms",
    "reconnect_backoff_ms",
    "request_timeout_ms",
    "retry_backoff_ms",
    "sasl_kerberos_domain_name",
    "sasl_kerberos_name",
    "sasl_kerberos_service_name",
    "sasl_mechanism",
    "sasl_oauth_token_provider",
    "sasl_plain_password",
    "sasl_plain_username",
    "security_protocol",
    "send_buffer_bytes",
    "ssl_cafile",
    "ssl_certfile",
    "ssl_check_hostname",
    "ssl_crlfile",
    "ssl_keyfile",
    "ssl_password",
)
_PRODUCER = ("compression_type", "transaction_timeout_ms")
_TOPICS = ("partitions", "replication_factor", "retention_ms")

_DEFAULTS: dict[str, Any] = {
    # One try to reach a cluster that is away; then it is said aloud, and tried again.
    "bootstrap_timeout_ms": 5_000,
    "request_timeout_ms": 10_000,
    # A commit often finds the one before still being marked as done by the broker, which takes milliseconds:
    # asking again after 100 ms, kafka-python's default, would be most of a commit's time.
    "retry_backoff_ms": 20,
    "reconnect_backoff_max_ms": 1_000,
}

# kafka-python writes what it sends, passwords included, to these loggers at DEBUG.
_TALKATIVE = ("kafka.net.connection", "kafka.protocol.parser")


def _above_debug(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG


class _Masked(str):
    """A secret that shows itself only to who uses it as text, not to who prints the settings it stands in."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """Settings of one site's Kafka ledger.

    Attributes:
        client: what every kafka-python client gets.
        compression: of the records on the wire and on disk.
        transaction_timeout_ms: after this long the cluster gives up on a commit whose writer has vanished.
        partitions: of the topics tracks, identities and events when they are created.
        replication_factor: of all topics when they are created; -1 takes the cluster's default.
        retention_ms: how long records are kept, by their event time, when topics are created; -1 for ever.
    """

    client: Mapping[str, Any]
    compression: str | None
    transaction_timeout_ms: int
    partitions: int
    replication_factor: int
    retention_ms: int

    @property
    def servers(self) -> str:
        """The cluster's address, for sentences."""
        servers = self.client["bootstrap_servers"]
        return servers if isinstance(servers, str) else ",".join(servers)

    @property
    def request_s(self) -> float:
        """How long one request may take, in seconds."""
        return float(self.client["request_timeout_ms"]) / 1000

    @property
    def bootstrap_s(self) -> float:
        """How long a client may take to reach the cluster, in seconds."""
        return float(self.client["bootstrap_timeout_ms"]) / 1000

    def scrub(self, text: str) -> str:
        """The text without the secrets among the settings."""
        for name in _SECRETS:
            secret = self.client.get(name)
            if secret:
                text = text.replace(secret, "***")
        return text


def parse(settings: Mapping[str, Any]) -> KafkaSettings:
    """Check the settings and fill in what is not given.

    Raises:
        LedgerError: one is unknown, missing or not what it should be. No secret is in the sentence.
    """
    known = (*_CLIENT, *_PRODUCER, *_TOPICS)
    for name in settings:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            raise LedgerError(f"ledger.kafka: there is no setting '{name}'; {hint}")
    if not settings.get("bootstrap_servers"):
        raise LedgerError("ledger.kafka: bootstrap_servers is missing: give HOST:PORT of one or more brokers")
    _check_security(settings)
    client: dict[str, Any] = {**_DEFAULTS, **{name: settings[name] for name in _CLIENT if name in settings}}
    for name, value in client.items():
        if name.endswith(("_ms", "_bytes")) and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise LedgerError(f"ledger.kafka: {name} must be a whole number above 0")
    for name in _SECRETS:
        if client.get(name) is not None:
            client[name] = _Masked(client[name])
            for logger in map(logging.getLogger, _TALKATIVE):
                logger.addFilter(_above_debug)
    return KafkaSettings(
        client=client,
        compression=settings.get("compression_type", "lz4"),
        transaction_timeout_ms=_whole(settings, "transaction_timeout_ms", 60_000, least=1),
        partitions=_whole(settings, "partitions", 1, least=1),
        replication_factor=_whole(settings, "replication_factor", -1, least=-1),
        retention_ms=_whole(settings, "retention_ms", -1, least=-1),
    )


def _whole(settings: Mapping[str, Any], name: str, default: int, *, least: int) -> int:
    value = settings.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < least or value == 0:
        raise LedgerError(f"ledger.kafka: {name} must be a whole number, not {value!r}")
    return value


def _check_security(settings: Mapping[str, Any]) -> None:
    protocol = settings.get("security_protocol", "PLAINTEXT")
    if protocol not in _PROTOCOLS:
        raise LedgerError(f"ledger.kafka: security_protocol '{protocol}' is none of {', '.join(_PROTOCOLS)}")
    if protocol.startswith("SASL"):
        mechanism = settings.get("sasl_mechanism")
        if mechanism not in _MECHANISMS:
            raise LedgerError(f"ledger.kafka: {protocol} needs sasl_mechanism, one of {', '.join(_MECHANISMS)}")
        if mechanism == "PLAIN" or mechanism.startswith("SCRAM"):
            for name in ("sasl_plain_username", "sasl_plain_password"):
                if not isinstance(settings.get(name), str):
                    raise LedgerError(f"ledger.kafka: sasl_mechanism {mechanism} needs {name} (text)")
    compression = settings.get("compression_type", "lz4")
    if compression not in (None, "gzip", "lz4", "zstd"):
        raise LedgerError(f"ledger.kafka: compression_type '{compression}' is none of gzip, lz4, zstd")
    for name in _FILES:
        if settings.get(name) is not None and not Path(settings[name]).is_file():
            raise LedgerError(f"ledger.kafka: {name}: there is no file {settings[name]}")
