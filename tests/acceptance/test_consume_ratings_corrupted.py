"""A partition whose log a disk has changed: the consumer stops with a clear word, and passes nothing over."""

import json

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.rating_load import positions
from tests.rating_tables import standing

USERS = ("first-user", "second-user", "third-user")


def test_a_message_that_is_not_as_it_was_written_is_neither_applied_nor_passed_over(private_kafka, manage):
    servers, topic = private_kafka.address, "corrupted"
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(30)
    for user in USERS:  # a batch of the log each
        producer = Producer({"bootstrap.servers": servers, "linger.ms": 0, "enable.idempotence": True})
        event = {"recordId": "1", "recordType": "movie", "userId": user, "ratingValue": 5, "eventType": "put"}
        producer.produce(topic, json.dumps(event), partition=0)
        assert producer.flush(30) == 0
    private_kafka.stop()
    (segment,) = (private_kafka.server.data / f"{topic}-0").glob("*.log")
    data = segment.read_bytes()
    assert data.count(b"second-user") == 1
    segment.write_bytes(data.replace(b"second-user", b"sEcond-user"))
    private_kafka.start()
    done = manage(
        "consume_ratings", "--topic", topic, "--until-caught-up", env={"KAFKA_BOOTSTRAP_SERVERS": servers}, timeout=40
    )
    assert done.returncode == 1
    assert "Partition 0 of the topic 'corrupted' cannot be read on" in done.stderr
    assert "Traceback" not in done.stderr
    assert {key[3] for key in standing("movie")} == {"first-user"}
    assert positions(topic) == {0: 1}
