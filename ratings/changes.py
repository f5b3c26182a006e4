"""The work list of changed aggregates: every writer marks, publishers read and take off what they have published."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from django.conf import settings

_ON_CONFLICT = """
    ON CONFLICT (record_id) DO UPDATE SET version = greatest(standing.version, excluded.version)"""

MARK_MOVED = f"""marked AS (
    INSERT INTO ratings_aggregatechange AS standing (record_id, version)
    SELECT record_id, version FROM moved WHERE %(publishes)s ORDER BY record_id{_ON_CONFLICT}
)"""
"""A CTE that marks what a CTE `moved` (record_id, version) has changed; `publishes` is `publishes_aggregates()`.

To leave a row as it is where there is one would lose changes: its publisher may be about to take it off.
"""

_MARK = f"""
INSERT INTO ratings_aggregatechange AS standing (record_id, version)
SELECT record_id, version FROM ratings_recordaggregate WHERE record_id = ANY(%(records)s::int[]) AND version > 0
ORDER BY record_id{_ON_CONFLICT}
"""

_MARK_NEXT = f"""
WITH chunk AS MATERIALIZED (
    SELECT record_id, version FROM ratings_recordaggregate
    WHERE record_id > %(after)s ORDER BY record_id LIMIT %(most)s
), marked AS (
    INSERT INTO ratings_aggregatechange AS standing (record_id, version)
    SELECT record_id, version FROM chunk WHERE version > 0 ORDER BY record_id{_ON_CONFLICT}
)
SELECT max(record_id) FROM chunk
"""

# One statement sees one moment: each aggregate is at least as new as its mark. The marks come first and alone, so that
# they are walked along their key up to the limit: the planner has no idea of how many rows such a table has.
_READ = """
WITH change AS MATERIALIZED (
    SELECT record_id FROM ratings_aggregatechange
    WHERE record_id > %(after)s AND record_id %% %(shards)s = %(shard)s ORDER BY record_id LIMIT %(most)s
)
SELECT change.record_id, record.type, record.external_id,
       aggregate.count, aggregate.total, aggregate.version, aggregate.changed_at
FROM change
CROSS JOIN LATERAL (
    SELECT count, total, version, changed_at FROM ratings_recordaggregate WHERE record_id = change.record_id LIMIT 1
) AS aggregate
CROSS JOIN LATERAL (SELECT type, external_id FROM ratings_record WHERE id = change.record_id LIMIT 1) AS record
ORDER BY change.record_id
"""

# A row that is locked is being marked with a newer version just now. It is left to that, so that a publisher never
# waits for a writer; if the writer rolls back, the same version is published once more.
_TAKE_OFF = """
WITH published AS MATERIALIZED (
    SELECT change.record_id
    FROM unnest(%(records)s::int[], %(versions)s::bigint[]) AS done (record_id, version)
    JOIN ratings_aggregatechange AS change ON change.record_id = done.record_id AND change.version <= done.version
    FOR UPDATE OF change SKIP LOCKED
)
DELETE FROM ratings_aggregatechange AS change USING published WHERE change.record_id = published.record_id
"""

_COUNT = """
SELECT count(*) FROM (
    SELECT FROM ratings_aggregatechange WHERE record_id %% %(shards)s = %(shard)s LIMIT %(most)s
) AS change
"""


@dataclass(frozen=True, slots=True)
class Shard:
    """The part of all records, `number` of `count` parts from 0 on, that one publisher answers for."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}-of-{self.count}"


@dataclass(frozen=True, slots=True)
class ChangedAggregate:
    """A record's aggregate as it is now, after a change that was not published yet. `total` is in tenths."""

    number: int
    record_type: str
    record_id: str
    count: int
    total: int
    version: int
    changed_at: datetime


def publishes_aggregates() -> bool:
    """Whether changes of aggregates are marked for publishers. Has to be alike in every process that writes ratings."""
    return bool(settings.RATINGS_PUBLISH_AGGREGATES)


def mark_changed(cursor: psycopg.Cursor[Any], record_numbers: Sequence[int]) -> None:
    """Marks these records (Record.id) with the versions that their aggregates now have; nothing where it is off.

    Call it in the transaction that changes the aggregates, behind the shared interning lock, once they are changed.
    """
    if publishes_aggregates():
        cursor.execute(_MARK, {"records": list(record_numbers)})


def mark_next(cursor: psycopg.Cursor[Any], *, after: int, most: int) -> int | None:
    """Marks the next `most` records by number, all that ever had a rating; the last number looked at, None at the end.

    From 0 on to the end, it has everything published again. Call it in a short transaction of its own each time, behind
    the shared interning lock.
    """
    row = cursor.execute(_MARK_NEXT, {"after": after, "most": most}).fetchone()
    return row[0] if row else None


def changes_read(cursor: psycopg.Cursor[Any], *, shard: Shard, after: int, most: int) -> list[ChangedAggregate]:
    """The next `most` changed aggregates of the shard whose record's number is above `after`, by number."""
    wanted = {"after": after, "most": most, "shard": shard.number, "shards": shard.count}
    return [ChangedAggregate(*row) for row in cursor.execute(_READ, wanted)]


def changes_take_off(cursor: psycopg.Cursor[Any], published: Sequence[ChangedAggregate]) -> None:
    """Takes off what has been published; a record that changed meanwhile stays on the list. Waits for no writer."""
    cursor.execute(
        _TAKE_OFF,
        {"records": [change.number for change in published], "versions": [change.version for change in published]},
    )


def changes_count(cursor: psycopg.Cursor[Any], *, shard: Shard, most: int) -> int:
    """How many aggregates of the shard wait to be published; counts up to `most`."""
    wanted = {"most": most, "shard": shard.number, "shards": shard.count}
    row = cursor.execute(_COUNT, wanted).fetchone()
    return row[0] if row else 0
