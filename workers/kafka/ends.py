"""Where the partitions of a topic end for somebody who reads what is committed."""

from collections.abc import Iterable

from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]

from workers.kafka.cluster import Cluster


def readable_ends(topic: str, partitions: Iterable[int], *, timeout: float) -> dict[int, int]:
    """Per partition the offset before which all can be read: where it ends, or a transaction under way begins.

    Raises BrokerUnavailable when nobody answers within `timeout` seconds, TopicNotFound or RequestRefused.
    """
    cluster = Cluster(timeout=timeout)
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    asked = {TopicPartition(topic, partition): latest for partition in partitions}
    futures = cluster.client.list_offsets(
        asked, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=cluster.left
    )
    return {
        place.partition: cluster.answer(future, request=f"list the offsets of {topic}", topic=topic).offset
        for place, future in futures.items()
    }
