"""`manage.py check_aggregates --repair` over ten million ratings, beside a writer that may not wait for long."""

import random
import re
import threading
import time

import pytest
from django.db import connection, connections

from ratings.events import RatingEvent
from ratings.services import ratings_write_now
from tests.rating_tables import assert_consistent, rows

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.soak]

RECORDS = 100_000
RATERS = 1_000_000
PER_RECORD = 95
POPULAR = RECORDS + 1
OF_POPULAR = 500_000
LOCK_TIMEOUT = "3s"
PATIENCE = 3_600

# Ratings of one record are by different raters: the steps have no common factor with the number of raters.
FILL = f"""
INSERT INTO ratings_record (id, type, external_id) SELECT n, 'movie', n::text FROM generate_series(1, {POPULAR}) AS n;
INSERT INTO ratings_rater (id, provider_id, user_id) SELECT n, '', n::text FROM generate_series(1, {RATERS}) AS n;
INSERT INTO ratings_rating (id, record_id, rater_id, value, written_at)
SELECT record_id::bigint << 32 | rater_id, record_id, rater_id, nullif((record_id + rater_id) % 103, 102) % 101,
       '2024-01-01'
FROM (
    SELECT record_id, (record_id * 37 + place * 10007) % {RATERS} + 1 AS rater_id
    FROM generate_series(1, {RECORDS}) AS record_id, generate_series(1, {PER_RECORD}) AS place
    UNION ALL
    SELECT {POPULAR}, rater_id FROM generate_series(1, {OF_POPULAR}) AS rater_id
) AS rating;
INSERT INTO ratings_recordaggregate (record_id, count, total, version)
SELECT record_id, count(value), coalesce(sum(value), 0), 1 FROM ratings_rating GROUP BY record_id;
SELECT setval(pg_get_serial_sequence('ratings_record', 'id'), {POPULAR});
SELECT setval(pg_get_serial_sequence('ratings_rater', 'id'), {RATERS});
VACUUM (ANALYZE) ratings_rating
"""
# Whoever writes to a record without its aggregate is told so and writes nothing: the writer keeps off these.
MISSING = range(50_002, 50_102)
DRIFTS = f"""
UPDATE ratings_recordaggregate SET count = count + 1 WHERE record_id % 500 = 1;
DELETE FROM ratings_recordaggregate WHERE record_id BETWEEN {MISSING.start} AND {MISSING.stop - 1}
"""
DRIFTED = RECORDS // 500 + 1  # with the popular one


class Writer:
    """Writes twenty ratings at a time, from here and there, the popular and drifted records among them."""

    def __init__(self):
        self.seconds = []
        self.error = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join(timeout=60)
        assert not self._thread.is_alive()

    def _run(self):
        draw = random.Random(10)
        try:
            execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
            while not self._ended.is_set():
                events = [self._event(draw) for _ in range(20)]
                began = time.monotonic()
                ratings_write_now(events)
                self.seconds.append(time.monotonic() - began)
        except Exception as error:  # handed to the test
            self.error = error
        finally:
            connections.close_all()

    @staticmethod
    def _event(draw):
        record = draw.choice((POPULAR, draw.randrange(1, RECORDS), draw.randrange(1, RECORDS, 500)))
        record += len(MISSING) * (record in MISSING)
        tenths = draw.choice((None, draw.randrange(101)))
        return RatingEvent("movie", str(record), "", str(draw.randrange(1, RATERS + 1000)), tenths)


def execute(statements):
    with connection.cursor() as cursor:
        for statement in statements.split(";"):
            cursor.execute(statement)


def test_ten_million_ratings_are_checked_and_repaired_while_a_writer_writes(manage):
    began = time.monotonic()
    execute(FILL)
    assert rows("SELECT count(*) FROM ratings_rating") == [(RECORDS * PER_RECORD + OF_POPULAR,)]
    execute(DRIFTS)
    print(f"filled in {time.monotonic() - began:.0f} s")
    with Writer() as writer:
        for arguments, code, words in (
            ([], 1, rf"\b{len(MISSING)} records without an aggregate"),
            (["--repair"], 0, rf"Repaired: {len(MISSING) + DRIFTED} aggregates"),
            ([], 0, "Every aggregate is what its ratings say"),
        ):
            before, began = len(writer.seconds), time.monotonic()
            done = manage("check_aggregates", *arguments, timeout=PATIENCE)
            seconds, waits = time.monotonic() - began, writer.seconds[before:]
            print(done.stdout[-400:])
            print(f"{arguments} {seconds:.1f} s; {len(waits)} writes beside it, the longest {max(waits):.2f} s")
            assert writer.error is None, writer.error
            assert done.returncode == code, done.stderr
            assert re.search(words, done.stdout)
    assert writer.error is None, writer.error
    assert_consistent()
