"""What a follower reads about one aggregate."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratings.changes import ChangedAggregate
from tests.rating_events import ids
from workers.publishing.messages import aggregate_message, record_key

MOMENT = datetime(2026, 5, 4, 3, 2, 1, 123456, tzinfo=UTC)


def changed(count: int, total: int, *, record_type: str = "movie", record_id: str = "1") -> ChangedAggregate:
    return ChangedAggregate(7, record_type, record_id, count, total, 9, MOMENT)


def test_an_aggregate_as_a_message() -> None:
    key, value = aggregate_message(changed(8, 340))
    assert key == b"movie:1"
    assert value == (
        b'{"recordType":"movie","recordId":"1","count":8,"sum":34.0,"mean":4.25,"version":9,'
        b'"changedAt":"2026-05-04T03:02:01.123456Z"}'
    )


def test_a_record_that_nobody_rates_any_more_is_a_value_without_a_mean() -> None:
    _, value = aggregate_message(changed(0, 0))
    assert b'"count":0,"sum":0.0,"mean":null,' in value


@pytest.mark.parametrize(("total", "text"), [(1, "0.1"), (10, "1.0"), (10**17 + 1, "10000000000000000.1")])
def test_the_sum_is_exact_in_tenths(total: int, text: str) -> None:
    _, value = aggregate_message(changed(10**17, total))
    assert f'"sum":{text},'.encode() in value


def test_the_mean_is_the_one_that_rest_gives() -> None:
    _, value = aggregate_message(changed(3, 10))
    assert json.loads(value)["mean"] == 10 / 30


@given(first=st.tuples(ids, ids), second=st.tuples(ids, ids))
def test_no_two_records_share_a_key(first: tuple[str, str], second: tuple[str, str]) -> None:
    assert (record_key(*first) == record_key(*second)) == (first == second)


def test_a_colon_in_a_type_does_not_make_it_another_record() -> None:
    assert record_key("a:b", "c") == b"a%3Ab:c"
    assert record_key("a", "b:c") == b"a:b:c"
    assert record_key("a%3Ab", "c") == b"a%253Ab:c"
