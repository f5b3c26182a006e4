"""What the consume loop asks of a database: take partitions over, apply a batch once, tell positions."""

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from workers.ingestion.consuming.batch import Batch, Claim


class IngestionStore(Protocol):
    """Positions, ratings and dead letters of one group on one topic. Called from one thread at a time.

    Every method may raise StoreUnavailable: nothing is known to have been written, and the same call may be repeated.
    """

    def take(self, partitions: Collection[int], *, first_offset: Callable[[int], int]) -> dict[int, Claim]:
        """Raises each partition's epoch, so that its former owner can write nothing more, and tells where to go on.

        A partition that the group has never read begins at `first_offset(partition)`, which is stored.
        """

    def apply(self, batch: Batch) -> None:
        """Writes the batch's ratings, aggregates and dead letters and advances its positions, all or nothing.

        To apply the same slice again after it was written changes nothing, so a repeat after a lost connection is
        safe. Raises Fenced, and writes nothing, when a partition has another owner or another position.
        """

    def positions(self) -> Mapping[int, int]:
        """The next offset of each partition that the group has begun."""

    def close(self) -> None:
        """Lets go of the database."""
