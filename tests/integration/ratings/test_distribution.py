"""A record's distribution: of the same moment as its aggregate, and counted once for each version."""

from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from ratings import distribution
from ratings.distribution import distribution_get
from ratings.selectors import Aggregate, aggregate_get
from ratings.services import rating_delete, rating_put

pytestmark = pytest.mark.django_db(transaction=True)

RECORD = {"record_type": "movie", "record_id": "7"}


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distribution, "_remembered", distribution._Remembered())


def rate(user: str, tenths: int, record_id: str = "7") -> None:
    rating_put(record_type="movie", record_id=record_id, provider_id="", user_id=user, tenths=tenths)


def counts(record_id: str = "7") -> list[tuple[int, int]] | None:
    found = distribution_get(record_type="movie", record_id=record_id)
    if found is None:
        return None
    assert found.aggregate == aggregate_get(record_type="movie", record_id=record_id)
    assert sum(count for _, count in found.counts) == found.aggregate.count
    return list(found.counts)


def test_the_values_that_there_are_in_their_order() -> None:
    assert counts() is None
    for user, tenths in (("ann", 45), ("ben", 100), ("cid", 0), ("dan", 45)):
        rate(user, tenths)
    rate("ann", 5, record_id="8")
    assert counts() == [(0, 1), (45, 2), (100, 1)]
    rate("dan", 100)
    rating_delete(**RECORD, provider_id="", user_id="cid")
    assert counts() == [(45, 1), (100, 2)]
    for user in ("ann", "ben", "dan"):
        rating_delete(**RECORD, provider_id="", user_id=user)
    assert counts() is None
    assert counts("8") == [(5, 1)]


def test_a_record_that_has_not_changed_is_not_counted_again() -> None:
    def queries() -> int:
        with CaptureQueriesContext(connections["default"]) as captured:
            counts()
        return len(captured)

    rate("ann", 45)
    assert (queries(), queries(), queries()) == (1, 0, 0)
    rate("ben", 45, record_id="8")
    assert queries() == 0
    rate("ben", 45)
    assert (queries(), queries()) == (1, 0)
    assert counts() == [(45, 2)]


def test_only_those_asked_for_last_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distribution, "MOST_REMEMBERED", 2)
    for record_id in ("1", "2", "3"):
        rate("ann", 10, record_id)
    for record_id in ("1", "2", "1", "3"):
        assert counts(record_id) == [(10, 1)]
    assert list(distribution._remembered._counts) == [("movie", "1"), ("movie", "3")]


def test_a_write_in_between_leaves_both_parts_of_one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    def overtaken(**record: str) -> Aggregate | None:
        found = aggregate_get(**record)
        rate("ben", 100)
        return found

    rate("ann", 45)
    monkeypatch.setattr(distribution, "aggregate_get", overtaken)
    found = distribution_get(**RECORD)
    assert found is not None
    assert (found.aggregate.count, found.aggregate.total) == (2, 145)
    assert list(found.counts) == [(45, 1), (100, 1)]


def test_both_parts_are_of_one_moment_while_others_write() -> None:
    def write(number: int) -> None:
        random = Random(number)
        try:
            for _ in range(30):
                rate(f"u{number}", random.randrange(101))
        finally:
            connections.close_all()

    rate("ann", 45)
    with ThreadPoolExecutor(2) as pool:
        writing = [pool.submit(write, number) for number in range(2)]
        while not all(one.done() for one in writing):
            found = distribution_get(**RECORD)
            assert found is not None
            assert sum(count for _, count in found.counts) == found.aggregate.count
            assert sum(value * count for value, count in found.counts) == found.aggregate.total
        for one in writing:
            one.result()
    assert counts() is not None
