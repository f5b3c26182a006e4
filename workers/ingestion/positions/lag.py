"""How far behind a group is, partition by partition: what the database, the topic and Kafka's group protocol say."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from workers.ingestion.models import ConsumerOffset
from workers.ingestion.selectors import dead_letter_counts, group_offsets, groups_of_topic
from workers.kafka.members import GroupMember, partition_owners
from workers.kafka.offsets import first_offsets
from workers.kafka.topics import Topic, describe_topic, end_offsets

_TIMEOUT = 15.0


class State(StrEnum):
    """How a position stands to what the partition has."""

    BEGUN = "begun"
    NOT_BEGUN = "not_begun"
    DELETED_UNREAD = "deleted_unread"
    PAST_END = "past_end"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionLag:
    """One partition. Offsets are Kafka's, of which transaction markers and compacted messages take some too.

    `position` is the group's next offset as committed in the database, None before it has begun; `first` is the oldest
    offset that the partition has, `end` its high watermark. `rate` is by how many offsets a second the position has
    moved since the look before, None where it went back, or nobody looked before.
    """

    partition: int
    position: int | None
    first: int
    end: int
    rate: float | None
    owner: GroupMember | None
    delivery: str | None
    skipped: int
    dead_letters: int
    epoch: int
    moved_at: datetime | None

    @property
    def lag(self) -> int:
        """How many offsets up to the end; of a partition that is not begun all that it has."""
        return max(0, self.end - (self.first if self.position is None else self.position))

    @property
    def state(self) -> State:
        """Whether the group can go on from its position."""
        if self.position is None:
            return State.NOT_BEGUN
        if self.position < self.first:
            return State.DELETED_UNREAD
        return State.PAST_END if self.position > self.end else State.BEGUN


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerTopic:
    """What the group left behind in a topic of the same name that is another one: deleted, or of another cluster."""

    topic_id: str
    cluster_id: str
    partitions: int
    skipped: int
    dead_letters: int
    moved_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLag:
    """A group on a topic at one moment; `over_seconds` is the time that the rates are taken over."""

    group: str
    topic: Topic
    taken_at: datetime
    over_seconds: float
    partitions: Sequence[PartitionLag]
    former_topics: Sequence[FormerTopic]
    other_groups: Sequence[str]


class LagMeter:
    """Looks again and again at how far behind a group is; rates are between one look and the next."""

    def __init__(self, *, group: str, topic: str) -> None:
        self._group = group
        self._topic = topic
        self._former: Mapping[tuple[str, int], int] = {}
        self._looked_at = 0.0

    def begin(self) -> None:
        """Takes note of the positions only, so that the first look has a rate."""
        self._note(group_offsets(group=self._group, topic=self._topic))

    def look(self) -> GroupLag:
        """Looks now. Raises KafkaError or Django's database errors.

        Positions are read before the ends: a lag is never less than it was, and more by what arrives in between.
        """
        topic = describe_topic(self._topic, timeout=_TIMEOUT)
        former, since = self._former, self._looked_at
        rows = group_offsets(group=self._group, topic=self._topic)
        self._note(rows)
        seconds = self._looked_at - since if since else 0.0
        letters = dead_letter_counts(group=self._group, topic=self._topic)
        ours = {row.partition: row for row in rows if _is_of(topic, row)}
        now = _KafkaNow.of(topic, self._group)
        return GroupLag(
            group=self._group,
            topic=topic,
            taken_at=datetime.now(UTC),
            over_seconds=seconds,
            partitions=[
                _partition(
                    partition,
                    ours.get(partition),
                    now,
                    dead_letters=letters.get((topic.cluster_id, topic.topic_id, partition), 0),
                    rate=_rate(ours.get(partition), former, seconds),
                )
                for partition in range(topic.partitions)
            ],
            former_topics=_former_topics(topic, rows, letters),
            other_groups=_other_groups(topic, self._group),
        )

    def _note(self, rows: Sequence[ConsumerOffset]) -> None:
        self._former = {(row.topic_id, row.partition): row.next_offset for row in rows}
        self._looked_at = time.monotonic()


@dataclass(frozen=True, slots=True)
class _KafkaNow:
    firsts: Mapping[int, int]
    ends: Mapping[int, int]
    owners: Mapping[int, GroupMember]

    @staticmethod
    def of(topic: Topic, group: str) -> "_KafkaNow":
        return _KafkaNow(
            first_offsets(topic, timeout=_TIMEOUT),
            end_offsets(topic, timeout=_TIMEOUT),
            partition_owners(group=group, topic=topic.name, timeout=_TIMEOUT),
        )


def _partition(
    partition: int, row: ConsumerOffset | None, now: _KafkaNow, *, dead_letters: int, rate: float | None
) -> PartitionLag:
    return PartitionLag(
        partition=partition,
        position=row.next_offset if row else None,
        first=now.firsts[partition],
        end=now.ends[partition],
        rate=rate,
        owner=now.owners.get(partition),
        delivery=row.delivery if row else None,
        skipped=row.skipped if row else 0,
        dead_letters=dead_letters,
        epoch=row.epoch if row else 0,
        moved_at=row.updated_at if row else None,
    )


def _rate(row: ConsumerOffset | None, former: Mapping[tuple[str, int], int], seconds: float) -> float | None:
    if row is None or not seconds:
        return None
    moved = row.next_offset - former.get((row.topic_id, row.partition), row.next_offset)
    return moved / seconds if moved >= 0 else None


def _is_of(topic: Topic, row: ConsumerOffset) -> bool:
    return (row.cluster_id, row.topic_id) == (topic.cluster_id, topic.topic_id)


def _former_topics(
    topic: Topic, rows: Sequence[ConsumerOffset], letters: Mapping[tuple[str, str, int], int]
) -> list[FormerTopic]:
    others: dict[tuple[str, str], list[ConsumerOffset]] = {}
    for row in rows:
        if not _is_of(topic, row):
            others.setdefault((row.cluster_id, row.topic_id), []).append(row)
    return [
        FormerTopic(
            topic_id=topic_id,
            cluster_id=cluster_id,
            partitions=len(theirs),
            skipped=sum(row.skipped for row in theirs),
            dead_letters=sum(count for key, count in letters.items() if key[:2] == (cluster_id, topic_id)),
            moved_at=max(row.updated_at for row in theirs),
        )
        for (cluster_id, topic_id), theirs in others.items()
    ]


def _other_groups(topic: Topic, group: str) -> list[str]:
    return [one for one in groups_of_topic(cluster_id=topic.cluster_id, topic_id=topic.topic_id) if one != group]
