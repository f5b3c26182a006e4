"""A group's rows in ConsumerOffset: taking partitions over, the fence before each write, the positions."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import structlog

from workers.ingestion.consuming.batch import Batch, Claim, Slice
from workers.ingestion.consuming.beginning import Beginning, beginning
from workers.ingestion.delivery import Delivery
from workers.ingestion.errors import Fenced
from workers.kafka.group import Commit

log = structlog.get_logger(__name__)

Identity = Mapping[str, object]
"""Group, cluster_id, topic_id and topic, by these names: whose rows they are."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_OURS = '"group" = %(group)s AND cluster_id = %(cluster_id)s AND topic_id = %(topic_id)s'

_BEGUN = f"SELECT partition, delivery FROM ingestion_consumeroffset WHERE {_OURS}"

# Two that begin a partition at the same moment find no row to lock: the second then goes on where the first stands.
_TAKE = """
INSERT INTO ingestion_consumeroffset AS standing
       ("group", cluster_id, topic_id, topic, partition, next_offset, latest_time, leader_epoch, epoch, delivery,
        updated_at)
VALUES (%(group)s, %(cluster_id)s, %(topic_id)s, %(topic)s, %(partition)s, %(next_offset)s, %(latest_time)s,
        %(leader_epoch)s, 1, %(delivery)s, clock_timestamp())
ON CONFLICT ("group", cluster_id, topic_id, partition) DO UPDATE
SET epoch = standing.epoch + 1, delivery = %(delivery)s, skipped = standing.skipped + %(skipped)s,
    next_offset = CASE WHEN %(is_known)s THEN %(next_offset)s ELSE standing.next_offset END,
    latest_time = CASE WHEN %(is_known)s THEN %(latest_time)s ELSE standing.latest_time END,
    leader_epoch = CASE WHEN %(is_known)s THEN %(leader_epoch)s ELSE standing.leader_epoch END,
    updated_at = clock_timestamp()
RETURNING epoch, next_offset, latest_time, leader_epoch
"""

# The fence: a row that another consumer has taken, or that stands elsewhere, is not advanced: the count falls short.
# One statement each for this and for the letters, never executemany: psycopg pipelines that, and while a pipeline is
# open the server's idle_in_transaction_session_timeout does not run. A process that is frozen just then would keep the
# rows locked, and their next owner out, for as long as it sleeps.
_ADVANCE = f"""
UPDATE ingestion_consumeroffset AS standing SET
    next_offset = part.end_offset, latest_time = part.latest_time, leader_epoch = part.leader_epoch,
    skipped = standing.skipped + part.skipped, updated_at = clock_timestamp()
FROM unnest(
    %(partitions)s::int[], %(epochs)s::bigint[], %(starts)s::bigint[], %(ends)s::bigint[],
    %(latest_times)s::timestamptz[], %(leader_epochs)s::int[], %(skips)s::bigint[]
) AS part (number, epoch, start_offset, end_offset, latest_time, leader_epoch, skipped)
WHERE {_OURS} AND standing.partition = part.number AND standing.epoch = part.epoch
  AND standing.next_offset = part.start_offset - part.skipped
"""

_STANDING = f"""
SELECT partition, epoch, next_offset, latest_time, leader_epoch, delivery FROM ingestion_consumeroffset
WHERE {_OURS} AND partition = ANY(%(partitions)s) ORDER BY partition FOR UPDATE
"""

_POSITIONS = f"SELECT partition, next_offset FROM ingestion_consumeroffset WHERE {_OURS}"
_EPOCHS = f"SELECT partition, epoch FROM ingestion_consumeroffset WHERE {_OURS}"


class FenceFellShortError(Exception):
    """Some row of the batch did not stand where the batch begins; why is found out in a transaction of its own."""


@dataclass(frozen=True, slots=True)
class _Standing:
    epoch: int
    delivery: Delivery
    position: Beginning


