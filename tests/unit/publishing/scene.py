"""Publishers, a database and a topic in memory, and a publisher's death or sleep at any point of its work."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ratings.changes import ChangedAggregate, Shard
from workers.clock import Clock
from workers.kafka.memory_transactions import MemoryTopic, MemoryTransactionalProducer
from workers.kafka.topics import Topic
from workers.kafka.transactions import KeyedMessage, TransactionalProducer
from workers.publishing.memory import MemoryAggregates, MemoryShardStore
from workers.publishing.publisher import ShardPublisher
from workers.publishing.store import Fence, NotYet

TOPIC = Topic(name="aggregates", topic_id="first", cluster_id="c", partitions=1)
WHOLE = Shard(0, 1)
Hook = Callable[[str], None]
"""Called with the name of each point of a publisher's work."""


class Killed(BaseException):
    """The process ends here; nothing after it runs."""


@dataclass
class FakeClock(Clock):
    """Time that goes on only when told."""

    now: float = 100.0

    def seconds(self) -> float:
        return self.now

    def microseconds(self) -> int:
        return int(self.now * 1e6)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass(eq=False)
class HookedStore:
    """A store that tells the hook before and after each call."""

    store: MemoryShardStore
    hook: Hook

    def take(self, topic: Topic, *, fence: Fence) -> NotYet | None:
        return self._around("take", lambda: self.store.take(topic, fence=fence))

    def check(self) -> None:
        self._around("check", self.store.check)

    def read(self, *, after: int, most: int) -> list[ChangedAggregate]:
        return self._around("read", lambda: self.store.read(after=after, most=most))

    def take_off(self, published: Sequence[ChangedAggregate]) -> None:
        self._around("take_off", lambda: self.store.take_off(published))

    def left(self, *, most: int) -> int:
        return self.store.left(most=most)

    def release(self) -> None:
        self.store.release()

    def _around(self, name: str, call: Callable[[], Any]) -> Any:
        self.hook(f"before {name}")
        answer = call()
        self.hook(f"after {name}")
        return answer


@dataclass(eq=False)
class HookedProducer:
    """A producer that tells the hook before and after each call."""

    producer: TransactionalProducer
    hook: Hook

    def open(self) -> None:
        self.hook("before open")
        self.producer.open()
        self.hook("after open")

    def send(self, messages: Sequence[KeyedMessage]) -> None:
        self.hook("before send")
        self.producer.send(messages)
        self.hook("after send")

    def close(self) -> None:
        self.producer.close()


@dataclass
class Scene:
    """One database and one topic."""

    database: MemoryAggregates = field(default_factory=MemoryAggregates)
    kafka: MemoryTopic = field(default_factory=MemoryTopic)
    clock: FakeClock = field(default_factory=FakeClock)
    topic: Topic = TOPIC

    def publisher(self, *, shard: Shard = WHOLE, hook: Hook = lambda _: None, most: int = 3) -> ShardPublisher:
        def producer_of(topic: Topic, of: Shard, check: Callable[[], None]) -> TransactionalProducer:
            return HookedProducer(MemoryTransactionalProducer(self.kafka, f"{topic.name}-{of}", check), hook)

        return ShardPublisher(
            shard=shard,
            store=HookedStore(MemoryShardStore(self.database, shard), hook),
            find_topic=lambda _: self.topic,
            producer_of=producer_of,
            clock=self.clock,
            most=most,
        )

    def turns(self, publisher: ShardPublisher, count: int = 1) -> None:
        """So many turns, each when it is due."""
        for _ in range(count):
            self.clock.sleep(publisher.turn())

    def sweep(self, publisher: ShardPublisher) -> None:
        """Turns until one sweep more is complete."""
        goal = publisher.sweeps + 1
        for _ in range(1_000):
            if publisher.sweeps >= goal:
                return
            self.turns(publisher)
        raise AssertionError(f"no sweep: {publisher.waiting_for}")

    def followed(self) -> dict[str, tuple[int, int, int]]:
        """What a follower has: count, sum in tenths and version by record id. Versions must never have fallen."""
        kept: dict[str, tuple[int, int, int]] = {}
        for _, message in self.kafka.committed:
            value = json.loads(message)
            figures = value["count"], round(value["sum"] * 10), value["version"]
            before = kept.get(value["recordId"])
            assert before is None or before[2] < figures[2] or before == figures, (before, figures)
            kept[value["recordId"]] = figures
        return kept

    def expected(self) -> dict[str, tuple[int, int, int]]:
        """What the database has."""
        return {str(number): aggregate for number, aggregate in self.database.aggregates.items()}
