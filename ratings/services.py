"""The one path by which ratings change, whoever changes them: the rating and its aggregate in one transaction.

A rating is a last-writer-wins register. A write applies when it is newer than what stands there, or equally new with
another value; so any order of arrival and any number of replays end in the same table. Every writer locks in the
same order: ratings by key, then aggregates by record.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from django.db import connection, transaction

from ratings.changes import MARK_MOVED, publishes_aggregates
from ratings.columns import Bigints, Int16s, Int64s, Smallints, Timestamps, execute
from ratings.errors import AggregateMissing, StaleIds
from ratings.events import RatingEvent, rating_event
from ratings.interning import RATER_BITS, Interner
from ratings.replays import NOT_STANDING, is_replay

# Shared by every write, taken exclusively by an erasure: no write can use a rater's number while it is being erased.
_INTERNING_LOCK = 0x6D6F7669

_TOMBSTONE = -1

_SHARE_INTERNING = "SELECT pg_advisory_xact_lock_shared(%(lock)s)"
_LOCK_INTERNING = "SELECT pg_advisory_xact_lock(%(lock)s)"

_NEXT_GENERATION = """
INSERT INTO ratings_interning AS interning (id, generation) VALUES (1, 1)
ON CONFLICT (id) DO UPDATE SET generation = interning.generation + 1
"""

# Needs `differences`, in the order of their records: the aggregates are locked in that order before the update, whose
# join could take any. The new values come from the locked rows: the update itself first sees each row as it was when
# the statement began and holds that against the table's constraints before it notices a concurrent change.
_MOVE_AGGREGATES = f"""moved AS MATERIALIZED (
    SELECT differences.record_id,
           locked.count + differences.count AS count,
           locked.total + differences.total AS total,
           locked.version + 1 AS version
    FROM differences CROSS JOIN LATERAL (
        SELECT count, total, version FROM ratings_recordaggregate
        WHERE record_id = differences.record_id FOR NO KEY UPDATE
    ) AS locked
), updated AS (
    UPDATE ratings_recordaggregate AS aggregate
    SET count = moved.count, total = moved.total, version = moved.version, changed_at = clock_timestamp()
    FROM moved
    WHERE aggregate.record_id = moved.record_id
    RETURNING 1
), {MARK_MOVED}"""

# Ratings and aggregates are locked in the order of their keys, like everywhere else.
_ERASE_RATINGS = f"""
WITH doomed AS MATERIALIZED (
    SELECT id FROM ratings_rating
    WHERE rater_id = (SELECT id FROM ratings_rater WHERE provider_id = %(provider_id)s AND user_id = %(user_id)s)
    ORDER BY id FOR UPDATE
), erased AS (
    DELETE FROM ratings_rating AS rating USING doomed WHERE rating.id = doomed.id
    RETURNING rating.record_id, rating.value
), differences AS (
    SELECT record_id, -count(value) AS count, -sum(value) AS total FROM erased
    WHERE value IS NOT NULL GROUP BY record_id ORDER BY record_id
), {_MOVE_AGGREGATES}
SELECT count(value), count(*) - count(value) FROM erased
"""

# A statement sees the database as it was when it began, so the lock and the look at the generation are two. No row yet
# means that nobody was ever erased.
_READ_GENERATION = "SELECT coalesce((SELECT generation FROM ratings_interning), 0)"

_EVENTS = "unnest(%(ids)s, %(values)s, %(times)s) AS write (id, value, written_at)"
_IF_NEWER = """
    SET value = excluded.value, previous = standing.value, written_at = excluded.written_at
    WHERE excluded.written_at > standing.written_at
       OR (excluded.written_at = standing.written_at AND excluded.value IS DISTINCT FROM standing.value)"""

# Where the order of two writes of the same time is not known any more, what stands is taken as the later one.
_IF_LATER = """
    SET value = excluded.value, previous = standing.value, written_at = excluded.written_at
    WHERE excluded.written_at > standing.written_at"""

_COMMANDS = """(
        SELECT id, value, clock_timestamp() AS written_at FROM unnest(%(ids)s, %(values)s) AS command (id, value)
    ) AS write"""
# Only the standing row knows its time, and only in here is it locked: a look before could miss a row just being added.
_ALWAYS = """
    SET value = excluded.value, previous = standing.value,
        written_at = greatest(excluded.written_at, standing.written_at + interval '1 microsecond')"""


def _statement(writes: str, change: str) -> str:
    """The one statement that changes ratings: adds `writes`, changes standing rows by `change`, moves the aggregates.

    `previous` carries the replaced value out of ON CONFLICT: under concurrent writers only the row itself knows it.
    """
    return f"""
