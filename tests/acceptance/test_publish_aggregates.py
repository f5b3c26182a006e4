"""`publish_aggregates`, run as people run it: followers of the topic end with the database, whatever happens to it."""

import json
import random
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from ratings.events import RatingEvent
from ratings.services import rater_erase, rating_delete, ratings_write_now
from tests.fixtures.private_servers import django_on
from tests.published_aggregates import assert_versions_never_fall, figures, followed, in_the_database, read_topic
from tests.rating_load import RatingLoad
from tests.rating_tables import assert_consistent, own_connection, rows
from tests.waiting import wait_until

ON = {"RATINGS_PUBLISH_AGGREGATES": "true"}
PARTITIONS = 3
CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name LIKE 'publish_aggregates%'"
)


@pytest.fixture(autouse=True)
def publishing(settings):
    settings.RATINGS_PUBLISH_AGGREGATES = True


@pytest.fixture
def topic(make_topic):
    return make_topic(partitions=PARTITIONS, cleanup_policy="compact")


def write(seed=1, *, records=40, rounds=1):
    draw = random.Random(seed)
    for _ in range(rounds):
        users = [f"u{draw.randrange(60)}" for _ in range(5)]
        events = [
            RatingEvent("movie", str(draw.randrange(records)), "", user, draw.choice([None, *range(0, 101, 5)]))
            for user in users
        ]
        ratings_write_now(events)


@contextmanager
def load(seed=7) -> Iterator[Callable[[], None]]:
    """Writes all the time beside the block, as REST and the admin do; what it yields raises when that has failed."""
    stop, errors = threading.Event(), []

    def run() -> None:
        try:
            number = seed * 1_000_000
            while not stop.wait(0.005):
                number += 1
                write(number)
        except BaseException as error:  # raised in the test's thread
            errors.append(error)
        finally:
            connections.close_all()

    def check() -> None:
        if errors:
            raise errors[0]

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield check
    finally:
        stop.set()
        thread.join(timeout=30)
    check()


def nothing_left() -> bool:
    return rows("SELECT count(*) FROM ratings_aggregatechange") == [(0,)]


def assert_followers_are_right(servers, topic):
    """Whoever reads from the beginning now, committed messages or all, ends with the database."""
    expected = in_the_database()
    for isolation in ("read_committed", "read_uncommitted"):
        messages = read_topic(servers, topic, isolation=isolation)
        assert_versions_never_fall(messages)
    assert figures(followed(read_topic(servers, topic))) == expected
    assert_consistent()


def has_shard(process) -> bool:
    lines = [json.loads(line)["event"] for line in process.output().splitlines() if line.startswith("{")]
    return "shard_taken" in lines and "shard_lost" not in lines[lines.index("shard_taken") :]


def test_what_every_writer_changes_is_published_once_and_it_ends(
    manage, start_manage, make_topic, topic, kafka_bootstrap_servers
):
    ratings = make_topic(partitions=PARTITIONS)
    sent = RatingLoad(kafka_bootstrap_servers, ratings, partitions=PARTITIONS)
    sent.send(2_000)
    assert manage("consume_ratings", "--topic", ratings, "--until-caught-up", env=ON).returncode == 0
    write(rounds=5)
    rating_delete(record_type="movie", record_id="3", provider_id="", user_id="u1")
    rater_erase(provider_id="", user_id="7")
    done = manage("publish_aggregates", "--topic", topic, "--once", env=ON)
    assert done.returncode == 0, done.stderr
    assert nothing_left()
    messages = read_topic(kafka_bootstrap_servers, topic)
    assert len(messages) == len(in_the_database())
    assert_followers_are_right(kafka_bootstrap_servers, topic)
    assert manage("publish_aggregates", "--topic", topic, "--once", env=ON).returncode == 0
    assert len(read_topic(kafka_bootstrap_servers, topic)) == len(messages)


def test_a_change_reaches_a_follower_within_a_second_of_its_commit(start_manage, topic, kafka_bootstrap_servers):
    publisher = start_manage("publish_aggregates", "--topic", topic, env=ON)
    publisher.wait_for("shard_taken")
    write()
    wait_until(nothing_left, timeout=20, message=publisher.output)
    ratings_write_now([RatingEvent("movie", "the last", "", "ann", 55)])
    # The publisher takes it off after Kafka's commit, so this is the longer time.
    wait_until(nothing_left, timeout=3, message=publisher.output)
    assert ("movie", "the last") in followed(read_topic(kafka_bootstrap_servers, topic))
    publisher.terminate()
    assert publisher.wait() == 0


def test_a_topic_that_is_new_holds_what_was_rated_before_and_resync_sends_it_again(
    manage, settings, topic, kafka_bootstrap_servers
):
    settings.RATINGS_PUBLISH_AGGREGATES = False
    write(rounds=20)
    assert nothing_left()
    assert manage("publish_aggregates", "--topic", topic, "--once", env=ON).returncode == 0
    assert_followers_are_right(kafka_bootstrap_servers, topic)
    before = len(in_the_database())
    write(2, rounds=5)
    done = manage("publish_aggregates", "--topic", topic, "--once", "--resync")  # without the setting
    assert done.returncode == 0, done.stderr
    assert_followers_are_right(kafka_bootstrap_servers, topic)
    assert len(read_topic(kafka_bootstrap_servers, topic)) == before + len(in_the_database())


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


def test_shards_are_published_side_by_side_and_counted_anew_later(manage, start_manage, topic, kafka_bootstrap_servers):
    start = ["publish_aggregates", "--topic", topic, "--shards"]
    two = [start_manage(*start, "2", "--shard", str(number), env=ON) for number in range(2)]
    for process in two:
        process.wait_for("shard_taken")
    with load(seed=3):
        three = start_manage(*start, "3", "--shard", "all", env=ON)
        three.wait_for("in another number of shards")
        two[0].kill()
        two[1].terminate()
        wait_until(lambda: three.output().count("shard_taken") == 3, message=three.output)
        assert three.output().count("former_shard_fenced") == 2
    wait_until(nothing_left, message=three.output)
    assert_followers_are_right(kafka_bootstrap_servers, topic)
    three.terminate()
    assert three.wait() == 0


class TestRefusals:
    def test_while_nobody_marks_changes(self, manage, topic):
        done = manage("publish_aggregates", "--topic", topic)
        assert done.returncode == 1
        assert "RATINGS_PUBLISH_AGGREGATES is off" in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_topic_that_is_not_there(self, manage):
        done = manage("publish_aggregates", "--topic", f"t-{uuid.uuid4().hex}", "--once", env=ON)
        assert done.returncode == 1
        assert "manage.py create_topics" in done.stderr

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--shard", "2", "--shards", "2"], "they are 0 to 1"),
            (["--shards", "65"], "more than 64 shards"),
            (["--takeover-after", "1"], "less than 2 seconds"),
        ],
    )
    def test_wrong_options(self, arguments, words):
        with pytest.raises(CommandError, match=words):
            call_command("publish_aggregates", *arguments)
