"""`consume_ratings` with a mirror topic: each dead letter in Kafka as well, whoever is killed and restarted."""

import pytest
from confluent_kafka import Producer

from tests.contract.test_verbatim_producer import read_messages
from tests.fixtures.processes import Manage, StartManage
from tests.fixtures.topics import MakeTopic
from tests.waiting import wait_until
from workers.ingestion.models import DeadLetter


@pytest.fixture
def mirror(make_topic: MakeTopic) -> str:
    return make_topic(partitions=1, message_timestamp_type="CreateTime")


def send_poison(servers: str, topic: str, first: int, count: int) -> None:
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 0, "enable.idempotence": True})
    for number in range(first, first + count):
        producer.produce(topic, b"no json %d" % number, b"k%d" % number, headers=[("n", b"%d" % number)])
    assert producer.flush(30) == 0


def test_dead_letters_are_in_the_mirror_topic_when_a_run_ends(
    manage: Manage, make_topic: MakeTopic, mirror: str, kafka_bootstrap_servers: str
) -> None:
    topic = make_topic(partitions=1)
    send_poison(kafka_bootstrap_servers, topic, 0, 20)
    done = manage("consume_ratings", "--topic", topic, "--until-caught-up", env={"RATINGS_DEAD_LETTER_TOPIC": mirror})
    assert done.returncode == 0, done.stderr
    assert DeadLetter.objects.filter(mirrored_at=None).count() == 0
    for number, message in enumerate(read_messages(kafka_bootstrap_servers, mirror, 20)):
        assert (message.key, message.value) == (b"k%d" % number, b"no json %d" % number)
        assert message.headers[0] == ("n", b"%d" % number)
        headers = dict(message.headers)
        assert headers["__connect.errors.topic"] == topic.encode()
        assert headers["__connect.errors.offset"] == b"%d" % number
        assert b"not JSON" in (headers["__connect.errors.exception.message"] or b"")
    again = manage("consume_ratings", "--topic", topic, "--until-caught-up", env={"RATINGS_DEAD_LETTER_TOPIC": mirror})
    assert again.returncode == 0, again.stderr
    assert len(read_messages(kafka_bootstrap_servers, mirror, 20)) == 20


def test_two_consumers_of_which_one_is_killed_send_every_letter(
    start_manage: StartManage, make_topic: MakeTopic, mirror: str, kafka_bootstrap_servers: str
) -> None:
    topic = make_topic(partitions=2)
    env = {"RATINGS_DEAD_LETTER_TOPIC": mirror, "KAFKA_CONFIG_SESSION_TIMEOUT_MS": "1500"}
    consumers = [start_manage("consume_ratings", "--topic", topic, env=env) for _ in range(2)]
    send_poison(kafka_bootstrap_servers, topic, 0, 300)
    wait_until(lambda: DeadLetter.objects.exclude(mirrored_at=None).exists())
    consumers[0].kill()
    send_poison(kafka_bootstrap_servers, topic, 300, 100)
    wait_until(lambda: DeadLetter.objects.exclude(mirrored_at=None).count() == 400, timeout=60)
    sent = [message.value for message in read_messages(kafka_bootstrap_servers, mirror, 400)]
    assert set(sent) == {b"no json %d" % number for number in range(400)}
    consumers[1].terminate()
    assert consumers[1].wait() == 0


def test_a_mirror_topic_that_is_not_there_is_named_before_anything_is_read(
    manage: Manage, make_topic: MakeTopic, kafka_bootstrap_servers: str
) -> None:
    topic = make_topic(partitions=1)
    done = manage(
        "consume_ratings", "--topic", topic, "--until-caught-up", env={"RATINGS_DEAD_LETTER_TOPIC": "not-there"}
    )
    assert done.returncode == 1
    assert "has no topic 'not-there'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_mirror_topic_cannot_be_the_ratings_topic(manage: Manage) -> None:
    done = manage("check", env={"RATINGS_TOPIC": "same", "RATINGS_DEAD_LETTER_TOPIC": "same"})
    assert done.returncode == 1
    assert "RATINGS_DEAD_LETTER_TOPIC is 'same', as RATINGS_TOPIC is" in done.stderr
