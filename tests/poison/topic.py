"""A topic that takes whatever it is sent, what it was sent, and what has become of it in the tables."""

import pytest
from confluent_kafka import Producer

from tests.librdkafka import produce_with_header_name
from tests.poison.meaning import meaning
from tests.rating_load import positions
from tests.rating_tables import assert_consistent, standing
from tests.waiting import wait_until
from workers.ingestion.models import DeadLetter

SESSIONS = {"KAFKA_CONFIG_SESSION_TIMEOUT_MS": "1500", "KAFKA_CONFIG_HEARTBEAT_INTERVAL_MS": "300"}
"""Of a consumer: members that are gone are noticed soon."""
# Kafka refuses times in the future and large messages by itself unless it is told otherwise.
_ANYTHING_GOES = {
    "message_timestamp_type": "CreateTime",
    "message_timestamp_after_max_ms": 2**62,
    "max_message_bytes": 4_000_000,
}


class Sent:
    """What a topic has been sent: by place, and what must stand once all that means something is applied."""

    def __init__(self, servers, topic):
        self.servers = servers
        self.topic = topic
        self.at = {}
        self.ends = {}
        self._producer = Producer(
            {"bootstrap.servers": servers, "message.max.bytes": 4_000_000, "linger.ms": 5, "enable.idempotence": True}
        )

    def send(self, *messages, partition=0):
        for message in messages:
            self._producer.poll(0)
            while True:
                try:
                    self._produce(message, partition)
                    break
                except BufferError:
                    self._producer.poll(0.1)

    def send_with_header_name(self, message, *, partition=0):
        """A header's name that is not UTF-8, which the client cannot send, and cannot read."""
        self.flush()
        produce_with_header_name(self.servers, self.topic, message.value, name=b"\xff", partition=partition)
        self.at[partition, self.ends[partition]] = message
        self.ends[partition] += 1

    def flush(self):
        assert self._producer.flush(60) == 0

    def wait_until_read(self, process):
        """Fails at once when the process ends before."""
        self.flush()

        def is_read():
            assert process.popen.poll() is None, process.output()
            return positions(self.topic).items() >= self.ends.items()

        wait_until(is_read, 300, message=process.output)

    def expected(self, letters=None):
        """The table's model: every message that is a rating, in order, but for those that are dead letters."""
        table = {}
        for place, message in sorted(self.at.items()):
            found = meaning(message.value)
            if found is not None and place not in (letters or {}):
                table[found[:4]] = found[4]
        return table

    def _produce(self, message, partition):
        self._producer.produce(
            self.topic,
            message.value,
            message.key,
            partition,
            on_delivery=self._arrived(message),
            timestamp=message.milliseconds,
            headers=[*message.headers] or None,
        )

    def _arrived(self, message):
        def on_delivery(error, delivered):
            assert error is None, error
            self.at[delivered.partition(), delivered.offset()] = message
            self.ends[delivered.partition()] = delivered.offset() + 1

        return on_delivery


@pytest.fixture
def anything_goes(make_topic, kafka_bootstrap_servers):
    """A topic of three partitions that takes whatever it is sent."""
    return Sent(kafka_bootstrap_servers, make_topic(partitions=3, **_ANYTHING_GOES))


def letters_of(topic):
    """The dead letters by place, each of which was tried once."""
    rows = list(DeadLetter.objects.filter(topic=topic))
    assert {row.attempts for row in rows} <= {1}
    found = {(row.partition, row.offset): row for row in rows}
    assert len(found) == len(rows)
    return found


def assert_table(expected):
    found = {}
    for record_type in {key[0] for key in expected}:
        found |= {key: rating.tenths for key, rating in standing(record_type).items()}
    assert found == expected
    assert_consistent()
