"""A site's topics: their names, how they are created, and what must hold of those that are there already.

`<site>.tracks`, `.identities`, `.events`, `.deadletter`: output, kept for ever unless `retention_ms` says otherwise.
`<site>.state`: one compacted partition, internal.

Partitions. One each by default: a topic is then one log in commit order for every consumer. With more (setting
`partitions`; not for deadletter and state), Kafka keeps order per key: all about one identity stays in order, and
tracks and identities have the same number, so an identity has the same partition in both. `KafkaReader` puts the
partitions back into commit order; another consumer that follows a merge into another partition goes by `revision`.

Time. A record's timestamp is its event time (CreateTime), since stream processors take it for that, and since it
makes a replay the same. Kafka deletes by that time too: a file recorded years ago would be gone at the next look.
Hence `retention.ms` is -1 unless told otherwise, and a clock ahead of the broker's is no reason to refuse (that
setting came with Kafka 3.6, the oldest release that this works with).

Safety. Kafka keeps a commit as long as one of the replicas does that had it when it was confirmed: in a cluster,
let topics have three (`replication_factor`, or the cluster's default) and `min.insync.replicas` two.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from kafka import KafkaAdminClient
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType

from mtmct.records import DEADLETTER, TOPICS
from pipeline.ledger.base import LedgerError
from pipeline.ledger.kafka.connection import connect
from pipeline.ledger.kafka.settings import KafkaSettings

STATE = "state"

_LONGEST_SITE = 200  # Kafka allows 249 characters for the whole name
_NO_LIMIT = str(2**63 - 1)

# Kafka never compacts the segment it writes to, and reads all of it when a site is opened: keep it small.
_STATE_SEGMENT_BYTES = 32 * 1024 * 1024


def topic_name(site: str, topic: str) -> str:
    """The topic's name in the cluster.

    Raises:
        LedgerError: the site's name cannot be part of a topic's name.
    """
    if not re.fullmatch(r"[A-Za-z0-9._-]+", site) or len(site) > _LONGEST_SITE:
        raise LedgerError(
            f"site '{site}' cannot name Kafka topics: use letters, digits, '.', '_', '-', {_LONGEST_SITE} at most"
        )
    return f"{site}.{topic}"


def ensure_topics(site: str, settings: KafkaSettings) -> None:
    """Create what is missing of the site's topics; check that the state is kept as it must be.

    Raises:
        LedgerError: topics may not be created, or the state topic would lose state.
        KafkaError: the cluster does not answer.
    """
    admin = connect(KafkaAdminClient, settings)
    try:
        names = [topic_name(site, topic) for topic in (*TOPICS, STATE)]
        found = {topic["name"]: topic for topic in admin.describe_topics(names) if topic["error_code"] == 0}
        missing = [topic for topic in (*TOPICS, STATE) if topic_name(site, topic) not in found]
        if missing:
            _create(admin, site, missing, settings)
        state = topic_name(site, STATE)
        if state in found:
            _check_state(admin, state, len(found[state]["partitions"]))
    finally:
        admin.close()


def _create(admin: KafkaAdminClient, site: str, topics: Sequence[str], settings: KafkaSettings) -> None:
    names = {topic_name(site, topic): _shape(topic, settings) for topic in topics}
    created = admin.create_topics(names, raise_errors=False)
    for topic in created["topics"]:
        kind = kafka_errors.for_code(topic["error_code"])
        if issubclass(kind, kafka_errors.AuthorizationError):
            raise LedgerError(
                f"Kafka at {settings.servers} does not let this user create topics: have {', '.join(names)} created"
                " (state: one partition, cleanup.policy=compact), or grant CREATE"
            )
        # That it exists by now is as good: someone else was faster.
        if kind not in (kafka_errors.NoError, kafka_errors.TopicAlreadyExistsError):
            raise kind(f"topic {topic['name']} cannot be created: {topic['error_message'] or kind.__name__}")
    admin.wait_for_topics(list(names), timeout_ms=settings.client["request_timeout_ms"])


def _shape(topic: str, settings: KafkaSettings) -> dict[str, Any]:
    shape: dict[str, Any] = {"replication_factor": settings.replication_factor, "num_partitions": 1}
    if topic == STATE:
        shape["configs"] = {
            "cleanup.policy": "compact",
            "segment.bytes": str(_STATE_SEGMENT_BYTES),
            "min.cleanable.dirty.ratio": "0.1",
        }
        return shape
    if topic != DEADLETTER:
        shape["num_partitions"] = settings.partitions
    shape["configs"] = {
        "cleanup.policy": "delete",
        "message.timestamp.type": "CreateTime",
        "message.timestamp.after.max.ms": _NO_LIMIT,
        "retention.ms": str(settings.retention_ms),
    }
    return shape


def _check_state(admin: KafkaAdminClient, name: str, partitions: int) -> None:
    if partitions != 1:
        raise LedgerError(f"the topic {name} has {partitions} partitions: delete it, or give it exactly one")
    try:
        described = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)], config_filter="all")
    except kafka_errors.AuthorizationError:
        return  # not everyone may look; whoever created it has to know
    (configs,) = described["topic"].values()
    policy = configs["cleanup.policy"]["value"]
    if policy != "compact":
        raise LedgerError(f"the topic {name} has cleanup.policy={policy}, which loses state: set it to compact")
