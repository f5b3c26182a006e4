"""One contract for both producers: what is sent is stored once, in order, where its key says, and accounted for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import pytest
from confluent_kafka import Consumer, TopicPartition

from tests.fixtures.topics import MakeTopic
from tests.waiting import wait_until
from workers.kafka.memory_producer import MemoryProducer, MemoryTarget
from workers.kafka.producer import KafkaProducer, Producer

PARTITIONS = 5
Stored = dict[int, list[tuple[int, bytes, bytes]]]
"""Per partition the offset, key and value of each message."""


class Log(Protocol):
    """A topic under test."""

    def producer(self) -> Producer: ...
    def stored(self, count: int) -> Stored: ...


@dataclass
class _MemoryLog:
    topic: MemoryTarget

    def producer(self) -> Producer:
        return MemoryProducer(self.topic, capacity=1_000)

    def stored(self, count: int) -> Stored:
        return {
            number: [(offset, message.key, message.value) for offset, message in enumerate(partition)]
            for number, partition in enumerate(self.topic.partitions)
        }


@dataclass
class _KafkaLog:
    topic: str
    servers: str

    def producer(self) -> Producer:
        return KafkaProducer(self.topic)

    def stored(self, count: int) -> Stored:
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": "none", "enable.auto.commit": False})
        found: Stored = {partition: [] for partition in range(PARTITIONS)}
        try:
            consumer.assign([TopicPartition(self.topic, partition, 0) for partition in range(PARTITIONS)])

            def all_read() -> bool:
                for message in consumer.consume(1_000, 0.2):
                    assert message.error() is None
                    found[message.partition() or 0].append(
                        (message.offset() or 0, message.key() or b"", message.value() or b"")
                    )
                return sum(map(len, found.values())) >= count

            wait_until(all_read, message=lambda: f"{count} messages, found {found}")
        finally:
            consumer.close()
        return found


@pytest.fixture(params=["memory", "kafka"])
def log(request: pytest.FixtureRequest, settings: Any) -> Log:
    if request.param == "memory":
        return _MemoryLog(MemoryTarget.with_partitions(PARTITIONS))
    servers: str = request.getfixturevalue("kafka_bootstrap_servers")
    settings.KAFKA_CLIENT_CONFIG = {"bootstrap.servers": servers}
    make_topic: MakeTopic = request.getfixturevalue("make_topic")
    return _KafkaLog(make_topic(partitions=PARTITIONS), servers)


def _send(producer: Producer, key: bytes, value: bytes) -> None:
    def sent() -> bool:
        try:
            producer.send(key, value)
        except BufferError:
            producer.poll(0.1)
            return False
        return True

    wait_until(sent)


def _drain(producer: Producer) -> None:
    def drained() -> bool:
        producer.poll(0.1)
        return not producer.waiting()

    wait_until(drained)


def test_messages_are_stored_once_and_in_order_within_a_key(log: Log) -> None:
    producer = log.producer()
    for number in range(3_000):
        _send(producer, b"movie:%d" % (number % 40), b"%d" % number)
    _drain(producer)
    stored = log.stored(3_000)
    values = [int(value) for partition in stored.values() for _, _, value in partition]
    assert sorted(values) == list(range(3_000))
    for partition in stored.values():
        by_key: dict[bytes, list[int]] = {}
        for _, key, value in partition:
            by_key.setdefault(key, []).append(int(value))
        assert all(numbers == sorted(numbers) for numbers in by_key.values())
        assert all(number % 40 == int(key[6:]) for key, numbers in by_key.items() for number in numbers)


def test_the_account_is_exactly_what_is_stored(log: Log) -> None:
    producer = log.producer()
    for number in range(500):
        _send(producer, b"%d" % number, b"value")
    _drain(producer)
    stored = log.stored(500)
    deliveries = producer.deliveries
    assert deliveries.acknowledged == 500
    assert deliveries.failed == 0
    assert {(p, o) for p, first, last in deliveries.spans() for o in range(first, last + 1)} == {
        (number, offset) for number, partition in stored.items() for offset, _, _ in partition
    }
    assert deliveries.ends() == {number: partition[-1][0] + 1 for number, partition in stored.items() if partition}


# As org.apache.kafka.clients.producer.internals.BuiltInPartitioner of Kafka 4.3 chose among five partitions.
JAVA_PARTITIONS = {
    b"movie:1": 3,
    b"movie:2": 1,
    b"movie:296": 3,
    b"a": 4,
    "movie:é".encode(): 3,
    b"book:xyz": 3,
}


def test_the_partition_is_the_one_that_java_chooses(log: Log) -> None:
    producer = log.producer()
    for key in JAVA_PARTITIONS:
        _send(producer, key, b"value")
    _drain(producer)
    stored = log.stored(len(JAVA_PARTITIONS))
    found = {key: number for number, partition in stored.items() for _, key, _ in partition}
    assert found == JAVA_PARTITIONS


def test_two_producers_account_for_their_own_messages_only(log: Log) -> None:
    producers = [log.producer(), log.producer()]
    for _round in range(3):
        for producer in producers:
            for number in range(50):
                _send(producer, b"%d" % number, b"value")
            _drain(producer)
    offsets = [
        {(p, o) for p, first, last in producer.deliveries.spans() for o in range(first, last + 1)}
        for producer in producers
    ]
    assert [len(own) for own in offsets] == [150, 150]
    assert not offsets[0] & offsets[1]


def test_nothing_is_in_the_account_before_it_is_polled(log: Log) -> None:
    producer = log.producer()
    producer.begin("here")
    producer.send(b"key", b"value")
    assert producer.waiting() == 1
    assert producer.deliveries.acknowledged == 0
    assert producer.deliveries.first_unacknowledged() == "here"
    _drain(producer)
    assert producer.deliveries.first_unacknowledged() is None


def test_giving_up_leaves_nothing_waiting(log: Log) -> None:
    producer = log.producer()
    producer.begin("here")
    producer.send(b"key", b"value")
    producer.give_up()
    deliveries = producer.deliveries
    assert producer.waiting() == 0
    assert deliveries.acknowledged + deliveries.unknown == 1


@pytest.fixture
def unreachable(settings: Any) -> Callable[[], Producer]:
    settings.KAFKA_CLIENT_CONFIG = {"bootstrap.servers": "127.0.0.1:1", "queue.buffering.max.messages": "10"}

    def memory() -> Producer:
        return MemoryProducer(MemoryTarget([[]], away=True), capacity=10)

    return memory


@pytest.mark.parametrize("kind", ["memory", "kafka"])
def test_without_a_broker_the_queue_fills_and_giving_up_counts_it(
    kind: str, unreachable: Callable[[], Producer]
) -> None:
    producer = unreachable() if kind == "memory" else KafkaProducer("any")
    producer.begin("here")
    for _ in range(10):
        producer.send(b"key", b"value")
    with pytest.raises(BufferError):
        producer.send(b"key", b"value")
    wait_until(lambda: producer.poll(0.1) or producer.last_error(), message="a complaint")
    producer.give_up()
    assert producer.waiting() == 0
    assert (producer.deliveries.acknowledged, producer.deliveries.unknown) == (0, 10)
    assert producer.deliveries.first_unacknowledged() == "here"
