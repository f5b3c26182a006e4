"""What the consume loop asks of a database: take partitions over, apply a batch once, tell positions."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from workers.ingestion.consuming.batch import Batch, Claim
from workers.ingestion.consuming.breaker import Allowance
from workers.ingestion.delivery import Delivery
from workers.kafka.group import Commit

if TYPE_CHECKING:
    from ratings.services import RatingWrites


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch made ready for `apply`; the rest is the business of the store that prepared it."""

    batch: Batch
    writes: "RatingWrites | None" = None
    connects: int = 0
    is_refused: bool = False
    """The database refused some event of it: `apply` finds out which."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a batch: `skipped` offsets before it were passed over for good (at-most-once alone).

    `refused` of its events are dead letters now, as the database did not take them.
    """

    skipped: int = 0
    refused: int = 0


class IngestionStore(Protocol):
    """Positions, ratings and dead letters of one group on one topic, under one delivery.

    `prepare` may be called while another thread is in one of the others; of those, one is called at a time. Every
    method may raise StoreUnavailable: nothing is known to have been written, and the same call may be repeated.
    """

    def begun(self) -> Mapping[int, Delivery]:
        """The partitions that the group has begun, and what the last owner of each promised."""

    def take(
        self,
        partitions: Collection[int],
        *,
        first_offset: Callable[[int], int],
        committed: Mapping[int, Commit] | None = None,
    ) -> dict[int, Claim]:
        """Raises each partition's epoch, so that its former owner can write nothing more, and tells where to go on.

        A partition that the group has never read begins at `first_offset(partition)`, which is stored. `committed`
        is what Kafka knows of partitions that were not read exactly-once; see beginning.beginning for what it weighs.
        All or nothing.
        """

    def prepare(self, batch: Batch) -> Prepared:
        """Does what can be done before the batches before this one are applied; changes nothing that others see."""

    def apply(self, prepared: Prepared, *, allowance: Allowance | None = None) -> Applied:
        """Writes the batch's ratings, aggregates and dead letters and advances its positions, all or nothing.

        An event that the database refuses becomes a dead letter, and the others are applied as if it were not there.
        Raises TooManyDeadLetters, and writes nothing, when that makes more letters than `allowance` has.

        To apply the same slice again after it was written changes nothing, so a repeat after a lost connection is
        safe. Raises Fenced, and writes nothing, when a partition has another owner or another position; at-most-once
        takes an older position for skipped offsets, and counts them.
        """

    def try_out(self, batch: Batch, *, allowance: Allowance | None = None) -> None:
        """Writes the batch's ratings, aggregates and dead letters and takes them back: StoreUnavailable if it cannot.

        Whoever owns the partitions; positions stay. Ids that are new stay known. Raises TooManyDeadLetters as `apply`.
        """

    def positions(self) -> Mapping[int, int]:
        """The next offset of each partition that the group has begun."""

    def epochs(self) -> Mapping[int, int]:
        """The epoch of each partition that the group has begun; another than ours means another owner, or a move."""

    def silent_for(self) -> float:
        """Seconds that the call in hand has waited for the database's next word; 0 without one. For any thread."""

    def end_within(self, seconds: float) -> None:
        """What is in hand has that long: StoreUnavailable ends it then, and whatever is begun later. For any thread."""

    def close(self) -> None:
        """Lets go of the database."""
