"""A ShardStore in memory with the real one's contract, for tests of publishers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ratings.changes import ChangedAggregate, Shard
from workers.kafka.topics import Topic
from workers.publishing.errors import ShardLost
from workers.publishing.store import Fence, NotYet

_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class MemoryAggregates:
    """Aggregates by number as (count, total, version), their marks, and the locks. `away` stops every answer."""

    aggregates: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    marks: dict[int, int] = field(default_factory=dict)
    layout: tuple[str, int] | None = None
    holders: dict[Shard, "MemoryShardStore"] = field(default_factory=dict)
    away: bool = False

    def change(self, number: int, *, count: int, total: int) -> None:
        """What a write does: the aggregate moves, and the change is marked."""
        version = self.aggregates.get(number, (0, 0, 0))[2] + 1
        self.aggregates[number] = (count, total, version)
        self.marks[number] = version

    def end_session(self, shard: Shard) -> None:
        """Ends the session of whoever holds the shard, as the server does with one that is silent."""
        self.holders.pop(shard, None)


@dataclass(slots=True, eq=False)
class MemoryShardStore:
    """A ShardStore on MemoryAggregates. Records are called `number` of type `movie`."""

    database: MemoryAggregates
    shard: Shard

    def take(self, topic: Topic, *, fence: Fence) -> NotYet | None:
        """See ShardStore.take."""
        self._answer()
        known = self.database.layout
        if known != (topic.topic_id, self.shard.count):
            if self.database.holders:
                return NotYet("the topic is published in another number of shards", is_anothers=True)
            if known and known[1] != self.shard.count:
                for number in range(known[1]):
                    fence(Shard(number, known[1]))
            if known is None or known[0] != topic.topic_id:
                self.database.marks |= {
                    number: aggregate[2] for number, aggregate in self.database.aggregates.items() if aggregate[2]
                }
            self.database.layout = topic.topic_id, self.shard.count
            return NotYet("the topic is ready")
        if self.database.holders.setdefault(self.shard, self) is not self:
            return NotYet(f"shard {self.shard} is published by another", is_anothers=True)
        return None

    def check(self) -> None:
        """See ShardStore.check."""
        self._answer()
        if self.database.holders.get(self.shard) is not self:
            raise ShardLost("the session was ended")

    def read(self, *, after: int, most: int) -> list[ChangedAggregate]:
        """See ShardStore.read."""
        self.check()
        numbers = sorted(number for number in self._marked() if number > after)
        return [
            ChangedAggregate(number, "movie", str(number), *self.database.aggregates[number], _MOMENT)
            for number in numbers[:most]
        ]

    def take_off(self, published: Sequence[ChangedAggregate]) -> None:
        """See ShardStore.take_off."""
        self.check()
        for change in published:
            if self.database.marks.get(change.number, change.version + 1) <= change.version:
                del self.database.marks[change.number]

    def left(self, *, most: int) -> int:
        """See ShardStore.left."""
        self._answer()
        return min(most, len(self._marked()))

    def release(self) -> None:
        """See ShardStore.release."""
        if self.database.holders.get(self.shard) is self:
            del self.database.holders[self.shard]

    def _marked(self) -> list[int]:
        return [number for number in self.database.marks if number % self.shard.count == self.shard.number]

    def _answer(self) -> None:
        if self.database.away:
            self.release()
            raise ShardLost("the database in memory is away")
