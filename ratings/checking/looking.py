"""Whether every aggregate is what its ratings say: a look at the whole table, or at some records, that locks nothing.

A rating and its aggregate change in one transaction, and one statement sees all of a transaction or nothing of it. So
what a single statement finds different is different, however many writers are at work.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.db import connection, transaction

from ratings.errors import RecordNotFound
from ratings.interning import RATER_BITS
from ratings.models import Record

_LEAST_AT_ONCE = 1_000_000
_PARTS = 8
_RATER_MASK = 2**RATER_BITS - 1

# No JIT: it would compile the plan of each part anew.
_LOOK_ONLY = "SET TRANSACTION READ ONLY; SET LOCAL jit = off"

_BOUNDS = f"""
SELECT least((SELECT min(id) >> {RATER_BITS} FROM ratings_rating), (SELECT min(record_id) FROM ratings_recordaggregate),
             (SELECT min(id) FROM ratings_record)),
       greatest((SELECT max(id) >> {RATER_BITS} FROM ratings_rating),
                (SELECT max(record_id) FROM ratings_recordaggregate), (SELECT max(id) FROM ratings_record)),
       (SELECT reltuples::bigint FROM pg_class WHERE oid = 'ratings_rating'::regclass)
"""

# The record at which this many ratings, or as many records, have been passed. least() leaves out what is null.
_PART_END = f"""
SELECT least(
    (SELECT id >> {RATER_BITS} FROM ratings_rating WHERE id >= %(first)s::bigint << {RATER_BITS}
     ORDER BY id OFFSET %(most)s LIMIT 1),
    (SELECT id FROM ratings_record WHERE id >= %(first)s ORDER BY id OFFSET %(most)s LIMIT 1)
)
"""

# Everything by the packed key, which is what the write path goes by; that the two columns agree with it is one of the
# things to find out. The sums come in every row, and in one row of nulls where all is well.
_LOOK = f"""
WITH truth AS (
    SELECT rating.id >> {RATER_BITS} AS record_id,
           count(rating.value) AS count,
           coalesce(sum(rating.value), 0) AS total,
           count(*) AS ratings,
           count(*) FILTER (WHERE rater.id IS NULL) AS without_rater,
           count(*) FILTER (WHERE rating.record_id <> rating.id >> {RATER_BITS}
                               OR rating.rater_id <> rating.id & {_RATER_MASK}) AS misfiled
    FROM ratings_rating AS rating LEFT JOIN ratings_rater AS rater ON rater.id = rating.rater_id
    WHERE rating.id BETWEEN %(first)s::bigint << {RATER_BITS} AND %(last)s::bigint << {RATER_BITS} | {_RATER_MASK}
    GROUP BY rating.id >> {RATER_BITS}
), looked_at AS MATERIALIZED (
    SELECT record_id,
           record.id IS NOT NULL AS has_record, record.type, record.external_id,
           aggregate.version IS NOT NULL AS has_aggregate,
           aggregate.count AS stored_count, aggregate.total AS stored_total, aggregate.version,
           coalesce(truth.count, 0) AS count, coalesce(truth.total, 0) AS total, coalesce(truth.ratings, 0) AS ratings,
           coalesce(truth.without_rater, 0) AS without_rater, coalesce(truth.misfiled, 0) AS misfiled
    FROM truth
    FULL JOIN (
        SELECT * FROM ratings_recordaggregate WHERE record_id BETWEEN %(first)s AND %(last)s
    ) AS aggregate USING (record_id)
    FULL JOIN (
        SELECT id AS record_id, * FROM ratings_record WHERE id BETWEEN %(first)s AND %(last)s
    ) AS record USING (record_id)
)
SELECT sums.records, sums.ratings, wrong.*
FROM (SELECT count(*) AS records, coalesce(sum(ratings), 0) AS ratings FROM looked_at) AS sums
LEFT JOIN looked_at AS wrong ON (wrong.stored_count, wrong.stored_total) IS DISTINCT FROM (wrong.count, wrong.total)
    OR NOT wrong.has_record OR NOT wrong.has_aggregate OR wrong.without_rater > 0 OR wrong.misfiled > 0
