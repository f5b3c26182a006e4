"""`manage.py lag`, run as operators run it."""

import json
import os
import signal

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.cimpl import NewTopic

from tests.rating_load import RatingLoad, owned, positions
from tests.waiting import wait_until
from workers.ingestion.models import ConsumerOffset, DeadLetter


@pytest.fixture
def load(kafka_bootstrap_servers, make_topic):
    return RatingLoad(kafka_bootstrap_servers, make_topic(partitions=3), partitions=3)


@pytest.fixture
def lag(manage, load):
    def run(*arguments):
        done = manage("lag", "--topic", load.topic, "--format", "json", *arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def test_a_group_that_has_begun_some_partitions(start_manage, lag, load, kafka_admin, manage):
    load.send(300)
    consumer = start_manage("consume_ratings", "--topic", load.topic, env={"KAFKA_CONFIG_SESSION_TIMEOUT_MS": "30000"})
    load.wait_until_read()
    # Awake it would see that its row is gone, and begin the partition again.
    os.kill(consumer.popen.pid, signal.SIGSTOP)
    ends = positions(load.topic)
    ConsumerOffset.objects.filter(partition=1).update(next_offset=ends[1] - 5, skipped=4)
    ConsumerOffset.objects.filter(partition=2).delete()
    found = lag()
    by_partition = {part["partition"]: part for part in found["partitions"]}
    assert [by_partition[number]["state"] for number in (0, 1, 2)] == ["begun", "begun", "not_begun"]
    assert [by_partition[number]["lag"] for number in (0, 1, 2)] == [0, 5, ends[2]]
    assert [by_partition[number]["position"] for number in (0, 1, 2)] == [ends[0], ends[1] - 5, None]
    assert [by_partition[number]["end"] for number in (0, 1, 2)] == [ends[0], ends[1], ends[2]]
    assert (by_partition[0]["rate"], by_partition[2]["rate"]) == (0, None)
    assert {part["owner"]["host"] for part in found["partitions"]} == {"127.0.0.1"}
    assert (found["lag"], found["skipped"], found["deadLetters"]) == (5 + ends[2], 4, load.poison)
    assert by_partition[0]["delivery"] == "exactly-once"
    consumer.kill()
    place = TopicPartition(load.topic, 1, ends[1])
    kafka_admin.delete_records([place])[place].result(30)
    text = manage("lag", "--topic", load.topic).stdout
    assert "deleted unread" in text
    assert "not begun" in text
    assert "move_offsets" in text


def test_the_rate_is_how_fast_the_position_moves(start_manage, load):
    watcher = start_manage("lag", "--topic", load.topic, "--format", "json", "--watch", "0.5")
    watcher.wait_for("not_begun")
    consumer = start_manage("consume_ratings", "--topic", load.topic, "--batch-size", "100")
    wait_until(lambda: owned(consumer) == {0, 1, 2}, message=consumer.output)

    def looks():
        return [json.loads(line) for line in watcher.output().splitlines() if line.startswith("{") and line[-1] == "}"]

    def all_begun():
        return {part["state"] for part in looks()[-1]["partitions"]} == {"begun"}

    wait_until(all_begun, message=watcher.output)  # from then on there is a position to take the rate from
    load.send(3_000)
    load.wait_until_read()
    before = len(looks())
    wait_until(lambda: len(looks()) > before + 1 and looks()[-1]["lag"] == 0, message=watcher.output)
    read = sum((look["rate"] or 0) * look["rateSeconds"] for look in looks())
    assert read == pytest.approx(load.sent, rel=0.05)
    watcher.interrupt()
    assert watcher.wait() == 0
    assert "Traceback" not in watcher.output()


def test_a_topic_made_anew_is_told_from_the_one_before(manage, lag, load, kafka_admin):
    load.send(100)
    done = manage("consume_ratings", "--topic", load.topic, "--until-caught-up")
    assert done.returncode == 0, done.stderr
    old = lag()
    assert old["formerTopics"] == []
    kafka_admin.delete_topics([load.topic])[load.topic].result(30)
    wait_until(lambda: load.topic not in kafka_admin.list_topics(timeout=10).topics)
    wait_until(lambda: _created(kafka_admin, load.topic))
    wait_until(lambda: len(kafka_admin.list_topics(load.topic, timeout=10).topics[load.topic].partitions) == 2)
    new = lag()
    assert new["topicId"] != old["topicId"]
    assert {part["state"] for part in new["partitions"]} == {"not_begun"}
    (former,) = new["formerTopics"]
    assert (former["topicId"], former["partitions"]) == (old["topicId"], 3)
    assert former["deadLetters"] == old["deadLetters"] == DeadLetter.objects.count()
    assert "another topic of this name" in manage("lag", "--topic", load.topic).stdout


def _created(admin, topic):
    try:
        admin.create_topics([NewTopic(topic, num_partitions=2, replication_factor=1)])[topic].result(30)
    except Exception as refused:  # still being deleted
        return "ALREADY_EXISTS" not in str(refused)
    return True


def test_an_unknown_group_is_told_of_the_others(manage, load):
    load.send(10)
    assert manage("consume_ratings", "--topic", load.topic, "--group", "known", "--until-caught-up").returncode == 0
    done = manage("lag", "--topic", load.topic, "--group", "knwon")
    assert done.returncode == 0
    assert "has not begun to read this topic" in done.stdout
    assert "Groups that have: known" in done.stdout


def test_what_is_away_is_told(manage, load):
    for env, said in (
        ({"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"}, "DATABASE_URL"),
        ({}, "no topic 'there-is-none'"),
    ):
        done = manage("lag", "--topic", "there-is-none", env=env)
        assert done.returncode == 1
        assert said in done.stderr
        assert "Traceback" not in done.stderr
