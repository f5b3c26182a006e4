"""Rating events on their way into Postgres: files into Kafka, Kafka into the rating tables."""
