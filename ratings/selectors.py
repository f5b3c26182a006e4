"""Reads of ratings: the aggregate of one record or of many, and what is stored about one person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import psycopg
from django.db import connection
from django.db.models import Count, Q

from ratings.models import Rater
from ratings.prepared import aggregate_row, prepares

RecordKey: TypeAlias = tuple[str, str]
"""A record's type and id."""

_COLUMNS = "aggregate.count, aggregate.total, aggregate.version, aggregate.changed_at"
_GET = f"""
SELECT {_COLUMNS}
FROM ratings_record AS record JOIN ratings_recordaggregate AS aggregate ON aggregate.record_id = record.id
WHERE record.type = %(record_type)s AND record.external_id = %(record_id)s AND aggregate.count > 0
"""
# By look-ups, whatever the statistics say: a new table has none, and a wrong guess would read all of it.
_GET_MANY = f"""
SELECT wanted.record_type, wanted.record_id, {_COLUMNS}
FROM unnest(%(record_types)s::text[], %(record_ids)s::text[]) AS wanted (record_type, record_id)
CROSS JOIN LATERAL (
    SELECT id FROM ratings_record WHERE type = wanted.record_type AND external_id = wanted.record_id LIMIT 1
) AS record
CROSS JOIN LATERAL (
    SELECT count, total, version, changed_at FROM ratings_recordaggregate WHERE record_id = record.id LIMIT 1
) AS aggregate
WHERE aggregate.count > 0
"""


@dataclass(frozen=True, slots=True)
class Aggregate:
    """What all raters together say of one record. `total` is in tenths; `version` only grows."""

    record_type: str
    record_id: str
    count: int
    total: int
    version: int
    changed_at: datetime

    @property
    def average(self) -> float:
        """The mean rating, 0 to 10, rounded once: from the exact sum."""
        return self.total / (10 * self.count)


def aggregate_get(*, record_type: str, record_id: str) -> Aggregate | None:
    """The record's aggregate, or None when nobody has rated it (any more). One indexed look-up."""
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    if not prepares(connection.connection):
        rows = _rows(_GET, {"record_type": record_type, "record_id": record_id})
        return Aggregate(record_type, record_id, *rows[0]) if rows else None
    with connection.wrap_database_errors:
        row = aggregate_row(connection.connection, record_type=record_type, record_id=record_id)
    return None if row is None else Aggregate(record_type, record_id, *row)


def aggregates_get(*, record_type: str, record_ids: Sequence[str]) -> dict[str, Aggregate]:
    """The aggregates by record id, in one query; records without a rating are left out."""
    found = records_aggregates_get([(record_type, record_id) for record_id in record_ids])
    return {record_id: aggregate for (_, record_id), aggregate in found.items()}


def records_aggregates_get(records: Sequence[RecordKey]) -> dict[RecordKey, Aggregate]:
    """The aggregates by the records' types and ids, in one query; records without a rating are left out."""
    wanted = {"record_types": [record[0] for record in records], "record_ids": [record[1] for record in records]}
    return {(row[0], row[1]): Aggregate(*row) for row in _rows(_GET_MANY, wanted)}


@dataclass(frozen=True, slots=True)
class KnownRater:
    """A user as one provider knows them: how many ratings, and how many tombstones of deleted ones."""

    provider_id: str
    ratings: int
    tombstones: int


def raters_get(*, user_id: str, provider_id: str | None = None) -> list[KnownRater]:
    """What is stored about a user, by provider (all of them for None); empty when nobody knows the user.

    For one provider a look-up by index; for all of them a pass over the raters, a second or so for some millions.
    """
    raters = Rater.objects.filter(user_id=user_id)
    if provider_id is not None:
        raters = raters.filter(provider_id=provider_id)
    counted = raters.annotate(
        standing=Count("ratings__value"), tombstones=Count("ratings", filter=Q(ratings__value=None))
    )
    rows = counted.order_by("provider_id").values_list("provider_id", "standing", "tombstones")
    return [KnownRater(provider, standing, tombstones) for provider, standing, tombstones in rows]


def _rows(statement: str, parameters: Mapping[str, object]) -> list[tuple[Any, ...]]:
    """The statement's rows, past Django's cursor: reads of aggregates are what other services ask all the time.

    It is prepared where the connection prepares anything: a gRPC server's does, Django's own do not.
    """
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        return cursor.execute(statement.encode(), parameters, prepare=True, binary=True).fetchall()
