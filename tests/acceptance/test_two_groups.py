"""Two groups on one topic: each reads it whole, at its own pace, whatever becomes of the other."""

import pytest

from tests.rating_load import RatingLoad, positions
from tests.rating_tables import assert_consistent, standing
from tests.waiting import wait_until
from workers.ingestion.models import DeadLetter

QUICK = {"KAFKA_CONFIG_SESSION_TIMEOUT_MS": "1500", "KAFKA_CONFIG_HEARTBEAT_INTERVAL_MS": "300"}
PARTITIONS = 3


@pytest.fixture
def load(kafka_bootstrap_servers, make_topic):
    return RatingLoad(kafka_bootstrap_servers, make_topic(partitions=PARTITIONS), partitions=PARTITIONS)


def read_by(load, group):
    return sum(positions(load.topic, group).values())


def wait_until_read_by(load, group, count, process):
    wait_until(lambda: read_by(load, group) >= count, timeout=60, message=process.output)


def as_sent(load):
    """Whether each rating is as it was last sent."""
    return {(key[1], key[3]): rating.tenths for key, rating in standing("movie").items()} == load.expected


def assert_right(load, groups):
    """The tables as the model has them, both groups at the end, and each with every poison message once as its own."""
    assert as_sent(load)
    assert_consistent()
    for group in groups:
        assert read_by(load, group) == load.sent
        letters = DeadLetter.objects.filter(topic=load.topic, group=group)
        assert list(letters.values_list("attempts", flat=True)) == [1] * load.poison
    assert DeadLetter.objects.filter(topic=load.topic).count() == load.poison * len(groups)


def test_a_group_that_is_killed_and_falls_behind_ends_right_and_so_does_the_other(start_manage, load):
    def start(group):
        return start_manage(
            "consume_ratings", f"--topic={load.topic}", f"--group={group}", "--batch-size=200", env=QUICK
        )

    load.send(3_000)
    steady, slow = start("steady"), start("slow")
    wait_until_read_by(load, "slow", 200, slow)
    slow.kill()
    behind = read_by(load, "slow")
    load.send(5_000)  # the later writes: what the slow one reads again later is older than what then stands
    wait_until_read_by(load, "steady", load.sent, steady)
    assert read_by(load, "slow") == behind < load.sent
    slow = start("slow")
    wait_until_read_by(load, "slow", behind + 400, slow)
    slow.kill()  # once more, on its way through what the other has written
    slow = start("slow")
    load.send(1_000)  # and now both at once
    wait_until_read_by(load, "slow", load.sent, slow)
    wait_until_read_by(load, "steady", load.sent, steady)
    assert_right(load, ["steady", "slow"])
    for process in (steady, slow):
        process.terminate()
        assert process.wait() == 0, process.output()