WITH changed AS (
    INSERT INTO ratings_rating AS standing (id, record_id, rater_id, value, previous, written_at)
    SELECT id, (id >> {RATER_BITS})::int, (id & {2**RATER_BITS - 1})::int, nullif(value, {_TOMBSTONE}), NULL, written_at
    FROM {writes}
    ON CONFLICT (id) DO UPDATE {change}
    RETURNING record_id, value, previous
), differences AS (
    SELECT record_id,
           count(value) - count(previous) AS count,
           coalesce(sum(value), 0) - coalesce(sum(previous), 0) AS total
    FROM changed
    WHERE value IS DISTINCT FROM previous
    GROUP BY record_id
    ORDER BY record_id
), {_MOVE_AGGREGATES}
SELECT (SELECT count(*) FROM changed), (SELECT count(*) FROM differences), (SELECT count(*) FROM updated)
"""


_WRITE_IF_NEWER = _statement(_EVENTS, _IF_NEWER)
_REPLAY_IF_NEWER = _statement(NOT_STANDING.format(tombstone=_TOMBSTONE), _IF_NEWER)
_WRITE_IF_LATER = _statement(_EVENTS, _IF_LATER)
_WRITE_NOW = _statement(_COMMANDS, _ALWAYS)


@dataclass(frozen=True, slots=True)
class RatingWrites:
    """Writes ready for one statement: one per rating, in the order of their keys.

    `values` are tenths or -1 for a tombstone; `times` are microseconds since the Unix epoch; `generation` is the
    interner's when it gave the ids.
    """

    ids: Int64s
    values: Int16s
    times: Int64s
    generation: int


@dataclass(frozen=True, slots=True)
class Written:
    """How many ratings one statement changed (a newer time alone counts), and how many records' aggregates."""

    ratings: int
    aggregates: int


@dataclass(frozen=True, slots=True)
class Erased:
    """How many ratings, and how many tombstones of deleted ones, were removed with a person."""

    ratings: int
    tombstones: int


def rating_put(*, record_type: str, record_id: str, provider_id: str, user_id: str, tenths: int) -> None:
    """Sets the rating to `tenths` (0 to 100), as of now by the database's clock. Idempotent.

    Committed when it returns, unless the caller has a transaction of its own. Raises InvalidRating for a bad id.
    """
    _write_now(
        rating_event(
            record_type=record_type, record_id=record_id, provider_id=provider_id, user_id=user_id, tenths=tenths
        )
    )


def rating_delete(*, record_type: str, record_id: str, provider_id: str, user_id: str) -> None:
    """Removes the rating, as of now by the database's clock; where there is none, older writes stay without effect.

    Committed when it returns, unless the caller has a transaction of its own. Raises InvalidRating for a bad id.
    """
    _write_now(
        rating_event(
            record_type=record_type, record_id=record_id, provider_id=provider_id, user_id=user_id, tenths=None
        )
    )


def rating_writes(
    cursor: psycopg.Cursor[Any], interner: Interner, events: Sequence[RatingEvent], times: Sequence[int]
) -> RatingWrites:
    """Interns the events' ids and keeps, of several writes of one rating, the last in time, then in order.

    `times` are microseconds since the Unix epoch, one per event. Call it outside the writing transaction.
    """
    ids = interner.intern(cursor, events)
    values = np.fromiter(
        (_TOMBSTONE if event.tenths is None else event.tenths for event in events), dtype=np.int16, count=len(events)
    )
    moments = np.fromiter(times, dtype=np.int64, count=len(events))
    order = np.lexsort((moments, ids))  # stable: equal times keep the events' order
    sorted_ids = ids[order]
    is_last = np.ones(len(order), dtype=np.bool_)
    is_last[:-1] = sorted_ids[1:] != sorted_ids[:-1]
    last = order[is_last]
    return RatingWrites(ids=ids[last], values=values[last], times=moments[last], generation=interner.generation)


