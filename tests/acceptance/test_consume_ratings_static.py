"""`consume_ratings` as a static member of its group: killed and started again under its name."""

import pytest

from tests.rating_load import RatingLoad, owned
from tests.waiting import wait_until

PROTOCOLS = {
    "classic": {"KAFKA_CONFIG_SESSION_TIMEOUT_MS": "30000", "KAFKA_CONFIG_HEARTBEAT_INTERVAL_MS": "300"},
    "broker-assigned": {"KAFKA_CONFIG_GROUP_PROTOCOL": "consumer"},
}


@pytest.fixture
def load(kafka_bootstrap_servers, make_topic):
    return RatingLoad(kafka_bootstrap_servers, make_topic(partitions=2), partitions=2)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_static_member_that_was_killed_comes_back_under_its_name(start_manage, load, protocol):
    """With partitions assigned by the broker the name is taken until the session of the killed one is over."""

    def start():
        arguments = ["consume_ratings", "--topic", load.topic, "--group-instance-id=one"]
        return start_manage(*arguments, env=PROTOCOLS[protocol])

    killed = start()
    load.send(1_000)
    load.wait_until_read()
    killed.kill()
    again = start()
    load.send(1_000)
    wait_until(lambda: owned(again) == {0, 1}, message=again.output)
    load.wait_until_read()
    load.assert_in_the_tables()
    again.terminate()
    assert again.wait() == 0, again.output()
    assert "Traceback" not in again.output()


def test_a_name_that_another_has_is_waited_for_until_it_leaves(start_manage, load):
    def start():
        arguments = ["consume_ratings", "--topic", load.topic, "--group-instance-id=one"]
        return start_manage(*arguments, env=PROTOCOLS["broker-assigned"])

    first = start()
    wait_until(lambda: owned(first) == {0, 1}, message=first.output)
    gives_up, stays = start(), start()
    for second in (gives_up, stays):
        second.wait_for('"instance_name_in_use"')
    gives_up.terminate()
    assert gives_up.wait() == 0, gives_up.output()
    first.terminate()
    assert first.wait() == 0, first.output()
    load.send(1_000)
    wait_until(lambda: owned(stays) == {0, 1}, message=stays.output)
    load.wait_until_read()
    load.assert_in_the_tables()
    assert stays.output().count('"instance_name_in_use"') == 1
    assert stays.output().count("FATAL") == 1
