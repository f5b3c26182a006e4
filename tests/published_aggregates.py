"""What a follower of the aggregates' topic sees: a plain client that shares nothing with the code under test."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from tests.rating_tables import rows
from tests.waiting import wait_until


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as a reader gets it."""

    partition: int
    offset: int
    key: bytes
    value: bytes


def read_topic(servers: str, topic: str, *, isolation: str = "read_committed") -> list[Stored]:
    """All messages that a reader can see now, from the first offset on, in each partition's order."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "follower",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": isolation,
        }
    )
    found: list[Stored] = []
    try:
        places = [TopicPartition(topic, number, 0) for number in consumer.list_topics(topic).topics[topic].partitions]
        ends = {place.partition: consumer.get_watermark_offsets(place, timeout=10)[1] for place in places}
        left = set(ends)
        consumer.assign(places)

        def all_read() -> bool:
            for message in consumer.consume(10_000, 0.1):
                partition = message.partition() or 0
                if message.error() is not None:
                    assert message.error().name() == "_PARTITION_EOF", message.error()
                    left.discard(partition)
                else:
                    offset = message.offset() or 0
                    found.append(Stored(partition, offset, message.key() or b"", message.value() or b""))
                    if offset + 1 >= ends[partition]:  # where messages never cease, no fetch ever finds the end
                        left.discard(partition)
            return not left

        wait_until(all_read, message=lambda: f"the end of partitions {left}")
    finally:
        consumer.close()
    return found


def followed(messages: Iterable[Stored]) -> dict[tuple[str, str], dict[str, Any]]:
    """What a follower keeps: per record the value with the highest version."""
    kept: dict[tuple[str, str], dict[str, Any]] = {}
    for message in messages:
        value = json.loads(message.value)
        record = value["recordType"], value["recordId"]
        if record not in kept or kept[record]["version"] < value["version"]:
            kept[record] = value
    return kept


def in_the_database() -> dict[tuple[str, str], tuple[int, int, int]]:
    """Count, total in tenths, and version of every record that ever had a rating."""
    found = rows(
        "SELECT type, external_id, count, total, version FROM ratings_recordaggregate AS aggregate"
        " JOIN ratings_record AS record ON record.id = aggregate.record_id WHERE version > 0"
    )
    return {(kind, record): (count, total, version) for kind, record, count, total, version in found}


def figures(kept: dict[tuple[str, str], dict[str, Any]]) -> dict[tuple[str, str], tuple[int, int, int]]:
    """A follower's state in the database's words."""
    return {record: (value["count"], round(value["sum"] * 10), value["version"]) for record, value in kept.items()}


def assert_versions_never_fall(messages: Iterable[Stored]) -> None:
    """Within a key each message's version is at least that of the one before: compaction keeps the newest."""
    last: dict[bytes, tuple[int, bytes]] = {}
    for message in messages:
        version = json.loads(message.value)["version"]
        before = last.get(message.key, (0, b""))
        assert version >= before[0], (message.key, before, message)
        if version == before[0]:
            assert message.value == before[1], "one version has one value"
        last[message.key] = version, message.value
