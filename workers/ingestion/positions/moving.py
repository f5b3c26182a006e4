"""Moves a group's position: a plan that a person can look at, then one transaction that running consumers notice.

The row in the database decides, whatever Kafka has as the group's committed offset: a commit counts only when it was
made under the row's epoch, which a move raises. A running consumer is refused its next write, or finds out when it asks
once a second with nothing to write; it takes its partitions over again and reads on from the new position by itself.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import structlog
from django.db import transaction
from django.db.models.functions import Now

from workers.ingestion.errors import OffsetOutOfRange, UnknownPartition
from workers.ingestion.models import ConsumerOffset
from workers.ingestion.positions.destination import Destination, Edge, Exactly, Since
from workers.ingestion.selectors import group_positions
from workers.kafka.offsets import first_offsets, latest_times_before, offsets_since
from workers.kafka.topics import Topic, describe_topic, end_offsets

logger = structlog.get_logger(__name__)

_TIMEOUT = 30.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveRequest:
    """Whose position to move where; no `partitions` means all of them, or those that the destination names."""

    group: str
    topic: str
    destination: Destination
    partitions: Collection[int] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One partition's move from offset `now` (None: the group has not begun it) to `then`.

    `first` and `end` are the partition's own; `time_before` is the latest time of any message before `then`.
    """

    partition: int
    now: int | None
    then: int
    first: int
    end: int
    time_before: datetime | None

    @property
    def read_again(self) -> int:
        """How many offsets will be read once more."""
        return 0 if self.now is None else max(0, min(self.now, self.end) - self.then)

    @property
    def skipped(self) -> int:
        """How many offsets that the partition still has will not be read."""
        return max(0, self.then - max(self.first, self.now or 0))


def move_offsets(request: MoveRequest, *, confirm: Callable[[Sequence[Move]], bool]) -> list[Move] | None:
    """Moves the group, once `confirm` has seen what that will do and agrees; what was done, None where it does not.

    All partitions move in one transaction. `now` of the answer is where each stood at that moment. Raises KafkaError,
    UnknownPartition or OffsetOutOfRange before anything is changed.
    """
    topic = describe_topic(request.topic, timeout=_TIMEOUT)
    planned = _planned(request, topic)
    if not confirm(planned):
        return None
    moved = _moved(request.group, topic, planned)
    logger.info(
        "positions_moved",
        group=request.group,
        topic=topic.name,
        partitions=[move.partition for move in moved],
        read_again=sum(move.read_again for move in moved),
        skipped=sum(move.skipped for move in moved),
    )
    return moved


def _planned(request: MoveRequest, topic: Topic) -> list[Move]:
    firsts = first_offsets(topic, timeout=_TIMEOUT)
    ends = end_offsets(topic, timeout=_TIMEOUT)
    wanted = _partitions(request, topic)
    targets = _targets(request.destination, topic, firsts, ends)
    for partition in wanted:
        if not firsts[partition] <= targets[partition] <= ends[partition]:
            raise OffsetOutOfRange(
                partition=partition, wanted=targets[partition], first=firsts[partition], end=ends[partition]
            )
    standing = group_positions(group=request.group, cluster_id=topic.cluster_id, topic_id=topic.topic_id)
    begun = {partition: targets[partition] for partition in wanted if targets[partition] > firsts[partition]}
    times = latest_times_before(topic, begun, timeout=_TIMEOUT)
    return [
        Move(
            partition=partition,
            now=standing.get(partition),
            then=targets[partition],
            first=firsts[partition],
            end=ends[partition],
            time_before=_time(times.get(partition)),
        )
        for partition in wanted
    ]


def _partitions(request: MoveRequest, topic: Topic) -> list[int]:
    named = request.destination.offsets if isinstance(request.destination, Exactly) else request.partitions
    unknown = sorted(partition for partition in named if partition >= topic.partitions)
    if unknown:
        raise UnknownPartition(topic=topic.name, partitions=unknown, there_are=topic.partitions)
    return sorted(set(named)) or list(range(topic.partitions))


def _targets(
    wanted: Destination, topic: Topic, firsts: Mapping[int, int], ends: Mapping[int, int]
) -> Mapping[int, int]:
    match wanted:
        case Edge.EARLIEST:
            return firsts
        case Edge.LATEST:
            return ends
        case Exactly(offsets):
            return offsets
        case Since(milliseconds):
            since = offsets_since(topic, milliseconds, timeout=_TIMEOUT)
            return {partition: ends[partition] if offset is None else offset for partition, offset in since.items()}


def _moved(group: str, topic: Topic, planned: Sequence[Move]) -> list[Move]:
    by_partition = {move.partition: move for move in planned}
    ours = {"group": group, "cluster_id": topic.cluster_id, "topic_id": topic.topic_id}
    with transaction.atomic():
        # First those that have no row yet, so that there is one to lock: a consumer may be about to begin there.
        ConsumerOffset.objects.bulk_create(
            [
                ConsumerOffset(**ours, topic=topic.name, partition=move.partition, next_offset=move.then)
                for move in planned
                if move.now is None
            ],
            ignore_conflicts=True,
        )
        locked = ConsumerOffset.objects.select_for_update().filter(**ours, partition__in=by_partition)
        rows = list(locked.order_by("partition"))
        moved = [_place(row, by_partition[row.partition]) for row in rows]
        ConsumerOffset.objects.bulk_update(
            rows, ["next_offset", "epoch", "latest_time", "leader_epoch", "updated_at"], batch_size=500
        )
    return moved


def _place(row: ConsumerOffset, move: Move) -> Move:
    """Sets the row to the move's end and returns the move as it is from where the row stood."""
    now = row.next_offset if row.epoch else None
    row.latest_time = _latest_time(row, move)
    row.next_offset = move.then
    row.epoch += 1
    row.leader_epoch = None  # it belongs to the message before the position: which that is now, nobody has looked
    row.updated_at = Now()
    return replace(move, now=now)


def _latest_time(row: ConsumerOffset, move: Move) -> datetime | None:
    """The running maximum that reading everything before the new position would have left.

    Going back with the old one, messages that are read again would count as newer than they are, and beat what was
    written since. With none, a message that comes after an applied one, and has an older stamp, would lose to it. The
    old one still bounds a stamp in the future, which counted as the time at which it was read.
    """
    if row.epoch == 0 or row.latest_time is None:
        return move.time_before
    if move.then < row.next_offset:
        return None if move.time_before is None else min(move.time_before, row.latest_time)
    return row.latest_time if move.time_before is None else max(move.time_before, row.latest_time)


def _time(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else _EPOCH + timedelta(milliseconds=milliseconds)
