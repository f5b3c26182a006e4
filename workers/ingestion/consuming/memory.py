"""The IngestionStore in memory: the same promises as the one on Postgres, for tests without a database."""

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from ratings.events import RatingEvent
from ratings.memory import MemoryRatings
from workers.ingestion.consuming.batch import Batch, Claim, Letter, Slice
from workers.ingestion.consuming.beginning import Beginning, beginning
from workers.ingestion.consuming.breaker import Allowance
from workers.ingestion.consuming.poison import set_aside
from workers.ingestion.consuming.store import Applied, Prepared
from workers.ingestion.delivery import Delivery
from workers.ingestion.errors import Fenced
from workers.ingestion.postgres_errors import Refusal
from workers.kafka.group import Commit


@dataclass(slots=True)
class MemoryPosition:
    """One group's row for one partition; see models.ConsumerOffset."""

    epoch: int
    next_offset: int
    latest_time: int = 0
    leader_epoch: int | None = None
    delivery: Delivery = Delivery.EXACTLY_ONCE
    skipped: int = 0


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
    refuses: Callable[[RatingEvent], Refusal | None] = lambda _: None
    """What a deployment's own constraints are to a database."""
    lock: threading.RLock = field(default_factory=threading.RLock)


class InMemoryStore:
    """An IngestionStore of one group on one topic. Stores on the same tables may be used from several threads."""

    def __init__(
        self, tables: MemoryTables, *, group: str = "rating", delivery: Delivery = Delivery.EXACTLY_ONCE
    ) -> None:
        self._tables = tables
        self._group = group
        self._delivery = delivery

    def begun(self) -> Mapping[int, Delivery]:
        """See IngestionStore.begun."""
        with self._tables.lock:
            return {partition: position.delivery for partition, position in self._ours().items()}

    def take(
        self,
        partitions: Collection[int],
        *,
        first_offset: Callable[[int], int],
        committed: Mapping[int, Commit] | None = None,
    ) -> dict[int, Claim]:
        """See IngestionStore.take."""
        with self._tables.lock:
            begun = self._ours().keys()
            firsts = {partition: first_offset(partition) for partition in partitions if partition not in begun}
            for partition, first in firsts.items():
                self._tables.positions[self._group, partition] = MemoryPosition(epoch=0, next_offset=first)
            return {partition: self._take(partition, (committed or {}).get(partition)) for partition in partitions}

    def prepare(self, batch: Batch) -> Prepared:
        """See IngestionStore.prepare; there is nothing to look up."""
        return Prepared(batch)

    def apply(self, prepared: Prepared, *, allowance: Allowance | None = None) -> Applied:
        """See IngestionStore.apply."""
        with self._tables.lock:
            applied = [part.partition for part in prepared.batch if self._is_applied(part)]
            rest = prepared.batch.without(applied)
            lost = [part.partition for part in rest if self._gap(part) is None]
            if lost:
                raise Fenced(lost)
            accepted = self._sifted(rest)
            if accepted.letters > rest.letters:
                (allowance or Allowance.unlimited(rest.messages)).check(accepted)
            skipped = sum(self._advance(part) for part in accepted)
            self._tables.ratings.write(
                [event for part in accepted for event in part.events],
                [time for part in accepted for time in part.times],
            )
            return Applied(skipped=skipped, refused=accepted.letters - rest.letters)

    def try_out(self, batch: Batch, *, allowance: Allowance | None = None) -> None:
        """See IngestionStore.try_out."""
        with self._tables.lock:
            accepted = self._sifted(batch)
        if accepted.letters > batch.letters:
            (allowance or Allowance.unlimited(batch.messages)).check(accepted)

    def positions(self) -> Mapping[int, int]:
        """See IngestionStore.positions."""
        with self._tables.lock:
            return {partition: position.next_offset for partition, position in self._ours().items()}

    def epochs(self) -> Mapping[int, int]:
        """See IngestionStore.epochs."""
        with self._tables.lock:
            return {partition: position.epoch for partition, position in self._ours().items()}

    def silent_for(self) -> float:
        """See IngestionStore.silent_for; it always answers at once."""
        return 0.0

    def end_within(self, seconds: float) -> None:
        """See IngestionStore.end_within; nothing takes long."""

    def close(self) -> None:
        """See IngestionStore.close; there is nothing to let go of."""

    def _sifted(self, batch: Batch) -> Batch:
        """The batch with what these tables refuse as dead letters."""
        events = [event for part in batch for event in part.events]
        refused = {number: self._tables.refuses(event) for number, event in enumerate(events)}
        return set_aside(batch, {number: refusal for number, refusal in refused.items() if refusal is not None})

    def _ours(self) -> dict[int, MemoryPosition]:
        return {
            partition: position
            for (group, partition), position in self._tables.positions.items()
            if group == self._group
        }

    def _take(self, partition: int, committed: Commit | None) -> Claim:
        row = self._tables.positions[self._group, partition]
        standing = Beginning(row.next_offset, row.latest_time, row.leader_epoch)
        begin = beginning(standing, epoch=row.epoch, former=row.delivery, delivery=self._delivery, committed=committed)
        row.epoch += 1
        row.next_offset, row.latest_time, row.leader_epoch = begin.next_offset, begin.latest_time, begin.leader_epoch
        row.delivery = self._delivery
        row.skipped += begin.skipped
        return Claim(row.epoch, row.next_offset, row.latest_time, row.leader_epoch)

    def _is_applied(self, part: Slice) -> bool:
        position = self._tables.positions.get((self._group, part.partition))
        return (
            part.start != part.end
            and self._delivery != Delivery.AT_MOST_ONCE
            and position is not None
            and (position.epoch, position.next_offset) == (part.epoch, part.end)
        )

    def _gap(self, part: Slice) -> int | None:
        """How far the position lies behind the slice; None where that, or the epoch, is a fence."""
        position = self._tables.positions.get((self._group, part.partition))
        if position is None or position.epoch != part.epoch or position.next_offset > part.start:
            return None
        gap = part.start - position.next_offset
        return gap if gap == 0 or self._delivery == Delivery.AT_MOST_ONCE else None

    def _advance(self, part: Slice) -> int:
        position = self._tables.positions[self._group, part.partition]
        gap = part.start - position.next_offset
        position.next_offset, position.latest_time, position.leader_epoch = (
            part.end,
            part.latest_time,
            part.leader_epoch,
        )
        position.skipped += gap
        for letter in part.letters:
            key = (self._group, part.partition, letter.offset)
            standing = self._tables.letters.get(key)
            if standing is None:
                self._tables.letters[key] = MemoryLetter(letter)
            else:
                standing.attempts += 1
        return gap
