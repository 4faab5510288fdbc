"""The cluster goes away at the worst moment; nothing is lost, nothing is written twice."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pipeline.ledger.base import Encoded, FencedError, UnavailableError
from pipeline.ledger.kafka import KafkaReader, KafkaWriter

from .faulty_link import ADD_PARTITIONS_TO_TXN, END_TXN, INIT_PRODUCER_ID, PRODUCE, Fault, FaultyLink

pytestmark = pytest.mark.kafka

Maker = Callable[..., Encoded]

# Give up on an unanswered request soon: these tests wait for that.
IMPATIENT = {"request_timeout_ms": 1_000, "bootstrap_timeout_ms": 500}
# Not as soon, where an answer that is late because the machine is busy would be taken for the fault that is tested.
OVER_LINK = {"request_timeout_ms": 1_000, "bootstrap_timeout_ms": 1_000}


class Waits:
    """Listens to a writer's waits, and does something at the first one."""

    def __init__(self, at_first: Callable[[], object] = lambda: None) -> None:
        self._at_first = at_first
        self.sentences: list[str] = []

    def __call__(self, sentence: str) -> None:
        self.sentences.append(sentence)
        if len(self.sentences) == 1:
            self._at_first()


@pytest.fixture
def link(kafka_server: Any) -> Iterator[FaultyLink]:
    """A line to the server that can be cut."""
    with contextlib.closing(FaultyLink(kafka_server.detour, kafka_server.behind_detour)) as line:
        yield line


@pytest.fixture
def over_link(kafka_server: Any, link: FaultyLink) -> dict[str, Any]:
    """Settings of a writer at the far end of the line."""
    return {"bootstrap_servers": f"127.0.0.1:{kafka_server.detour}", **OVER_LINK}


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.UNANSWERED])
@pytest.mark.parametrize(
    ("request_number", "stay_down"),
    [(ADD_PARTITIONS_TO_TXN, False), (PRODUCE, False), (PRODUCE, True), (END_TXN, False), (END_TXN, True)],
    ids=["blip-begin", "blip-produce", "outage-produce", "blip-end", "outage-end"],
)
def test_a_connection_cut_during_a_commit(
    link: FaultyLink,
    over_link: dict[str, Any],
    kafka_ledger: Any,
    record: Maker,
    request_number: int,
    stay_down: bool,
    fault: Fault,
) -> None:
    waits = Waits(link.mend)
    writer = KafkaWriter(kafka_ledger.site, over_link, on_wait=waits)
    writer.open()
    writer.commit([record(0)], {"next": b"1"})
    link.fail_next(request_number, fault, stay_down=stay_down)
    writer.commit([record(1), record(2)], {"next": b"3"})
    writer.commit([record(3)], {"next": b"4"})
    writer.close()
    assert link.hits == 1
    assert bool(waits.sentences) == stay_down
    assert kafka_ledger.values() == [0, 1, 2, 3]
    assert kafka_ledger.reader().state() == {"next": b"4"}


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.UNANSWERED])
@pytest.mark.parametrize("request_number", [INIT_PRODUCER_ID, END_TXN])
def test_a_connection_cut_while_opening(
    link: FaultyLink, over_link: dict[str, Any], kafka_ledger: Any, record: Maker, request_number: int, fault: Fault
) -> None:
    first = kafka_ledger.writer()
    first.open()
    first.commit([record(0)], {"next": b"1"})
    link.fail_next(request_number, fault, stay_down=True)
    writer = KafkaWriter(kafka_ledger.site, over_link, on_wait=Waits(link.mend))
    assert writer.open() == {"next": b"1"}
    writer.commit([record(1)], {})
    with pytest.raises(FencedError):
        first.commit([record(2)], {})
    writer.close()
    assert kafka_ledger.values() == [0, 1]


def test_a_commit_so_slow_that_the_cluster_gives_up_on_it_is_made_anew(
    link: FaultyLink, over_link: dict[str, Any], kafka_ledger: Any, record: Maker
) -> None:
    settings = {**over_link, "request_timeout_ms": 20_000, "transaction_timeout_ms": 500}
    waits = Waits()
    writer = KafkaWriter(kafka_ledger.site, settings, on_wait=waits)
    writer.open()
    link.fail_next(END_TXN, Fault.LATE, late_s=2.5)
    writer.commit([record(0)], {"a": b"0"})
    writer.commit([record(1)], {"a": b"1"})
    writer.close()
    assert link.hits == 1
    assert waits.sentences == []
    assert kafka_ledger.values() == [0, 1]


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.UNANSWERED])
def test_another_writer_takes_over_during_an_outage(
    link: FaultyLink, over_link: dict[str, Any], kafka_ledger: Any, record: Maker, fault: Fault
) -> None:
    successor = kafka_ledger.writer()
    found: list[dict[str, bytes]] = []

    def take_over() -> None:
        found.append(successor.open())
        successor.commit([record(9)], {})
        link.mend()

    writer = KafkaWriter(kafka_ledger.site, over_link, on_wait=Waits(take_over))
    writer.open()
    link.fail_next(END_TXN, fault, stay_down=True)
    with pytest.raises(FencedError):
        writer.commit([record(0)], {"a": b"0"})
    successor.commit([record(10)], {})
    successor.close()
    made = fault is Fault.UNANSWERED
    assert found == [{"a": b"0"} if made else {}]
    assert kafka_ledger.values() == ([0, 9, 10] if made else [9, 10])


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.UNANSWERED])
def test_when_patience_runs_out_opening_again_tells_what_became_of_the_commit(
    link: FaultyLink, over_link: dict[str, Any], kafka_ledger: Any, record: Maker, fault: Fault
) -> None:
    writer = KafkaWriter(kafka_ledger.site, over_link, on_wait=Waits(), patience_s=0.2)
    writer.open()
    link.fail_next(END_TXN, fault, stay_down=True)
    with pytest.raises(UnavailableError, match="opened again"):
        writer.commit([record(0)], {"a": b"0"})
    link.mend()
    made = fault is Fault.UNANSWERED
    assert writer.open() == ({"a": b"0"} if made else {})
    writer.commit([record(1)], {})
    writer.close()
    assert kafka_ledger.values() == ([0, 1] if made else [1])


