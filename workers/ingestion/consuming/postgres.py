"""The IngestionStore on Postgres: ratings, dead letters and the position they came from in one transaction."""

import base64
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import structlog

from ratings.errors import StaleIds
from ratings.interning import Interner
from ratings.services import rating_writes, ratings_write
from workers.ingestion.consuming.batch import Batch, Claim, Letter, Slice
from workers.ingestion.consuming.database import connect, is_refused_login, is_worth_a_repeat
from workers.ingestion.errors import Fenced, StoreNotReady, StoreUnavailable
from workers.kafka.topics import Topic

log = structlog.get_logger(__name__)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNDEFINED_TABLE = "42P01"

_OURS = '"group" = %(group)s AND cluster_id = %(cluster_id)s AND topic_id = %(topic_id)s'

_KNOWN = f"SELECT partition FROM ingestion_consumeroffset WHERE {_OURS}"

_TAKE = """
INSERT INTO ingestion_consumeroffset AS standing
       ("group", cluster_id, topic_id, topic, partition, next_offset, epoch, updated_at)
VALUES (%(group)s, %(cluster_id)s, %(topic_id)s, %(topic)s, %(partition)s, %(first_offset)s, 1, clock_timestamp())
ON CONFLICT ("group", cluster_id, topic_id, partition) DO UPDATE
SET epoch = standing.epoch + 1, updated_at = clock_timestamp()
RETURNING epoch, next_offset, latest_time, leader_epoch
"""

# The fence: a row that another consumer has taken, or that stands elsewhere, is not advanced: the count falls short.
# One statement each for this and for the letters, never executemany: psycopg pipelines that, and while a pipeline is
# open the server's idle_in_transaction_session_timeout does not run. A process that is frozen just then would keep the
# rows locked, and their next owner out, for as long as it sleeps.
_ADVANCE = f"""
UPDATE ingestion_consumeroffset AS standing SET
    next_offset = part.end_offset, latest_time = part.latest_time, leader_epoch = part.leader_epoch,
    updated_at = clock_timestamp()
FROM unnest(
    %(partitions)s::int[], %(epochs)s::bigint[], %(starts)s::bigint[], %(ends)s::bigint[],
    %(latest_times)s::timestamptz[], %(leader_epochs)s::int[]
) AS part (number, epoch, start_offset, end_offset, latest_time, leader_epoch)
WHERE {_OURS} AND standing.partition = part.number AND standing.epoch = part.epoch
  AND standing.next_offset = part.start_offset
"""

_STANDING = f"""
SELECT partition, epoch, next_offset FROM ingestion_consumeroffset
WHERE {_OURS} AND partition = ANY(%(partitions)s) ORDER BY partition FOR UPDATE
"""

_POSITIONS = f"SELECT partition, next_offset FROM ingestion_consumeroffset WHERE {_OURS}"

_DEAD_LETTERS = """
INSERT INTO ingestion_deadletter AS standing
       ("group", cluster_id, topic_id, topic, partition, "offset", key, value, headers, timestamp, field, reason,
        attempts, created_at)
SELECT %(group)s, %(cluster_id)s, %(topic_id)s, %(topic)s, letter.*, 1, clock_timestamp()
FROM unnest(
    %(partitions)s::int[], %(offsets)s::bigint[], %(keys)b::bytea[], %(values)b::bytea[], %(headers)s::jsonb[],
    %(timestamps)s::timestamptz[], %(fields)s::text[], %(reasons)s::text[]
) AS letter
ON CONFLICT ("group", cluster_id, topic_id, partition, "offset") DO UPDATE SET attempts = standing.attempts + 1
"""


