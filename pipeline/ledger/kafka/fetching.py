"""Reading committed records off partitions, and the headers that a ledger's records carry.

Every output record has two headers: `time_ns`, its event time (the timestamp of Kafka itself has milliseconds
only), and `sequence`, its number in the topic, from 0 without gaps. Both are the same in a replay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka import errors as kafka_errors

from pipeline.ledger.base import CorruptError
from pipeline.ledger.kafka.connection import connect
from pipeline.ledger.kafka.settings import KafkaSettings
from pipeline.ledger.kafka.state import Headers, StateTable

_TIME = "time_ns"
_SEQUENCE = "sequence"

# One look for records. Short, since the end of a topic is a mark that a look finds but does not return.
LOOK_MS = 50

_FETCH_BYTES = 8 * 1024 * 1024


def output_headers(time_ns: int, sequence: int) -> Headers:
    """The headers of an output record."""
    return [(_TIME, str(time_ns).encode()), (_SEQUENCE, str(sequence).encode())]


def parse_headers(record: Any) -> tuple[int, int]:
    """Event time in nanoseconds and sequence number of an output record.

    Raises:
        CorruptError: it was not written by a ledger.
    """
    headers = dict(record.headers)
    try:
        return int(headers[_TIME]), int(headers[_SEQUENCE])
    except (KeyError, ValueError, TypeError) as error:
        raise not_ours(record) from error


def parse_key(record: Any) -> str:
    """The key of an output record.

    Raises:
        CorruptError: it was not written by a ledger.
    """
    try:
        return str(record.key, "utf-8")
    except (TypeError, UnicodeDecodeError) as error:
        raise not_ours(record) from error


def not_ours(record: Any) -> CorruptError:
    """The error for a record that somebody else has written."""
    return CorruptError(
        f"record {record.offset} of {record.topic}, partition {record.partition}, was not written by crosscam:"
        " nothing else may write to a site's topics"
    )


def open_consumer(settings: KafkaSettings) -> KafkaConsumer:
    """A consumer of committed records, in no group and with nothing assigned."""
    return connect(
        KafkaConsumer,
        settings,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
        max_partition_fetch_bytes=_FETCH_BYTES,
    )


def read_until(
    consumer: KafkaConsumer,
    ends: Mapping[TopicPartition, int],
    settings: KafkaSettings,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Any]:
    """Records of the assigned partitions from their positions up to `ends`, each partition in order.

    Raises:
        KafkaTimeoutError: nothing came for as long as a request may take.
    """
    looks = 0
    while not stop() and any(consumer.position(partition) < end for partition, end in ends.items()):
        found = consumer.poll(timeout_ms=LOOK_MS)
        looks = 0 if found else looks + 1
        if looks * LOOK_MS / 1000 > settings.request_s:
            raise kafka_errors.KafkaTimeoutError("records that should be there do not come")
        for partition, records in found.items():
            yield from (record for record in records if record.offset < ends[partition])


def read_state(topic: str, settings: KafkaSettings, *, start: int | None = None) -> tuple[StateTable, int]:
    """The state topic as of the last commit.

    Args:
        topic: its name in the cluster.
        settings: of the ledger.
        start: offset to begin at; None reads all of it.

    Returns:
        The table, and the offset of the last record.

    Raises:
        KafkaError: the cluster does not answer.
    """
    consumer = open_consumer(settings)
    try:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        if start is None:
            consumer.seek_to_beginning(partition)
        else:
            consumer.seek(partition, start)
        table, last = StateTable(), 0
        # The end of what is committed lies between two transactions, so what is before it is whole.
        for record in read_until(consumer, consumer.end_offsets([partition]), settings):
            table.apply(record.key, record.value, record.headers)
            last = record.offset
        return table, last
    finally:
        consumer.close()
