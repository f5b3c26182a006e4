"""`consume_ratings` while the database or the broker fails: the same process waits, goes on, and all counts once."""

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from tests.fixtures.private_servers import django_on
from tests.rating_load import RatingLoad, owned
from tests.rating_tables import own_connection
from tests.waiting import wait_until
from workers.ingestion.consuming import process

_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE %s"
)


@pytest.fixture
def load(kafka_bootstrap_servers, make_topic):
    return RatingLoad(kafka_bootstrap_servers, make_topic(partitions=3), partitions=3)


def test_connections_that_are_cut_under_load_are_made_anew(start_manage, load):
    consumer = start_manage("consume_ratings", "--topic", load.topic, "--batch-size", "200")
    wait_until(lambda: owned(consumer) == {0, 1, 2}, message=consumer.output)
    load.send(20_000)
    cuts = 0
    with own_connection() as knife:
        for share in range(1, 9):
            wait_until(lambda goal=share * 1_500: load.position() > goal, message=consumer.output)
            # Only the consumer's: its statements are the only ones about these tables beside this test's own session.
            cuts += len(knife.execute(_OTHERS, ["%ingestion_consumeroffset%next_offset = $%"]).fetchall())
            cuts += len(knife.execute(_OTHERS, ["%ratings_%"]).fetchall())
            cuts += len(knife.execute(_OTHERS, ["COMMIT%"]).fetchall())
    load.wait_until_read()
    load.assert_in_the_tables()
    assert cuts > 0
    assert "store_unavailable" in consumer.output()
    consumer.terminate()
    assert consumer.wait() == 0


def test_a_database_that_goes_away_and_comes_back_is_waited_for_by_the_same_process(
    start_manage, manage, load, private_postgres
):
    env = {"DATABASE_URL": private_postgres.address}
    assert manage("migrate", env=env).returncode == 0
    private_postgres.stop()
    consumer = start_manage("consume_ratings", "--topic", load.topic, "--batch-size", "200", env=env)
    consumer.wait_for("store_unavailable")
    assert "partitions_assigned" not in consumer.output()  # it keeps them from nobody meanwhile
    private_postgres.start()
    with django_on(private_postgres.address):
        consumer.wait_for("partitions_assigned")
        load.send(20_000)
        wait_until(lambda: load.position() > 2_000, message=consumer.output)
    private_postgres.kill()
    consumer.wait_for("store_unavailable")
    private_postgres.start()
    with django_on(private_postgres.address):
        load.wait_until_read()
        load.assert_in_the_tables()
    assert consumer.popen.poll() is None
    consumer.terminate()
    assert consumer.wait() == 0


def test_a_broker_that_is_started_again_is_waited_for_by_the_same_process(start_manage, manage, private_kafka):
    env = {
        "KAFKA_BOOTSTRAP_SERVERS": private_kafka.address,
        "RATINGS_TOPIC": "ratings-of-our-own",
        "RATINGS_TOPIC_PARTITIONS": "2",
        "KAFKA_CONFIG_SESSION_TIMEOUT_MS": "1500",
        "KAFKA_CONFIG_HEARTBEAT_INTERVAL_MS": "300",
    }
    assert manage("create_topics", env=env).returncode == 0
    load = RatingLoad(private_kafka.address, "ratings-of-our-own", partitions=2)
    consumer = start_manage("consume_ratings", env=env)
    load.send(1_000)
    load.wait_until_read()
    private_kafka.kill()
    consumer.wait_for('"waiting_for": "No Kafka broker at ')  # in a line `progress`
    private_kafka.start()
    load.send(1_000)
    load.wait_until_read()
    load.assert_in_the_tables()
    private_kafka.stop()
    consumer.terminate()
    assert consumer.wait(20) == 0


@pytest.mark.parametrize("delivery", ["exactly-once", "at-most-once"])
def test_a_stop_under_load_without_a_broker_takes_seconds_and_loses_nothing(
    start_manage, manage, private_kafka, delivery
):
    env = {"KAFKA_BOOTSTRAP_SERVERS": private_kafka.address, "RATINGS_TOPIC": "own", "RATINGS_TOPIC_PARTITIONS": "2"}
    assert manage("create_topics", env=env).returncode == 0
    load = RatingLoad(private_kafka.address, "own", partitions=2)
    load.send(30_000)
    arguments = ("consume_ratings", "--batch-size", "200", "--delivery", delivery)
    consumer = start_manage(*arguments, env=env)
    wait_until(lambda: load.position() > 2_000, message=consumer.output)
    private_kafka.kill()
    met = ("store_unavailable", "kafka_commit_failed")  # as the moment is while a batch is checked, or committed
    wait_until(lambda: any(word in consumer.output() for word in met), message=consumer.output)
    consumer.terminate()
    assert consumer.wait(30) == 0
    private_kafka.start()
    again = start_manage(*arguments, env=env)
    load.wait_until_read()
    again.terminate()
    assert again.wait() == 0
    if delivery == "exactly-once":
        load.assert_in_the_tables()


def test_a_broker_that_does_not_answer_is_named_with_what_to_check(settings, monkeypatch):
    monkeypatch.setattr(process, "_BROKER_TIMEOUT", 0.5)
    settings.KAFKA_CLIENT_CONFIG = {"bootstrap.servers": "127.0.0.1:1"}
    with pytest.raises(CommandError, match=r"(?s)No Kafka broker at 127\.0\.0\.1:1 .*KAFKA_BOOTSTRAP_SERVERS"):
        call_command("consume_ratings")