class GroupOffsets:
    """The rows of one group on one topic, read and written over the caller's cursor."""

    def __init__(self, identity: Identity, delivery: Delivery) -> None:
        self._identity = identity
        self._delivery = delivery

    def begun(self, cursor: psycopg.Cursor[Any]) -> Mapping[int, Delivery]:
        """See IngestionStore.begun."""
        rows = cursor.execute(_BEGUN, self._identity).fetchall()
        return {partition: Delivery(delivery) for partition, delivery in rows}

    def positions(self, cursor: psycopg.Cursor[Any]) -> Mapping[int, int]:
        """See IngestionStore.positions."""
        return dict(cursor.execute(_POSITIONS, self._identity).fetchall())

    def epochs(self, cursor: psycopg.Cursor[Any]) -> Mapping[int, int]:
        """See IngestionStore.epochs."""
        return dict(cursor.execute(_EPOCHS, self._identity).fetchall())

    def take(
        self,
        cursor: psycopg.Cursor[Any],
        partitions: Collection[int],
        *,
        first_offset: Callable[[int], int],
        committed: Mapping[int, Commit],
    ) -> dict[int, Claim]:
        """See IngestionStore.take; one short transaction, in the partitions' order."""
        claims = {}
        with cursor.connection.transaction():
            standing = self._locked(cursor, partitions)
            for partition in sorted(partitions):
                row = standing.get(partition)
                begin = (
                    Beginning(first_offset(partition))
                    if row is None
                    else self._beginning(row, committed.get(partition))
                )
                claims[partition] = self._take(cursor, partition, begin, is_known=row is not None)
        return claims

    def advance(self, cursor: psycopg.Cursor[Any], batch: Batch) -> int:
        """Moves the positions to the ends of the batch's slices, inside the caller's transaction: the fence.

        Returns how many offsets were skipped. Raises FenceFellShortError or Fenced; the transaction must be rolled
        back then.
        """
        parts = list(batch)
        skips = self._skips(cursor, batch) if self._delivery == Delivery.AT_MOST_ONCE else [0] * len(parts)
        cursor.execute(_ADVANCE, {**self._identity, **_moves(parts), "skips": skips})
        if cursor.rowcount != len(parts):
            raise FenceFellShortError
        return sum(skips)

    def not_yet_applied(self, cursor: psycopg.Cursor[Any], batch: Batch) -> Batch:
        """The slices without those that an earlier attempt committed. Raises Fenced if any has another owner."""
        with cursor.connection.transaction():
            rows = self._locked(cursor, batch.partitions)
        standing = {partition: (row.epoch, row.position.next_offset) for partition, row in rows.items()}
        applied = {part.partition for part in batch if standing.get(part.partition) == (part.epoch, part.end)}
        rest = batch.without(applied)
        lost = {part.partition for part in rest if standing.get(part.partition) != (part.epoch, part.start)}
        if lost:
            raise Fenced(lost)
        return rest

    def _beginning(self, row: _Standing, committed: Commit | None) -> Beginning:
        return beginning(
            row.position, epoch=row.epoch, former=row.delivery, delivery=self._delivery, committed=committed
        )

    def _take(self, cursor: psycopg.Cursor[Any], partition: int, begin: Beginning, *, is_known: bool) -> Claim:
        values = {
            "partition": partition,
            "next_offset": begin.next_offset,
            "latest_time": _moment_or_none(begin.latest_time),
            "leader_epoch": begin.leader_epoch,
            "skipped": begin.skipped,
            "delivery": self._delivery.value,
            "is_known": is_known,
        }
        row = cursor.execute(_TAKE, {**self._identity, **values}).fetchone()
        assert row is not None
        epoch, next_offset, latest_time, leader_epoch = row
        if begin.skipped:
            log.warning("skipped", partition=partition, offsets=begin.skipped, next_offset=next_offset)
        return Claim(epoch, next_offset, _microseconds(latest_time), leader_epoch)

    def _skips(self, cursor: psycopg.Cursor[Any], batch: Batch) -> Sequence[int]:
        """How far each partition's position lies behind its slice, the row being locked. Raises Fenced."""
        standing = self._locked(cursor, batch.partitions)
        gaps = {
            part.partition: part.start - standing[part.partition].position.next_offset
            for part in batch
            if part.partition in standing and standing[part.partition].epoch == part.epoch
        }
        lost = [part.partition for part in batch if gaps.get(part.partition, -1) < 0]
        if lost:
            raise Fenced(lost)
        return [gaps[part.partition] for part in batch]

    def _locked(self, cursor: psycopg.Cursor[Any], partitions: Collection[int]) -> dict[int, _Standing]:
        """The rows, locked in the order of their partitions until the transaction ends."""
        rows = cursor.execute(_STANDING, {**self._identity, "partitions": list(partitions)}).fetchall()
        return {
            partition: _Standing(epoch, Delivery(delivery), Beginning(offset, _microseconds(latest_time), leader_epoch))
            for partition, epoch, offset, latest_time, leader_epoch, delivery in rows
        }


def moment(microseconds: int) -> datetime:
    """A time in microseconds since the Unix epoch, as Postgres wants it."""
    return _EPOCH + timedelta(microseconds=microseconds)


def _moment_or_none(microseconds: int) -> datetime | None:
    return moment(microseconds) if microseconds else None


def _microseconds(time: datetime | None) -> int:
    return 0 if time is None else (time - _EPOCH) // timedelta(microseconds=1)


def _moves(parts: Sequence[Slice]) -> dict[str, object]:
    return {
        "partitions": [part.partition for part in parts],
        "epochs": [part.epoch for part in parts],
        "starts": [part.start for part in parts],
        "ends": [part.end for part in parts],
        "latest_times": [_moment_or_none(part.latest_time) for part in parts],
        "leader_epochs": [part.leader_epoch for part in parts],
    }
