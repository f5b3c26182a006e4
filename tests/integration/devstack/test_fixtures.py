"""The fixtures that all other integration tests stand on do what they promise."""

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from django.db import connection

from tests.fixtures.processes import Manage, StartManage
from tests.fixtures.topics import MakeTopic
from tests.waiting import wait_until


@pytest.mark.django_db
def test_a_database_mark_is_enough_to_get_a_real_postgres() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version_num')::int, current_database()")
        version, name = cursor.fetchone()
    assert version >= 140000
    assert name.startswith("test_")


def test_made_topics_are_distinct_empty_and_stamped_by_the_broker(
    make_topic: MakeTopic, kafka_bootstrap_servers: str
) -> None:
    first, second = make_topic(), make_topic(partitions=1)
    assert first != second
    producer = Producer({"bootstrap.servers": kafka_bootstrap_servers, "enable.idempotence": True})
    producer.produce(second, b"x", timestamp=1)
    assert producer.flush(20) == 0
    consumer = Consumer(
        {"bootstrap.servers": kafka_bootstrap_servers, "group.id": second, "auto.offset.reset": "earliest"}
    )
    try:
        consumer.subscribe([second])
        message = wait_until(lambda: consumer.poll(0.2), message="the message")
        assert message is not None
        assert message.value() == b"x"
        assert message.timestamp()[1] > 1
    finally:
        consumer.close()


def test_topic_settings_are_passed_on(make_topic: MakeTopic, kafka_admin: AdminClient) -> None:
    name = make_topic(partitions=2, retention_ms=60_000)
    assert len(kafka_admin.list_topics(name, timeout=10).topics[name].partitions) == 2


def test_manage_runs_against_this_workers_database(manage: Manage) -> None:
    done = manage("shell", "-c", "from django.db import connection as c; print(c.settings_dict['NAME'])")
    assert done.returncode == 0, done.stderr
    assert str(connection.settings_dict["NAME"]) in done.stdout


def test_a_started_process_can_be_watched_and_ended(start_manage: StartManage) -> None:
    process = start_manage("shell", "-c", "import time; print('here', flush=True); time.sleep(600)")
    process.wait_for("here")
    process.kill()
    assert process.wait(timeout=20) == -9
