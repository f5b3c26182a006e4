"""What the consume loop relies on in a member of a group, asked of the one in memory and of a real broker."""

import uuid

import pytest
from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    KafkaException,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.waiting import wait_until
from workers.kafka.consumer import KafkaGroupConsumer
from workers.kafka.errors import OffsetNotAvailable, TopicMadeAnew
from workers.kafka.group import AT_END, Commit, NotCommitted, Start
from workers.kafka.memory import MemoryGroupConsumer, MemoryTopic


class MemoryCluster:
    """A topic and a group in memory."""

    def __init__(self, partitions):
        self.topic = MemoryTopic(partitions)
        self.consumers = []

    def append(self, partition, *values, headers=None):
        for value in values:
            self.topic.append(partition, value, key=b"k", headers=headers, milliseconds=1_000)

    def mark(self, partition):
        self.topic.skip(partition)

    def delete_before(self, partition, offset):
        self.topic.delete_before(partition, offset)

    def consumer(self, listener):
        self.consumers.append(MemoryGroupConsumer(self.topic))
        self.consumers[-1].join(listener)
        self.consumers[-1].give(*self.topic.partitions)
        return self.consumers[-1]

    def committed(self):
        return {partition: commit.offset for partition, commit in self.topic.commits["rating"].items()}

    def take_away_and_give_back(self, reading):
        reading.source.revoke(0)
        reading.fetch()
        reading.source.give(0)
        reading.fetch()

    def make_anew(self):
        self.topic.make_anew(2)

    def commit_as_others_do(self, partition, offset):
        """In memory nobody commits in another way."""

    def close(self):
        for consumer in self.consumers:
            consumer.close()


class RealCluster:
    """A topic and a group of their own on the run's broker."""

    def __init__(self, servers, topic, group_protocol):
        self.servers, self.topic, self.group = servers, topic, f"g-{uuid.uuid4().hex[:12]}"
        self.group_protocol = group_protocol
        self.producer = Producer({"bootstrap.servers": servers, "linger.ms": 0})
        self.admin = AdminClient({"bootstrap.servers": servers})
        described = self.admin.describe_topics(TopicCollection([topic]))
        self.topic_id = str(described[topic].result(10).topic_id)
        self.consumers = []

    def append(self, partition, *values, headers=None):
        for value in values:
            self.producer.produce(self.topic, value, b"k", partition, headers=headers)
        assert self.producer.flush(10) == 0

    def mark(self, partition):
        """A transaction that is given up leaves a message that nobody sees, and a marker."""
        config = {"bootstrap.servers": self.servers, "transactional.id": uuid.uuid4().hex, "linger.ms": 0}
        producer = Producer(config)
        producer.init_transactions(10)
        producer.begin_transaction()
        producer.produce(self.topic, b"aborted", partition=partition)
        producer.flush(10)
        producer.abort_transaction(10)

    def delete_before(self, partition, offset):
        futures = self.admin.delete_records([TopicPartition(self.topic, partition, offset)])
        for future in futures.values():
            future.result(10)

    def consumer(self, listener):
        made = KafkaGroupConsumer(group=self.group, topic=self.topic, topic_id=self.topic_id, **self.group_protocol)
        self.consumers.append(made)
        made.join(listener)
        return self.consumers[-1]

    def committed(self):
        asked = self.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(self.group)])
        return {found.partition: found.offset for found in asked[self.group].result(10).topic_partitions}

    def take_away_and_give_back(self, reading):
        """By a second member that comes and goes."""
        other = Listener()
        visitor = self.consumer(other)
        reading.until(lambda: visitor.fetch(most=1, timeout=0.05) and other.assigned)
        reading.listener.assigned.clear()
        visitor.close()
        reading.until(lambda: other.assigned <= reading.listener.assigned)

    def make_anew(self):
        self.admin.delete_topics([self.topic])[self.topic].result(10)
        wait_until(self._created)

    def _created(self):
        try:
            self.admin.create_topics([NewTopic(self.topic, 2, 1)])[self.topic].result(10)
        except KafkaException:
            return False
        return True

    def commit_as_others_do(self, partition, offset):
        asked = ConsumerGroupTopicPartitions(self.group, [TopicPartition(self.topic, partition, offset)])
        self.admin.alter_consumer_group_offsets([asked])[self.group].result(10)

    def close(self):
        for consumer in self.consumers:
            consumer.close()


