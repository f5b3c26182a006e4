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


class TooManyDeadLetters(IngestionError):
    """More of the latest messages cannot be applied than is tolerated: nothing of their batch was written."""

    def __init__(self, found: str, *, left: str = "nothing is lost, and a new start goes on at the same place") -> None:
        """`found` is a sentence about the messages, `left` what became of their batch."""
        super().__init__(
            f"{found} Stopped before its batch was written: {left}. See those kept so far with `manage.py dead_letters "
            "list`; to keep these as dead letters too and go on, give a higher --max-dead-letters (1 never stops)."
        )
        self.found = found


class UnknownUser(IngestionError):
    """Nothing is stored about this user."""


class UnknownDeadLetter(IngestionError):
    """There is no such dead letter, or not any more."""

    def __init__(self, letter_id: int) -> None:
        super().__init__(f"There is no dead letter {letter_id}: it was replayed or discarded, or never was.")
        self.letter_id = letter_id


class NotMendable(IngestionError):
    """A dead letter's value cannot be changed field by field."""


class UnknownPartition(IngestionError):
    """The topic has no such partition."""

    def __init__(self, *, topic: str, partitions: Iterable[int], there_are: int) -> None:
        named = ", ".join(map(str, partitions))
        super().__init__(f"The topic {topic!r} has no partition {named}: it has {there_are}, counted from 0.")


class OffsetOutOfRange(IngestionError):
    """A group can go on only at an offset that the partition has, or at its end."""

    def __init__(self, *, partition: int, wanted: int, first: int, end: int) -> None:
        super().__init__(
            f"Partition {partition} cannot be read from offset {wanted}: choose one from {first}, its first message, "
            f"to {end}, its end. Nothing was moved."
        )
