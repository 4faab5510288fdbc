"""The reading end of a ledger in Kafka. Sees committed records only, in commit order, and joins no group."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka import errors as kafka_errors

from pipeline.ledger.backoff import Patience, warn
from pipeline.ledger.base import LedgerError, LedgerReader, Stored, UnavailableError, check_topic
from pipeline.ledger.kafka.connection import raise_if_hopeless, sentence
from pipeline.ledger.kafka.fetching import LOOK_MS, not_ours, open_consumer, parse_headers, parse_key, read_state
from pipeline.ledger.kafka.order import Sequencer
from pipeline.ledger.kafka.settings import parse
from pipeline.ledger.kafka.topics import STATE, topic_name
from pipeline.schema.codec import decode


@dataclass(frozen=True, slots=True)
class Position:
    """Where a read goes on.

    Attributes:
        offsets: next offset by partition; partitions that are not in it start at their beginning.
        last: sequence number of the last record seen; None if it is not known.
    """

    offsets: Mapping[int, int]
    last: int | None

    def __str__(self) -> str:
        offsets = {str(partition): self.offsets[partition] for partition in sorted(self.offsets)}
        return json.dumps({"offsets": offsets, "last": self.last}, separators=(",", ":"))

    @classmethod
    def parse(cls, text: str | None) -> Position:
        """What `str` made; None is the beginning.

        Raises:
            LedgerError: it is no position of a Kafka ledger.
        """
        if text is None:
            return cls({}, -1)
        try:
            fields = json.loads(text)
            return cls({int(partition): int(offset) for partition, offset in fields["offsets"].items()}, fields["last"])
        except (ValueError, TypeError, KeyError, AttributeError):
            raise LedgerError(f"'{text}' is not a position of a ledger in Kafka: use one that it gave") from None


class KafkaReader(LedgerReader):
    """Reads one site's ledger in Kafka.

    Args:
        site: whose ledger.
        settings: see `pipeline.ledger.kafka.settings`; `bootstrap_servers` at least.
        on_wait: told one sentence before every wait of a following reader for the cluster.
        sleep: waits so many seconds.
        clock: seconds that only grow.

    Raises:
        LedgerError: a setting or the site's name cannot be used.
    """

    def __init__(
        self,
        site: str,
        settings: Mapping[str, Any],
        *,
        on_wait: Callable[[str], None] = warn,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._site = site
        self._settings = parse(settings)
        self._state_topic = topic_name(site, STATE)
        self._patience = Patience(on_wait, None, sleep, clock)
        self._clock = clock

    def pages(
        self, topic: str, *, after: str | None = None, follow: bool = False, stop: Callable[[], bool] = lambda: False
    ) -> Iterator[list[Stored]]:
        """Records of `topic` in commit order; see `LedgerReader.pages`.

        A page is what can go after one poll. A position is JSON: the next offset of every partition, and the last
        sequence number. If the cluster goes away, a following reader waits for it; another raises `UnavailableError`.
        """
        check_topic(topic)
        position = Position.parse(after)
        return self._follow(topic, after, stop) if follow else self._once(topic, position, stop)

    def end(self, topic: str) -> str | None:
        """A position after the last committed record of `topic`; None where there is none."""
        check_topic(topic)
        try:
            with closing(open_consumer(self._settings)) as consumer:
                partitions = self._partitions(consumer, topic)
                ends = consumer.end_offsets(partitions)
                if ends == consumer.beginning_offsets(partitions):
                    return None
        except kafka_errors.KafkaError as error:
            raise self._plain(error) from error
        return str(Position({partition.partition: offset for partition, offset in ends.items()}, None))

    def state(self) -> dict[str, bytes]:
        """The whole state as of the last commit."""
        try:
            with closing(open_consumer(self._settings)) as consumer:
                self._partitions(consumer, STATE)
            table, _ = read_state(self._state_topic, self._settings)
        except kafka_errors.KafkaError as error:
            raise self._plain(error) from error
        return table.values()

    def close(self) -> None:
        """Nothing is held between calls; every read closes what it opened when it ends."""

    def _once(self, topic: str, position: Position, stop: Callable[[], bool]) -> Iterator[list[Stored]]:
        try:
            with closing(open_consumer(self._settings)) as consumer:
                partitions = self._begin(consumer, topic, position)
                yield from self._stored(consumer, topic, position, stop, consumer.end_offsets(partitions))
        except kafka_errors.KafkaError as error:
            raise self._plain(error) from error

    def _follow(self, topic: str, after: str | None, stop: Callable[[], bool]) -> Iterator[list[Stored]]:
        outage = self._patience.outage()
        while not stop():
            try:
                with closing(open_consumer(self._settings)) as consumer:
                    self._begin(consumer, topic, Position.parse(after))
                    outage = self._patience.outage()
                    for some in self._stored(consumer, topic, Position.parse(after), stop, None):
                        after = some[-1].position
                        yield some
            except kafka_errors.KafkaError as error:
                raise_if_hopeless(error, self._settings)
                outage.wait(sentence(error, self._settings))

    def _stored(
        self,
        consumer: KafkaConsumer,
        topic: str,
        position: Position,
        stop: Callable[[], bool],
        ends: Mapping[TopicPartition, int] | None,
    ) -> Iterator[list[Stored]]:
        """Records from the consumer's positions on: up to `ends` at least, or until `stop` says so."""
        merge = Sequencer([partition.partition for partition in consumer.assignment()], position.last, self._clock)
        offsets = dict(position.offsets)
        looks = 0
        while not stop():
            found = consumer.poll(timeout_ms=LOOK_MS)
            for partition, records in found.items():
                for record in records:
                    merge.add(partition.partition, parse_headers(record)[1], record)
            some = []
            for sequence, record in merge.ready():
                offsets[record.partition] = record.offset + 1
                some.append(self._store(topic, record, Position(offsets, sequence)))
            if some:
                yield some
            if ends is None:
                continue
            if all(consumer.position(partition) >= end for partition, end in ends.items()):
                if not merge.held:
                    return
                continue
            looks = 0 if found else looks + 1
            if looks * LOOK_MS / 1000 > self._settings.request_s:
                raise kafka_errors.KafkaTimeoutError("records that should be there do not come")

    def _store(self, topic: str, record: Any, position: Position) -> Stored:
        time_ns, _ = parse_headers(record)
        if record.value is None:
            raise not_ours(record)
        return Stored(topic, parse_key(record), decode(topic, record.value), record.value, time_ns, str(position))

    def _begin(self, consumer: KafkaConsumer, topic: str, position: Position) -> list[TopicPartition]:
        partitions = self._partitions(consumer, topic)
        consumer.assign(partitions)
        for partition in partitions:
            if partition.partition in position.offsets:
                consumer.seek(partition, position.offsets[partition.partition])
            else:
                consumer.seek_to_beginning(partition)
        return partitions

    def _partitions(self, consumer: KafkaConsumer, topic: str) -> list[TopicPartition]:
        name = topic_name(self._site, topic)
        numbers = consumer.partitions_for_topic(name)
        if not numbers:
            raise LedgerError(
                f"there is no topic {name} in Kafka at {self._settings.servers}: run the site '{self._site}' first"
            )
        return [TopicPartition(name, number) for number in sorted(numbers)]

    def _plain(self, error: kafka_errors.KafkaError) -> UnavailableError:
        raise_if_hopeless(error, self._settings)
        return UnavailableError(sentence(error, self._settings))
