"""What happens across cameras: a library without Ray, Kafka or a clock of its own."""
