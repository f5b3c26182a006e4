"""How long a topic keeps its messages, as its brokers have it now."""

from dataclasses import dataclass
from datetime import timedelta

from confluent_kafka.admin import ConfigResource  # type: ignore[attr-defined]

from workers.kafka.cluster import Cluster

_LONGEST_MS = 2**46  # some 2,200 years, which a timedelta holds


@dataclass(frozen=True, slots=True)
class Retention:
    """`age`: messages older than that are deleted sooner or later, whole segments at a time; None: never for their age.

    `is_by_size` says that a partition's oldest messages go when it grows too large, whatever their age.
    """

    age: timedelta | None
    is_by_size: bool


def topic_retention(name: str, *, timeout: float) -> Retention:
    """The topic's retention, the brokers' own defaults included, within `timeout` seconds.

    Raises TopicNotFound, BrokerUnavailable or RequestRefused (it takes the permission to describe configurations).
    """
    cluster = Cluster(timeout=timeout)
    resource = ConfigResource(ConfigResource.Type.TOPIC, name)
    future = cluster.client.describe_configs([resource], request_timeout=cluster.left)[resource]
    entries = cluster.answer(future, request=f"describe the configuration of {name}", topic=name)
    is_deleting = "delete" in str(entries["cleanup.policy"].value).split(",")
    milliseconds, octets = int(entries["retention.ms"].value), int(entries["retention.bytes"].value)
    age = timedelta(milliseconds=min(milliseconds, _LONGEST_MS)) if is_deleting and milliseconds >= 0 else None
    return Retention(age=age, is_by_size=is_deleting and octets >= 0)
