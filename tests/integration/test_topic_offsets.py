"""Where partitions begin, which offset stands for which time, and who of a group owns which partition."""

import time
import uuid

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from tests.waiting import wait_until
from workers.kafka.members import partition_owners
from workers.kafka.offsets import first_offsets, latest_times_before, offsets_since
from workers.kafka.topics import describe_topic

LONG_AGO = 1_600_000_000_000
# Out of order, as a topic has them whose producers stamp the messages; of two batches and more.
STAMPS = [LONG_AGO + delta for delta in (50, 10, 10, 70, 70, 20, 90, 5, 60)]
FUTURE = int(time.time() * 1000) + 3_600_000


@pytest.fixture(autouse=True)
def broker(settings, kafka_bootstrap_servers):
    settings.KAFKA_CLIENT_CONFIG = {"bootstrap.servers": kafka_bootstrap_servers}


@pytest.fixture
def stamped(make_topic, kafka_bootstrap_servers):
    """Partition 0 is empty, 1 has STAMPS in batches of their own, 2 in one batch, 3 a message of the future."""
    topic = make_topic(partitions=4, message_timestamp_type="CreateTime", retention_ms=-1)
    producer = Producer({"bootstrap.servers": kafka_bootstrap_servers, "linger.ms": 100, "enable.idempotence": True})
    for stamp in STAMPS:
        producer.produce(topic, b"x", partition=1, timestamp=stamp)
        assert producer.flush(30) == 0
    for stamp in STAMPS:
        producer.produce(topic, b"x", partition=2, timestamp=stamp)
    for stamp in (LONG_AGO, FUTURE):
        producer.produce(topic, b"x", partition=3, timestamp=stamp)
    assert producer.flush(30) == 0
    return describe_topic(topic, timeout=30)


def test_the_latest_time_before_an_offset_is_that_of_all_messages_before_it(stamped):
    for offset in (0, 1, 3, 6, 7, len(STAMPS)):
        expected = max(STAMPS[:offset], default=None)
        found = latest_times_before(stamped, {1: offset, 2: offset}, timeout=30)
        assert found == {1: expected, 2: expected}
    assert latest_times_before(stamped, {}, timeout=30) == {}
    assert latest_times_before(stamped, {0: 0}, timeout=30) == {0: None}


def test_a_time_in_the_future_counts_as_now(stamped):
    before = int(time.time() * 1000)
    found = latest_times_before(stamped, {3: 2}, timeout=30)[3]
    assert found is not None
    assert before <= found <= int(time.time() * 1000)


def test_the_first_message_of_a_time_or_later(stamped):
    assert offsets_since(stamped, LONG_AGO + 60, timeout=30) == {0: None, 1: 3, 2: 3, 3: 1}
    assert offsets_since(stamped, LONG_AGO + 91, timeout=30) == {0: None, 1: None, 2: None, 3: 1}
    assert offsets_since(stamped, 0, timeout=30) == {0: None, 1: 0, 2: 0, 3: 0}


def test_deleted_messages_are_not_there_any_more(stamped, kafka_admin):
    assert first_offsets(stamped, timeout=30) == {0: 0, 1: 0, 2: 0, 3: 0}
    place = TopicPartition(stamped.name, 1, 5)
    kafka_admin.delete_records([place])[place].result(30)
    assert first_offsets(stamped, timeout=30) == {0: 0, 1: 5, 2: 0, 3: 0}
    assert latest_times_before(stamped, {1: 6}, timeout=30) == {1: LONG_AGO + 20}


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_the_owners_of_both_protocols_are_named(make_topic, kafka_bootstrap_servers, protocol):
    topic, other, group = make_topic(partitions=2), make_topic(partitions=1), f"g-{uuid.uuid4().hex[:8]}"
    assert partition_owners(group=group, topic=topic, timeout=30) == {}
    member = Consumer(
        {
            "bootstrap.servers": kafka_bootstrap_servers,
            "group.id": group,
            "group.protocol": protocol,
            "client.id": "somebody",
            "group.instance.id": f"{group}-1",
        }
    )
    try:
        member.subscribe([topic, other])
        wait_until(lambda: member.poll(0.1) or len(member.assignment()) == 3)
        owners = wait_until(lambda: len(found := partition_owners(group=group, topic=topic, timeout=30)) == 2 and found)
    finally:
        member.close()
    assert owners.keys() == {0, 1}
    assert owners[0] == owners[1]
    assert (owners[0].client_id, owners[0].instance_id) == ("somebody", f"{group}-1")
    assert owners[0].member_id
    assert owners[0].host.count(".") == 3
