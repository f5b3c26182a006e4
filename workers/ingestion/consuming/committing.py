"""At-most-once: Kafka takes a batch for done before it is written, and is taken back at its word where it must not."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from workers.ingestion.consuming.batch import Batch
from workers.ingestion.consuming.ownership import Ownership
from workers.ingestion.consuming.writing import BatchWriter
from workers.ingestion.errors import StoreNotReady, TooManyDeadLetters
from workers.kafka.group import GroupConsumer

_PREPARED_WITHIN = 2.0


class CommitsFirst:
    """What at-most-once does before it writes a batch, and after it has found that it can write none."""

    def __init__(
        self,
        *,
        source: GroupConsumer,
        writer: BatchWriter,
        ownership: Ownership,
        give_up: Callable[[Collection[int]], None],
        seconds: float,
    ) -> None:
        """`give_up` lets go of partitions to take them anew; to take Kafka's word back it has so many `seconds`."""
        self._source = source
        self._writer = writer
        self._ownership = ownership
        self._give_up = give_up
        self._seconds = seconds

    def committed(self, batch: Batch) -> Batch | None:
        """What of the batch may be written once, as Kafka has its end now; None while the store is not ready for it.

        Where Kafka refuses, somebody else reads it; where Kafka does not answer, nobody may. Raises TooManyDeadLetters.
        """
        is_ready = self._writer.may_try and self._writer.is_prepared(_PREPARED_WITHIN)
        if not is_ready or self._ownership.positions() is None:
            return None  # each batch that is begun without a store is lost: one is risked on a store that answers
        self._writer.weigh(batch)  # before Kafka takes it for done
        not_committed = self._source.commit_now(batch.commits)
        self._give_up(not_committed.refused)
        return batch.only(self._ownership.claims).passing(not_committed.unknown)

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
