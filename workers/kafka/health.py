"""Whether a Kafka broker answers, asked by one client that is kept."""

from functools import cache

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from workers.kafka.client import client_config

_SILENT = "2"  # librdkafka's log level: below errors, as an answer of False says all there is


def broker_answers(*, timeout: float) -> bool:
    """True when a broker describes its cluster within `timeout` seconds. Never raises."""
    try:
        _client().describe_cluster(request_timeout=timeout).result(timeout=timeout)
    except (KafkaException, TimeoutError, ValueError, TypeError):
        return False
    return True


@cache
def _client() -> AdminClient:
    """One client a process: each has its own connections and threads, and a new one per probe would pile them up."""
    config = client_config(log_level=_SILENT, reconnect_backoff_max_ms=2000)
    config.pop("logger", None)  # lines for it would pile up in a client that nobody polls
    return AdminClient(config)
