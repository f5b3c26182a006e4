"""Which of the client's errors end a consumer, and which it goes on from."""

import pytest
from confluent_kafka import KafkaError

from workers.kafka.consumer import KafkaGroupConsumer
from workers.kafka.errors import OffsetNotAvailable, RequestRefused, TopicNotFound


@pytest.fixture
def consumer():
    consumer = KafkaGroupConsumer(group="g", topic="t", bootstrap_servers="127.0.0.1:1")
    yield consumer
    consumer.close()


@pytest.mark.parametrize(
    ("code", "ending"),
    [
        (KafkaError._FATAL, RequestRefused),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, RequestRefused),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, RequestRefused),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, TopicNotFound),
        (KafkaError._AUTO_OFFSET_RESET, OffsetNotAvailable),
    ],
)
def test_what_waiting_does_not_mend_ends_the_consumer(consumer, code, ending):
    with pytest.raises(ending):
        consumer._check(KafkaError(code, "for a test"))


@pytest.mark.parametrize("code", [KafkaError._TRANSPORT, KafkaError._MAX_POLL_EXCEEDED, KafkaError._ALL_BROKERS_DOWN])
def test_what_waiting_mends_is_waited_for(consumer, code):
    consumer._check(KafkaError(code, "for a test"))
