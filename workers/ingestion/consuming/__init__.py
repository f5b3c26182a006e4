"""Rating events from Kafka into Postgres: the consume loop, and the store that it writes to."""
