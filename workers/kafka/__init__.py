"""The only package that talks to librdkafka: client configuration, topics, producer, consumer."""
