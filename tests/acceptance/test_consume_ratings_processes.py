"""`consume_ratings --processes N`: whoever of them is killed, all counts once, and none stays behind."""

import json
import os
import re
import signal
import uuid
from contextlib import contextmanager

import pytest
from confluent_kafka import Producer

from tests.fixtures.supervised import children, is_gone
from tests.rating_load import RatingLoad, positions
from tests.rating_tables import own_connection
from tests.waiting import wait_until

QUICK = {"KAFKA_CONFIG_SESSION_TIMEOUT_MS": "1500", "KAFKA_CONFIG_HEARTBEAT_INTERVAL_MS": "300"}


def owners(process):
    """Which partitions each process has, by what they have logged."""
    found = {}
    for line in process.output().splitlines():
        if not line.startswith("{"):
            continue
        entry = json.loads(line)
        number = entry.get("process")
        if entry["event"] == "process_started":
            found[number] = set()
        elif entry["event"] == "partitions_assigned":
            found[number] |= set(entry["partitions"])
        elif entry["event"] in ("partitions_revoked", "partitions_lost"):
            found[number] -= set(entry["partitions"])
    return found


def wait_until_shared(process, partitions):
    def all_have_some():
        shares = owners(process).values()
        return all(shares) and set().union(*shares) == partitions

    wait_until(all_have_some, timeout=60, message=process.output)


@pytest.fixture
def load(kafka_bootstrap_servers, make_topic):
    return RatingLoad(kafka_bootstrap_servers, make_topic(partitions=4), partitions=4)


@pytest.fixture
def sharing(start_manage, load):
    """Two processes under one supervisor, each with some of the partitions."""
    whole = start_manage("consume_ratings", "--topic", load.topic, "--batch-size=200", "--processes=2", env=QUICK)
    wait_until_shared(whole, {0, 1, 2, 3})
    return whole


@contextmanager
def held_in_the_midst(sharing, load):
    """For the block both processes have begun to write and cannot go on."""
    with own_connection() as blocker, blocker.transaction(), own_connection() as watcher:
        blocker.execute("LOCK TABLE ratings_rating IN SHARE MODE")
        load.send(4_000)
        held = "SELECT count(*) = 2 FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))"
        wait_until(
            lambda: watcher.execute(held, [blocker.info.backend_pid]).fetchone() == (True,), message=sharing.output
        )
        yield


def test_a_killed_process_is_replaced_and_one_signal_to_all_of_them_stops_them_in_order(sharing, load):
    victims = children(sharing)
    with held_in_the_midst(sharing, load):
        os.kill(victims[2], signal.SIGKILL)
        wait_until(lambda: children(sharing)[2] != victims[2], message=sharing.output)
    wait_until_shared(sharing, {0, 1, 2, 3})
    load.send(1_000)
    load.wait_until_read()
    load.assert_in_the_tables()
    assert children(sharing)[1] == victims[1]
    assert [entry["killed_by"] for entry in sharing.entries("process_died")] == ["SIGKILL"]
    # As a service manager does: each process of the group gets the signal, and a second one by its supervisor.
    os.killpg(sharing.popen.pid, signal.SIGTERM)
    assert sharing.wait() == 0, sharing.output()
    assert "Ended at once" not in sharing.output()
    assert {entry["process"] for entry in sharing.entries("consumer_stopped")} == {1, 2}
    assert all(is_gone(pid) for pid in children(sharing).values())


def test_a_killed_static_member_comes_back_under_its_name(start_manage, load):
    """Where the broker assigns, the name is the killed one's for as long as its session."""
    arguments = ["consume_ratings", "--topic", load.topic, "--processes=2", "--group-instance-id=pod"]
    whole = start_manage(*arguments, env={"KAFKA_CONFIG_GROUP_PROTOCOL": "consumer"})
    wait_until_shared(whole, {0, 1, 2, 3})
    victims = children(whole)
    os.kill(victims[2], signal.SIGKILL)
    wait_until(lambda: children(whole)[2] != victims[2], message=whole.output)
    load.send(1_000)
    wait_until_shared(whole, {0, 1, 2, 3})
    load.wait_until_read()
    load.assert_in_the_tables()
    assert children(whole)[1] == victims[1]
    whole.terminate()
    assert whole.wait() == 0, whole.output()


def test_no_process_outlives_its_killed_supervisor_and_nothing_is_lost(sharing, load, manage):
    with held_in_the_midst(sharing, load):
        sharing.popen.kill()
        sharing.popen.wait()
        assert not any(map(is_gone, children(sharing).values()))  # they finish what they have begun
    wait_until(lambda: all(map(is_gone, children(sharing).values())), message=sharing.output)
    load.send(1_000)
    again = manage("consume_ratings", "--topic", load.topic, "--processes=2", "--until-caught-up", env=QUICK)
    assert again.returncode == 0, again.stderr
    load.assert_in_the_tables()


