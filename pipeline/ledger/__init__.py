"""Where commits live: one contract, an SQLite file and Kafka transactions behind it."""