def test_a_wait_ends_with_what_its_listener_raises(
    link: FaultyLink, over_link: dict[str, Any], kafka_ledger: Any, record: Maker
) -> None:
    def shut_down() -> None:
        raise InterruptedError

    writer = KafkaWriter(kafka_ledger.site, over_link, on_wait=Waits(shut_down))
    writer.open()
    link.fail_next(END_TXN, Fault.LOST, stay_down=True)
    with pytest.raises(InterruptedError):
        writer.commit([record(0)], {})
    writer.close()


def test_a_server_killed_and_started_again_between_and_during_commits(
    kafka_server: Any, kafka_ledger: Any, record: Maker
) -> None:
    waits = Waits(kafka_server.start)
    writer = KafkaWriter(kafka_ledger.site, {**kafka_ledger.place, **IMPATIENT}, on_wait=waits)
    writer.open()
    stop = threading.Event()
    seen: list[int] = []

    def follow() -> None:
        reader = KafkaReader(kafka_ledger.site, {**kafka_ledger.place, **IMPATIENT}, on_wait=Waits())
        for stored in reader.read("tracks", follow=True, stop=stop.is_set):
            seen.append(stored.value["n"])
            if len(seen) == 40:
                return

    follower = threading.Thread(target=follow)
    follower.start()
    for n in range(40):
        if n == 20:
            # It dies while commits are being made, or between two of them: either has to do.
            threading.Timer(0.01, kafka_server.kill).start()
        writer.commit([record(n)], {"next": b"%d" % (n + 1)})
    writer.close()
    follower.join(timeout=30)
    stop.set()
    follower.join()
    assert waits.sentences
    assert seen == list(range(40))
    assert kafka_ledger.values() == list(range(40))
    assert kafka_ledger.reader().state() == {"next": b"40"}


def test_a_cluster_that_is_away_at_the_start_is_waited_for(kafka_server: Any, kafka_ledger: Any, record: Maker) -> None:
    clock = [0.0]
    delays: list[float] = []
    link = contextlib.ExitStack()

    def sleep(seconds: float) -> None:
        delays.append(seconds)
        clock[0] += seconds
        if len(delays) == 3:
            link.enter_context(contextlib.closing(FaultyLink(kafka_server.detour, kafka_server.behind_detour)))

    waits = Waits()
    settings = {"bootstrap_servers": f"127.0.0.1:{kafka_server.detour}", **IMPATIENT}
    writer = KafkaWriter(kafka_ledger.site, settings, on_wait=waits, sleep=sleep, clock=lambda: clock[0])
    with link:
        assert writer.open() == {}
        writer.commit([record(0)], {})
        writer.close()
    assert kafka_ledger.values() == [0]
    assert delays[:3] == [0.1, 0.2, 0.4]
    for sentence, delay in zip(waits.sentences[:3], delays, strict=False):
        # Whoever tries for so long finds himself refused, or in the middle of a try when it is over.
        why = sentence.partition("(")[2].partition(")")[0]
        assert why in ("111 ECONNREFUSED", "Connection timed out")
        assert sentence == (
            f"Kafka at {settings['bootstrap_servers']} does not answer ({why}); trying again in {delay:g} s"
        )


def test_a_server_that_hangs_is_noticed_and_the_commit_made_once_it_answers(
    kafka_server: Any, kafka_ledger: Any, record: Maker
) -> None:
    frozen = contextlib.ExitStack()
    waits = Waits(frozen.close)
    writer = KafkaWriter(kafka_ledger.site, {**kafka_ledger.place, **IMPATIENT}, on_wait=waits)
    writer.open()
    writer.commit([record(0)], {})
    with frozen:
        frozen.enter_context(kafka_server.frozen())
        writer.commit([record(1)], {})
    writer.commit([record(2)], {})
    writer.close()
    assert waits.sentences
    assert kafka_ledger.values() == [0, 1, 2]


def test_a_reader_of_a_server_that_is_down_says_so(kafka_server: Any, kafka_ledger: Any, record: Maker) -> None:
    reader = KafkaReader(kafka_ledger.site, {"bootstrap_servers": "127.0.0.1:1", **IMPATIENT})
    for ask in (reader.state, lambda: reader.end("tracks"), lambda: list(reader.read("tracks"))):
        with pytest.raises(UnavailableError, match=r"Kafka at 127\.0\.0\.1:1 does not answer"):
            ask()
