"""Removes the tombstones of ratings that were deleted so long ago that no older write can come any more."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from django.db import connection, transaction

from ratings.interning import RATER_BITS
from ratings.services import interning_share

_LOOKED_AT_ONCE = 50_000

# Reads along the key, whatever it finds, so that a step takes as long where there are few tombstones as where many are.
_LOOK = """
WITH looked AS MATERIALIZED (
    SELECT id, value, written_at FROM ratings_rating WHERE id > %(after)s ORDER BY id LIMIT %(most)s
)
SELECT max(id), array_agg(id) FILTER (WHERE value IS NULL AND written_at < %(before)s) FROM looked
"""

# A rating that was put again meanwhile is looked at once more behind its lock, and stays.
_REMOVE = """
WITH doomed AS MATERIALIZED (
    SELECT id FROM ratings_rating
    WHERE id = ANY(%(ids)s) AND value IS NULL AND written_at < %(before)s ORDER BY id FOR UPDATE
)
DELETE FROM ratings_rating AS rating USING doomed WHERE rating.id = doomed.id
"""


@dataclass(frozen=True, slots=True)
class PurgeStep:
    """How far a purge is: the share of the table from 0 to 1, by record, and the tombstones removed in all."""

    share: float
    removed: int


def tombstones_purge(*, before: datetime) -> Iterator[PurgeStep]:
    """Removes all tombstones written before that moment, step by step along the key; tells after each how far it is.

    Each step is a transaction of its own and locks nothing but the tombstones that it removes: writers may run, and to
    end it between two steps, or in one, leaves no harm. Aggregates do not change, as a tombstone counts for nothing.
    An older put that comes after its tombstone is gone makes the deleted rating stand again.
    """
    after, removed = -(2**63), 0
    with _cursor() as cursor:
        (last,) = cursor.execute("SELECT max(id) FROM ratings_rating").fetchone() or (None,)
        while True:
            looking = {"after": after, "most": _LOOKED_AT_ONCE, "before": before}
            reached, ids = cursor.execute(_LOOK, looking).fetchone() or (None, None)
            if reached is None or last is None:
                yield PurgeStep(share=1.0, removed=removed)
                return
            if ids:
                with transaction.atomic():
                    interning_share(cursor)
                    removed += cursor.execute(_REMOVE, {"ids": ids, "before": before}).rowcount
            after = reached
            yield PurgeStep(share=min(1.0, (reached >> RATER_BITS) / max(1, last >> RATER_BITS)), removed=removed)


@contextmanager
def _cursor() -> Iterator[psycopg.Cursor[Any]]:
    with connection.cursor(), connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        yield cursor
