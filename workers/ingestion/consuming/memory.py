"""The IngestionStore in memory: the same promises as the one on Postgres, for tests without a database."""

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from ratings.memory import MemoryRatings
from workers.ingestion.consuming.batch import Batch, Claim, Letter, Slice
from workers.ingestion.errors import Fenced


@dataclass(slots=True)
class MemoryPosition:
    """One group's row for one partition; see models.ConsumerOffset."""

    epoch: int
    next_offset: int
    latest_time: int = 0
    leader_epoch: int | None = None


@dataclass(slots=True)
class MemoryLetter:
    """A dead letter and how often it was tried."""

    letter: Letter
    attempts: int = 1


@dataclass(slots=True)
class MemoryTables:
    """What several stores share, as processes share a database; keys are group and partition (and offset)."""

    ratings: MemoryRatings = field(default_factory=lambda: MemoryRatings(lambda: 0))
    positions: dict[tuple[str, int], MemoryPosition] = field(default_factory=dict)
    letters: dict[tuple[str, int, int], MemoryLetter] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)


class InMemoryStore:
    """An IngestionStore of one group on one topic. Stores on the same tables may be used from several threads."""

    def __init__(self, tables: MemoryTables, *, group: str = "rating") -> None:
        self._tables = tables
        self._group = group

    def take(self, partitions: Collection[int], *, first_offset: Callable[[int], int]) -> dict[int, Claim]:
        """See IngestionStore.take."""
        claims = {}
        for partition in sorted(partitions):
            with self._tables.lock:
                position = self._tables.positions.get((self._group, partition))
                if position is None:
                    position = MemoryPosition(epoch=0, next_offset=first_offset(partition))
                    self._tables.positions[self._group, partition] = position
                position.epoch += 1
                claims[partition] = Claim(
                    position.epoch, position.next_offset, position.latest_time, position.leader_epoch
                )
        return claims

    def apply(self, batch: Batch) -> None:
        """See IngestionStore.apply."""
        with self._tables.lock:
            applied = [part.partition for part in batch if self._stands(part, part.end) and part.start != part.end]
            rest = batch.without(applied)
            lost = [part.partition for part in rest if not self._stands(part, part.start)]
            if lost:
                raise Fenced(lost)
            for part in rest:
                self._advance(part)
            self._tables.ratings.write(
                [event for part in rest for event in part.events], [time for part in rest for time in part.times]
            )

    def positions(self) -> Mapping[int, int]:
        """See IngestionStore.positions."""
        with self._tables.lock:
            return {
                partition: position.next_offset
                for (group, partition), position in self._tables.positions.items()
                if group == self._group
            }

    def close(self) -> None:
        """See IngestionStore.close; there is nothing to let go of."""

    def _stands(self, part: Slice, offset: int) -> bool:
        position = self._tables.positions.get((self._group, part.partition))
        return position is not None and (position.epoch, position.next_offset) == (part.epoch, offset)

    def _advance(self, part: Slice) -> None:
        self._tables.positions[self._group, part.partition] = MemoryPosition(
            part.epoch, part.end, part.latest_time, part.leader_epoch
        )
        for letter in part.letters:
            key = (self._group, part.partition, letter.offset)
            standing = self._tables.letters.get(key)
            if standing is None:
                self._tables.letters[key] = MemoryLetter(letter)
            else:
                standing.attempts += 1
