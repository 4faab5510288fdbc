"""The writing end of a ledger in Kafka: one transaction a commit.

Two guards. The cluster's: the transactional id `crosscam-<site>` belongs to who asked for it last, and whatever an
earlier owner sends is refused. And our own `Stamp`, a record in every transaction, because "refused" alone can mean
that another writer has taken over, or that the cluster has timed our own transaction out; and because a commit whose
answer is lost may have been made or not. Whatever went wrong, the way back is the same:

    1. Close the producer, and wait if the cluster is away.
    2. Read the last stamp: of a later epoch, another writer owns the ledger, and this one stops.
    3. Ask for the transactional id again. What our lost transaction has become is final from here on.
    4. Read the last stamp again. Our commit's number: it was made. The one before: write it once more.

Only in step 4 the answer is final: before it, a commit that the cluster has confirmed may still be about to appear.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kafka import errors as kafka_errors

from pipeline.ledger.backoff import Outage, Patience, warn
from pipeline.ledger.base import (
    CorruptError,
    Encoded,
    FencedError,
    LedgerError,
    LedgerWriter,
    UnavailableError,
    check_topic,
)
from pipeline.ledger.kafka import state as state_records
from pipeline.ledger.kafka.connection import Producer, connect, is_fencing, raise_if_hopeless, sentence
from pipeline.ledger.kafka.fetching import output_headers, read_state
from pipeline.ledger.kafka.settings import KafkaSettings, parse
from pipeline.ledger.kafka.state import Stamp
from pipeline.ledger.kafka.topics import STATE, ensure_topics, topic_name

# Records of one commit travel in batches of so many bytes: few round trips, and below Kafka's limit of 1 MiB.
_BATCH_BYTES = 256 * 1024


class KafkaWriter(LedgerWriter):
    """Writes one site's ledger in Kafka.

    Args:
        site: names the topics and the transactional id.
        settings: see `pipeline.ledger.kafka.settings`; `bootstrap_servers` at least.
        on_wait: told one sentence before every wait for the cluster; see `Patience`.
        patience_s: seconds after which a wait ends in `UnavailableError`; None waits for ever.
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
        patience_s: float | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._site = site
        self._settings: KafkaSettings = parse(settings)
        self._state_topic = topic_name(site, STATE)
        self._patience = Patience(on_wait, patience_s, sleep, clock)
        self._clock = clock
        self._producer: Producer | None = None
        self._stamp: Stamp | None = None
        self._stamp_offset = 0
        self._part_counts: dict[str, int] = {}
        self._fenced = False

    @property
    def epoch(self) -> int:
        """See `LedgerWriter.epoch`."""
        return 0 if self._stamp is None else self._stamp.epoch

    def open(self) -> dict[str, bytes]:
        """Create missing topics, fence earlier writers, and read the whole state as of the last commit.

        Raises:
            CorruptError: the state cannot be read.
            LedgerError: the cluster refuses; no waiting would help.
            UnavailableError: the cluster stayed away for longer than the patience given.
        """
        self.close()
        self._fenced = False
        outage = self._patience.outage()
        while True:
            try:
                ensure_topics(self._site, self._settings)
                self._connect()
                table, _ = read_state(self._state_topic, self._settings)
                values = table.values()
                claimed = Stamp(table.stamp.epoch + 1, table.stamp.commit, table.stamp.written)
                self._transact([], {}, claimed, table.part_counts())
                return values
            except kafka_errors.KafkaError as error:
                self._drop()
                raise_if_hopeless(error, self._settings)
                outage.wait(sentence(error, self._settings))
            except BaseException:
                self._drop()
                raise

    def scrub(self) -> str | None:
        """Kafka deletes on its own time; see `LedgerWriter.scrub`."""
        return (
            f"Kafka's log of {self._state_topic} holds what was deleted until the broker compacts it, in segments of "
            "32 MiB at most; max.compaction.lag.ms sets a bound to that"
        )

    def commit(self, records: Sequence[Encoded], state: Mapping[str, bytes | None]) -> None:
        """Make records and state visible together, or not at all; see `LedgerWriter.commit`.

        Raises:
            FencedError: another writer has taken over.
            LedgerError: the cluster refuses the records or this user.
            UnavailableError: the cluster stayed away for longer than the patience given. The commit may have been
                made or not; after the next `open()` the state tells.
        """
        if self._fenced:
            raise self._fencing()
        if self._stamp is None:
            raise LedgerError("the ledger is not open: call open() before commit()")
        for record in records:
            check_topic(record.topic)
        before, counts = self._stamp, self._part_counts
        written = Counter(before.written) + Counter(record.topic for record in records)
        stamp = Stamp(before.epoch, before.commit + 1, dict(written))
        outage = self._patience.outage()
        try:
            while True:
                try:
                    self._transact(records, state, stamp, counts)
                    return
                except kafka_errors.KafkaError as error:
                    if self._was_made(stamp, error, outage):
                        self._stamp, self._part_counts = stamp, state_records.after(state, counts)
                        return
        except BaseException:
            # Whatever ends a commit but its success leaves open what became of it: only open() finds out.
            self.close()
            raise

    def close(self) -> None:
        """Leave the cluster; safe to call twice. A transaction under way is left to whoever opens next."""
        self._drop()
        self._stamp = None

    def _connect(self) -> None:
        """Take the transactional id: every earlier owner's transaction is settled, and it is refused from now on."""
        settings = self._settings
        self._producer = connect(
            Producer,
            settings,
            acks="all",
            batch_size=_BATCH_BYTES,
            compression_type=settings.compression,
            delivery_timeout_ms=2 * settings.client["request_timeout_ms"],
            enable_idempotence=True,
            max_block_ms=settings.client["request_timeout_ms"],
            transaction_timeout_ms=settings.transaction_timeout_ms,
            transactional_id=f"crosscam-{self._site}",
        )
        self._producer.init_transactions()

    def _drop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.drop()

    def _transact(
        self,
        records: Sequence[Encoded],
        state: Mapping[str, bytes | None],
        stamp: Stamp,
        part_counts: Mapping[str, int],
    ) -> None:
        producer = self._producer
        assert producer is not None
        sequence = Counter(stamp.written)
        sequence.subtract(record.topic for record in records)
        producer.begin_transaction()
        sent = []
        for record in records:
            headers = output_headers(record.time_ns, sequence[record.topic])
            sequence[record.topic] += 1
            # Kafka knows no time before 1970.
            timestamp_ms = max(0, record.time_ns // 1_000_000)
            topic, key = topic_name(self._site, record.topic), record.key.encode()
            sent.append(producer.send(topic, record.value, key, headers, timestamp_ms=timestamp_ms))
        for change in (*state_records.changes(state, part_counts), stamp.change()):
            key, value, headers = change
            sent.append(producer.send(self._state_topic, value, key, headers, partition=0))
        # kafka-python commits even if a record ran out of time on its way: every single one has to be looked at.
        deadline = self._clock() + 2 * self._settings.request_s
        for future in sent:
            written = future.get(timeout=max(0.0, deadline - self._clock()))
        producer.commit_within(self._settings.request_s)
        self._stamp, self._stamp_offset = stamp, written.offset
        self._part_counts = state_records.after(state, part_counts)

    def _was_made(self, stamp: Stamp, error: kafka_errors.KafkaError, outage: Outage) -> bool:
        """What became of a commit that ended in an error; the producer is ready for another try after this.

        Raises:
            FencedError: another writer has taken over.
        """
        patient = not is_fencing(error)
        while True:
            self._drop()
            raise_if_hopeless(error, self._settings)
            if patient:
                try:
                    outage.wait(sentence(error, self._settings))
                except UnavailableError as given_up:
                    raise UnavailableError(
                        f"{given_up}; what became of the commit shows when it is opened again"
                    ) from error
            patient = True
            try:
                self._last_stamp(stamp)
                self._connect()
                return self._settled(stamp)
            except kafka_errors.KafkaError as again:
                error = again

    def _last_stamp(self, stamp: Stamp) -> Stamp:
        """The last committed stamp.

        Raises:
            FencedError: it is of a later epoch than `stamp`.
        """
        table, offset = read_state(self._state_topic, self._settings, start=self._stamp_offset)
        if table.stamp.epoch > stamp.epoch:
            self._fenced = True
            raise self._fencing()
        self._stamp_offset = max(self._stamp_offset, offset)
        return table.stamp

    def _settled(self, stamp: Stamp) -> bool:
        """Whether the commit was made; asked once nothing of ours is under way any more.

        Raises:
            FencedError: another writer has taken over.
            CorruptError: commits are missing.
        """
        last = self._last_stamp(stamp)
        if last.epoch < stamp.epoch or last.commit < stamp.commit - 1:
            raise CorruptError(
                f"Kafka at {self._settings.servers} has lost commits of site '{self._site}' that it had confirmed"
                f" (it knows {last.commit}, {stamp.commit - 1} were made): start the site again"
            )
        return last.commit == stamp.commit

    def _fencing(self) -> FencedError:
        return FencedError(
            f"another writer has taken over the ledger of site '{self._site}' in Kafka at {self._settings.servers}:"
            " this one must stop"
        )
