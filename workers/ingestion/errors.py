"""What can go wrong on the way into Postgres, named for the fact."""

from collections.abc import Iterable


class IngestionError(Exception):
    """The root of everything that workers.ingestion raises on purpose."""


class StoreUnavailable(IngestionError):
    """The database does not answer, or asks to try again: nothing is known to be written, a repeat is safe."""


class StoreNotReady(IngestionError):
    """The database lets us not in, or lacks the tables that this version needs."""


class Fenced(IngestionError):
    """Another consumer has taken these partitions over: nothing of the batch was written."""

    def __init__(self, partitions: Iterable[int]) -> None:
        self.partitions = frozenset(partitions)
        super().__init__(f"partitions {sorted(self.partitions)} were taken over by another consumer")


class TakenOverRepeatedly(IngestionError):
    """Somebody outside Kafka's group protocol keeps taking the partitions of this consumer."""


class UnknownUser(IngestionError):
    """Nothing is stored about this user."""
