"""Sends whole messages, headers included, as they are to one topic, and waits for Kafka's answer to each."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from confluent_kafka import KafkaError as ClientError
from confluent_kafka import KafkaException
from confluent_kafka import Producer as Client
from django.conf import settings

from workers.kafka.client import LastError, client_config, configuring, with_guarantees
from workers.kafka.errors import BrokerUnavailable, RequestRefused

# What KAFKA_CONFIG_… may change; the brokers' own limit is the one that counts.
_DEFAULTS = {"message.max.bytes": 16_777_216, "linger.ms": 0}
# What it may not. Each message is a batch of its own: a broker refuses a batch as a whole. One request at a time keeps
# the order through a retry. The caller holds the deadline.
_GUARANTEES: dict[str, str | int | bool] = {
    "acks": "all",
    "batch.num.messages": 1,
    "max.in.flight.requests.per.connection": 1,
    "message.timeout.ms": 0,
}
# The broker does not take this message; with any other error it takes none.
_OF_THE_MESSAGE = frozenset({"MSG_SIZE_TOO_LARGE", "INVALID_MSG", "INVALID_RECORD", "INVALID_TIMESTAMP"})


@dataclass(frozen=True, slots=True)
class VerbatimMessage:
    """A message as it is to stand in the topic; `timestamp` in milliseconds, 0 is the time of sending."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()
    timestamp: int = 0


class VerbatimProducer(Protocol):
    """Sends messages to one topic, in their order; at least once, as what has no answer may have arrived."""

    def send_all(self, messages: Sequence[VerbatimMessage], *, timeout: float) -> list[str]:
        """For each message "" once Kafka has it durably, else why Kafka never takes it.

        Raises BrokerUnavailable when some have no answer within `timeout` seconds, RequestRefused when Kafka takes
        nothing at all for now: any of the messages may have arrived then. None of them is on its way any more.
        """


class KafkaVerbatimProducer:
    """A VerbatimProducer to a topic of a real cluster. For one thread."""

    def __init__(self, topic: str) -> None:
        config = with_guarantees({**_DEFAULTS, **client_config()}, _GUARANTEES)
        self._topic = topic
        self._last_error = LastError()
        with configuring():
            self._client = Client({**config, "error_cb": self._last_error})

    def send_all(self, messages: Sequence[VerbatimMessage], *, timeout: float) -> list[str]:
        """See VerbatimProducer."""
        deadline = time.monotonic() + timeout
        answers: dict[int, ClientError | None] = {}
        try:
            for number, message in enumerate(messages):
                self._produce(message, _reporter(answers, number), deadline)
            while len(answers) < len(messages) and time.monotonic() < deadline:
                self._client.poll(max(0.0, min(0.1, deadline - time.monotonic())))
            if len(answers) < len(messages):
                raise self._no_answer(timeout)
        finally:
            self._drop_the_rest()
        return [self._refusal(answers[number]) for number in range(len(messages))]

    def _produce(
        self, message: VerbatimMessage, report: Callable[[ClientError | None, Any], None], deadline: float
    ) -> None:
        while True:
            try:
                self._client.produce(
                    self._topic,
                    value=message.value,
                    key=message.key,
                    headers=list(message.headers),
                    timestamp=message.timestamp,
                    on_delivery=report,
                )
            except BufferError:
                if time.monotonic() > deadline:
                    raise self._no_answer(0) from None
                self._client.poll(0.1)
            except KafkaException as refused:
                report(refused.args[0], None)
                return
            else:
                return

    def _drop_the_rest(self) -> None:
        if len(self._client):
            self._client.purge()
            while len(self._client):
                self._client.poll(0.1)

    def _no_answer(self, timeout: float) -> BrokerUnavailable:
        servers = settings.KAFKA_CLIENT_CONFIG["bootstrap.servers"]
        return BrokerUnavailable(servers=servers, timeout=timeout, reason=self._last_error.reason)

    def _refusal(self, error: ClientError | None) -> str:
        if error is None:
            return ""
        if error.name() in _OF_THE_MESSAGE:
            return f"{error.str()} ({error.name()})"
        raise RequestRefused(request=f"take a message for {self._topic}", code=error.name(), reason=error.str())


@dataclass(slots=True)
class MemoryVerbatimProducer:
    """A VerbatimProducer to a list; `largest` is the most bytes of a value, `away` stops every answer."""

    topic: list[VerbatimMessage] = field(default_factory=list)
    largest: int = 1_048_588
    away: bool = False

    def send_all(self, messages: Sequence[VerbatimMessage], *, timeout: float) -> list[str]:
        """See VerbatimProducer. Never waits: what is away now is away after any time."""
        if self.away and messages:
            raise BrokerUnavailable(servers="memory", timeout=timeout)
        refusals = ["too large (MSG_SIZE_TOO_LARGE)" if len(m.value or b"") > self.largest else "" for m in messages]
        self.topic += [message for message, refusal in zip(messages, refusals, strict=True) if not refusal]
        return refusals


def _reporter(answers: dict[int, ClientError | None], number: int) -> Callable[[ClientError | None, Any], None]:
    def report(error: ClientError | None, _message: Any) -> None:
        answers[number] = error

    return report
