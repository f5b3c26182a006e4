"""Where a topic's partitions begin, and which offset stands for which time."""

import time
from collections.abc import Mapping
from concurrent.futures import Future

from confluent_kafka import TopicPartition
from confluent_kafka.admin import ListOffsetsResultInfo, OffsetSpec  # type: ignore[attr-defined]

from workers.kafka.cluster import Cluster
from workers.kafka.topics import Topic

_Futures = Mapping[TopicPartition, "Future[ListOffsetsResultInfo]"]

_WAYS = 16


def first_offsets(topic: Topic, *, timeout: float) -> dict[int, int]:
    """Per partition the oldest offset that it still has. Raises as `describe_topic` does."""
    earliest = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
    listed = _listed(Cluster(timeout=timeout), topic, dict.fromkeys(range(topic.partitions), earliest))
    return {partition: found.offset for partition, found in listed.items()}


def offsets_since(topic: Topic, moment: int, *, timeout: float) -> dict[int, int | None]:
    """Per partition the offset of its first message of this time or later; None where there is none.

    `moment` is in milliseconds since the Unix epoch. Raises as `describe_topic` does.
    """
    cluster = Cluster(timeout=timeout)
    listed = _listed(cluster, topic, dict.fromkeys(range(topic.partitions), _since(moment)))
    return {partition: found.offset if found.offset >= 0 else None for partition, found in listed.items()}


def latest_times_before(topic: Topic, offsets: Mapping[int, int], *, timeout: float) -> dict[int, int | None]:
    """Per partition the latest time of any message before this offset, in milliseconds, and at most now.

    None where the topic has no message before it any more. Kafka finds the first message of a time or later, so that
    the time is found by narrowing a range down, for all partitions at once. Raises as `describe_topic` does.
    """
    cluster = Cluster(timeout=timeout)
    # Some message before the offset is of time `low` or later, none is of time `high` or later.
    low = dict.fromkeys(offsets, -1)
    high = dict.fromkeys(offsets, int(time.time() * 1000) + 1)
    while unknown := [partition for partition in offsets if high[partition] - low[partition] > 1]:
        tried = [
            {part: low[part] + max(1, (high[part] - low[part]) * step // _WAYS) for part in unknown}
            for step in range(1, _WAYS)
        ]
        asked = [_asked(cluster, topic, {part: _since(moment) for part, moment in each.items()}) for each in tried]
        for moments, futures in zip(tried, asked, strict=True):
            for partition, found in _answers(cluster, topic, futures).items():
                if 0 <= found.offset < offsets[partition]:
                    low[partition] = max(low[partition], moments[partition])
                else:
                    high[partition] = min(high[partition], moments[partition])
    return {partition: moment if moment >= 0 else None for partition, moment in low.items()}


def _since(moment: int) -> OffsetSpec:
    spec: OffsetSpec = OffsetSpec.for_timestamp(moment)
    return spec


def _listed(cluster: Cluster, topic: Topic, wanted: Mapping[int, OffsetSpec]) -> dict[int, ListOffsetsResultInfo]:
    return _answers(cluster, topic, _asked(cluster, topic, wanted))


def _asked(cluster: Cluster, topic: Topic, wanted: Mapping[int, OffsetSpec]) -> _Futures:
    places = {TopicPartition(topic.name, partition): spec for partition, spec in wanted.items()}
    futures: _Futures = cluster.client.list_offsets(places, request_timeout=cluster.left)
    return futures


def _answers(cluster: Cluster, topic: Topic, futures: _Futures) -> dict[int, ListOffsetsResultInfo]:
    return {
        place.partition: cluster.answer(future, request=f"list the offsets of {topic.name}", topic=topic.name)
        for place, future in futures.items()
    }
