"""What the client of a real cluster does now and then, and a broker cannot be asked to do."""

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from workers.kafka import transactions
from workers.kafka.errors import ProducerFenced
from workers.kafka.transactions import KafkaTransactionalProducer

FENCED = KafkaError(KafkaError._FENCED, "fenced", fatal=True)
NO_TRANSACTION = KafkaError(KafkaError._STATE, "there is no transaction")


class Client:
    """A client whose flush loses its error on the way."""

    lost: type[Exception] = AttributeError
    remembered = FENCED

    def __init__(self, config: Any) -> None:
        pass

    def init_transactions(self, timeout: float) -> None: ...
    def begin_transaction(self) -> None: ...
    def produce(self, topic: str, value: bytes, key: bytes) -> None: ...
    def purge(self) -> None: ...

    def flush(self, timeout: float) -> int:
        raise self.lost("'Logger' object has no attribute 'log'")

    def abort_transaction(self, timeout: float) -> None:
        raise KafkaException(self.remembered)


@pytest.fixture
def producer(monkeypatch: pytest.MonkeyPatch) -> KafkaTransactionalProducer:
    monkeypatch.setattr(transactions, "Client", Client)
    found = KafkaTransactionalProducer(topic="t", transactional_id="p")
    found.open()
    return found


@pytest.mark.parametrize("lost", [AttributeError, SystemError])
def test_a_fatal_error_that_was_lost_behind_the_logger_is_found(
    producer: KafkaTransactionalProducer, monkeypatch: pytest.MonkeyPatch, lost: type[Exception]
) -> None:
    monkeypatch.setattr(Client, "lost", lost)
    with pytest.raises(ProducerFenced):
        producer.send([(b"a", b"1")])


def test_a_fault_of_our_own_is_told_as_it_is(
    producer: KafkaTransactionalProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Client, "remembered", NO_TRANSACTION)
    with pytest.raises(AttributeError):
        producer.send([(b"a", b"1")])
