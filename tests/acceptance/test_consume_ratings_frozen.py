"""`consume_ratings` on a database that hangs: it keeps its connections, and neither answers nor fails."""

import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient

from tests.fixtures.private_servers import django_on
from tests.rating_load import RatingLoad
from tests.waiting import wait_until

_ENDS_WITHIN = 20
_ENDS_WITHOUT_A_BATCH_WITHIN = 12


@pytest.fixture
def load(kafka_bootstrap_servers, make_topic):
    return RatingLoad(kafka_bootstrap_servers, make_topic(partitions=3), partitions=3)


@pytest.mark.soak
def test_a_frozen_database_is_given_up_after_a_while_and_the_same_process_goes_on(
    start_manage, manage, load, private_postgres
):
    env = {"DATABASE_URL": private_postgres.address}
    assert manage("migrate", env=env).returncode == 0
    load.send(20_000)
    consumer = start_manage("consume_ratings", "--topic", load.topic, "--batch-size", "200", env=env)
    with django_on(private_postgres.address):
        wait_until(lambda: load.position() > 1_000, message=consumer.output)
    private_postgres.freeze()
    consumer.wait_for("no answer for 70 s", timeout=100)
    consumer.wait_for("connection timeout expired")
    private_postgres.thaw()
    with django_on(private_postgres.address):
        load.wait_until_read()
        load.assert_in_the_tables()
    consumer.wait_for("store_is_back")
    consumer.terminate()
    assert consumer.wait() == 0


def test_a_frozen_database_is_told_and_a_stop_ends_in_time_and_all_counts_once(
    start_manage, manage, load, private_postgres
):
    env = {"DATABASE_URL": private_postgres.address}
    command = ("consume_ratings", "--topic", load.topic, "--batch-size", "200")
    assert manage("migrate", env=env).returncode == 0
    load.send(20_000)
    consumer = start_manage(*command, env=env)
    with django_on(private_postgres.address):
        wait_until(lambda: load.position() > 1_000, message=consumer.output)
        assert load.position() < load.sent
    private_postgres.freeze()
    consumer.wait_for("store_silent")
    consumer.wait_for('"waiting_for": "the database has not answered for 1')  # in a line `progress`
    consumer.terminate()
    assert consumer.wait(_ENDS_WITHIN) == 0
    assert "left_unwritten" in consumer.output()
    private_postgres.thaw()
    assert manage(*command, "--until-caught-up", env=env).returncode == 0
    with django_on(private_postgres.address):
        assert load.position() >= load.sent
        load.assert_in_the_tables()


@pytest.mark.soak
def test_a_stop_while_partitions_are_taken_over_from_a_frozen_database_ends_soon(
    start_manage, manage, manage_environment, load, private_postgres, kafka_bootstrap_servers
):
    """A second member comes and goes, so that the first one takes its partitions over in the midst of a rebalance."""
    env = {"DATABASE_URL": private_postgres.address}
    assert manage("migrate", env=env).returncode == 0
    consumer = start_manage("consume_ratings", "--topic", load.topic, env=env)
    consumer.wait_for("partitions_assigned")
    group = manage_environment["RATINGS_CONSUMER_GROUP"]
    visitor = Consumer(
        {
            "bootstrap.servers": kafka_bootstrap_servers,
            "group.id": group,
            "partition.assignment.strategy": "cooperative-sticky",
        }
    )
    visitor.subscribe([load.topic])
    wait_until(lambda: visitor.poll(0.05) or visitor.assignment(), message=consumer.output)
    private_postgres.freeze()
    visitor.close()
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap_servers})

    def is_alone():
        found = admin.describe_consumer_groups([group])[group].result(10)
        shares = [len(member.assignment.topic_partitions) for member in found.members]
        return found.state.name == "STABLE" and shares == [3]

    wait_until(is_alone, message=consumer.output)
    consumer.terminate()
    assert consumer.wait(_ENDS_WITHOUT_A_BATCH_WITHIN) == 0, consumer.output()
    assert "take_over_failed" in consumer.output()
    private_postgres.thaw()
