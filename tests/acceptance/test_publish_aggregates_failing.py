"""`publish_aggregates` killed, frozen and cut off under load: followers of the topic end with the database."""

import json
import random
import signal
import threading

import pytest

from tests.acceptance.publishing import (
    ON,
    PARTITIONS,
    assert_followers_are_right,
    load,
    nothing_left,
    publishing,
    topic,
)
from tests.fixtures.private_servers import django_on
from tests.published_aggregates import read_topic
from tests.rating_tables import own_connection
from tests.waiting import wait_until

__all__ = ["publishing", "topic"]

CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name LIKE 'publish_aggregates%'"
)


def has_shard(process) -> bool:
    lines = [json.loads(line)["event"] for line in process.output().splitlines() if line.startswith("{")]
    return "shard_taken" in lines and "shard_lost" not in lines[lines.index("shard_taken") :]


def test_killed_again_and_again_under_load(start_manage, topic, kafka_bootstrap_servers):
    kill_again_and_again(start_manage, topic, kafka_bootstrap_servers, kills=10, draw=random.Random(4))


@pytest.mark.soak
def test_killed_any_number_of_times_under_load(start_manage, topic, kafka_bootstrap_servers):
    kill_again_and_again(start_manage, topic, kafka_bootstrap_servers, kills=100, draw=random.Random())


def kill_again_and_again(start_manage, topic, servers, *, kills, draw):
    """Of two, the one that publishes is killed at some moment; the other takes over, and a new one stands by."""
    pair = [start_manage("publish_aggregates", "--topic", topic, env=ON) for _ in range(2)]
    with load() as check:
        for _ in range(kills):
            wait_until(lambda: any(map(has_shard, pair)), message=lambda: "\n--\n".join(one.output() for one in pair))
            active = next(one for one in pair if has_shard(one))
            threading.Event().wait(draw.uniform(0.0, 0.4))
            active.kill()
            pair.remove(active)
            pair.append(start_manage("publish_aggregates", "--topic", topic, env=ON))
            check()
    wait_until(nothing_left, message=lambda: "\n--\n".join(one.output() for one in pair))
    for one in pair:
        one.terminate()
        assert one.wait() == 0
    assert_followers_are_right(servers, topic)


def test_a_frozen_publisher_loses_its_shard_and_writes_nothing_when_it_wakes_up(
    start_manage, topic, kafka_bootstrap_servers
):
    freeze_again_and_again(start_manage, topic, kafka_bootstrap_servers, times=1)


@pytest.mark.soak
def test_frozen_any_number_of_times(start_manage, topic, kafka_bootstrap_servers):
    freeze_again_and_again(start_manage, topic, kafka_bootstrap_servers, times=30)


def freeze_again_and_again(start_manage, topic, servers, *, times):
    def standby():
        process = start_manage("publish_aggregates", "--topic", topic, "--takeover-after", "2", env=ON)
        process.wait_for("is published by publish_aggregates")  # says who has it
        return process

    active = start_manage("publish_aggregates", "--topic", topic, "--takeover-after", "2", env=ON)
    active.wait_for("shard_taken")
    with load() as check:
        for _ in range(times):
            heir = standby()
            threading.Event().wait(random.uniform(0.0, 0.4))
            frozen_while(active, lambda heir=heir: publishes(heir, servers, topic))
            check()
            if active.popen.poll() is None:
                active.wait_for("shard_lost")
                active.kill()
            else:
                assert "Another publisher has taken shard" in active.output()
            active = heir
    wait_until(nothing_left, message=active.output)
    assert_followers_are_right(servers, topic)
    active.terminate()
    assert active.wait() == 0


def frozen_while(process, condition):
    process.popen.send_signal(signal.SIGSTOP)
    wait_until(condition)
    process.popen.send_signal(signal.SIGCONT)
    wait_until(lambda: "shard_lost" in process.output() or process.popen.poll() is not None, message=process.output)


def publishes(heir, servers, topic):
    """It has the shard, and its messages arrive."""
    wait_until(lambda: has_shard(heir), message=heir.output)
    before = len(read_topic(servers, topic))
    wait_until(lambda: len(read_topic(servers, topic)) > before + 20, message=heir.output)
    return True


def test_kafka_and_postgres_going_away_are_waited_out(start_manage, manage, private_kafka, private_postgres):
    env = {
        **ON,
        "DATABASE_URL": private_postgres.address,
        "KAFKA_BOOTSTRAP_SERVERS": private_kafka.address,
        "RATINGS_TOPIC_PARTITIONS": str(PARTITIONS),
    }
    assert manage("migrate", env=env).returncode == 0
    assert manage("create_topics", env=env).returncode == 0
    publisher = start_manage("publish_aggregates", env=env)
    publisher.wait_for("shard_taken")
    with django_on(private_postgres.address):
        with load() as check, own_connection() as knife:
            for lost in range(1, 4):
                assert len(knife.execute(CUT).fetchall()) == 1
                wait_until(lambda lost=lost: publisher.output().count("shard_taken") > lost, message=publisher.output)
            private_kafka.kill()
            publisher.wait_for("No Kafka broker", timeout=40)
            private_kafka.start()
            check()
        private_postgres.stop_at_once()
        publisher.wait_for("The database: ")
        private_postgres.start()
        with load(seed=2):
            wait_until(lambda: publisher.output().count("shard_taken") > 4, message=publisher.output)
        wait_until(nothing_left, timeout=60, message=publisher.output)
        assert_followers_are_right(private_kafka.address, "ratings.aggregates")
    publisher.terminate()
    assert publisher.wait() == 0
