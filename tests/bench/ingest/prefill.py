"""Fills the database of the environment with ratings that were written before, through the one write path.

Only the ids are not interned one by one: they are added in bulk, which leaves the same rows.
"""

import argparse
from typing import Any

import numpy as np
import psycopg

from tests.bench.ingest.events import PROVIDER, RECORD_TYPE, RECORDS, USERS, distinct_ratings

SEED = 7
_BATCH = 50_000
_TIME = 1_700_000_000_000_000

_IDS = """
INSERT INTO ratings_record (type, external_id) SELECT %(type)s, n::text FROM generate_series(0, %(records)s) AS n;
INSERT INTO ratings_recordaggregate (record_id) SELECT id FROM ratings_record;
INSERT INTO ratings_rater (provider_id, user_id) SELECT %(provider)s, n::text FROM generate_series(0, %(users)s) AS n
"""


def main() -> None:
    """Writes all ids, and `--ratings` different ratings of SEED in random order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ratings", type=int, required=True)
    count = parser.parse_args().ratings
    import django

    django.setup()
    from ratings.services import RatingWrites, ratings_write
    from workers.database import connect

    ratings = distinct_ratings(count, seed=SEED)
    bulk = {"type": RECORD_TYPE, "records": RECORDS - 1, "provider": PROVIDER, "users": USERS - 1}
    with connect() as connection, psycopg.Cursor[Any](connection) as cursor:
        for statement in _IDS.split(";"):
            cursor.execute(statement.encode(), bulk)
        records = _numbers(cursor, "SELECT external_id::int, id FROM ratings_record", RECORDS)
        raters = _numbers(cursor, "SELECT user_id::int, id FROM ratings_rater", USERS)
        ids = (records[ratings.records] << 32) | raters[ratings.users]
        for first in range(0, count, _BATCH):
            part = slice(first, first + _BATCH)
            order = np.argsort(ids[part])
            values = ratings.tenths[part][order].astype(np.int16)
            times = np.full(len(order), _TIME, dtype=np.int64)
            with connection.transaction():
                ratings_write(cursor, RatingWrites(ids[part][order], values, times, generation=0))
    with connect() as connection:
        connection.execute("SET statement_timeout = 0")
        connection.execute("VACUUM (ANALYZE)")


def _numbers(cursor: psycopg.Cursor[Any], query: str, count: int) -> Any:
    numbers = np.zeros(count, dtype=np.int64)
    for text, number in cursor.execute(query.encode()).fetchall():
        numbers[text] = number
    return numbers


if __name__ == "__main__":
    main()
