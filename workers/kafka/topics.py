"""Topics as the cluster knows them: created on purpose by one command, described, and where they end."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from confluent_kafka import TopicCollection, TopicPartition
from confluent_kafka.admin import NewTopic, OffsetSpec, TopicDescription  # type: ignore[attr-defined]
from django.conf import settings

from workers.kafka.cluster import Cluster
from workers.kafka.errors import BrokerUnavailable, RequestRefused, TopicNotFound

_MIRROR_MESSAGE_BYTES = 2_097_152
"""A message of the largest size that a topic takes by default (1,048,588 bytes) fits with our headers."""


@dataclass(frozen=True)
class Topic:
    """A topic of one cluster. A topic made anew under the same name has another `topic_id`."""

    name: str
    topic_id: str
    cluster_id: str
    partitions: int


@dataclass(frozen=True)
class TopicSpec:
    """A topic as we want it; `replication_factor` -1 is the cluster's own default."""

    name: str
    partitions: int
    replication_factor: int
    config: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class EnsuredTopic:
    """What came of a wanted topic: created now, or found with the `partitions` it has."""

    spec: TopicSpec
    created: bool
    partitions: int


def wanted_topics(*, aggregates: bool = False) -> list[TopicSpec]:
    """The topics of the settings; `aggregates`: that of the aggregates even where nobody publishes them all the time.

    Brokers stamp the ratings' messages, as that time decides between two writes of a rating.
    """
    return [
        TopicSpec(
            name=settings.RATINGS_TOPIC,
            partitions=settings.RATINGS_TOPIC_PARTITIONS,
            replication_factor=settings.KAFKA_REPLICATION_FACTOR,
            config={
                "message.timestamp.type": "LogAppendTime",
                "retention.ms": str(settings.RATINGS_TOPIC_RETENTION_MS),
            },
        ),
        *_mirror_topics(),
        *(_aggregates_topics() if aggregates or settings.RATINGS_PUBLISH_AGGREGATES else []),
    ]


def ensure_topics(specs: Iterable[TopicSpec], *, timeout: float) -> list[EnsuredTopic]:
    """Create the topics that do not exist and wait until they can be written to; what exists is left as it is.

    Idempotent; several at once are safe. `timeout` in seconds is for all of them together.
    Raises BrokerUnavailable or RequestRefused.
    """
    cluster = Cluster(timeout=timeout)
    created = [(spec, _created(cluster, spec)) for spec in specs]
    return [
        EnsuredTopic(spec=spec, created=new, partitions=_writable_partitions(cluster, spec)) for spec, new in created
    ]


def describe_topic(name: str, *, timeout: float, on_wait: Callable[[], None] | None = None) -> Topic:
    """The topic called `name`, within `timeout` seconds. Raises TopicNotFound, BrokerUnavailable or RequestRefused.

    `on_wait` is called several times a second until Kafka answers; what it raises ends the wait.
    """
    cluster = Cluster(timeout=timeout, on_wait=on_wait)
    found = _description(cluster, name)
    identity = cluster.answer(
        cluster.client.describe_cluster(request_timeout=cluster.left), request="describe the cluster"
    )
    return Topic(
        name=name,
        topic_id=str(found.topic_id),
        cluster_id=identity.cluster_id or "",
        partitions=len(found.partitions),
    )


def end_offsets(topic: Topic, *, timeout: float) -> dict[int, int]:
    """Per partition the offset that its next message will get (the high watermark). Raises as `describe_topic` does."""
    cluster = Cluster(timeout=timeout)
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    asked = {TopicPartition(topic.name, partition): latest for partition in range(topic.partitions)}
    futures = cluster.client.list_offsets(asked, request_timeout=cluster.left)
    return {
        place.partition: cluster.answer(future, request=f"list the offsets of {topic.name}", topic=topic.name).offset
        for place, future in futures.items()
    }


def _mirror_topics() -> list[TopicSpec]:
    """One partition keeps the letters' order; they keep their time too, and go when the messages themselves go."""
    if not settings.RATINGS_DEAD_LETTER_TOPIC:
        return []
    config = {
        "retention.ms": str(settings.RATINGS_TOPIC_RETENTION_MS),
        "max.message.bytes": str(_MIRROR_MESSAGE_BYTES),
    }
    name, replication_factor = settings.RATINGS_DEAD_LETTER_TOPIC, settings.KAFKA_REPLICATION_FACTOR
    return [TopicSpec(name=name, partitions=1, replication_factor=replication_factor, config=config)]


def _aggregates_topics() -> list[TopicSpec]:
    """As many partitions as the ratings have: a record's events and its aggregate are in partitions of one number."""
    return [
        TopicSpec(
            name=settings.RATINGS_AGGREGATES_TOPIC,
            partitions=settings.RATINGS_TOPIC_PARTITIONS,
            replication_factor=settings.KAFKA_REPLICATION_FACTOR,
            config={"cleanup.policy": "compact"},
        )
    ]


def _description(cluster: Cluster, name: str) -> TopicDescription:
    futures = cluster.client.describe_topics(TopicCollection([name]), request_timeout=cluster.left)
    description: TopicDescription = cluster.answer(futures[name], request=f"describe the topic {name}", topic=name)
    return description


def _exists(cluster: Cluster, name: str) -> bool:
    try:
        _description(cluster, name)
    except TopicNotFound:
        return False
    return True


def _created(cluster: Cluster, spec: TopicSpec) -> bool:
    """False where it was there already. Looks first: creating needs a permission that looking does not."""
    if _exists(cluster, spec.name):
        return False
    new = NewTopic(
        spec.name, num_partitions=spec.partitions, replication_factor=spec.replication_factor, config=spec.config
    )
    futures = cluster.client.create_topics([new], request_timeout=cluster.left)
    try:
        cluster.answer(futures[spec.name], request=f"create the topic {spec.name}")
    except RequestRefused as refused:
        if refused.code == "TOPIC_ALREADY_EXISTS":
            return False
        raise
    return True


def _writable_partitions(cluster: Cluster, spec: TopicSpec) -> int:
    """The number of partitions, once the brokers' metadata knows the topic and each partition has its leader."""
    while True:
        try:
            partitions = _description(cluster, spec.name).partitions
            if partitions and all(partition.leader is not None for partition in partitions):
                return len(partitions)
        except TopicNotFound:
            pass
        if cluster.expired:
            raise BrokerUnavailable(
                servers=settings.KAFKA_CLIENT_CONFIG["bootstrap.servers"],
                timeout=cluster.timeout,
                reason=f"topic {spec.name} has partitions without a leader",
            )
        time.sleep(0.05)
