"""Several `consume_ratings` in one group: they share the partitions, die, freeze and come back, and all counts once."""

import random
import signal

import pytest

from tests.rating_load import RatingLoad, epochs, owned
from tests.waiting import wait_until

QUICK = {"KAFKA_CONFIG_SESSION_TIMEOUT_MS": "1500", "KAFKA_CONFIG_HEARTBEAT_INTERVAL_MS": "300"}
PROTOCOLS = {
    "cooperative": QUICK,
    "eager": {**QUICK, "KAFKA_CONFIG_PARTITION_ASSIGNMENT_STRATEGY": "range"},
    "broker-assigned": {"KAFKA_CONFIG_GROUP_PROTOCOL": "consumer"},
}


@pytest.fixture
def load(kafka_bootstrap_servers, make_topic):
    return RatingLoad(kafka_bootstrap_servers, make_topic(partitions=4), partitions=4)


@pytest.fixture
def sharing(start_manage, load):
    """Starts two consumers that write often, and returns them once each owns some partitions."""

    def start(env):
        arguments = ["consume_ratings", "--topic", load.topic, "--batch-size", "200"]
        both = [start_manage(*arguments, env=env) for _ in range(2)]
        wait_until(
            lambda: all(map(owned, both)) and owned(both[0]) | owned(both[1]) == {0, 1, 2, 3},
            timeout=60,
            message=lambda: "\n----\n".join(process.output() for process in both),
        )
        return both

    return start


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_two_share_the_partitions_and_the_survivor_of_a_kill_goes_on(sharing, load, protocol):
    survivor, victim = sharing(PROTOCOLS[protocol])
    before = load.position()
    load.send(20_000)
    wait_until(lambda: load.position() > before + 1_000, message=survivor.output)
    victim.kill()
    assert load.position() < load.sent
    load.wait_until_read()
    load.assert_in_the_tables()
    assert owned(survivor) == {0, 1, 2, 3}
    survivor.terminate()
    assert survivor.wait() == 0


@pytest.mark.soak
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_any_number_of_kills_changes_nothing(start_manage, sharing, load, protocol):
    """Twenty times: one of two is killed at some moment of its work, and another one takes its place."""
    processes = sharing(PROTOCOLS[protocol])
    for _ in range(20):
        load.send(10_000)
        goal = load.sent - random.randrange(1, 9_000)
        wait_until(
            lambda goal=goal: load.position() >= goal,
            timeout=120,
            message=lambda: "\n----\n".join(process.output() for process in processes),
        )
        processes.pop(random.randrange(2)).kill()
        arguments = ["consume_ratings", "--topic", load.topic, "--batch-size", "200"]
        processes.append(start_manage(*arguments, env=PROTOCOLS[protocol]))
    load.wait_until_read(timeout=300)
    load.assert_in_the_tables()


def test_a_frozen_process_that_wakes_up_after_its_partitions_went_writes_nothing(sharing, load):
    heir, zombie = sharing(QUICK)
    frozen = owned(zombie)
    before = load.position()
    load.send(20_000)
    wait_until(lambda: load.position() > before + 1_000, message=zombie.output)
    zombie.popen.send_signal(signal.SIGSTOP)
    wait_until(lambda: owned(heir) == {0, 1, 2, 3}, message=heir.output)
    load.wait_until_read()
    taken = epochs(load.topic)
    zombie.popen.send_signal(signal.SIGCONT)
    zombie.wait_for("partitions_lost")
    load.send(1_000)
    load.wait_until_read()
    load.assert_in_the_tables()
    assert all(taken[partition] >= 2 for partition in frozen)
    for process in (heir, zombie):
        process.terminate()
        assert process.wait() == 0
