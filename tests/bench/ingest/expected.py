"""Whether what a variant has left in Postgres is right: a rate of wrong tables is none."""

from dataclasses import dataclass

import numpy as np
import psycopg

from tests.bench.ingest.errors import WrongResult
from tests.bench.ingest.events import DELETE, RECORDS, Events

_WEIGHTS = 997

_RATINGS = f"""
SELECT count(*), count(rating.value), coalesce(sum(rating.value), 0),
       coalesce(sum(rating.value::bigint * (1 + rater.user_id::bigint % {_WEIGHTS})), 0)
FROM ratings_rating AS rating JOIN ratings_rater AS rater ON rater.id = rating.rater_id
"""
_AGGREGATES = """
SELECT record.external_id::bigint, aggregate.count, aggregate.total
FROM ratings_recordaggregate AS aggregate JOIN ratings_record AS record ON record.id = aggregate.record_id
"""


@dataclass(frozen=True, slots=True)
class Expected:
    """What must stand: rows with tombstones, ratings, their sum and weighted sum, and each record's aggregate."""

    rows: int
    ratings: int
    total: int
    checksum: int
    counts: tuple[int, ...]
    totals: tuple[int, ...]


def expected_of(events: Events) -> Expected:
    """From the events by numpy alone: the last event of each rating counts."""
    standing = events.standing()
    rated = standing.at(np.flatnonzero(standing.tenths != DELETE))
    records = RECORDS + len(range(RECORDS, int(standing.records.max()) + 1))
    return Expected(
        rows=len(standing),
        ratings=len(rated),
        total=int(rated.tenths.sum()),
        checksum=int((rated.tenths * (1 + rated.users % _WEIGHTS)).sum()),
        counts=tuple(np.bincount(rated.records, minlength=records).tolist()),
        totals=tuple(np.bincount(rated.records, weights=rated.tenths, minlength=records).astype(np.int64).tolist()),
    )


def check(connection: psycopg.Connection[tuple[int, ...]], expected: Expected) -> None:
    """Raises WrongResult unless ratings and aggregates are the expected ones, to the last, and no letter is dead."""
    found = connection.execute(_RATINGS).fetchone()
    wanted = (expected.rows, expected.ratings, expected.total, expected.checksum)
    if found is None or tuple(map(int, found)) != wanted:
        raise WrongResult(f"(rows, ratings, sum, weighted sum) are {found}, not {wanted}")
    counts, totals = [0] * len(expected.counts), [0] * len(expected.totals)
    for record, count, total in connection.execute(_AGGREGATES):
        counts[record], totals[record] = count, total
    wrong = [
        record
        for record, pair in enumerate(zip(counts, totals, strict=True))
        if pair != (expected.counts[record], expected.totals[record])
    ]
    if wrong:
        raise WrongResult(f"{len(wrong)} aggregates are wrong, that of record {wrong[0]} first")
    (letters,) = connection.execute("SELECT count(*) FROM ingestion_deadletter").fetchone() or (0,)
    if letters:
        raise WrongResult(f"{letters} dead letters")


def wrong_values(connection: psycopg.Connection[tuple[int, ...]], events: Events) -> int:
    """How many rows of Pathway's table are missing, too many, or have not the last value. Changes nothing there."""
    standing = events.standing()
    connection.execute("CREATE TEMPORARY TABLE standing (record_id text, user_id text, tenths bigint)")
    with connection.cursor() as cursor, cursor.copy("COPY standing FROM STDIN") as copy:
        columns = (standing.records.tolist(), standing.users.tolist(), standing.tenths.tolist())
        for record, user, tenths in zip(*columns, strict=True):
            copy.write(f"{record}\t{user}\t{tenths}\n")
    connection.execute("ANALYZE standing")
    (wrong,) = connection.execute(
        "SELECT count(*) FROM standing FULL JOIN rated USING (record_id, user_id)"
        " WHERE round(rated.value * 10)::bigint IS DISTINCT FROM standing.tenths"
    ).fetchone() or (0,)
    return wrong
