"""One contract for both verbatim producers: whole messages, in order, each answered; and what has no answer is told."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pytest
from confluent_kafka import Consumer, TopicPartition

from tests.fixtures.topics import MakeTopic
from tests.waiting import wait_until
from workers.kafka.errors import BrokerUnavailable, RequestRefused
from workers.kafka.verbatim import KafkaVerbatimProducer, MemoryVerbatimProducer, VerbatimMessage, VerbatimProducer

LARGEST = 2_000


class Target(Protocol):
    """A topic of one partition that takes values up to LARGEST bytes."""

    def producer(self) -> VerbatimProducer: ...
    def stored(self, count: int) -> Sequence[VerbatimMessage]: ...


@dataclass
class _Memory:
    topic: list[VerbatimMessage]

    def producer(self) -> VerbatimProducer:
        return MemoryVerbatimProducer(self.topic, largest=LARGEST)

    def stored(self, count: int) -> Sequence[VerbatimMessage]:
        return self.topic


@dataclass
class _Kafka:
    topic: str
    servers: str

    def producer(self) -> VerbatimProducer:
        return KafkaVerbatimProducer(self.topic)

    def stored(self, count: int) -> Sequence[VerbatimMessage]:
        return read_messages(self.servers, self.topic, count)


def read_messages(servers: str, topic: str, count: int) -> list[VerbatimMessage]:
    """The first `count` messages of the topic's only partition."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "none", "enable.auto.commit": False})
    found: list[VerbatimMessage] = []

    def all_read() -> bool:
        for message in consumer.consume(1_000, 0.2):
            assert message.error() is None
            headers: Any = message.headers() or ()
            found.append(VerbatimMessage(message.key(), message.value(), tuple(headers), message.timestamp()[1]))
        return len(found) >= count

    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        wait_until(all_read, message=lambda: f"{count} messages, found {found}")
    finally:
        consumer.close()
    return found


@pytest.fixture(params=["memory", "kafka"])
def target(request: pytest.FixtureRequest, settings: Any) -> Target:
    if request.param == "memory":
        return _Memory([])
    servers: str = request.getfixturevalue("kafka_bootstrap_servers")
    settings.KAFKA_CLIENT_CONFIG = {"bootstrap.servers": servers}
    make_topic: MakeTopic = request.getfixturevalue("make_topic")
    topic = make_topic(partitions=1, message_timestamp_type="CreateTime", max_message_bytes=LARGEST)
    return _Kafka(topic, servers)


def test_messages_stand_in_the_topic_as_they_were_given(target: Target) -> None:
    messages = [
        VerbatimMessage(b"k\xff", b"\x00\xff", (("a", b"\x00"), ("a", None), ("ü", b"")), 1_700_000_000_123),
        VerbatimMessage(None, None, (), 1_700_000_000_000),
        VerbatimMessage(b"", b"", (("a", b"1"),), 1_600_000_000_000),
    ]
    assert target.producer().send_all(messages, timeout=20) == ["", "", ""]
    assert list(target.stored(3)) == messages


def test_one_that_is_refused_does_not_hold_up_its_neighbours(target: Target) -> None:
    messages = [
        VerbatimMessage(b"%d" % n, b"x" * (3 * LARGEST if n == 2 else 1), (), 1_700_000_000_000) for n in range(5)
    ]
    refusals = target.producer().send_all(messages, timeout=20)
    assert [bool(refusal) for refusal in refusals] == [False, False, True, False, False]
    assert "MSG_SIZE_TOO_LARGE" in refusals[2]
    assert [message.key for message in target.stored(4)] == [b"0", b"1", b"3", b"4"]


def test_nothing_to_send_needs_no_answer(target: Target) -> None:
    assert target.producer().send_all([], timeout=0.1) == []


@pytest.mark.parametrize("kind", ["memory", "kafka"])
def test_without_a_broker_it_says_so_in_time_and_nothing_stays_on_its_way(kind: str, settings: Any) -> None:
    settings.KAFKA_CLIENT_CONFIG = {"bootstrap.servers": "127.0.0.1:1"}
    producer: VerbatimProducer = MemoryVerbatimProducer(away=True) if kind == "memory" else KafkaVerbatimProducer("any")
    with pytest.raises(BrokerUnavailable):
        producer.send_all([VerbatimMessage(b"1", b"1")] * 3, timeout=0.5)


def test_a_topic_that_is_not_there_is_no_fault_of_a_message(kafka_bootstrap_servers: str, settings: Any) -> None:
    settings.KAFKA_CLIENT_CONFIG = {
        "bootstrap.servers": kafka_bootstrap_servers,
        "topic.metadata.propagation.max.ms": "500",
    }
    with pytest.raises((RequestRefused, BrokerUnavailable)):
        KafkaVerbatimProducer("not-there").send_all([VerbatimMessage(b"1", b"1")], timeout=5)
