"""Clients of a Kafka cluster: opened, closed whatever happens, and their errors sorted.

kafka-python 3.0 leaves three things to its users. A client that cannot reach the cluster raises out of its
constructor and leaves its I/O thread and sockets behind; it says only that it could not, not why: a password that is
refused looks like a broker that is down; and where a connection is lost at the wrong moment the constructor waits for
ever. `connect` closes what was begun, finds the reason, and gives up.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections import deque
from typing import Any, TypeVar
from weakref import WeakSet

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka import errors as kafka_errors
from kafka.net.compat import KafkaNetClient
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector

from pipeline.ledger.base import LedgerError
from pipeline.ledger.kafka.settings import KafkaSettings

# Waiting does not help against these: someone has to change a setting, a permission or a record.
_HOPELESS = (
    kafka_errors.AuthorizationError,
    kafka_errors.IllegalSaslStateError,
    kafka_errors.IncompatibleBrokerVersion,
    kafka_errors.InvalidConfigurationError,
    kafka_errors.InvalidPartitionsError,
    kafka_errors.InvalidReplicationFactorError,
    kafka_errors.InvalidTimestampError,
    kafka_errors.InvalidTopicError,
    kafka_errors.InvalidTransactionTimeoutError,
    kafka_errors.KafkaConfigurationError,
    kafka_errors.MessageSizeTooLargeError,
    kafka_errors.PolicyViolationError,
    kafka_errors.RecordListTooLargeError,
    kafka_errors.SaslAuthenticationFailedError,
    kafka_errors.SecurityDisabledError,
    kafka_errors.UnsupportedForMessageFormatError,
    kafka_errors.UnsupportedSaslMechanismError,
    kafka_errors.UnsupportedVersionError,
)
_FENCED = (kafka_errors.ProducerFencedError, kafka_errors.InvalidProducerEpochError)

_LATE_S = 5.0  # after the time that a client has for its first answer; then it will not come to an end by itself

Client = TypeVar("Client", KafkaAdminClient, KafkaConsumer, "Producer")


class _Manager(KafkaConnectionManager):  # type: ignore[misc]
    """Remembers how its latest attempts to connect failed, and never creates a topic by asking for it."""

    def __init__(self, net: NetworkSelector, **configs: Any) -> None:
        super().__init__(net, **configs)
        # kafka-python does not hand these two on to the part that asks for topics.
        self.cluster.config.update(allow_auto_create_topics=False, retry_backoff_ms=configs["retry_backoff_ms"])
        self.ends: deque[Exception] = deque(maxlen=16)
        self._watched: WeakSet[Any] = WeakSet()

    def get_connection(self, node_id: Any, **options: Any) -> Any:
        connection = super().get_connection(node_id, **options)
        if connection not in self._watched:
            self._watched.add(connection)
            connection.init_future.add_errback(self.ends.append)
        return connection


class _Witness:
    """Builds a client's network part, so that it can be closed and asked what went wrong."""

    def __init__(self) -> None:
        self._client: KafkaNetClient | None = None
        self._manager: _Manager | None = None
        self.closed = False

    def __call__(self, **configs: Any) -> KafkaNetClient:
        net = NetworkSelector(**configs)
        self._manager = _Manager(net, **configs)
        self._client = KafkaNetClient(net=net, manager=self._manager)
        return self._client

    @property
    def reason(self) -> Exception | None:
        ends = [] if self._manager is None else list(self._manager.ends)
        # A refusal tells more than the attempts that ran out of time after it.
        refusals = [end for end in ends if isinstance(end, _HOPELESS)]
        return next(reversed(refusals or ends), None)

    def close(self) -> None:
        """From any thread: whoever waits for the client is let go."""
        self.closed = True
        if self._client is not None:
            self._client.close()


class Producer(KafkaProducer):  # type: ignore[misc]
    """A transactional producer whose commit can be given up on, and which can be dropped in the middle."""

    def commit_within(self, seconds: float) -> None:
        """Commit the transaction; what kafka-python's own method does, but not for ever.

        Raises:
            KafkaTimeoutError: no answer in time. Whether the commit was made is open.
        """
        result = self._transaction_manager.begin_commit()
        self._sender.wakeup()
        if not result.wait(timeout_ms=seconds * 1000):
            raise kafka_errors.KafkaTimeoutError("no answer to a commit")

    def drop(self) -> None:
        """Close without waiting for anything that is under way."""
        self._sender.force_close()
        with contextlib.suppress(kafka_errors.KafkaError):
            self.close(timeout=1)


def connect(kind: type[Client], settings: KafkaSettings, **options: Any) -> Client:
    """A client of the cluster, connected.

    Raises:
        KafkaError: the reason why the cluster cannot be used, where one is known.
    """
    witness = _Witness()
    patience = threading.Timer(settings.bootstrap_s + _LATE_S, witness.close)
    patience.daemon = True
    patience.start()
    try:
        client = kind(**settings.client, kafka_client=witness, **options)
        patience.cancel()
        if witness.closed:
            raise kafka_errors.KafkaTimeoutError("no connection in time")
        return client
    except (kafka_errors.KafkaError, OSError, ValueError) as error:
        reason = witness.reason or error
        witness.close()
        if isinstance(reason, kafka_errors.KafkaError):
            raise reason from error
        if isinstance(reason, ValueError):
            raise kafka_errors.KafkaConfigurationError(str(reason)) from error
        raise kafka_errors.KafkaConnectionError(str(reason)) from error
    finally:
        patience.cancel()


def cause(error: BaseException) -> BaseException:
    """The error at the bottom: kafka-python wraps what stopped a producer into plain `KafkaError`s."""
    while (inner := next((given for given in error.args if isinstance(given, BaseException)), None)) is not None:
        error = inner
    return error


def is_fencing(error: BaseException) -> bool:
    """Whether the cluster has given our transactional id to someone else, or has timed a transaction out."""
    return isinstance(cause(error), _FENCED)


def sentence(error: BaseException, settings: KafkaSettings) -> str:
    """What is wrong with the cluster, in words, without secrets."""
    bottom = cause(error)
    where = f"Kafka at {settings.servers}"
    match bottom:
        case kafka_errors.KafkaTimeoutError():
            return f"{where} does not answer in time"
        case kafka_errors.KafkaConnectionError():
            return settings.scrub(f"{where} does not answer ({_text(bottom)})")
    return settings.scrub(f"{where} does not do as asked ({_text(bottom)})")


def raise_if_hopeless(error: BaseException, settings: KafkaSettings) -> None:
    """Raise a `LedgerError` if the error will not go away by waiting."""
    bottom = cause(error)
    if isinstance(bottom, _HOPELESS):
        refusal = f"Kafka at {settings.servers} refuses ({_text(bottom)}): check ledger.kafka and the permissions"
        raise LedgerError(settings.scrub(refusal)) from error


def _text(error: BaseException) -> str:
    """The error's own words; its name where it has none."""
    words = str(error).rpartition(f"{type(error).__name__}: ")[2]
    return re.sub(r"^\[Error \d+\] ", "", words) or type(error).__name__
