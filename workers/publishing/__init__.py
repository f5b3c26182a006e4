"""From Postgres into Kafka: every change of an aggregate reaches the topic that other services follow."""
