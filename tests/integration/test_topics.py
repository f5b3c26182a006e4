"""Topics on a real broker: created as the settings say, described, and where they end."""

import uuid
from typing import Any

import pytest
from confluent_kafka.admin import ConfigResource
from django.core.management import CommandError, call_command

from tests.fixtures.topics import MakeTopic
from tests.waiting import wait_until
from workers.kafka.errors import BrokerUnavailable, RequestRefused, TopicNotFound
from workers.kafka.producer import KafkaProducer
from workers.kafka.topics import TopicSpec, describe_topic, end_offsets, ensure_topics, wanted_topics


@pytest.fixture(autouse=True)
def broker(settings: Any, kafka_bootstrap_servers: str) -> None:
    settings.KAFKA_CLIENT_CONFIG = {"bootstrap.servers": kafka_bootstrap_servers}


@pytest.fixture
def name() -> str:
    return f"t-{uuid.uuid4().hex[:12]}"


def _config(admin: Any, topic: str) -> dict[str, str]:
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    entries = admin.describe_configs([resource])[resource].result(timeout=30)
    return {key: entry.value for key, entry in entries.items()}


def test_the_command_creates_the_topic_of_the_settings_once(
    settings: Any, kafka_admin: Any, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.RATINGS_TOPIC, settings.RATINGS_TOPIC_PARTITIONS, settings.RATINGS_TOPIC_RETENTION_MS = name, 3, 86_400_000
    call_command("create_topics")
    assert capsys.readouterr().out == f"{name}: created with 3 partitions\n"
    config = _config(kafka_admin, name)
    assert config["message.timestamp.type"] == "LogAppendTime"
    assert config["retention.ms"] == "86400000"
    call_command("create_topics")
    assert capsys.readouterr().out == f"{name}: present with 3 partitions\n"
    settings.RATINGS_TOPIC_PARTITIONS = 4
    call_command("create_topics")
    assert "present with 3 partitions, where the settings say 4; left as it is" in capsys.readouterr().out
    assert describe_topic(name, timeout=30).partitions == 3


def test_a_topic_that_is_created_can_be_written_to_at_once(name: str) -> None:
    spec = TopicSpec(name=name, partitions=2, replication_factor=-1)
    assert [topic.created for topic in ensure_topics([spec], timeout=30)] == [True]
    assert [topic.created for topic in ensure_topics([spec], timeout=30)] == [False]
    producer = KafkaProducer(name)
    producer.send(b"key", b"value")
    # A call ends early with a complaint, such as of a coordinator that is just being loaded.
    wait_until(lambda: producer.poll(1) or producer.deliveries.acknowledged == 1)
    topic = describe_topic(name, timeout=30)
    assert sorted(end_offsets(topic, timeout=30).values()) == [0, 1]
    assert producer.deliveries.ends().items() <= end_offsets(topic, timeout=30).items()


def test_a_topic_made_anew_has_another_id(make_topic: MakeTopic) -> None:
    first, second = (describe_topic(make_topic(), timeout=30) for _ in range(2))
    assert first.topic_id
    assert first.topic_id != second.topic_id
    assert first.cluster_id == second.cluster_id != ""


def test_a_topic_that_is_not_there_is_named_and_not_made(kafka_admin: Any, name: str) -> None:
    with pytest.raises(TopicNotFound, match=f"'{name}'.*manage.py create_topics"):
        describe_topic(name, timeout=30)
    assert name not in kafka_admin.list_topics(timeout=10).topics


def test_what_the_broker_refuses_is_told() -> None:
    with pytest.raises(RequestRefused, match="the topic no name"):
        ensure_topics([TopicSpec(name="no name", partitions=1, replication_factor=-1)], timeout=30)


def test_more_replicas_than_brokers_are_refused(name: str) -> None:
    with pytest.raises(RequestRefused, match="INVALID_REPLICATION_FACTOR"):
        ensure_topics([TopicSpec(name=name, partitions=1, replication_factor=99)], timeout=30)


def test_without_a_broker_the_command_says_what_to_check(settings: Any) -> None:
    settings.KAFKA_CLIENT_CONFIG = {"bootstrap.servers": "127.0.0.1:1"}
    with pytest.raises(BrokerUnavailable, match=r"127\.0\.0\.1:1 answered within 0\.5 s.*Connection refused"):
        describe_topic("any", timeout=0.5)
    with pytest.raises(CommandError, match="KAFKA_BOOTSTRAP_SERVERS"):
        call_command("create_topics", timeout=0.5)


def test_the_settings_want_the_ratings_topic(settings: Any) -> None:
    assert [spec.name for spec in wanted_topics()] == [settings.RATINGS_TOPIC]


def test_the_settings_want_a_mirror_topic_where_they_name_one(
    settings: Any, kafka_admin: Any, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.RATINGS_DEAD_LETTER_TOPIC = name
    spec = wanted_topics()[1]
    ensure_topics([spec], timeout=30)
    assert (spec.name, describe_topic(name, timeout=30).partitions) == (name, 1)
    config = _config(kafka_admin, name)
    assert config["retention.ms"] == str(settings.RATINGS_TOPIC_RETENTION_MS)
    assert config["max.message.bytes"] == "2097152"


def test_the_aggregates_topic_is_wanted_where_they_are_published_and_keeps_the_newest(
    settings: Any, kafka_admin: Any, name: str
) -> None:
    settings.RATINGS_PUBLISH_AGGREGATES = True
    settings.RATINGS_AGGREGATES_TOPIC, settings.RATINGS_TOPIC_PARTITIONS = name, 4
    (spec,) = [spec for spec in wanted_topics() if spec.name == name]
    ensure_topics([spec], timeout=30)
    assert describe_topic(name, timeout=30).partitions == 4
    assert _config(kafka_admin, name)["cleanup.policy"] == "compact"


def test_the_aggregates_topic_is_made_on_demand_where_nobody_publishes_them_all_the_time(
    settings: Any, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.RATINGS_TOPIC, settings.RATINGS_AGGREGATES_TOPIC, settings.RATINGS_TOPIC_PARTITIONS = name, f"{name}.a", 1
    call_command("create_topics")
    assert f"{name}.a" not in capsys.readouterr().out
    call_command("create_topics", "--aggregates")
    assert f"{name}.a: created with 1 partition" in capsys.readouterr().out
