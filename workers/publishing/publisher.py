"""Publishes one shard's changed aggregates: under its lock, in Kafka's transactions, each record's versions in order.

What is sent is taken off the list only once Kafka has committed it. Whatever ends in between sends it once more, with
the same version or a newer one.
"""

from collections.abc import Callable

import structlog

from ratings.changes import Shard
from workers.backoff import Backoff, RateLimit
from workers.clock import Clock, SystemClock
from workers.kafka.errors import BrokerUnavailable, ProducerFenced, TransactionFailed
from workers.kafka.topics import Topic
from workers.kafka.transactions import TransactionalProducer
from workers.publishing.errors import ShardLost, TakenOver, TopicMadeAnew
from workers.publishing.messages import aggregate_message
from workers.publishing.store import ShardStore

log = structlog.get_logger(__name__)

# A record that changes all the time is sent once in a sweep, so this is also how often it is sent at most.
_SWEEP_SECONDS = 0.2
_STANDBY_SECONDS = 0.5
_LOOK_AT_TOPIC_EVERY = 10.0
_REOPENINGS_PER_MINUTE = 5

ProducerOf = Callable[[Topic, Shard, Callable[[], None]], TransactionalProducer]
"""Makes the producer of a shard, not opened, with the check that it has to call."""


class ShardPublisher:
    """The publisher of one shard, or a standby that waits for its lock. For one thread: give it turns."""

    def __init__(
        self,
        *,
        shard: Shard,
        store: ShardStore,
        find_topic: Callable[[Callable[[], None]], Topic],
        producer_of: ProducerOf,
        clock: Clock | None = None,
        most: int = 5_000,
    ) -> None:
        self.shard = shard
        self.store = store
        self.published = 0
        self.sweeps = 0
        self.waiting_for: str | None = None
        self._find_topic = find_topic
        self._producer_of = producer_of
        self._clock = clock or SystemClock()
        self._most = most
        self._producer: TransactionalProducer | None = None
        self._is_open = False
        self._is_standby = False
        self._topic: Topic | None = None
        self._look_at = 0.0
        self._after = 0
        self._sweep_began = 0.0
        self._backoff = Backoff(first=0.1, most=2.0, clock=self._clock)
        self._reopenings = RateLimit(most=_REOPENINGS_PER_MINUTE, seconds=60.0, clock=self._clock)

    @property
    def owns(self) -> bool:
        """Whether this process has the shard's lock, as far as it knows."""
        return self._producer is not None

    @property
    def failing(self) -> str | None:
        """Why nothing works at the moment: Kafka or the database is away. None while all is well, or as a standby."""
        return self.waiting_for if self._backoff.attempts else None

    @property
    def has_nothing_left(self) -> bool:
        """Whether this is a standby of a shard whose publisher has nothing left to do."""
        return not self.owns and self._is_standby and self.left(most=1) == 0

    def left(self, *, most: int) -> int:
        """How many aggregates wait to be published, counted up to `most`; 0 while the database does not answer."""
        try:
            return self.store.left(most=most)
        except ShardLost as lost:
            self._lose(lost)
            return 0

    def turn(self) -> float:
        """Does what is due, a fraction of a second's work while all is well; the seconds until the next turn is due.

        Kafka or the database being away is waited out. Raises TopicNotFound, RequestRefused, TopicMadeAnew, TakenOver
        or DatabaseNotReady for what waiting does not mend.
        """
        try:
            if self._backoff.is_over():
                return self._work()
            if self.owns:
                self.store.check()
        except ShardLost as lost:
            self._lose(lost)
        except (BrokerUnavailable, TransactionFailed) as failed:
            self._is_open = False
            self._wait(f"{failed}")
        except ProducerFenced as fenced:
            self._fenced(fenced)
        return _SWEEP_SECONDS

    def close(self) -> None:
        """Lets go of Kafka and of the shard."""
        if self._producer is not None:
            self._producer.close()
            self._producer = None
        self._is_open = False
        self.store.release()

    def _work(self) -> float:
        topic = self._current_topic()
        if self._producer is None:
            not_yet = self.store.take(topic, fence=lambda shard: self._fence(topic, shard))
            self._backoff.reset()
            self._is_standby = not_yet is not None and not_yet.is_anothers
            if not_yet is not None:
                self._say(not_yet.reason)
                return _STANDBY_SECONDS if not_yet.is_anothers else 0.0
            self._producer = self._producer_of(topic, self.shard, self.store.check)
            self._after = 0
            log.info("shard_taken", topic=topic.name, shard=str(self.shard))
        if not self._is_open:
            self._producer.open()
            self._is_open = True
        return self._publish(self._producer)

    def _publish(self, producer: TransactionalProducer) -> float:
        """The next part of a sweep through the shard's records: from the first on, so that none waits for another."""
        if self._after == 0:
            self._sweep_began = self._clock.seconds()
        changed = self.store.read(after=self._after, most=self._most)
        if changed:
            producer.send([aggregate_message(change) for change in changed])
            self.store.take_off(changed)
            self.published += len(changed)
        self._backoff.reset()
        self.waiting_for = None
        if len(changed) == self._most:
            self._after = changed[-1].number
            return 0.0
        self._after = 0
        self.sweeps += 1
        return max(0.0, self._sweep_began + _SWEEP_SECONDS - self._clock.seconds())

    def _current_topic(self) -> Topic:
        """The topic, looked at now and then. Raises TopicMadeAnew when this process has begun to publish another."""
        if self._topic is not None and self._clock.seconds() < self._look_at:
            return self._topic
        topic = self._find_topic(self.store.check if self.owns else lambda: None)
        if self.owns and self._topic is not None and self._topic.topic_id != topic.topic_id:
            raise TopicMadeAnew(
                f"The topic {topic.name} was deleted and made anew while it was published. Start the publishers again: "
                "they fill it with every aggregate."
            )
        self._topic = topic
        self._look_at = self._clock.seconds() + _LOOK_AT_TOPIC_EVERY
        return topic

    def _fence(self, topic: Topic, shard: Shard) -> None:
        producer = self._producer_of(topic, shard, self.store.check)
        producer.open()
        producer.close()
        log.info("former_shard_fenced", topic=topic.name, shard=str(shard))

    def _fenced(self, fenced: ProducerFenced) -> None:
        """With the lock lost another publisher has the shard; with the lock held it was a last word of one before."""
        try:
            self.store.check()
        except ShardLost:
            raise TakenOver(
                f"Another publisher has taken shard {self.shard} over while this one did not answer. {fenced}"
            ) from None
        if not self._reopenings.allow():
            raise TakenOver(
                f"{fenced} It did so more than {_REOPENINGS_PER_MINUTE} times in a minute, while this one holds the "
                "shard's lock. Does a publisher of another database send to the same topic?"
            )
        self._is_open = False
        self._wait(str(fenced))

    def _lose(self, lost: ShardLost) -> None:
        if self.owns:
            log.warning("shard_lost", shard=str(self.shard), reason=str(lost))
        self.close()
        self._is_standby = False
        self._wait(f"The database: {lost}")

    def _wait(self, reason: str) -> None:
        self._backoff.begin()
        self._say(reason)

    def _say(self, reason: str) -> None:
        if reason != self.waiting_for:
            self.waiting_for = reason
            log.warning("publisher_waits", shard=str(self.shard), reason=reason)
