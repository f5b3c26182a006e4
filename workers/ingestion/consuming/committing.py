"""At-most-once: Kafka takes a batch for done before it is written, and is taken back at its word where it must not."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from workers.ingestion.consuming.batch import Batch
from workers.ingestion.consuming.ownership import Ownership
from workers.ingestion.consuming.stopping import Stopping
from workers.ingestion.consuming.writing import BatchWriter
from workers.ingestion.errors import StoreNotReady, TooManyDeadLetters
from workers.kafka.errors import BrokerUnavailable, RequestRefused
from workers.kafka.group import GroupConsumer

_PREPARED_WITHIN = 2.0
_LAST_BEGIN = 0.5
"""With less than this share of the flush time left no batch is begun."""


class CommitsFirst:
    """What at-most-once does before it writes a batch, and after it has found that it can write none."""

    def __init__(
        self,
        source: GroupConsumer,
        writer: BatchWriter,
        *,
        ownership: Ownership,
        give_up: Callable[[Collection[int]], None],
        seconds: float,
        stopping: Stopping,
    ) -> None:
        """`give_up` lets go of partitions to take them anew; `seconds` are what a flush has, or to take a word back."""
        self._source = source
        self._writer = writer
        self._ownership = ownership
        self._give_up = give_up
        self._seconds = seconds
        self._stopping = stopping
        self._is_kafka_away = False

    def committed(self, batch: Batch) -> Batch | None:
        """What of the batch may be written once, as Kafka has its end now; None while the store is not ready for it.

        Where Kafka refuses, somebody else reads it; where Kafka does not answer, nobody may. Raises TooManyDeadLetters.
        """
        is_ready = self._writer.may_try and self._writer.is_prepared(_PREPARED_WITHIN)
        if not is_ready or self._ownership.positions() is None or self._stops_without_kafka(batch):
            return None  # each batch that is begun without a store is lost: one is risked on a store that answers
        allowance = self._writer.weigh(batch)  # before Kafka takes it for done
        if not self._writer.doubt.allows(self._writer.waiting or batch, allowance):
            return None  # and none on one that answers, but has failed to write
        not_committed = self._source.commit_now(batch.commits)
        self._give_up(not_committed.refused)
        return batch.only(self._ownership.claims).passing(not_committed.unknown)

    def may_end_with(self, seconds: float) -> bool:
        """Whether a flush that has so long goes on with what Kafka was not told of: left where it is, nothing is lost.

        What Kafka was told of is always worth being written, or counted.
        """
        is_safe = not self._writer.doubt.is_there and seconds >= _LAST_BEGIN * self._seconds
        return is_safe or self._writer.in_flight is not None

    def _stops_without_kafka(self, batch: Batch) -> bool:
        """Whoever stops cannot wait for a commit that nobody answers; what is not begun, the next start reads again."""
        if self._stopping.look() and not self._is_kafka_away:
            try:
                self._source.committed(batch.partitions)  # unlike a commit, it has a time-out of a few seconds
            except BrokerUnavailable:
                self._is_kafka_away = True
            except RequestRefused:
                return True  # a rebalance: asked again
        return self._is_kafka_away

    @contextmanager
    def giving_back(self) -> Iterator[None]:
        """What is begun in here is done for Kafka: where the end is raised before it was written, it is so no more.

        Of StoreNotReady and TooManyDeadLetters alone it is certain that nothing was written.
        """
        try:
            yield
        except (StoreNotReady, TooManyDeadLetters) as ending:
            self._give_up(self._ownership.void_commits(ending, seconds=self._seconds))
            raise