class PostgresStore:
    """An IngestionStore on Django's default database, over one connection that is made anew after it broke."""

    def __init__(self, *, group: str, topic: Topic, interner: Interner | None = None) -> None:
        self._identity = {
            "group": group,
            "cluster_id": topic.cluster_id,
            "topic_id": topic.topic_id,
            "topic": topic.name,
        }
        self._interner = interner or Interner()
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._has_connected = False

    def take(self, partitions: Collection[int], *, first_offset: Callable[[int], int]) -> dict[int, Claim]:
        """See IngestionStore.take; one short autocommitted statement a partition, in their order."""
        with self._cursor() as cursor:
            known = {row[0] for row in cursor.execute(_KNOWN, self._identity)}
            claims = {}
            for partition in sorted(partitions):
                first = 0 if partition in known else first_offset(partition)
                row = cursor.execute(
                    _TAKE, {**self._identity, "partition": partition, "first_offset": first}
                ).fetchone()
                assert row is not None
                epoch, next_offset, latest_time, leader_epoch = row
                claims[partition] = Claim(epoch, next_offset, _microseconds(latest_time), leader_epoch)
            return claims

    def apply(self, batch: Batch) -> None:
        """See IngestionStore.apply; ids are interned first, in transactions of their own."""
        with self._cursor() as cursor:
            while True:
                try:
                    self._apply(cursor, batch)
                except StaleIds:
                    self._interner.forget()
                except _FenceFellShortError:
                    batch = self._not_yet_applied(cursor, batch)
                    if not batch:
                        return
                else:
                    return

    def positions(self) -> Mapping[int, int]:
        """See IngestionStore.positions."""
        with self._cursor() as cursor:
            return dict(cursor.execute(_POSITIONS, self._identity).fetchall())

    def close(self) -> None:
        """Closes the connection; an open transaction is rolled back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _apply(self, cursor: psycopg.Cursor[Any], batch: Batch) -> None:
        events = [event for part in batch for event in part.events]
        times = [time for part in batch for time in part.times]
        writes = rating_writes(cursor, self._interner, events, times) if events else None
        with cursor.connection.transaction():
            self._advance(cursor, batch)
            if writes is not None:
                ratings_write(cursor, writes)
            self._keep_letters(cursor, batch)

    def _advance(self, cursor: psycopg.Cursor[Any], batch: Batch) -> None:
        parts = list(batch)
        cursor.execute(_ADVANCE, {**self._identity, **_moves(parts)})
        if cursor.rowcount != len(parts):
            raise _FenceFellShortError

    def _keep_letters(self, cursor: psycopg.Cursor[Any], batch: Batch) -> None:
        letters = [(part.partition, letter) for part in batch for letter in part.letters]
        if letters:
            cursor.execute(_DEAD_LETTERS, {**self._identity, **_letter_columns(letters)})

    def _not_yet_applied(self, cursor: psycopg.Cursor[Any], batch: Batch) -> Batch:
        """The slices without those that an earlier attempt committed. Raises Fenced if any has another owner."""
        with cursor.connection.transaction():
            wanted = {**self._identity, "partitions": list(batch.partitions)}
            rows = cursor.execute(_STANDING, wanted).fetchall()
        standing = {partition: (epoch, offset) for partition, epoch, offset in rows}
        applied = {part.partition for part in batch if standing.get(part.partition) == (part.epoch, part.end)}
        rest = batch.without(applied)
        lost = {part.partition for part in rest if standing.get(part.partition) != (part.epoch, part.start)}
        if lost:
            raise Fenced(lost)
        return rest

    @contextmanager
    def _cursor(self) -> Iterator[psycopg.Cursor[Any]]:
        """A cursor on a living connection; the database's own troubles become StoreUnavailable."""
        try:
            if self._connection is None:
                self._interner.forget()  # the database may be another one, or an older state of it
                self._connection = connect()
                self._has_connected = True
            with psycopg.Cursor(self._connection) as cursor:
                yield cursor
        except psycopg.Error as error:
            self.close()
            if error.sqlstate == _UNDEFINED_TABLE:
                raise StoreNotReady(f"A table is missing: run `manage.py migrate` ({_first_line(error)})") from error
            if is_refused_login(error) and not self._has_connected:
                raise StoreNotReady(f"The database refuses us: check DATABASE_URL ({_first_line(error)})") from error
            if is_worth_a_repeat(error):
                raise StoreUnavailable(_first_line(error)) from error
            raise


class _FenceFellShortError(Exception):
    """Some row of the batch did not stand where the batch begins; why is found out in a transaction of its own."""


def _moves(parts: Sequence[Slice]) -> dict[str, object]:
    return {
        "partitions": [part.partition for part in parts],
        "epochs": [part.epoch for part in parts],
        "starts": [part.start for part in parts],
        "ends": [part.end for part in parts],
        "latest_times": [_moment(part.latest_time) if part.latest_time else None for part in parts],
        "leader_epochs": [part.leader_epoch for part in parts],
    }


def _letter_columns(letters: Sequence[tuple[int, Letter]]) -> dict[str, object]:
    return {
        "partitions": [partition for partition, _ in letters],
        "offsets": [letter.offset for _, letter in letters],
        "keys": [letter.key for _, letter in letters],
        "values": [letter.value for _, letter in letters],
        "headers": [_json_of(letter.headers) for _, letter in letters],
        "timestamps": [_moment(letter.time) for _, letter in letters],
        "fields": [letter.field for _, letter in letters],
        "reasons": [letter.reason for _, letter in letters],
    }


def _json_of(headers: Iterable[tuple[str, bytes | None]]) -> str:
    return json.dumps([[_storable(name), _base64(value)] for name, value in headers])


def _first_line(error: psycopg.Error) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def _microseconds(moment: datetime | None) -> int:
    return 0 if moment is None else (moment - _EPOCH) // timedelta(microseconds=1)


def _base64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def _storable(name: str) -> str:
    """A header's name without what a JSON text in Postgres cannot hold."""
    return name.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")
