"""`consume_ratings`: where a group goes on, after another delivery, in a topic that has changed, as a static member."""

import json
import re

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.cimpl import NewTopic

from tests.rating_load import epochs, owned, positions
from tests.rating_tables import standing
from tests.waiting import wait_until
from workers.ingestion.models import ConsumerOffset


@pytest.fixture
def produce(kafka_bootstrap_servers):
    def send(topic, *users, partition=0):
        producer = Producer({"bootstrap.servers": kafka_bootstrap_servers, "linger.ms": 0, "enable.idempotence": True})
        for user in users:
            event = {"recordId": "1", "recordType": "movie", "userId": user, "ratingValue": 5, "eventType": "put"}
            producer.produce(topic, json.dumps(event).encode(), partition=partition)
        assert producer.flush(30) == 0

    return send


def users():
    return {key[3] for key in standing("movie")}


def make_anew(admin, topic):
    admin.delete_topics([topic])[topic].result(30)

    def created():
        try:
            admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])[topic].result(30)
        except Exception:
            return False
        return True

    wait_until(created)
    wait_until(lambda: admin.list_topics(topic, timeout=10).topics[topic].partitions)


def test_a_topic_made_anew_ends_the_consumer_and_is_read_from_its_start_by_the_next(
    start_manage, manage, make_topic, produce, kafka_admin
):
    """Kafka's client would read on in the new topic, from the old one's offset, without a word."""
    topic = make_topic(partitions=1)
    produce(topic, "a", "b")
    consumer = start_manage("consume_ratings", "--topic", topic)
    wait_until(lambda: users() == {"a", "b"}, message=consumer.output)
    make_anew(kafka_admin, topic)
    produce(topic, "v", "w", "x", "y")
    assert consumer.wait() == 1
    assert f"'{topic}' was made anew" in consumer.output()
    assert "Traceback" not in consumer.output()
    assert users() == {"a", "b"}
    assert positions(topic) == {0: 2}
    assert manage("consume_ratings", "--topic", topic, "--until-caught-up").returncode == 0
    assert users() == {"a", "b", "v", "w", "x", "y"}
    assert sorted(ConsumerOffset.objects.filter(topic=topic).values_list("next_offset", flat=True)) == [2, 4]


def test_what_was_deleted_unread_stops_the_consumer_with_what_to_do(manage, make_topic, produce, kafka_admin):
    topic = make_topic(partitions=1)
    produce(topic, "a")
    assert manage("consume_ratings", "--topic", topic, "--until-caught-up").returncode == 0
    produce(topic, "b", "c", "d")
    kafka_admin.delete_records([TopicPartition(topic, 0, 3)])[TopicPartition(topic, 0)].result(30)
    done = manage("consume_ratings", "--topic", topic, "--until-caught-up")
    assert done.returncode == 1
    assert re.search(
        r"offset 1 of partition 0, is not in the topic '.*', which has 3 to 3: .*move_offsets", done.stderr
    )
    assert (users(), positions(topic)) == ({"a"}, {0: 1})


def test_a_position_past_the_end_stops_the_consumer_with_what_to_do(manage, make_topic, produce):
    topic = make_topic(partitions=1)
    produce(topic, "a")
    assert manage("consume_ratings", "--topic", topic, "--until-caught-up").returncode == 0
    ConsumerOffset.objects.filter(topic=topic).update(next_offset=99)
    produce(topic, "b")
    done = manage("consume_ratings", "--topic", topic)
    assert done.returncode == 1
    assert re.search(r"offset 99 of partition 0, is not in the topic '.*', which ends at 2.*move_offsets", done.stderr)
    assert users() == {"a"}


def test_another_delivery_goes_on_where_the_group_was(manage, make_topic, produce):
    topic = make_topic(partitions=1)
    order = ["exactly-once", "at-least-once", "at-most-once", "exactly-once"]
    for number, delivery in enumerate(order):
        produce(topic, f"a{number}", f"b{number}")
        done = manage("consume_ratings", "--topic", topic, "--delivery", delivery, "--until-caught-up")
        assert done.returncode == 0, done.stderr
        assert '"applied": 2' in done.stderr
        row = ConsumerOffset.objects.get(topic=topic)
        assert (row.delivery, row.next_offset, row.skipped) == (delivery, 2 * number + 2, 0)
    assert len(users()) == 2 * len(order)


STATIC = {"KAFKA_CONFIG_SESSION_TIMEOUT_MS": "30000", "KAFKA_CONFIG_HEARTBEAT_INTERVAL_MS": "300"}


def test_a_static_member_that_is_started_again_keeps_its_partitions_without_a_rebalance(
    start_manage, make_topic, produce
):
    topic = make_topic(partitions=2)

    def start(name):
        return start_manage("consume_ratings", "--topic", topic, "--group-instance-id", name, env=STATIC)

    stays, goes = start("stays"), start("goes")
    wait_until(lambda: owned(stays) | owned(goes) == {0, 1} and owned(stays) and owned(goes), message=stays.output)
    kept, moved = owned(stays), owned(goes)
    before, told = epochs(topic), stays.output().count("partitions_")
    goes.terminate()
    assert goes.wait() == 0
    again = start("goes")
    wait_until(lambda: owned(again) == moved, message=again.output)
    produce(topic, "a", partition=next(iter(moved)))
    produce(topic, "b", partition=next(iter(kept)))
    wait_until(lambda: users() == {"a", "b"}, message=again.output)
    assert stays.output().count("partitions_") == told
    assert epochs(topic) == {**before, **{partition: before[partition] + 1 for partition in moved}}


def test_two_with_one_name_are_told_apart(start_manage, make_topic):
    topic = make_topic(partitions=1)
    arguments = ["consume_ratings", "--topic", topic, "--group-instance-id", "one"]
    first = start_manage(*arguments, env=STATIC)
    wait_until(lambda: owned(first) == {0}, message=first.output)
    second = start_manage(*arguments, env=STATIC)
    assert first.wait() == 1
    assert "--group-instance-id" in first.output()
    assert "Traceback" not in first.output()
    wait_until(lambda: owned(second) == {0}, message=second.output)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--delivery", "twice"], "exactly-once"), (["--group-instance-id", "a b"], "member's name")],
)
def test_arguments_that_make_no_sense_are_refused(manage, arguments, said):
    done = manage("consume_ratings", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
