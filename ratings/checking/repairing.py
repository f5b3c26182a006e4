"""Sets aggregates to what their ratings say, a few at a time, while writers run."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from django.db import connection, transaction

from ratings.changes import mark_changed
from ratings.checking.looking import Finding
from ratings.interning import RATER_BITS
from ratings.services import interning_share

# What one transaction locks, and recomputes behind the locks, at most, unless a single record has more ratings.
_RECORDS_AT_ONCE = 500
_RATINGS_AT_ONCE = 10_000

_LOCK = """
SELECT FROM ratings_recordaggregate WHERE record_id = ANY(%(records)s::int[]) ORDER BY record_id FOR NO KEY UPDATE
"""

# Ratings and version were seen at one moment. As long as the version stands, nobody has changed the ratings since: a
# writer whose ratings were not seen adds its difference later, to the row as it then is.
_SET_WHAT_STANDS = """
UPDATE ratings_recordaggregate AS aggregate
SET count = seen.count, total = seen.total, version = aggregate.version + 1, changed_at = clock_timestamp()
FROM unnest(%(records)s::int[], %(versions)s::bigint[], %(counts)s::bigint[], %(totals)s::bigint[])
    AS seen (record_id, version, count, total)
WHERE aggregate.record_id = seen.record_id AND aggregate.version = seen.version
RETURNING aggregate.record_id
"""

# One that is made again begins above every version that the lost one can have had: followers keep the highest.
_ADD_MISSING = """
INSERT INTO ratings_recordaggregate (record_id, version)
SELECT id, extract(epoch FROM clock_timestamp()) * 1000 FROM ratings_record WHERE id = ANY(%(records)s::int[])
ORDER BY id
ON CONFLICT DO NOTHING
RETURNING record_id
"""

# A statement of its own, behind the lock: it sees whatever was committed before the lock was free.
_RECOMPUTE = f"""
WITH truth AS MATERIALIZED (
    SELECT wanted.record_id, sums.count, sums.total
    FROM unnest(%(records)s::int[]) AS wanted (record_id) CROSS JOIN LATERAL (
        SELECT count(value) AS count, coalesce(sum(value), 0) AS total FROM ratings_rating
        WHERE id BETWEEN wanted.record_id::bigint << {RATER_BITS}
                     AND wanted.record_id::bigint << {RATER_BITS} | {2**RATER_BITS - 1}
    ) AS sums
)
UPDATE ratings_recordaggregate AS aggregate
SET count = truth.count, total = truth.total, version = aggregate.version + 1, changed_at = clock_timestamp()
FROM truth
WHERE aggregate.record_id = truth.record_id
  AND (aggregate.count, aggregate.total) IS DISTINCT FROM (truth.count, truth.total)
RETURNING aggregate.record_id
"""


@dataclass(frozen=True, slots=True)
class Repair:
    """What one transaction did: how many aggregates it made or changed, and for how many seconds it held locks."""

    repaired: int
    lock_seconds: float


def aggregates_repair(findings: Iterable[Finding]) -> Iterator[Repair]:
    """Repairs what can be repaired of fresh findings; each Repair is committed when it is yielded.

    Idempotent, and safe beside any writer and beside itself. A writer waits for one short transaction; for as long as
    a record's ratings take to be counted only where the record was written to between the look and the repair.
    """
    mendable = sorted((one for one in findings if one.fault.is_mendable), key=lambda one: one.record)
    rest: list[Finding] = []
    for portion in _portions(mendable, ratings=None):
        repair, changed = _set_what_stands(portion)
        rest += [one for one in portion if one.record not in changed]
        yield repair
    for portion in _portions(rest, ratings=_RATINGS_AT_ONCE):
        yield _recompute(portion)


def _portions(findings: Iterable[Finding], *, ratings: int | None) -> Iterator[list[Finding]]:
    portion: list[Finding] = []
    counted = 0
    for finding in findings:
        too_many = ratings is not None and counted + finding.true.count > ratings
        if portion and (too_many or len(portion) == _RECORDS_AT_ONCE):
            yield portion
            portion, counted = [], 0
        portion.append(finding)
        counted += finding.true.count
    if portion:
        yield portion


def _set_what_stands(findings: Sequence[Finding]) -> tuple[Repair, set[int]]:
    seen = [one for one in findings if one.version is not None]
    parameters = {
        "records": [one.record for one in seen],
        "versions": [one.version for one in seen],
        "counts": [one.true.count for one in seen],
        "totals": [one.true.total for one in seen],
    }
    with _writing() as cursor:
        cursor.execute(_LOCK, parameters)
        began = time.monotonic()
        changed = {row[0] for row in cursor.execute(_SET_WHAT_STANDS, parameters)}
        mark_changed(cursor, sorted(changed))
    return Repair(len(changed), time.monotonic() - began), changed


def _recompute(findings: Sequence[Finding]) -> Repair:
    wanted = {"records": [one.record for one in findings]}
    with _writing() as cursor:
        changed = {row[0] for row in cursor.execute(_ADD_MISSING, wanted)}
        cursor.execute(_LOCK, wanted)
        began = time.monotonic()
        changed |= {row[0] for row in cursor.execute(_RECOMPUTE, wanted)}
        mark_changed(cursor, sorted(changed))
    return Repair(len(changed), time.monotonic() - began)


@contextmanager
def _writing() -> Iterator[psycopg.Cursor[Any]]:
    """A transaction behind the lock that comes first everywhere; the cursor binds parameters on the server."""
    with (
        connection.cursor(),
        connection.wrap_database_errors,
        psycopg.Cursor(connection.connection) as cursor,
        transaction.atomic(),
    ):
        interning_share(cursor)
        yield cursor
