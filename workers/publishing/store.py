"""What a publisher asks of the database: the lock of its shard, what has changed, and to take off what is published."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ratings.changes import ChangedAggregate, Shard
from workers.kafka.topics import Topic

Fence = Callable[[Shard], None]
"""Takes away, in Kafka, the right to write that a former publisher of a shard may still have."""


@dataclass(frozen=True, slots=True)
class NotYet:
    """Why a shard is not taken yet, for people; `is_anothers` when another process has its lock."""

    reason: str
    is_anothers: bool = False


class ShardStore(Protocol):
    """One shard's changes, and the lock that makes this process their only publisher. For one thread.

    Every method may raise ShardLost: the lock is lost, or never was gained. `release`, and then `take` it again.
    """

    def take(self, topic: Topic, *, fence: Fence) -> NotYet | None:
        """Takes the shard's lock for `topic` and returns None; else says why not yet: call it again, until it is taken.

        When the topic was never filled, or its shards were counted otherwise before, that is mended first, in steps of
        a fraction of a second: every aggregate is marked as changed, and each of the former shards is fenced.
        """

    def check(self) -> None:
        """Returns while the lock is held. At least one call of any method every few seconds keeps it."""

    def read(self, *, after: int, most: int) -> list[ChangedAggregate]:
        """The next `most` changed aggregates by their record's number, above `after`."""

    def take_off(self, published: Sequence[ChangedAggregate]) -> None:
        """Takes them off the list, but for those that have changed again."""

    def left(self, *, most: int) -> int:
        """How many are on the list, counted up to `most`; asked without the lock too."""

    def release(self) -> None:
        """Lets go of the lock and of the database. May be called at any time."""
