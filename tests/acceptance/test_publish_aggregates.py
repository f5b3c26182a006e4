"""`publish_aggregates`, run as people run it: what is published, when, by whom, and what it does not begin with."""

import uuid

import pytest
from django.core.management import CommandError, call_command

from ratings.events import RatingEvent
from ratings.services import rater_erase, rating_delete, ratings_write_now
from tests.acceptance.publishing import (
    ON,
    PARTITIONS,
    assert_followers_are_right,
    load,
    nothing_left,
    publishing,
    topic,
    write,
)
from tests.published_aggregates import followed, in_the_database, read_topic
from tests.rating_load import RatingLoad
from tests.waiting import wait_until

__all__ = ["publishing", "topic"]


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

    def test_a_resync_for_a_topic_that_is_not_there_marks_nothing(self, manage, settings):
        settings.RATINGS_PUBLISH_AGGREGATES = False
        write()
        topic = f"t-{uuid.uuid4().hex}"
        done = manage("publish_aggregates", "--topic", topic, "--once", "--resync")
        assert done.returncode == 1
        assert "RATINGS_PUBLISH_AGGREGATES" in done.stderr
        assert "--aggregates" in done.stderr
        assert "Traceback" not in done.stderr
        assert nothing_left()

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
