"""One contract for both transactional producers: all of a transaction or nothing, and only the newest holder writes."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import pytest

from tests.fixtures.topics import MakeTopic
from tests.published_aggregates import read_topic
from workers.kafka.errors import BrokerUnavailable, ProducerFenced, RequestRefused, TransactionFailed
from workers.kafka.memory_transactions import MemoryTopic, MemoryTransactionalProducer
from workers.kafka.transactions import KafkaTransactionalProducer, KeyedMessage, TransactionalProducer


class Stop(Exception):
    """Raised by a check."""


def nothing() -> None:
    """A check that is content."""


class Log(Protocol):
    """A topic under test."""

    def producer(self, name: str = "p", check: Callable[[], None] = nothing) -> TransactionalProducer: ...
    def committed(self) -> list[KeyedMessage]: ...


@dataclass
class _MemoryLog:
    topic: MemoryTopic

    def producer(self, name: str = "p", check: Callable[[], None] = nothing) -> TransactionalProducer:
        return MemoryTransactionalProducer(self.topic, name, check)

    def committed(self) -> list[KeyedMessage]:
        return self.topic.committed


@dataclass
class _KafkaLog:
    topic: str
    servers: str

    def producer(self, name: str = "p", check: Callable[[], None] = nothing) -> TransactionalProducer:
        return KafkaTransactionalProducer(topic=self.topic, transactional_id=f"{self.topic}-{name}", check=check)

    def committed(self) -> list[KeyedMessage]:
        return [(message.key, message.value) for message in read_topic(self.servers, self.topic)]


@pytest.fixture(params=["memory", "kafka"])
def log(request: pytest.FixtureRequest, settings: Any) -> Log:
    if request.param == "memory":
        return _MemoryLog(MemoryTopic())
    servers: str = request.getfixturevalue("kafka_bootstrap_servers")
    settings.KAFKA_CLIENT_CONFIG = {"bootstrap.servers": servers}
    make_topic: MakeTopic = request.getfixturevalue("make_topic")
    return _KafkaLog(make_topic(partitions=3), servers)


def opened(log: Log, name: str = "p", check: Callable[[], None] = nothing) -> TransactionalProducer:
    producer = log.producer(name, check)
    producer.open()
    return producer


def test_all_that_is_sent_is_there_in_order_within_a_key(log: Log) -> None:
    producer = opened(log)
    sent = [(b"%d" % (number % 7), b"%d" % number) for number in range(500)]
    for start in range(0, 500, 100):
        producer.send(sent[start : start + 100])
    producer.close()
    committed = log.committed()
    assert Counter(committed) == Counter(sent)
    for key in {key for key, _ in sent}:
        assert [message for message in committed if message[0] == key] == [one for one in sent if one[0] == key]


def test_an_objection_right_before_the_commit_leaves_nothing(log: Log) -> None:
    objects = False

    def check() -> None:
        if objects:
            raise Stop

    producer = opened(log, check=check)
    producer.send([(b"a", b"1")])
    objects = True
    with pytest.raises(Stop):
        producer.send([(b"a", b"2"), (b"b", b"2")])
    objects = False
    with pytest.raises(TransactionFailed, match="the producer is closed"):
        producer.send([(b"a", b"3")])
    producer.open()
    producer.send([(b"a", b"4")])
    assert log.committed() == [(b"a", b"1"), (b"a", b"4")]


def test_who_lost_the_name_after_its_last_check_commits_nothing(log: Log) -> None:
    """The zombie: it was frozen when nothing was left to check, and another one has published meanwhile."""
    heir = log.producer()
    due: list[bool] = []

    def taken_over() -> None:
        if due:  # a slow broker has the check called more often, and while the zombie opens too
            due.clear()
            heir.open()
            heir.send([(b"a", b"the heir's")])

    zombie = opened(log, check=taken_over)
    due.append(True)
    with pytest.raises(ProducerFenced, match="took over the transactional"):
        zombie.send([(b"a", b"the zombie's")])
    heir.send([(b"a", b"the heir's, later")])
    assert log.committed() == [(b"a", b"the heir's"), (b"a", b"the heir's, later")]


def test_who_lost_the_name_between_two_transactions_is_told(log: Log) -> None:
    former = opened(log)
    former.send([(b"a", b"1")])
    opened(log).send([(b"a", b"2")])
    with pytest.raises(ProducerFenced):
        former.send([(b"a", b"3")])
    assert log.committed() == [(b"a", b"1"), (b"a", b"2")]


def test_two_names_stand_side_by_side(log: Log) -> None:
    one, two = opened(log, "one"), opened(log, "two")
    one.send([(b"a", b"1")])
    two.send([(b"b", b"2")])
    one.send([(b"a", b"3")])
    assert sorted(log.committed()) == [(b"a", b"1"), (b"a", b"3"), (b"b", b"2")]


def test_a_producer_that_is_not_open_refuses(log: Log) -> None:
    producer = log.producer()
    producer.close()
    with pytest.raises(TransactionFailed, match="closed"):
        producer.send([(b"a", b"1")])
    producer.open()
    producer.close()
    producer.close()
    with pytest.raises(TransactionFailed, match="closed"):
        producer.send([(b"a", b"1")])


@pytest.mark.parametrize("kind", ["memory", "kafka"])
def test_without_a_broker_it_says_so(kind: str, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.kafka.transactions._DEADLINE", 0.3)
    monkeypatch.setattr("workers.kafka.transactions._LOOK_EVERY", 0.1)
    settings.KAFKA_CLIENT_CONFIG = {"bootstrap.servers": "127.0.0.1:1"}
    checks: list[None] = []
    producer: TransactionalProducer = (
        MemoryTransactionalProducer(MemoryTopic(away=True), "p")
        if kind == "memory"
        else KafkaTransactionalProducer(topic="any", transactional_id="p", check=lambda: checks.append(None))
    )
    with pytest.raises(BrokerUnavailable):
        producer.open()
    assert checks or kind == "memory"


def test_what_kafka_does_not_take_is_told(kafka_bootstrap_servers: str, settings: Any, make_topic: MakeTopic) -> None:
    settings.KAFKA_CLIENT_CONFIG = {"bootstrap.servers": kafka_bootstrap_servers}
    topic = make_topic(partitions=1, max_message_bytes=1000, compression_type="uncompressed")
    producer = KafkaTransactionalProducer(topic=topic, transactional_id=topic)
    producer.open()
    with pytest.raises(RequestRefused, match="MSG_SIZE_TOO_LARGE"):
        producer.send([(b"a", bytes(range(256)) * 100)])