CLUSTERS = {
    "memory": None,
    "cooperative": {},
    "eager": {"partition_assignment_strategy": "range"},
    "broker-assigned": {"group_protocol": "consumer"},
}


@pytest.fixture(params=CLUSTERS)
def cluster(request):
    if request.param == "memory":
        made = MemoryCluster(2)
    else:
        servers = request.getfixturevalue("kafka_bootstrap_servers")
        made = RealCluster(servers, request.getfixturevalue("make_topic")(2), CLUSTERS[request.param])
    yield made
    made.close()


class Listener:
    """Starts where the test says and remembers what it was told."""

    def __init__(self, **starts):
        self.starts = {int(name[1:]): start for name, start in starts.items()}
        self.assigned, self.revoked, self.lost = set(), set(), set()
        self.ask, self.firsts = None, {}
        self.ask_committed, self.committed = None, {}

    def partitions_assigned(self, partitions):
        self.assigned |= set(partitions)
        if self.ask_committed:
            self.committed |= self.ask_committed(partitions)
        if self.ask:
            self.firsts |= {partition: self.ask(partition) for partition in partitions}
        return {partition: self.starts.get(partition, Start(0)) for partition in partitions}

    def partitions_revoked(self, partitions):
        self.revoked |= set(partitions)

    def partitions_lost(self, partitions):
        self.lost |= set(partitions)


def read_for_ever(cluster, messages, **starts):
    Reading(cluster, messages, **starts).until(lambda: False)


class Reading:
    """A member and everything that it has delivered."""

    def __init__(self, cluster, messages=None, **starts):
        self.listener = Listener(**starts)
        self.source = cluster.consumer(self.listener)
        self.listener.ask = self.source.first_offset
        self.listener.ask_committed = self.source.committed
        self.messages = [] if messages is None else messages
        self.ends = {}
        self.until(lambda: self.listener.assigned == {0, 1})

    def fetch(self):
        fetched = self.source.fetch(most=1_000, timeout=0.05)
        self.messages += fetched.messages
        self.ends |= fetched.ends

    def until(self, condition):
        def fetched():
            self.fetch()
            return condition()

        wait_until(fetched, message=lambda: f"{self.values()} {self.ends} {self.listener.assigned}")

    def values(self, partition=0):
        return [message.value() for message in self.messages if message.partition() == partition]


def test_messages_come_from_the_starts_in_order_with_all_they_have(cluster):
    cluster.append(0, b"a", b"b", b"c", headers=[("h", b"\xff"), ("h", None)])
    cluster.append(1, b"x", None)
    reading = Reading(cluster, p0=Start(1), p1=Start(0, leader_epoch=0))
    reading.until(lambda: len(reading.messages) == 4)
    assert reading.values() == [b"b", b"c"]
    assert reading.values(1) == [b"x", None]
    first = next(message for message in reading.messages if message.partition() == 0)
    assert (first.offset(), first.key(), first.headers()) == (1, b"k", [("h", b"\xff"), ("h", None)])
    assert first.timestamp()[0] in (1, 2)
    assert first.leader_epoch() == 0


def test_ends_are_told_when_there_is_nothing_more_for_now(cluster):
    cluster.append(0, b"a", b"b")
    reading = Reading(cluster)
    reading.until(lambda: reading.ends == {0: 2, 1: 0})
    cluster.append(0, b"c")
    reading.until(lambda: reading.ends == {0: 3, 1: 0})
    assert reading.source.known_ends([0, 1]) == {0: 3, 1: 0}