def ratings_write(cursor: psycopg.Cursor[Any], writes: RatingWrites) -> Written:
    """Applies the writes and keeps the aggregates, inside the caller's transaction (READ COMMITTED).

    Raises StaleIds when a rater was erased since the ids were looked up; the transaction must then be rolled back.
    """
    statement = _REPLAY_IF_NEWER if is_replay(cursor, ids=writes.ids, times=writes.times) else _WRITE_IF_NEWER
    return _write(cursor, statement, writes)


def ratings_write_late(cursor: psycopg.Cursor[Any], writes: RatingWrites) -> Written:
    """As `ratings_write`, for events that were set aside and come after their time: a write of the same time stands."""
    return _write(cursor, _WRITE_IF_LATER, writes)


def interning_share(cursor: psycopg.Cursor[Any]) -> None:
    """Takes the lock that all writers share and an erasure wants alone, until the transaction ends.

    For a transaction that locks other rows before it writes ratings: that lock comes first everywhere.
    """
    cursor.execute(_SHARE_INTERNING, {"lock": _INTERNING_LOCK})


def ratings_write_now(events: Sequence[RatingEvent], interner: Interner | None = None) -> Written:
    """Applies the events as of now by the database's clock: of several for one rating the last, and that one always.

    Where a rating's time is ahead of that clock (a broker's clock was), the write is placed just after it.
    Committed when it returns, unless the caller has a transaction of its own. An `interner` is for callers who write
    again and again on one connection.
    """
    interner = interner or Interner()
    with _cursor() as cursor:
        while True:
            writes = rating_writes(cursor, interner, events, [0] * len(events))
            try:
                with transaction.atomic():
                    return _write(cursor, _WRITE_NOW, writes)
            except StaleIds:
                interner.forget()


def rater_erase(*, provider_id: str, user_id: str) -> Erased:
    """Removes one person's ratings, tombstones and ids, as one provider knows them; zeros for an unknown person.

    One transaction; aggregates follow. Writers wait for it and none can write under the erased id afterwards. An
    event that is still in Kafka and is read again later makes the person known again.
    """
    person = {"provider_id": provider_id, "user_id": user_id, "publishes": publishes_aggregates()}
    with _cursor() as cursor, transaction.atomic():
        cursor.execute(_LOCK_INTERNING, {"lock": _INTERNING_LOCK})
        cursor.execute(_NEXT_GENERATION)
        ratings, tombstones = cursor.execute(_ERASE_RATINGS, person).fetchone() or (0, 0)
        cursor.execute(
            "DELETE FROM ratings_rater WHERE provider_id = %(provider_id)s AND user_id = %(user_id)s", person
        )
        return Erased(ratings=ratings, tombstones=tombstones)


def _write(cursor: psycopg.Cursor[Any], statement: str, writes: RatingWrites) -> Written:
    cursor.execute(_SHARE_INTERNING, {"lock": _INTERNING_LOCK})
    (generation,) = cursor.execute(_READ_GENERATION).fetchone() or (0,)
    if generation != writes.generation:
        raise StaleIds("a rater was erased meanwhile: look the ids up again")
    if not len(writes.ids):
        return Written(ratings=0, aggregates=0)
    columns: dict[str, object] = {
        "ids": Bigints(writes.ids),
        "values": Smallints(writes.values),
        "times": Timestamps(writes.times),
        "publishes": publishes_aggregates(),
    }
    ratings, differing, aggregates = execute(cursor, statement, columns).fetchone() or (0, 0, 0)
    if differing != aggregates:
        raise AggregateMissing("a record has no aggregate: run `manage.py check_aggregates --repair`")
    return Written(ratings=ratings, aggregates=aggregates)


def _write_now(event: RatingEvent) -> None:
    ratings_write_now([event])


@contextmanager
def _cursor() -> Iterator[psycopg.Cursor[Any]]:
    """A psycopg cursor on Django's connection that binds parameters on the server, in binary where they are columns."""
    with connection.cursor(), connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        yield cursor
