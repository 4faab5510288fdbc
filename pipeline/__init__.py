"""What runs where, and in which order. The only rooms that know Ray, Kafka and HTTP."""
