"""Columns reach Postgres as the numbers they are."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratings.columns import Bigints, Smallints, Texts, Timestamps, execute
from tests.examples import fixed
from tests.rating_tables import EPOCH, microseconds, own_connection

pytestmark = pytest.mark.django_db

# Microseconds since the Unix epoch: the first moment that Postgres can store, and one near the last that 64 bits hold.
FIRST = -210_866_803_200_000_000
LATE = 9_000_000_000_000_000_001


@pytest.fixture
def cursor() -> Iterator[psycopg.Cursor[Any]]:
    with own_connection() as connection, connection.cursor() as cursor:
        yield cursor


def echoed(cursor: psycopg.Cursor[Any], column: object, expression: str = "element") -> list[Any]:
    found = execute(cursor, f"SELECT {expression} FROM unnest(%(column)s) AS element", {"column": column})
    return [row[0] for row in found]


@fixed(50)
@given(numbers=st.lists(st.integers(-(2**15), 2**15 - 1)))
def test_smallints(cursor: psycopg.Cursor[Any], numbers: list[int]) -> None:
    assert echoed(cursor, Smallints(np.array(numbers, dtype=np.int16))) == numbers


@fixed(50)
@given(numbers=st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_bigints(cursor: psycopg.Cursor[Any], numbers: list[int]) -> None:
    assert echoed(cursor, Bigints(np.array(numbers, dtype=np.int64))) == numbers


@fixed(50)
@given(moments=st.lists(st.datetimes(timezones=st.just(UTC))))
def test_timestamps(cursor: psycopg.Cursor[Any], moments: list[datetime]) -> None:
    column = Timestamps(np.array([microseconds(moment) for moment in moments], dtype=np.int64))
    assert echoed(cursor, column) == moments


@fixed(50)
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))))
def test_texts(cursor: psycopg.Cursor[Any], texts: list[str]) -> None:
    assert echoed(cursor, Texts(texts)) == texts


def test_extreme_timestamps_are_exact(cursor: psycopg.Cursor[Any]) -> None:
    moments = [FIRST, -1, 0, 1, LATE]
    column = Timestamps(np.array(moments, dtype=np.int64))
    assert echoed(cursor, column, "(extract(epoch FROM element) * 1000000)::bigint") == moments


def test_a_time_that_postgres_cannot_store_is_refused(cursor: psycopg.Cursor[Any]) -> None:
    with pytest.raises(psycopg.DataError, match="timestamp out of range"):
        echoed(cursor, Timestamps(np.array([FIRST - 1], dtype=np.int64)))


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (Smallints(np.array([], dtype=np.int16)), "smallint[]"),
        (Bigints(np.array([], dtype=np.int64)), "bigint[]"),
        (Timestamps(np.array([], dtype=np.int64)), "timestamp with time zone[]"),
        (Texts([]), "text[]"),
    ],
)
def test_an_empty_column_keeps_its_type(cursor: psycopg.Cursor[Any], column: object, kind: str) -> None:
    found = execute(cursor, "SELECT pg_typeof(%(column)s)::text, cardinality(%(column)s)", {"column": column})
    assert found.fetchall() == [(kind, 0)]


def test_a_column_of_every_other_element_is_sent_as_it_reads(cursor: psycopg.Cursor[Any]) -> None:
    numbers = np.arange(10, dtype=np.int64)
    assert echoed(cursor, Bigints(numbers[::2])) == [0, 2, 4, 6, 8]
    assert echoed(cursor, Bigints(numbers[::-1])) == list(range(9, -1, -1))


def test_other_parameters_are_sent_as_ever(cursor: psycopg.Cursor[Any]) -> None:
    column = Smallints(np.array([1], dtype=np.int16))
    found = execute(cursor, "SELECT %(column)s, %(text)s::text", {"column": column, "text": "é"})
    assert found.fetchone() == ([1], "é")
    assert microseconds(EPOCH + timedelta(days=1)) == 86_400_000_000
