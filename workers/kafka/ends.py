"""Where the partitions of a topic end for somebody who reads what is committed."""

from collections.abc import Iterable

import structlog
from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]

from workers.kafka.cluster import Cluster
from workers.kafka.errors import KafkaError

log = structlog.get_logger(__name__)


def readable_ends(topic: str, partitions: Iterable[int], *, timeout: float) -> dict[int, int]:
    """Per partition the offset before which all can be read: where it ends, or a transaction under way begins.

    A partition that has no leader, or whose leader does not answer, is left out. Where that are all of them, raises
    BrokerUnavailable when nobody answered within `timeout` seconds, TopicNotFound or RequestRefused.
    """
    cluster = Cluster(timeout=timeout)
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    asked = {TopicPartition(topic, partition): latest for partition in partitions}
    futures = cluster.client.list_offsets(
        asked, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=cluster.left
    )
    ends: dict[int, int] = {}
    failed: KafkaError | None = None
    for place, future in futures.items():
        try:
            answer = cluster.answer(future, request=f"list the offsets of {topic}", topic=topic)
        except KafkaError as error:
            failed = error
            log.debug("end_not_told", topic=topic, partition=place.partition, reason=str(error))
        else:
            ends[place.partition] = answer.offset
    if failed is not None and not ends:
        raise failed
    return ends
