"""Where somebody who reads what is committed comes to an end, asked of a real broker."""

import uuid

from confluent_kafka import Producer

from workers.kafka.ends import readable_ends


def test_a_transaction_under_way_is_not_readable(settings, kafka_bootstrap_servers, make_topic):
    settings.KAFKA_CLIENT_CONFIG = {"bootstrap.servers": kafka_bootstrap_servers}
    topic = make_topic(2)
    config = {"bootstrap.servers": kafka_bootstrap_servers, "transactional.id": uuid.uuid4().hex, "linger.ms": 0}
    producer = Producer(config)
    producer.init_transactions(10)
    for is_over in (False, True):
        producer.begin_transaction()
        producer.produce(topic, b"a", partition=0)
        assert producer.flush(10) == 0
        assert readable_ends(topic, [0, 1], timeout=10) == {0: 2 * is_over, 1: 0}  # a marker follows the message
        producer.commit_transaction(10)
    assert readable_ends(topic, [0, 1], timeout=10) == {0: 4, 1: 0}
