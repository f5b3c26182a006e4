"""Reads watched aggregates from Postgres, by the numbers of their records."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import numpy as np
import psycopg
from django.db import Error, connection

from ratings.columns import Bigints, Texts, execute
from ratings.selectors import Aggregate, RecordKey

# Both by look-ups, whatever the statistics say: a wrong guess would read all of a table, four times a second.
_NUMBERS = """
SELECT wanted.position, record.id
FROM unnest(%(types)s, %(ids)s) WITH ORDINALITY AS wanted (type, external_id, position)
CROSS JOIN LATERAL (
    SELECT id FROM ratings_record WHERE type = wanted.type AND external_id = wanted.external_id LIMIT 1
) AS record
"""
_CHANGED = """
SELECT watched.number, aggregate.count, aggregate.total, aggregate.version, aggregate.changed_at
FROM unnest(%(numbers)s, %(versions)s) AS watched (number, version)
CROSS JOIN LATERAL (
    SELECT count, total, version, changed_at FROM ratings_recordaggregate
    WHERE record_id = watched.number::int LIMIT 1
) AS aggregate
WHERE aggregate.version <> watched.version
"""


class PostgresAggregates:
    """The AggregateReader of a server, on the calling thread's connection.

    It remembers the numbers of the records that are watched, until the connection is lost: the database may be another
    one then.
    """

    def __init__(self) -> None:
        self._numbers: dict[RecordKey, int] = {}

    def changed(self, versions: Mapping[RecordKey, int]) -> Sequence[Aggregate]:
        """See AggregateReader.changed."""
        try:
            with _cursor() as cursor:
                self._learn(cursor, versions)
                found = self._changed(cursor, versions) if self._numbers else []
        except Error:
            self.close()
            raise
        # Watched since before the database was restored to a time without them.
        lost = [record for record, version in versions.items() if version and record not in self._numbers]
        return [*found, *(Aggregate(*record, 0, 0, 0, datetime.now(UTC)) for record in lost)]

    def close(self) -> None:
        """See AggregateReader.close."""
        self._numbers.clear()
        connection.close()

    def _learn(self, cursor: psycopg.Cursor[Any], versions: Mapping[RecordKey, int]) -> None:
        """Finds the numbers of those that have none yet, and forgets those that are not watched any more."""
        self._numbers = {record: number for record, number in self._numbers.items() if record in versions}
        missing = [record for record in versions if record not in self._numbers]
        if missing:
            wanted = {"types": Texts([record[0] for record in missing]), "ids": Texts([one[1] for one in missing])}
            for position, number in execute(cursor, _NUMBERS, wanted):
                self._numbers[missing[position - 1]] = number

    def _changed(self, cursor: psycopg.Cursor[Any], versions: Mapping[RecordKey, int]) -> Sequence[Aggregate]:
        records = {number: record for record, number in self._numbers.items()}
        known = [versions[record] for record in records.values()]
        wanted = {
            "numbers": Bigints(np.fromiter(records, dtype=np.int64, count=len(records))),
            "versions": Bigints(np.array(known, dtype=np.int64)),
        }
        return [Aggregate(*records[number], *rest) for number, *rest in execute(cursor, _CHANGED, wanted)]


@contextmanager
def _cursor() -> Iterator[psycopg.Cursor[Any]]:
    with connection.cursor(), connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        yield cursor