ORDER BY wrong.record_id
"""


class Fault(StrEnum):
    """What can be wrong with a record; the first two can be mended from the ratings."""

    DIFFERENT = "its aggregate differs from its ratings"
    MISSING = "it has no aggregate"
    NO_RECORD = "ratings or an aggregate without their record"
    NO_RATER = "ratings without their rater"
    MISFILED = "ratings whose key is not made of their record and rater"

    @property
    def is_mendable(self) -> bool:
        """Whether the ratings alone say how it should be."""
        return self in (Fault.DIFFERENT, Fault.MISSING)


@dataclass(frozen=True, slots=True)
class Sums:
    """How many ratings, and their sum in tenths."""

    count: int
    total: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault of one record: what is stored (None: nothing) and what its ratings say; `rows` are the ones at fault.

    `name` is the record's type and id, "" where there is no such record; `version` is the aggregate's at that moment.
    """

    fault: Fault
    record: int
    name: str
    stored: Sums | None
    version: int | None
    true: Sums
    rows: int


@dataclass(frozen=True, slots=True)
class Look:
    """What was looked at in one go and what was found; `share` of the whole, by the database's estimate, is passed."""

    records: int
    ratings: int
    findings: Sequence[Finding]
    share: float


def looks_at_everything() -> Iterator[Look]:
    """Looks at all records in the order of their numbers, a part of the table at a time; locks and changes nothing.

    One record is never divided, however many ratings it has. Records that are made meanwhile may be left out.
    """
    first, last, estimate = _row(_BOUNDS, {})
    # Ratings lie in the order of their arrival, so that every part may read the whole table: few parts, not small ones.
    most = max(_LEAST_AT_ONCE, estimate // _PARTS)
    passed = 0
    while first is not None and first <= last:
        (end,) = _row(_PART_END, {"first": first, "most": most})
        end = last if end is None else min(end, last)
        records, ratings, findings = _look(first, end)
        passed += ratings
        yield Look(records, ratings, findings, share=1.0 if end == last else passed / max(estimate, passed, 1))
        first = end + 1


def looks_at_records(names: Sequence[tuple[str, str]]) -> Iterator[Look]:
    """Looks at these records (type and id), one after the other. Raises RecordNotFound before the first look."""
    numbers = [_number(record_type, record_id) for record_type, record_id in names]
    for done, number in enumerate(numbers, start=1):
        yield Look(*_look(number, number), share=done / len(numbers))


def _number(record_type: str, record_id: str) -> int:
    number = Record.objects.filter(type=record_type, external_id=record_id).values_list("pk", flat=True).first()
    if number is None:
        raise RecordNotFound(f"There is no record {record_type}:{record_id}: nobody has ever rated it.")
    return number


def _look(first: int, last: int) -> tuple[int, int, list[Finding]]:
    rows = _rows(_LOOK, {"first": first, "last": last})
    records, ratings = rows[0][:2]
    wrong = [_Wrong(*row[2:]) for row in rows if row[2] is not None]
    return records, int(ratings), [finding for one in wrong for finding in _findings(one)]


@dataclass(frozen=True, slots=True)
class _Wrong:
    """A row of _LOOK without its sums."""

    record: int
    has_record: bool
    type: str
    external_id: str
    has_aggregate: bool
    stored_count: int
    stored_total: int
    version: int | None
    count: int
    total: int
    ratings: int
    without_rater: int
    misfiled: int


def _findings(wrong: _Wrong) -> Iterator[Finding]:
    stored = Sums(wrong.stored_count, wrong.stored_total) if wrong.has_aggregate else None
    true = Sums(wrong.count, int(wrong.total))
    name = f"{wrong.type}:{wrong.external_id}" if wrong.has_record else ""
    faults = {
        Fault.NO_RECORD: 0 if wrong.has_record else int(wrong.ratings) or 1,
        Fault.MISSING: int(wrong.has_record and stored is None),
        Fault.DIFFERENT: int(wrong.has_record and stored is not None and stored != true),
        Fault.NO_RATER: wrong.without_rater,
        Fault.MISFILED: wrong.misfiled,
    }
    for fault, rows in faults.items():
        if rows:
            yield Finding(fault, wrong.record, name, stored, wrong.version, true, rows)


def _row(statement: str, parameters: Mapping[str, int]) -> tuple[Any, ...]:
    return _rows(statement, parameters)[0]


def _rows(statement: str, parameters: Mapping[str, int]) -> list[tuple[Any, ...]]:
    """The rows of one look, which can change nothing."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_LOOK_ONLY)
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())
