"""Sends messages to one topic in transactions, under a name that only the newest of several processes can use."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from confluent_kafka import KafkaError as ClientError
from confluent_kafka import KafkaException
from confluent_kafka import Producer as Client

from workers.kafka.client import LastError, client_config, configuring, with_guarantees
from workers.kafka.errors import BrokerUnavailable, KafkaError, ProducerFenced, RequestRefused, TransactionFailed

KeyedMessage = tuple[bytes, bytes]
"""A message's key and value."""

# How long a transaction may stay open at most. Readers of committed messages wait for its end, so a publisher that was
# killed and has no heir holds them up for so long; Kafka then aborts it.
_TRANSACTION_TIMEOUT_MS = 15_000
# How long one call may take in all, below the time-out above; between two looks the caller's check is asked.
_DEADLINE = 10.0
_LOOK_EVERY = 0.5
_DEFAULTS = {"compression.type": "zstd", "linger.ms": 5}
_GUARANTEES: dict[str, str | int | bool] = {
    "acks": "all",
    "enable.idempotence": True,
    "partitioner": "murmur2_random",
    "transaction.timeout.ms": _TRANSACTION_TIMEOUT_MS,
    "message.timeout.ms": _TRANSACTION_TIMEOUT_MS,
}
_FENCED = frozenset({ClientError._FENCED, ClientError.PRODUCER_FENCED, ClientError.INVALID_PRODUCER_EPOCH})
_REFUSED = frozenset(
    {
        ClientError.TOPIC_AUTHORIZATION_FAILED,
        ClientError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        ClientError.CLUSTER_AUTHORIZATION_FAILED,
        ClientError.INVALID_TRANSACTION_TIMEOUT,
        ClientError.MSG_SIZE_TOO_LARGE,
        ClientError.INVALID_RECORD,
        ClientError.POLICY_VIOLATION,
        ClientError._AUTHENTICATION,
    }
)


class TransactionalProducer(Protocol):
    """Messages to one topic, in transactions, under one `transactional.id`. For one thread.

    Whoever opens the id last has it: what the former holder has not committed by then is aborted, for good. After any
    error the producer is closed, and nothing is known of the messages of the call that failed, but that a reader of
    committed messages sees all of them or none: open it again and send what is due by then.
    """

    def open(self) -> None:
        """Takes the id over. Raises BrokerUnavailable, TransactionFailed or RequestRefused."""

    def send(self, messages: Sequence[KeyedMessage]) -> None:
        """Sends all in one transaction and returns once it is committed: in order, for messages of one key.

        Raises ProducerFenced when the id was taken over, else as `open` does, and whatever the check raises that the
        producer was made with: it is called at least once a second, and right before the transaction is committed.
        """

    def close(self) -> None:
        """Lets go of the cluster; an open transaction is aborted if Kafka answers at once. May be called twice."""


class KafkaTransactionalProducer:
    """A TransactionalProducer to a topic of a real cluster."""

    def __init__(self, *, topic: str, transactional_id: str, check: Callable[[], None] = lambda: None) -> None:
        self._topic = topic
        self._id = transactional_id
        self._check = check
        self._client: Client | None = None
        self._last_error = LastError()

    def open(self) -> None:
        """See TransactionalProducer.open. Takes up to 10 s."""
        self.close()
        self._last_error = LastError()
        config = with_guarantees({**_DEFAULTS, **client_config()}, {**_GUARANTEES, "transactional.id": self._id})
        with configuring():
            self._client = Client({**config, "error_cb": self._last_error})
        self._guarded(lambda client: self._repeated(client, client.init_transactions))

    def send(self, messages: Sequence[KeyedMessage]) -> None:
        """See TransactionalProducer.send. Takes up to 10 s; a second for several thousand messages is much."""
        self._guarded(lambda client: self._send(client, messages))

    def close(self) -> None:
        """See TransactionalProducer.close."""
        client, self._client = self._client, None
        if client is None:
            return
        try:
            client.purge()
            client.abort_transaction(_LOOK_EVERY)
        except KafkaException:
            return  # there was none, or Kafka will abort it: when the id is opened again, or by its time-out

    def _guarded(self, work: Callable[[Client], None]) -> None:
        if self._client is None:
            raise TransactionFailed(topic=self._topic, code="_STATE", reason="the producer is closed")
        try:
            work(self._client)
        except KafkaException as failed:
            self.close()
            raise self._named(failed.args[0]) from None
        except (AttributeError, SystemError) as garbled:
            fatal = _fatal_error(self._client)
            self.close()
            if fatal is None:
                raise
            raise self._named(fatal) from garbled
        except BaseException:
            self.close()
            raise

    def _send(self, client: Client, messages: Sequence[KeyedMessage]) -> None:
        deadline = time.monotonic() + _DEADLINE
        client.begin_transaction()
        for key, value in messages:  # without delivery callbacks: the client calls them with a fatal error half raised
            while True:
                try:
                    client.produce(self._topic, value, key)
                    break
                except BufferError:
                    client.poll(0.1)
                    self._go_on(deadline)
        while client.flush(_LOOK_EVERY):
            self._go_on(deadline)
        self._check()
        self._repeated(client, client.commit_transaction, deadline=deadline)

    def _repeated(self, client: Client, call: Callable[[float], None], *, deadline: float | None = None) -> None:
        """A call to the transaction's coordinator, which librdkafka wants to be repeated until it is answered."""
        deadline = deadline or time.monotonic() + _DEADLINE
        while True:
            try:
                return call(_LOOK_EVERY)
            except KafkaException as failed:
                if not failed.args[0].retriable() or time.monotonic() > deadline:
                    raise
            client.poll(0)
            self._check()

    def _go_on(self, deadline: float) -> None:
        self._check()
        if time.monotonic() > deadline:
            raise KafkaException(ClientError(ClientError._TIMED_OUT, "it took too long"))

    def _named(self, error: ClientError) -> KafkaError:
        if error.code() in _FENCED:
            return ProducerFenced(self._id)
        if error.code() in _REFUSED:
            return RequestRefused(request=f"write to {self._topic}", code=error.name(), reason=error.str())
        if error.retriable() or error.code() == ClientError._TIMED_OUT:
            servers, reason = client_config()["bootstrap.servers"], self._last_error.reason or error.str()
            return BrokerUnavailable(servers=servers, timeout=_DEADLINE, reason=reason)
        return TransactionFailed(topic=self._topic, code=error.name(), reason=error.str())


def _fatal_error(client: Client) -> ClientError | None:
    """The error after which the client works no more, if there is one.

    The client raises it from poll() and goes on to hand out log lines while it is raised: Python then cannot find, or
    not return from, the logger's method, and tells of that in its place.
    """
    try:
        client.abort_transaction(_LOOK_EVERY)
    except KafkaException as failed:
        error: ClientError = failed.args[0]
        return error if error.fatal() else None
    return None