def test_an_end_counts_what_is_no_message(cluster):
    cluster.append(0, b"a")
    cluster.mark(0)
    cluster.mark(1)
    reading = Reading(cluster)
    reading.until(lambda: reading.ends.get(0, 0) > 1 and reading.ends.get(1, 0) > 0)
    assert reading.values() == [b"a"]
    assert reading.values(1) == []


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
    reading = Reading(cluster, p0=Start(AT_END, paused=True))
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
    reading = Reading(cluster, p0=Start(AT_END, paused=True), p1=Start(AT_END, paused=True))
    for partition in (0, 1):
        reading.source.seek(partition, Start(0))
    reading.source.resume([0, 1])
    reading.until(lambda: reading.values() == [b"a"])


def test_a_partition_that_was_paused_when_it_went_delivers_when_it_is_back(cluster):
    """Kafka's client keeps the pause of a partition that goes, and delivers nothing of it when it comes back."""
    reading = Reading(cluster)
    reading.until(lambda: len(reading.ends) == 2)
    reading.source.pause([0, 1])
    cluster.take_away_and_give_back(reading)
    back = min(reading.listener.revoked)
    cluster.append(back, b"a")
    reading.until(lambda: reading.values(back) == [b"a"])


def test_the_oldest_offset_is_told(cluster):
    cluster.append(0, b"a", b"b", b"c")
    cluster.delete_before(0, 2)
    reading = Reading(cluster, p0=Start(2))
    assert reading.listener.firsts == {0: 2, 1: 0}
    assert (reading.source.first_offset(0), reading.source.first_offset(1)) == (2, 0)


@pytest.mark.parametrize("start", [Start(0), Start(9)])
def test_a_start_outside_the_topic_is_an_error_and_never_a_jump(cluster, start):
    cluster.append(0, b"a", b"b", b"c")
    cluster.delete_before(0, 2)
    messages = []
    with pytest.raises(OffsetNotAvailable, match="Nothing is skipped without a word"):
        read_for_ever(cluster, messages, p0=start)
    assert [message for message in messages if message.partition() == 0] == []


def test_commits_are_seen_by_others_and_closing_revokes(cluster):
    cluster.append(0, b"a", b"b")
    reading = Reading(cluster)
    reading.until(lambda: len(reading.messages) == 2)
    reading.source.commit({0: Commit(2, epoch=1)})
    reading.source.close()
    assert reading.listener.revoked == {0, 1}
    assert reading.listener.lost == set()
    assert cluster.committed() == {0: 2}


def test_what_was_committed_is_read_back_with_the_epoch_that_committed_it(cluster):
    cluster.append(0, b"a", b"b")
    reading = Reading(cluster)
    reading.until(lambda: len(reading.messages) == 2)
    assert reading.source.committed([0, 1]) == {}
    assert reading.source.commit_now({0: Commit(1, epoch=3, leader_epoch=0)}) == NotCommitted()
    assert reading.source.committed([0, 1]) == {0: Commit(1, epoch=3, leader_epoch=0)}
    reading.source.commit_now({0: Commit(2, epoch=4)})
    reading.source.commit_now({1: Commit(0, epoch=5)})
    assert reading.source.committed([0, 1]) == {0: Commit(2, epoch=4), 1: Commit(0, epoch=5)}


def test_the_next_member_reads_what_was_committed_while_it_is_assigned(cluster):
    cluster.append(0, b"a", b"b")
    reading = Reading(cluster)
    reading.until(lambda: len(reading.messages) == 2)
    reading.source.commit({0: Commit(2, epoch=7, leader_epoch=0)})
    reading.source.close()
    heir = Reading(cluster)
    assert heir.listener.committed == {0: Commit(2, epoch=7, leader_epoch=0)}


def test_a_position_that_others_committed_is_none_of_ours(cluster):
    reading = Reading(cluster)
    reading.until(lambda: len(reading.ends) == 2)
    reading.source.close()
    cluster.commit_as_others_do(0, 5)
    heir = Reading(cluster)
    assert heir.listener.committed == {}


def test_a_topic_made_anew_is_told_from_the_one_that_it_was(cluster):
    cluster.append(0, b"a")
    reading = Reading(cluster)
    reading.until(lambda: len(reading.messages) == 1)
    reading.source.check_topic()
    cluster.make_anew()
    with pytest.raises(TopicMadeAnew, match="Start again to read the new topic"):
        reading.source.check_topic()
