"""What the rating tables say, in plain SQL that shares nothing with the code under test."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import psycopg
from django.db import connection

from ratings.memory import RatingKey, StandingRating
from tests.waiting import wait_until

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_numbers = count(1)

_DRIFT = """
WITH truth AS (
    SELECT record_id, count(value) AS count, coalesce(sum(value), 0) AS total FROM ratings_rating GROUP BY record_id
)
SELECT record_id, aggregate.count, aggregate.total, truth.count, truth.total
FROM ratings_recordaggregate AS aggregate FULL JOIN truth USING (record_id)
WHERE aggregate.record_id IS NULL
   OR (aggregate.count, aggregate.total) IS DISTINCT FROM (coalesce(truth.count, 0), coalesce(truth.total, 0))
"""
_ORPHANS = """
SELECT rating.id FROM ratings_rating AS rating
LEFT JOIN ratings_record AS record ON record.id = rating.record_id
LEFT JOIN ratings_rater AS rater ON rater.id = rating.rater_id
WHERE record.id IS NULL OR rater.id IS NULL
   OR rating.id <> rating.record_id::bigint * 4294967296 + rating.rater_id
"""
_STANDING = """
SELECT record.type, record.external_id, rater.provider_id, rater.user_id, rating.value, rating.written_at
FROM ratings_rating AS rating
JOIN ratings_record AS record ON record.id = rating.record_id
JOIN ratings_rater AS rater ON rater.id = rating.rater_id
WHERE record.type = %s
"""


def new_type() -> str:
    """A record type that no other example uses, so that examples need not empty the tables."""
    return f"type-{next(_numbers)}"


def rows(statement: str, parameters: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
    """All rows of one query on Django's connection."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


def standing(record_type: str) -> dict[RatingKey, StandingRating]:
    """Every rating and tombstone of a record type."""
    return {
        (kind, record, provider, user): StandingRating(value, microseconds(written_at))
        for kind, record, provider, user, value, written_at in rows(_STANDING, (record_type,))
    }


def aggregates(record_type: str) -> dict[tuple[str, str], tuple[int, int]]:
    """Count and total of the records of a type that have a rating, as the aggregates say."""
    found = rows(
        "SELECT type, external_id, count, total FROM ratings_recordaggregate AS aggregate"
        " JOIN ratings_record AS record ON record.id = aggregate.record_id WHERE type = %s AND count > 0",
        (record_type,),
    )
    return {(kind, record): (number, total) for kind, record, number, total in found}


def assert_consistent() -> None:
    """Every aggregate equals its ratings, and every rating has its record, its rater and the key made of both."""
    assert rows(_DRIFT) == []
    assert rows(_ORPHANS) == []


def microseconds(moment: datetime) -> int:
    """Microseconds since the Unix epoch, exact."""
    return (moment - EPOCH) // timedelta(microseconds=1)


@contextmanager
def own_connection() -> Iterator[psycopg.Connection[Any]]:
    """A connection beside Django's, to the same test database, in autocommit."""
    parameters = connection.get_connection_params()
    parameters.pop("cursor_factory", None)
    with psycopg.connect(**{**parameters, "autocommit": True}) as own:
        yield own


def wait_until_someone_waits_for(watcher: psycopg.Connection[Any], holder: int) -> None:
    """Until another session waits for a lock of the session with process id `holder`."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))"
    wait_until(
        lambda: (watcher.execute(waiting, (holder,)).fetchone() or (0,))[0],
        timeout=20,
        message=f"a session that waits for {holder}",
    )
