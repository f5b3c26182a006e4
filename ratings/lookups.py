"""Finds ratings by the ids that people know, on the indexes that there are."""

from django.db import connection
from django.db.models import Q

from ratings.errors import InvalidRating
from ratings.events import checked_id
from ratings.interning import RATER_BITS
from ratings.models import Rater, Record

_LARGEST_RATER = 2**RATER_BITS - 1

# Walks from one distinct value of an index' first column to the next: a few look-ups, where DISTINCT reads the table.
_DISTINCT = """
WITH RECURSIVE walk AS (
    (SELECT {column} AS value FROM {table} ORDER BY {column} LIMIT 1)
    UNION ALL
    SELECT (SELECT {column} FROM {table} WHERE {column} > walk.value ORDER BY {column} LIMIT 1)
    FROM walk WHERE walk.value IS NOT NULL
)
SELECT value FROM walk WHERE value IS NOT NULL
"""


def ratings_of(term: str) -> Q:
    """The ratings whose record id or user id is exactly `term`, of any record type and any provider."""
    records = Q(pk__in=[])
    for record_id in _record_keys(term):
        # A record's ratings lie together in the primary key; there is no other index by record.
        records |= Q(pk__range=(record_id << RATER_BITS, record_id << RATER_BITS | _LARGEST_RATER))
    return records | Q(rater__in=_rater_keys(term))


def aggregates_of(term: str) -> Q:
    """The aggregates of the records whose id is exactly `term`, of any type."""
    return Q(pk__in=_record_keys(term))


def _record_keys(term: str) -> list[int]:
    if not _may_be_id(term):
        return []
    types = _distinct(table="ratings_record", column="type")
    return list(Record.objects.filter(type__in=types, external_id=term).values_list("pk", flat=True))


def _rater_keys(term: str) -> list[int]:
    if not _may_be_id(term):
        return []
    providers = _distinct(table="ratings_rater", column="provider_id")
    return list(Rater.objects.filter(provider_id__in=providers, user_id=term).values_list("pk", flat=True))


def _may_be_id(term: str) -> bool:
    try:
        checked_id(term, field="term")
    except InvalidRating:
        return False
    return True


def _distinct(*, table: str, column: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(_DISTINCT.format(table=table, column=column))
        return [value for (value,) in cursor.fetchall()]
