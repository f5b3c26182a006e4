"""Sends keyed messages to one topic, idempotently, and keeps account of what arrived."""

from collections.abc import Callable
from typing import Any, Protocol

from confluent_kafka import KafkaError as ClientError
from confluent_kafka import KafkaException, Message
from confluent_kafka import Producer as Client

from workers.kafka.client import LastError, client_config, configuring, with_guarantees
from workers.kafka.deliveries import Batch, Deliveries
from workers.kafka.errors import RequestRefused

# What KAFKA_CONFIG_… may change. With these an ml-25m-like file reached the same rate with lz4 and zstd, and zstd's
# messages are the smaller ones; the queue holds about half a second of events and bounds the memory.
_DEFAULTS = {
    "compression.type": "zstd",
    "linger.ms": 20,
    "queue.buffering.max.messages": 100_000,
    "queue.buffering.max.kbytes": 65_536,
    "batch.size": 262_144,
}
# What it may not: the guarantees that the callers' words rest on. The caller holds the deadline, so that "no answer
# for a while" has one meaning; 0 is no deadline of librdkafka's own.
_GUARANTEES: dict[str, str | int | bool] = {
    "acks": "all",
    "enable.idempotence": True,
    "partitioner": "murmur2_random",
    "message.timeout.ms": 0,
}
_GIVEN_UP = frozenset({ClientError._PURGE_QUEUE, ClientError._PURGE_INFLIGHT, ClientError._MSG_TIMED_OUT})


class Producer(Protocol):
    """Messages to one topic, in order within a partition, each at most once however often the sending is retried.

    For one thread. `deliveries` changes only inside `poll`, `flush` and `give_up`.
    """

    deliveries: Deliveries

    def begin(self, place: object) -> None:
        """Messages sent from now on belong to `place`, in the words of `deliveries.first_unacknowledged`."""

    def send(self, key: bytes, value: bytes) -> None:
        """Queue one message. Raises BufferError while the queue is full (poll, then send again), or RequestRefused."""

    def poll(self, timeout: float) -> None:
        """Take in delivery reports; waits up to `timeout` seconds for the first."""

    def waiting(self) -> int:
        """Messages that were queued and have no delivery report yet."""

    def last_error(self) -> str:
        """What the client complained of last, or ""."""

    def give_up(self) -> None:
        """Drop all that is waiting; it counts as unknown in `deliveries`. Nothing waits any more afterwards."""


class KafkaProducer:
    """A Producer to a topic of a real cluster."""

    def __init__(self, topic: str) -> None:
        config = with_guarantees({**_DEFAULTS, **client_config()}, _GUARANTEES)
        self.deliveries = Deliveries()
        self._topic = topic
        self._last_error = LastError()
        with configuring():
            self._client = Client({**config, "error_cb": self._last_error})
        self._produce = self._client.produce
        self.begin(None)

    def begin(self, place: object) -> None:
        """See Producer."""
        self._batch = self.deliveries.begin(place)
        self._report = self._reporter(self._batch)

    def send(self, key: bytes, value: bytes) -> None:
        """See Producer."""
        try:
            self._produce(self._topic, value, key, -1, self._report)
        except KafkaException as refused:
            error = refused.args[0]
            raise RequestRefused(
                request=f"take a message for {self._topic}", code=error.name(), reason=error.str()
            ) from None
        self._batch.unsettled += 1

    def poll(self, timeout: float) -> None:
        """See Producer."""
        self._client.poll(timeout)

    def waiting(self) -> int:
        """See Producer."""
        return len(self._client)

    def last_error(self) -> str:
        """See Producer."""
        return self._last_error.reason

    def give_up(self) -> None:
        """See Producer."""
        self._client.purge()
        while len(self._client):
            self._client.poll(0.1)

    def _reporter(self, batch: Batch) -> Callable[[ClientError | None, Message], None]:
        """One callback for a whole batch: one for each message would cost more than sending it."""
        acknowledge = self.deliveries.acknowledge

        def report(error: ClientError | None, message: Any) -> None:
            if error is None:
                acknowledge(batch, message.partition(), message.offset())
            elif error.code() in _GIVEN_UP:
                self.deliveries.give_up()
            else:
                self.deliveries.refuse(f"{error.str()} ({error.name()})")

        return report
