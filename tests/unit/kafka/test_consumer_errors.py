"""Which of the client's errors end a consumer, and which it goes on from."""

from concurrent.futures import Future
from threading import Event
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from workers.kafka.commits import understood
from workers.kafka.consumer import KafkaGroupConsumer
from workers.kafka.errors import (
    BrokerUnavailable,
    InstanceFenced,
    LogUnreadable,
    OffsetNotAvailable,
    RequestRefused,
    TopicNotFound,
)
from workers.kafka.group import Commit, NotCommitted


@pytest.fixture
def consumer():
    consumer = KafkaGroupConsumer(group="g", topic="t", bootstrap_servers="127.0.0.1:1")
    yield consumer
    consumer.close()


@pytest.mark.parametrize(
    ("code", "ending"),
    [
        (KafkaError._FATAL, RequestRefused),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, RequestRefused),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, RequestRefused),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, TopicNotFound),
        (KafkaError.FENCED_INSTANCE_ID, InstanceFenced),
    ],
)
def test_what_waiting_does_not_mend_ends_the_consumer(consumer, code, ending):
    with pytest.raises(ending):
        consumer._check(KafkaError(code, "for a test"))


@pytest.mark.parametrize("code", [KafkaError._BAD_MSG, KafkaError._BAD_COMPRESSION, KafkaError._NOT_IMPLEMENTED])
def test_what_cannot_be_read_ends_the_consumer_and_names_its_partition(consumer, monkeypatch, code):
    before, after = SimpleNamespace(error=lambda: None), SimpleNamespace(error=lambda: None)
    error = KafkaError(code, "for a test")
    unreadable = SimpleNamespace(error=lambda: error, partition=lambda: 3, offset=lambda: 7)
    fetches = iter([[before, unreadable, after]])
    client = SimpleNamespace(consume=lambda *_: next(fetches), close=lambda: None)
    monkeypatch.setattr(consumer, "_client", client)
    assert consumer.fetch(most=3, timeout=0).messages == [before]  # the one after it would close the gap
    for _ in range(2):
        with pytest.raises(LogUnreadable, match=r"Partition 3 of the topic 't' .*for a test"):
            consumer.fetch(most=3, timeout=0)


@pytest.mark.parametrize("code", [KafkaError._TRANSPORT, KafkaError._MAX_POLL_EXCEEDED, KafkaError._ALL_BROKERS_DOWN])
def test_what_waiting_mends_is_waited_for(consumer, code):
    consumer._check(KafkaError(code, "for a test"))


class Client:
    """A client whose broker answers as the test says."""

    def __init__(self, answer):
        self.answer = answer

    def commit(self, *, offsets, asynchronous):
        if self.answer is None:
            Event().wait(2)
        if isinstance(self.answer, KafkaError):
            raise KafkaException(self.answer)
        if asynchronous:  # whoever does not wait is told nothing
            return None
        return [SimpleNamespace(partition=at.partition, error=self.answer.get(at.partition)) for at in offsets]

    def close(self):
        pass


REBALANCED = KafkaError(KafkaError.ILLEGAL_GENERATION)
UNANSWERED = KafkaError(KafkaError._TIMED_OUT)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({}, NotCommitted()),
        ({0: REBALANCED}, NotCommitted(refused=frozenset({0}))),
        ({0: REBALANCED, 1: UNANSWERED}, NotCommitted(refused=frozenset({0}), unknown=frozenset({1}))),
        (REBALANCED, NotCommitted(refused=frozenset({0, 1}))),
        (KafkaError(KafkaError.FENCED_INSTANCE_ID), NotCommitted(refused=frozenset({0, 1}))),
        (UNANSWERED, NotCommitted(unknown=frozenset({0, 1}))),
        (KafkaError(KafkaError._TRANSPORT), NotCommitted(unknown=frozenset({0, 1}))),
    ],
)
def test_a_commit_is_refused_or_unknown_or_done(consumer, monkeypatch, answer, expected):
    monkeypatch.setattr(consumer, "_client", Client(answer))
    assert consumer.commit_now({0: Commit(5, epoch=1), 1: Commit(6, epoch=1)}) == expected


def test_a_commit_that_nobody_answers_is_unknown_within_seconds(consumer, monkeypatch):
    monkeypatch.setattr(consumer, "_client", Client(None))
    monkeypatch.setattr("workers.kafka.consumer._ANSWER_SECONDS", 0.05)
    assert consumer.commit_now({0: Commit(5, epoch=1)}) == NotCommitted(unknown=frozenset({0}))


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ('{"epoch": 3, "topic": "", "time": 7}', Commit(5, 3, None, 7)),
        ('{"epoch": 3, "topic": "of another of the same name", "time": 7}', None),
        ('{"epoch": "3", "topic": "", "time": 7}', None),
        ('{"epoch": 3, "topic": ""}', None),
        ("[]", None),
        ("written by another tool", None),
        ("", None),
    ],
)
def test_a_commit_counts_only_as_one_of_this_topic_and_kind(metadata, expected):
    assert understood(TopicPartition("t", 0, 5, metadata), topic_id="") == expected


def test_a_position_that_is_not_there_says_so_though_nobody_tells_what_is(consumer):
    told = str(consumer._not_available(3, 17, "Broker: Offset out of range"))
    assert "offset 17 of partition 3" in told
    assert "Broker: Offset out of range" in told
    assert "move_offsets" in told


@pytest.mark.parametrize(
    ("there", "said"),
    [((20, 30), "which has 20 to 29"), ((20, 20), "which is empty up to 20"), ((0, 5), "which ends at 5")],
)
def test_a_position_that_is_not_there_is_told_with_what_is(there, said):
    assert said in str(OffsetNotAvailable(topic="t", partition=0, wanted=10, there=there))


def test_a_broker_that_does_not_answer_is_what_is_waited_for_until_one_does(monkeypatch, settings):
    settings.KAFKA_CLIENT_CONFIG = {"bootstrap.servers": "127.0.0.1:1"}
    consumer = KafkaGroupConsumer(group="g", topic="t", topic_id="its id")
    answer = Future()
    asked = SimpleNamespace(describe_topics=lambda topics, request_timeout: {"t": answer}, poll=lambda timeout: 0)
    monkeypatch.setattr(consumer._identity, "_client", asked)
    assert consumer.waiting_for is None
    answer.set_exception(KafkaException(KafkaError(KafkaError._TIMED_OUT)))
    with pytest.raises(BrokerUnavailable):
        consumer.check_topic()
    assert consumer.waiting_for.startswith("No Kafka broker at 127.0.0.1:1 answered within 5 s.")
    answer = Future()
    answer.set_result(SimpleNamespace(topic_id="its id"))
    consumer.check_topic()
    assert consumer.waiting_for is None
    consumer.close()