@pytest.mark.soak
def test_they_work_on_while_their_supervisor_is_frozen(sharing, load):
    sharing.popen.send_signal(signal.SIGSTOP)
    try:
        load.send(2_000)
        load.wait_until_read()
    finally:
        sharing.popen.send_signal(signal.SIGCONT)
    sharing.terminate()
    assert sharing.wait() == 0, sharing.output()
    load.assert_in_the_tables()


def test_together_they_end_once_caught_up_and_say_how_far_they_are(start_manage, load):
    load.send(5_000)
    with own_connection() as blocker, blocker.transaction():
        blocker.execute("LOCK TABLE ratings_rating IN SHARE MODE")
        arguments = ["consume_ratings", "--topic", load.topic, "--processes=2", "--until-caught-up"]
        whole = start_manage(*arguments, env=QUICK)
        whole.wait_for('"catching_up"')
        load.send(100)  # more than it began with
    assert whole.wait() == 0, whole.output()
    assert sum(positions(load.topic).values()) >= 5_000
    told = whole.entries("catching_up")[0]
    assert (told["done"], told["percent"], told["lag"], told["seconds_left"]) == (0, 0.0, 5_000, None)
    stopped = whole.entries("consumer_stopped")
    assert {entry["process"] for entry in stopped} == {1, 2}
    assert sum(entry["applied"] + entry["dead_lettered"] for entry in stopped) == sum(positions(load.topic).values())


def test_a_stop_before_they_have_caught_up_says_so(start_manage, load, kafka_bootstrap_servers):
    open_transaction = Producer({"bootstrap.servers": kafka_bootstrap_servers, "transactional.id": uuid.uuid4().hex})
    open_transaction.init_transactions(30)
    open_transaction.begin_transaction()
    open_transaction.produce(load.topic, b"never committed")
    open_transaction.flush(30)
    arguments = ["consume_ratings", "--topic", load.topic, "--processes=2", "--until-caught-up"]
    whole = start_manage(*arguments, env=QUICK)
    wait_until_shared(whole, {0, 1, 2, 3})
    whole.interrupt()
    assert whole.wait() == 130, whole.output()
    assert "Finishing the batches in hand" in whole.output()
    assert {entry["process"] for entry in whole.entries("consumer_stopped")} == {1, 2}
    assert "Traceback" not in whole.output()


def test_ctrl_c_is_the_supervisors_business_and_a_second_one_ends_all_at_once(sharing, load, manage):
    with held_in_the_midst(sharing, load):
        os.killpg(sharing.popen.pid, signal.SIGINT)  # as a terminal does
        sharing.wait_for("Finishing the batches in hand")
        assert sharing.popen.poll() is None
        assert not any(map(is_gone, children(sharing).values()))
        os.killpg(sharing.popen.pid, signal.SIGINT)
        assert sharing.wait(5) == 130, sharing.output()
        wait_until(lambda: all(map(is_gone, children(sharing).values())), timeout=5)
    assert "Traceback" not in sharing.output()
    again = manage("consume_ratings", "--topic", load.topic, "--until-caught-up", env=QUICK)
    assert again.returncode == 0, again.stderr
    load.assert_in_the_tables()


def test_ctrl_c_while_they_are_starting_is_a_clean_stop(start_manage, load):
    whole = start_manage("consume_ratings", "--topic", load.topic, "--processes=2")
    wait_until(lambda: children(whole).keys() == {1, 2}, message=whole.output)
    os.killpg(whole.popen.pid, signal.SIGINT)
    assert whole.wait() == 0, whole.output()
    assert "Traceback" not in whole.output()
    assert all(is_gone(pid) for pid in children(whole).values())


def test_what_one_cannot_go_on_for_ends_all_with_its_code_and_words(start_manage, load, private_postgres):
    """A database without our tables; each process finds it out by itself, the first to do so ends the others."""
    arguments = ["consume_ratings", "--topic", load.topic, "--processes=2"]
    whole = start_manage(*arguments, env={"DATABASE_URL": private_postgres.address})
    assert whole.wait() == 1
    output = whole.output()
    assert re.search(r"^process \d: CommandError: .*run `manage.py migrate`", output, re.MULTILINE)
    assert "ended with exit code 1; its words are above. All processes were stopped." in output
    assert "Traceback" not in output
    assert all(is_gone(pid) for pid in children(whole).values())


def test_a_topic_that_does_not_exist_is_told_once(manage):
    done = manage("consume_ratings", "--topic=there-is-none", "--processes=2")
    assert done.returncode == 1
    assert done.stderr.count("no topic 'there-is-none'") == 1
    assert "process_started" not in done.stderr


@pytest.mark.parametrize("count", ["0", "65", "-1", "two", ""])
def test_a_number_of_processes_that_makes_no_sense_is_refused(manage, count):
    done = manage("consume_ratings", f"--processes={count}")
    assert done.returncode == 2
    assert "--processes" in done.stderr
