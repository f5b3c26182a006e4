"""`manage.py move_offsets` with consumers at work and without."""

import io
import os
import pty
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import TopicPartition
from django.core.management import CommandError, call_command

from movieapp.devstack.layout import PROJECT_ROOT
from ratings.services import rating_put
from tests.rating_load import RatingLoad, epochs, owned, positions
from tests.rating_tables import assert_consistent, own_connection, standing, wait_until_someone_waits_for
from tests.waiting import wait_until
from workers.ingestion.models import ConsumerOffset, DeadLetter

QUICK = {"KAFKA_CONFIG_SESSION_TIMEOUT_MS": "1500", "KAFKA_CONFIG_HEARTBEAT_INTERVAL_MS": "300"}


@pytest.fixture
def load(kafka_bootstrap_servers, make_topic):
    return RatingLoad(kafka_bootstrap_servers, make_topic(partitions=2), partitions=2)


@pytest.fixture
def move(settings, manage_environment, load):
    """Runs the command in this process, for the group of the consumers, and returns what it writes."""
    settings.KAFKA_CLIENT_CONFIG = {"bootstrap.servers": manage_environment["KAFKA_BOOTSTRAP_SERVERS"]}

    def run(*arguments, topic=load.topic):
        output = io.StringIO()
        group = manage_environment["RATINGS_CONSUMER_GROUP"]
        call_command("move_offsets", "--topic", topic, "--group", group, *arguments, stdout=output)
        return output.getvalue()

    return run


@pytest.fixture
def refused(move):
    """What the command says when it moves nothing."""

    def run(*arguments, code=1, **options):
        with pytest.raises(CommandError) as error:
            move(*arguments, **options)
        assert error.value.returncode == code
        return str(error.value)

    return run


def catch_up(manage, load, *arguments):
    done = manage("consume_ratings", "--topic", load.topic, "--until-caught-up", *arguments)
    assert done.returncode == 0, done.stderr


def rows(topic):
    return {row.partition: row for row in ConsumerOffset.objects.filter(topic=topic)}


def test_two_running_consumers_read_everything_again_and_nothing_changes(start_manage, move, load):
    both = [start_manage("consume_ratings", "--topic", load.topic, env=QUICK) for _ in range(2)]
    wait_until(
        lambda: all(map(owned, both)) and owned(both[0]) | owned(both[1]) == {0, 1},
        timeout=60,
        message=lambda: "\n----\n".join(process.output() for process in both),
    )
    load.send(3_000)
    load.wait_until_read()
    rating_put(record_type="movie", record_id="1", provider_id="", user_id="1", tenths=77)  # newer than all of them
    load.expected["1", "1"] = 77
    assert ("movie", "1", "", "1") in standing("movie")
    before, read = standing("movie"), positions(load.topic)
    letters = set(DeadLetter.objects.values_list("pk", flat=True))
    assert f"Offsets that are read again: {load.sent:,}, skipped: 0." in move("--to", "earliest", "--yes")
    assert positions(load.topic) == {0: 0, 1: 0}
    assert standing("movie") == before
    load.wait_until_read()  # though no message comes
    assert all("partitions_taken" in process.output() for process in both)
    assert positions(load.topic) == read
    assert standing("movie") == before
    assert_consistent()
    assert dict(DeadLetter.objects.values_list("pk", "attempts")) == dict.fromkeys(letters, 2)
    load.send(200)
    load.wait_until_read()
    assert {(key[1], key[3]): rating.tenths for key, rating in standing("movie").items()} == load.expected
    for process in both:
        assert process.popen.poll() is None
        process.terminate()
        assert process.wait() == 0


def test_a_consumer_that_lags_skips_the_rest_and_goes_on(start_manage, move, load):
    consumer = start_manage("consume_ratings", "--topic", load.topic, "--batch-size", "100", env=QUICK)
    wait_until(lambda: owned(consumer) == {0, 1}, message=consumer.output)
    with own_connection() as blocker, own_connection() as watcher:
        with blocker.transaction():
            blocker.execute("LOCK TABLE ratings_rating IN SHARE MODE")
            load.send(20_000)
            wait_until_someone_waits_for(watcher, blocker.info.backend_pid)
            mover = start_manage("move_offsets", "--topic", load.topic, "--to", "latest", "--yes")
            waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s"
            wait_until(
                lambda: watcher.execute(waiting, ["%consumeroffset%FOR UPDATE%"]).fetchone(), message=mover.output
            )
        assert mover.wait() == 0, mover.output()
    assert sum(positions(load.topic).values()) == load.sent
    assert len(standing("movie")) < len(load.expected) / 2
    load.expected = {(key[1], key[3]): rating.tenths for key, rating in standing("movie").items()}
    load.send(500)
    load.wait_until_read()
    assert {(key[1], key[3]): rating.tenths for key, rating in standing("movie").items()} == load.expected
    consumer.terminate()
    assert consumer.wait() == 0


@pytest.mark.parametrize("delivery", ["at-least-once", "at-most-once"])
def test_a_move_decides_whatever_kafka_has_as_the_position(manage, move, load, delivery):
    load.send(200)
    catch_up(manage, load, "--delivery", delivery)
    move("--to", "0:3,1:4", "--yes")
    assert positions(load.topic) == {0: 3, 1: 4}
    DeadLetter.objects.all().delete()
    catch_up(manage, load, "--delivery", delivery)
    assert sum(positions(load.topic).values()) == 200
    assert DeadLetter.objects.count() > 0  # read again
    load.send(200)
    move("--to", "latest", "--yes")
    DeadLetter.objects.all().delete()
    catch_up(manage, load, "--delivery", delivery)
    assert sum(positions(load.topic).values()) == 400
    assert DeadLetter.objects.count() == 0  # not read at all
    assert {row.skipped for row in rows(load.topic).values()} == {0}


