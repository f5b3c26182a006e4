"""What a move of a group's position will do, partition by partition, and whether that still holds later."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from workers.ingestion.errors import IngestionError, OffsetOutOfRange, UnknownPartition
from workers.ingestion.positions.destination import Destination, Edge, Exactly, Since
from workers.ingestion.selectors import group_positions
from workers.kafka.offsets import first_offsets, latest_times_before, offsets_since
from workers.kafka.topics import Topic, describe_topic, end_offsets

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
    def goes_back(self) -> bool:
        """Whether the group stands beyond the move's end."""
        return self.now is not None and self.now > self.then

    @property
    def read_again(self) -> int:
        """How many offsets will be read once more."""
        return 0 if self.now is None else max(0, min(self.now, self.end) - self.then)

    @property
    def skipped(self) -> int:
        """How many offsets that the partition still has will not be read."""
        return max(0, self.then - max(self.first, self.now or 0))


@dataclass(frozen=True, slots=True)
class Plan:
    """The moves in one topic, by partition."""

    topic: Topic
    moves: Sequence[Move]


class PlanChanged(IngestionError):
    """A move would not do any more what somebody agreed to: nothing was moved. `moves` is what it would do now."""

    def __init__(self, moves: Sequence[Move]) -> None:
        super().__init__(
            "Nothing was moved: since the plan was shown, the topic or the group has moved on so that the same move "
            "would do something else. Look at what it would do now, and run the command again."
        )
        self.moves = moves


def planned_moves(request: MoveRequest) -> Plan:
    """What the request means now. Raises KafkaError, UnknownPartition or OffsetOutOfRange."""
    topic = describe_topic(request.topic, timeout=_TIMEOUT)
    wanted = _partitions(request, topic)
    # Before the ends are asked for: a group that runs is then never found beyond an end that is only old.
    standing = group_positions(group=request.group, cluster_id=topic.cluster_id, topic_id=topic.topic_id)
    firsts = first_offsets(topic, timeout=_TIMEOUT)
    ends = end_offsets(topic, timeout=_TIMEOUT)
    targets = _targets(request.destination, topic, firsts, ends)
    for partition in wanted:
        if not firsts[partition] <= targets[partition] <= ends[partition]:
            raise OffsetOutOfRange(
                partition=partition, wanted=targets[partition], first=firsts[partition], end=ends[partition]
            )
    begun = {partition: targets[partition] for partition in wanted if targets[partition] > firsts[partition]}
    times = latest_times_before(topic, begun, timeout=_TIMEOUT)
    moves = [
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
    return Plan(topic, moves)


def check_unchanged(agreed: Plan, found: Plan) -> None:
    """Raises PlanChanged where `found` does something else than `agreed`, each of a topic as it was at some moment.

    It is the same where a running group has read on, but not past the place that it was to be moved ahead to, and
    where an end that it was to be moved to has moved on.
    """
    same_places = [move.partition for move in agreed.moves] == [move.partition for move in found.moves]
    if (
        agreed.topic.topic_id != found.topic.topic_id
        or not same_places
        or any(map(_does_another_thing, agreed.moves, found.moves))
    ):
        raise PlanChanged(found.moves)


def _does_another_thing(agreed: Move, found: Move) -> bool:
    to_the_end = agreed.then == agreed.end and found.then >= agreed.then
    went_back = (found.now or 0) < (agreed.now or 0)  # consumers do not: somebody has moved it
    return went_back or found.goes_back > agreed.goes_back or not (found.then == agreed.then or to_the_end)


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
            # One that came in after the ends were asked for is at or behind that end.
            return {part: ends[part] if offset is None else min(offset, ends[part]) for part, offset in since.items()}


def _time(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else _EPOCH + timedelta(milliseconds=milliseconds)
