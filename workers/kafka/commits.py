"""A group's positions as Kafka keeps them: the offset, and in its metadata whose it is and up to which time it goes."""

import json
from collections.abc import Mapping

from confluent_kafka import KafkaError as ClientError
from confluent_kafka import TopicPartition

from workers.kafka.group import Commit

UNKNOWN_EPOCH = -1
"""The leader epoch that librdkafka takes for none."""

REFUSED = frozenset(
    {
        ClientError.ILLEGAL_GENERATION,
        ClientError.UNKNOWN_MEMBER_ID,
        ClientError.REBALANCE_IN_PROGRESS,
        ClientError.FENCED_INSTANCE_ID,
        ClientError.FENCED_MEMBER_EPOCH,
        ClientError.STALE_MEMBER_EPOCH,
        ClientError.GROUP_AUTHORIZATION_FAILED,
        ClientError.TOPIC_AUTHORIZATION_FAILED,
        ClientError.UNKNOWN_TOPIC_OR_PART,
        ClientError.OFFSET_METADATA_TOO_LARGE,
        ClientError.INVALID_COMMIT_OFFSET_SIZE,
        ClientError._ASSIGNMENT_LOST,
    }
)
"""Errors of a commit that tell that it did not happen; after any other, nobody knows."""


def told(commits: Mapping[int, Commit], *, topic: str, topic_id: str) -> list[TopicPartition]:
    """What to commit."""
    return [
        TopicPartition(
            topic,
            partition,
            commit.offset,
            json.dumps({"epoch": commit.epoch, "topic": topic_id, "time": commit.latest_time}),
            UNKNOWN_EPOCH if commit.leader_epoch is None else commit.leader_epoch,
        )
        for partition, commit in commits.items()
    ]


def understood(found: TopicPartition, *, topic_id: str) -> Commit | None:
    """What was committed; None for nothing, and for what others committed, or for another topic of the name."""
    try:
        metadata = json.loads(found.metadata or "")
        epoch, committed_for, latest_time = metadata["epoch"], metadata["topic"], metadata["time"]
    except (ValueError, TypeError, KeyError):
        return None
    if found.offset < 0 or {type(epoch), type(latest_time)} != {int} or committed_for != topic_id:
        return None
    leader_epoch = None if found.leader_epoch in (None, UNKNOWN_EPOCH) else found.leader_epoch
    return Commit(found.offset, epoch, leader_epoch, latest_time)
