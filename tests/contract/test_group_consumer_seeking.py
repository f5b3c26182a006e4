"""Pauses and seeks of a member of a group: what comes next, and what does not, whatever the broker was asked before."""

import pytest
from confluent_kafka import Producer

from tests.contract.group_cluster import Listener, Reading
from tests.waiting import wait_until
from workers.kafka.consumer import KafkaGroupConsumer
from workers.kafka.group import WAITING, Start


def test_what_is_paused_delivers_nothing_and_goes_on_without_gap_or_double(cluster):
    cluster.append(0, b"a", b"b")
    reading = Reading(cluster)
    reading.until(lambda: len(reading.messages) == 2)
    reading.source.pause([0])
    cluster.append(0, b"c")
    cluster.append(1, b"x")
    reading.until(lambda: len(reading.messages) == 3)
    for _ in range(3):
        reading.fetch()
    assert reading.values() == [b"a", b"b"]
    cluster.append(0, b"d")
    reading.source.resume([0])
    reading.until(lambda: len(reading.messages) == 5)
    assert reading.values() == [b"a", b"b", b"c", b"d"]


def test_a_partition_that_was_paused_when_it_went_delivers_when_it_is_back(cluster):
    """Kafka's client keeps the pause of a partition that goes, and delivers nothing of it when it comes back."""
    reading = Reading(cluster)
    reading.until(lambda: len(reading.ends) == 2)
    reading.source.pause([0, 1])
    cluster.take_away_and_give_back(reading)
    back = min(reading.listener.revoked)
    cluster.append(back, b"a")
    reading.until(lambda: reading.values(back) == [b"a"])


def test_a_seek_in_a_paused_partition_holds_when_it_is_resumed(cluster):
    cluster.append(0, b"a", b"b", b"c")
    reading = Reading(cluster)
    reading.until(lambda: len(reading.messages) == 3)
    reading.source.pause([0])
    for _ in range(2):
        reading.fetch()
    reading.source.seek(0, Start(1, leader_epoch=0))
    reading.source.resume([0])
    reading.until(lambda: len(reading.messages) == 5)
    assert reading.values() == [b"a", b"b", b"c", b"b", b"c"]


def test_a_seek_tells_the_end_again(cluster):
    cluster.append(0, b"a")
    reading = Reading(cluster)
    reading.until(lambda: 0 in reading.ends)
    reading.ends.clear()
    reading.source.pause([0])
    reading.source.seek(0, Start(1))
    reading.source.resume([0])
    reading.until(lambda: reading.ends.get(0) == 1)


def test_a_start_that_only_waits_delivers_nothing_until_a_seek(cluster):
    cluster.append(0, b"a", b"b")
    reading = Reading(cluster, p0=WAITING)
    cluster.append(0, b"c")
    cluster.append(1, b"x")
    reading.until(lambda: reading.values(1) == [b"x"])
    cluster.append(0, b"d")
    cluster.append(1, b"y")
    reading.until(lambda: reading.values(1) == [b"x", b"y"])
    assert reading.values() == []
    reading.source.seek(0, Start(0))
    reading.source.resume([0])
    reading.until(lambda: reading.values() == [b"a", b"b", b"c", b"d"])


def test_a_seek_right_after_a_start_that_waits_is_taken(cluster):
    cluster.append(0, b"a")
    reading = Reading(cluster, p0=WAITING, p1=WAITING)
    for partition in (0, 1):
        reading.source.seek(partition, Start(0))
    reading.source.resume([0, 1])
    reading.until(lambda: reading.values() == [b"a"])


def test_a_start_that_only_waits_may_lie_before_the_topics_first_offset(cluster):
    cluster.append(0, b"a", b"b", b"c")
    cluster.append(1, b"x")
    cluster.delete_before(0, 2)
    reading = Reading(cluster, p0=WAITING)
    reading.until(lambda: reading.values(1) == [b"x"])
    for _ in range(3):
        reading.fetch()
    reading.source.seek(0, Start(2))
    reading.source.resume([0])
    reading.until(lambda: reading.values() == [b"c"])


@pytest.fixture
def slow_broker():
    """Its address: librdkafka's own mock of one, each of whose answers takes a fifth of a second; it has a topic t."""
    producer = Producer({"test.mock.num.brokers": 1, "test.mock.broker.rtt": 200, "log_level": 3})
    broker = next(iter(producer.list_topics(timeout=30).brokers.values()))
    for value in (b"a", b"b", b"c"):
        producer.produce("t", value, partition=0)
        assert producer.flush(30) == 0  # one fetch, one message
    yield f"{broker.host}:{broker.port}"
    del producer  # with which the mock ends


def test_no_answer_that_was_under_way_undoes_a_seek(slow_broker):
    """Were the client still asking for the end of the partition, it would go there after the first message."""
    listener = Listener(p0=WAITING)
    consumer = KafkaGroupConsumer(group="g", topic="t", bootstrap_servers=slow_broker)
    consumer.join(listener)
    values, ends = [], {}

    def fetch():
        fetched = consumer.fetch(most=100, timeout=0.05)
        values.extend(message.value() for message in fetched.messages if message.partition() == 0)
        ends.update(fetched.ends)
        return True

    wait_until(lambda: fetch() and listener.assigned)
    consumer.seek(0, Start(0))
    consumer.resume([0])
    wait_until(lambda: fetch() and 0 in ends)
    assert (values, ends[0]) == ([b"a", b"b", b"c"], 3)
    consumer.close()
