"""What happens to one camera's frames. Knows nothing of Ray, Kafka or other cameras."""
