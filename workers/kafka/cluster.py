"""Administrative requests to a cluster under one deadline, with librdkafka's errors turned into ours."""

import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

from confluent_kafka import KafkaError as ClientError
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from django.conf import settings

from workers.kafka.client import LastError, client_config, configuring
from workers.kafka.errors import BrokerUnavailable, KafkaError, RequestRefused, TopicNotFound

_UNREACHABLE = frozenset(
    {
        ClientError._TIMED_OUT,
        ClientError._TRANSPORT,
        ClientError._ALL_BROKERS_DOWN,
        ClientError._RESOLVE,
        ClientError._AUTHENTICATION,
        ClientError._SSL,
    }
)

_LOOK_EVERY = 0.05

Answer = TypeVar("Answer")


class Cluster:
    """One administrative client and the time it has: `timeout` seconds from its making on, for all its requests.

    `on_wait` is called while an answer is awaited; what it raises ends the wait.
    """

    def __init__(self, *, timeout: float, on_wait: Callable[[], None] | None = None) -> None:
        self.timeout = timeout
        self._on_wait = on_wait
        self._deadline = time.monotonic() + timeout
        self._last_error = LastError()
        with configuring():
            self.client = AdminClient(client_config(error_cb=self._last_error))

    @property
    def left(self) -> float:
        """Seconds left, for a request's own `request_timeout`; never 0, which librdkafka takes for no time-out."""
        return max(0.05, self._deadline - time.monotonic())

    @property
    def expired(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self._deadline

    def answer(self, future: "Future[Answer]", *, request: str, topic: str = "") -> Answer:
        """Wait for one answer. Raises BrokerUnavailable, TopicNotFound or RequestRefused ("refused to <request>")."""
        while not future.done() and time.monotonic() < self._deadline + 1.0:
            self.client.poll(0)  # its errors and log lines come out of this only; an answer comes without it
            wait([future], timeout=_LOOK_EVERY)
            if self._on_wait is not None:
                self._on_wait()
        if not future.done():
            raise self._unavailable()
        try:
            return future.result()
        except KafkaException as failed:
            raise self._named(failed.args[0], request, topic) from None

    def _named(self, error: ClientError, request: str, topic: str) -> KafkaError:
        if error.code() in _UNREACHABLE:
            return self._unavailable()
        if error.code() == ClientError.UNKNOWN_TOPIC_OR_PART and topic:
            return TopicNotFound(topic)
        return RequestRefused(request=request, code=error.name(), reason=error.str())

    def _unavailable(self) -> BrokerUnavailable:
        servers = settings.KAFKA_CLIENT_CONFIG["bootstrap.servers"]
        return BrokerUnavailable(servers=servers, timeout=self.timeout, reason=self._last_error.reason)