def test_the_plan_is_shown_and_nothing_happens_without_a_yes(manage, load):
    load.send(100)
    catch_up(manage, load)
    before = positions(load.topic), epochs(load.topic)
    done = manage("move_offsets", "--topic", load.topic, "--to", "earliest")
    assert done.returncode == 1
    assert "no terminal to ask on" in done.stderr
    assert "--yes" in done.stderr
    plan = [line.split() for line in done.stdout.splitlines()]
    assert ["partition", "now", "then", "read", "again", "skipped", "first", "end"] in plan
    for partition, end in before[0].items():
        assert [str(partition), str(end), "0", str(end), "0", "0", str(end)] in plan
    assert ["all", "100", "0"] in plan
    assert (positions(load.topic), epochs(load.topic)) == before


@pytest.mark.parametrize(("answer", "code"), [(b"\n", 1), (b"\x04", 1), (b"y\n", 0)])
def test_on_a_terminal_it_asks(manage_environment, load, answer, code):
    load.send(10)
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "move_offsets", "--topic", load.topic, "--to", "latest"],
            cwd=PROJECT_ROOT,
            env={**manage_environment, "TERM": "xterm"},
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        os.write(ours, answer)
        output = process.communicate(timeout=60)[0].decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert "Move the group? [y/N]" in output
    assert process.returncode == code, output
    assert ("not confirmed" in output) == bool(code)
    assert sum(positions(load.topic).values()) == (0 if code else 10)


def test_a_group_that_has_not_begun_is_placed(manage, move, load):
    load.send(100)
    said = move("--to", "0:7", "--yes")
    assert "has not begun to read this topic" in said
    assert "Moved 1 partition. Offsets that are read again: 0, skipped: 7." in said
    row = rows(load.topic)[0]
    assert (row.next_offset, row.epoch, row.delivery, row.leader_epoch) == (7, 1, "exactly-once", None)
    assert row.latest_time is not None
    catch_up(manage, load)
    assert sum(positions(load.topic).values()) == 100


def test_only_the_named_partitions_move(move, load):
    load.send(100)
    move("--to", "latest", "--partition", "1", "--yes")
    assert positions(load.topic).keys() == {1}


def test_a_time_is_where_its_messages_are(move, load):
    load.send(100)
    move("--to", "latest", "--yes")
    first = positions(load.topic)
    between = max(row.latest_time for row in rows(load.topic).values()) + timedelta(milliseconds=1)
    wait_until(lambda: datetime.now(UTC) > between)
    load.send(100)
    for text in (between.isoformat(), str(round(between.timestamp() * 1000))):
        move("--to", "earliest", "--yes")
        move("--to", text, "--yes")
        assert positions(load.topic) == first
    move("--to", "2999-01-01T00:00:00Z", "--yes")
    assert sum(positions(load.topic).values()) == 200
    move("--to", "2001-01-01T00:00:00+02:00", "--yes")
    assert sum(positions(load.topic).values()) == 0


def test_the_running_time_is_that_of_the_new_place(manage, move, load):
    """Back: what is read again counts as old as it is. Forward again: as new as all that was applied."""
    load.send(100)
    catch_up(manage, load)
    middle = {partition: row.latest_time for partition, row in rows(load.topic).items()}
    place = ",".join(f"{partition}:{offset}" for partition, offset in positions(load.topic).items())
    load.send(100)
    catch_up(manage, load)
    end = {partition: row.latest_time for partition, row in rows(load.topic).items()}
    for to, expected in ((place, middle), ("earliest", dict.fromkeys(middle)), ("latest", end), (place, middle)):
        move("--to", to, "--yes")
        assert {partition: row.latest_time for partition, row in rows(load.topic).items()} == expected


def test_what_is_not_there_is_refused(refused, load, kafka_admin):
    load.send(100)
    place = TopicPartition(load.topic, 0, 5)
    kafka_admin.delete_records([place])[place].result(30)
    said = refused("--to", "0:4", "--yes")
    assert re.search(r"Partition 0 cannot be read from offset 4: choose one from 5, .* Nothing was moved", said)
    assert "cannot be read from offset 101" in refused("--to", "0:5,1:101", "--yes")
    assert "has no partition 2: it has 2" in refused("--to", "2:0", "--yes")
    assert "has no partition 9" in refused("--to", "latest", "--partition", "0", "9", "--yes")
    assert "exclude each other" in refused("--to", "0:5", "--partition", "0", "--yes", code=2)
    assert "time zone" in refused("--to", "2026-01-01T00:00:00")
    assert "no topic 'there-is-none'" in refused("--to", "latest", "--yes", topic="there-is-none")
    assert positions(load.topic) == {}


def test_a_database_that_is_away_is_told(manage, load):
    env = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"}
    done = manage("move_offsets", "--topic", load.topic, "--to", "latest", "--yes", env=env)
    assert done.returncode == 1
    assert "DATABASE_URL" in done.stderr
    assert "Traceback" not in done.stderr
