"""Who of a consumer group has which partition, as Kafka's group protocol says, the classic and the newer one alike."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka.admin import ConsumerGroupDescription, MemberDescription  # type: ignore[attr-defined]

from workers.kafka.cluster import Cluster
from workers.kafka.errors import RequestRefused

_NO_SUCH_GROUP = "GROUP_ID_NOT_FOUND"
_COORDINATOR_MOVES = frozenset({"NOT_COORDINATOR", "COORDINATOR_NOT_AVAILABLE", "COORDINATOR_LOAD_IN_PROGRESS"})


@dataclass(frozen=True, slots=True)
class GroupMember:
    """One running member; `instance_id` is "" without static membership."""

    member_id: str
    client_id: str
    instance_id: str
    host: str

    def __str__(self) -> str:
        """What tells it from the others: its own name, or the end of the id that the group gave it."""
        return f"{self.instance_id or f'{self.client_id}-{self.member_id[-6:]}'} {self.host}"


def partition_owners(*, group: str, topic: str, timeout: float) -> dict[int, GroupMember]:
    """Per partition of the topic the member that has it; empty while nobody of the group runs.

    Raises BrokerUnavailable or RequestRefused.
    """
    return {
        place.partition: GroupMember(
            member.member_id, member.client_id, member.group_instance_id or "", member.host.removeprefix("/")
        )
        for member in _members(Cluster(timeout=timeout), group)
        for place in member.assignment.topic_partitions
        if place.topic == topic
    }


def _members(cluster: Cluster, group: str) -> Sequence[MemberDescription]:
    while True:
        futures = cluster.client.describe_consumer_groups([group], request_timeout=cluster.left)
        try:
            found: ConsumerGroupDescription = cluster.answer(futures[group], request=f"describe the group {group!r}")
        except RequestRefused as refused:
            if refused.code == _NO_SUCH_GROUP:
                return []
            if refused.code not in _COORDINATOR_MOVES or cluster.expired:
                raise
            time.sleep(0.1)
        else:
            return found.members
