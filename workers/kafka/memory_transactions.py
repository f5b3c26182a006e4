"""A transactional producer in memory with the real one's contract, for tests of what publishes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from workers.kafka.errors import BrokerUnavailable, ProducerFenced, TransactionFailed
from workers.kafka.transactions import KeyedMessage


@dataclass(slots=True)
class MemoryTopic:
    """What readers of committed messages see, in order, and who has which id. `away` stops every answer."""

    committed: list[KeyedMessage] = field(default_factory=list)
    away: bool = False
    epochs: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class MemoryTransactionalProducer:
    """A TransactionalProducer to a MemoryTopic."""

    topic: MemoryTopic
    transactional_id: str
    check: Callable[[], None] = lambda: None
    _epoch: int | None = None

    def open(self) -> None:
        """See TransactionalProducer.open."""
        self._answer()
        self._epoch = self.topic.epochs[self.transactional_id] = self.topic.epochs.get(self.transactional_id, 0) + 1

    def send(self, messages: Sequence[KeyedMessage]) -> None:
        """See TransactionalProducer.send."""
        epoch, self._epoch = self._epoch, None  # closed, should any of this fail
        if epoch is None:
            raise TransactionFailed(topic="memory", code="_STATE", reason="the producer is closed")
        self._answer()
        self.check()
        self._answer()
        if self.topic.epochs[self.transactional_id] != epoch:
            raise ProducerFenced(self.transactional_id)
        self.topic.committed.extend(messages)
        self._epoch = epoch

    def close(self) -> None:
        """See TransactionalProducer.close."""
        self._epoch = None

    def _answer(self) -> None:
        if self.topic.away:
            raise BrokerUnavailable(servers="memory", timeout=0.0, reason="the topic in memory is away")
