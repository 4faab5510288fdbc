"""How a site lies in Kafka: topics, partitions, timestamps, headers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

from pipeline.ledger.base import CorruptError, Encoded, LedgerError
from pipeline.ledger.kafka import KafkaReader, KafkaWriter

pytestmark = pytest.mark.kafka

Maker = Callable[..., Encoded]


@pytest.fixture
def admin(kafka_settings: dict[str, Any]) -> Iterator[KafkaAdminClient]:
    with KafkaAdminClient(**kafka_settings) as client:
        yield client


def test_topics_are_created_as_documented(kafka_ledger: Any, admin: KafkaAdminClient) -> None:
    writer = KafkaWriter(kafka_ledger.site, {**kafka_ledger.place, "partitions": 3, "retention_ms": 86_400_000})
    writer.open()
    writer.close()
    names = {name: f"{kafka_ledger.site}.{name}" for name in ("tracks", "identities", "events", "deadletter", "state")}
    partitions = {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics(list(names.values()))}
    assert [partitions[name] for name in names.values()] == [3, 3, 3, 1, 1]


def test_a_state_topic_that_would_lose_state_is_refused(kafka_ledger: Any, admin: KafkaAdminClient) -> None:
    admin.create_topics({f"{kafka_ledger.site}.state": {"num_partitions": 1}}, wait_for_metadata=True)
    with pytest.raises(LedgerError, match=r"cleanup\.policy=delete, which loses state"):
        kafka_ledger.writer().open()


def test_a_state_topic_of_several_partitions_is_refused(kafka_ledger: Any, admin: KafkaAdminClient) -> None:
    admin.create_topics({f"{kafka_ledger.site}.state": {"num_partitions": 2}}, wait_for_metadata=True)
    with pytest.raises(LedgerError, match="has 2 partitions"):
        kafka_ledger.writer().open()


def test_records_of_1970_stay_and_carry_their_time(kafka_ledger: Any) -> None:
    old, older = Encoded("tracks", "a", b'{"n":0}', 1_234_567_891), Encoded("tracks", "a", b'{"n":1}', -5)
    future = Encoded("tracks", "b", b'{"n":2}', 4_102_444_800_000_000_000)
    writer = kafka_ledger.writer()
    writer.open()
    writer.commit([old, older, future], {})
    writer.close()
    read = list(kafka_ledger.reader().read("tracks"))
    assert [stored.time_ns for stored in read] == [old.time_ns, older.time_ns, future.time_ns]
    with KafkaConsumer(f"{kafka_ledger.site}.tracks", auto_offset_reset="earliest", **kafka_ledger.place) as consumer:
        plain = list(islice(consumer, 3))
    assert [message.timestamp for message in plain] == [1234, 0, 4_102_444_800_000]
    assert dict(plain[2].headers) == {"time_ns": b"4102444800000000000", "sequence": b"2"}
    assert plain[0].value == old.value


def test_what_a_writer_left_unfinished_is_invisible_and_undone_by_the_next(kafka_ledger: Any, record: Maker) -> None:
    writer = kafka_ledger.writer()
    writer.open()
    writer.commit([record(0)], {"a": b"0"})
    writer.close()
    dead = KafkaProducer(**kafka_ledger.place, transactional_id=f"crosscam-{kafka_ledger.site}")
    dead.init_transactions()
    dead.begin_transaction()
    for topic in ("tracks", "state"):
        dead.send(f"{kafka_ledger.site}.{topic}", b"half", key=b"a").get(timeout=10)
    assert kafka_ledger.values() == [0]
    assert kafka_ledger.reader().state() == {"a": b"0"}
    assert writer.open() == {"a": b"0"}
    dead.close(timeout=1)
    writer.commit([record(1)], {"a": b"1"})
    writer.close()
    assert kafka_ledger.values() == [0, 1]
    assert kafka_ledger.reader().state() == {"a": b"1"}


def test_several_partitions_are_read_in_the_order_of_the_commits(kafka_ledger: Any, record: Maker) -> None:
    place = {**kafka_ledger.place, "partitions": 4}
    writer = KafkaWriter(kafka_ledger.site, place)
    writer.open()
    for first in range(0, 1200, 40):
        writer.commit([record(n, key=f"plaza-{n % 23}") for n in range(first, first + 40)], {})
    reader = KafkaReader(kafka_ledger.site, place)
    everything = list(reader.read("tracks"))
    assert [stored.value["n"] for stored in everything] == list(range(1200))
    for at in (0, 1, 619, 1198, 1199):
        rest = list(reader.read("tracks", after=everything[at].position))
        assert [stored.raw for stored in rest] == [stored.raw for stored in everything[at + 1 :]]
    end = reader.end("tracks")
    following = reader.read("tracks", after=end, follow=True)
    writer.commit([record(n, key=f"plaza-{n % 23}") for n in range(1200, 1300)], {})
    assert [stored.value["n"] for stored in islice(following, 100)] == list(range(1200, 1300))
    with KafkaConsumer(**kafka_ledger.place) as consumer:
        parts = [TopicPartition(f"{kafka_ledger.site}.tracks", number) for number in range(4)]
        assert all(offset > 0 for offset in consumer.end_offsets(parts).values())
    writer.close()


def test_a_record_that_someone_else_wrote_is_named(kafka_ledger: Any, record: Maker) -> None:
    writer = kafka_ledger.writer()
    writer.open()
    writer.commit([record(0)], {})
    writer.close()
    with KafkaProducer(**kafka_ledger.place) as stranger:
        stranger.send(f"{kafka_ledger.site}.tracks", b"hello").get(timeout=10)
    reading = kafka_ledger.reader().read("tracks")
    with pytest.raises(CorruptError, match=r"partition 0, was not written by crosscam"):
        list(reading)


def test_a_record_too_large_for_kafka_is_an_error_and_not_waited_for(kafka_ledger: Any, record: Maker) -> None:
    writer = kafka_ledger.writer()
    writer.open()
    with pytest.raises(LedgerError, match="larger than"):
        writer.commit([Encoded("tracks", "k", b"x" * 2_000_000, 0)], {})
    assert writer.open() == {}
    writer.commit([record(0)], {})
    writer.close()
    assert kafka_ledger.values() == [0]
