"""The ledger in Kafka: for a site on a cluster, and for whoever has consumers there."""

from pipeline.ledger.kafka.reader import KafkaReader
from pipeline.ledger.kafka.writer import KafkaWriter

__all__ = ["KafkaReader", "KafkaWriter"]
