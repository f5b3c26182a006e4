"""A topic and a group, in memory and on the run's broker, and a member of it that remembers what it was told."""

import uuid

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, Producer, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.waiting import wait_until
from workers.kafka.consumer import KafkaGroupConsumer
from workers.kafka.group import Start
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
        self.producer = Producer({"bootstrap.servers": servers, "linger.ms": 0, "enable.idempotence": True})
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
