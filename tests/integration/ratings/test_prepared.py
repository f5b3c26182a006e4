"""The look-up past psycopg's cursor answers as the one through it does, and survives what happens to a connection."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection

from ratings.prepared import aggregate_row, prepares
from ratings.selectors import aggregate_get
from ratings.services import rating_delete, rating_put
from tests.rating_tables import own_connection

pytestmark = pytest.mark.django_db(transaction=True)

RAW = {"record_type": "movie", "record_id": "7"}


def rate(user: str, tenths: int, record_id: str = "7") -> None:
    rating_put(record_type="movie", record_id=record_id, provider_id="", user_id=user, tenths=tenths)


@pytest.fixture
def preparing() -> Iterator[psycopg.Connection[Any]]:
    """A connection as a gRPC server's threads have it."""
    with own_connection() as made:
        made.prepare_threshold = 5
        yield made


def assert_same(preparing: psycopg.Connection[Any], record_id: str) -> None:
    found = aggregate_get(record_type="movie", record_id=record_id)
    wanted = None if found is None else (found.count, found.total, found.version, found.changed_at)
    assert aggregate_row(preparing, record_type="movie", record_id=record_id) == wanted


def test_it_answers_as_the_cursor_does(preparing: psycopg.Connection[Any]) -> None:
    odd = "ü😀 '%s' $1\\"
    rate("ann", 45)
    rate("ben", 100)
    rate("ann", 0, odd)
    rate("ann", 5, "gone")
    rating_delete(record_type="movie", record_id="gone", provider_id="", user_id="ann")
    for record_id in ("7", odd, "gone", "unknown", "", "7"):
        assert_same(preparing, record_id)
    row = aggregate_row(preparing, **RAW)
    assert row is not None
    assert row[:3] == (2, 145, 2)


def test_an_id_is_never_cut_off_at_a_nul(preparing: psycopg.Connection[Any]) -> None:
    rate("ann", 45)
    with pytest.raises(psycopg.DataError):
        aggregate_row(preparing, record_type="movie", record_id="7\x00x")
    assert aggregate_row(preparing, **RAW) is not None


def test_what_a_rollback_has_dropped_is_prepared_anew(preparing: psycopg.Connection[Any]) -> None:
    rate("ann", 45)
    assert_same(preparing, "7")
    preparing.execute("DEALLOCATE ALL")
    assert_same(preparing, "7")


def test_in_a_transaction_or_where_nothing_is_prepared_it_is_not_asked(preparing: psycopg.Connection[Any]) -> None:
    assert prepares(preparing)
    with preparing.transaction():
        assert not prepares(preparing)
    preparing.prepare_threshold = None
    assert not prepares(preparing)


def test_a_lost_connection_is_an_operational_error(preparing: psycopg.Connection[Any]) -> None:
    assert aggregate_row(preparing, **RAW) is None
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [preparing.info.backend_pid])
    for _ in range(2):
        with pytest.raises(psycopg.OperationalError):
            aggregate_row(preparing, **RAW)
    assert preparing.closed
    assert not prepares(preparing)


def test_a_statement_that_takes_too_long_is_cancelled(preparing: psycopg.Connection[Any]) -> None:
    rate("ann", 45)
    assert_same(preparing, "7")
    preparing.execute("SET statement_timeout = '50ms'")
    with own_connection() as other, other.transaction():
        other.execute("LOCK TABLE ratings_recordaggregate IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(psycopg.errors.QueryCanceled):
            aggregate_row(preparing, **RAW)
    assert_same(preparing, "7")
