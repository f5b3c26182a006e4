"""The ratings' contract, kept alike by Postgres and by the in-memory ratings."""

from collections.abc import Callable, Sequence
from typing import Protocol

import pytest
from django.db import transaction

from ratings.events import RatingEvent
from ratings.interning import Interner
from ratings.memory import MemoryRatings, RatingKey, StandingRating
from ratings.selectors import aggregate_get
from ratings.services import rater_erase, rating_writes, ratings_write, ratings_write_now
from tests import rating_tables

pytestmark = pytest.mark.django_db(transaction=True)

NOW = 1_700_000_000_000_000
FUTURE = 4_000_000_000_000_000
PAST = 1_000_000_000_000_000


class RatingStore(Protocol):
    """What both can do."""

    def write(self, events: Sequence[RatingEvent], times: Sequence[int]) -> None: ...

    def write_now(self, events: Sequence[RatingEvent]) -> None: ...

    def erase(self, *, provider_id: str, user_id: str) -> int: ...

    def aggregate(self, *, record_type: str, record_id: str) -> tuple[int, int] | None: ...

    def standing(self) -> dict[RatingKey, StandingRating]: ...


class PostgresRatings:
    """The write path, behind the same few methods."""

    def write(self, events: Sequence[RatingEvent], times: Sequence[int]) -> None:
        with rating_tables.own_connection() as connection, connection.cursor() as cursor:
            writes = rating_writes(cursor, Interner(), events, times)
            with connection.transaction():
                ratings_write(cursor, writes)

    def write_now(self, events: Sequence[RatingEvent]) -> None:
        ratings_write_now(events)

    def erase(self, *, provider_id: str, user_id: str) -> int:
        return rater_erase(provider_id=provider_id, user_id=user_id).ratings

    def aggregate(self, *, record_type: str, record_id: str) -> tuple[int, int] | None:
        found = aggregate_get(record_type=record_type, record_id=record_id)
        return (found.count, found.total) if found else None

    def standing(self) -> dict[RatingKey, StandingRating]:
        return rating_tables.standing("movie")


STORES: dict[str, Callable[[], RatingStore]] = {
    "memory": lambda: MemoryRatings(clock=lambda: NOW),
    "postgres": PostgresRatings,
}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> RatingStore:
    return STORES[request.param]()


def event(tenths: int | None, *, record: str = "1", user: str = "ann", provider: str = "") -> RatingEvent:
    return RatingEvent("movie", record, provider, user, tenths)


def values(store: RatingStore) -> dict[tuple[str, str, str], int | None]:
    return {key[1:]: standing.tenths for key, standing in store.standing().items()}


def test_nothing_was_rated(store: RatingStore) -> None:
    assert store.standing() == {}
    assert store.aggregate(record_type="movie", record_id="1") is None


def test_a_put_replaces_and_a_delete_removes(store: RatingStore) -> None:
    store.write_now([event(45)])
    store.write_now([event(20, user="bob")])
    assert store.aggregate(record_type="movie", record_id="1") == (2, 65)
    store.write_now([event(50)])
    assert store.aggregate(record_type="movie", record_id="1") == (2, 70)
    store.write_now([event(None)])
    assert store.aggregate(record_type="movie", record_id="1") == (1, 20)
    store.write_now([event(None, user="bob")])
    assert store.aggregate(record_type="movie", record_id="1") is None


def test_zero_is_a_rating(store: RatingStore) -> None:
    store.write_now([event(0)])
    assert store.aggregate(record_type="movie", record_id="1") == (1, 0)


def test_one_rating_per_record_provider_and_user(store: RatingStore) -> None:
    store.write_now([event(10), event(20, provider="imdb"), event(30, user="bob"), event(40, record="2")])
    store.write_now([event(11)])
    assert values(store) == {("1", "", "ann"): 11, ("1", "imdb", "ann"): 20, ("1", "", "bob"): 30, ("2", "", "ann"): 40}


def test_a_later_event_wins_in_whatever_order_they_arrive(store: RatingStore) -> None:
    store.write([event(20)], [PAST + 2])
    store.write([event(10)], [PAST + 1])
    assert store.standing() == {("movie", "1", "", "ann"): StandingRating(20, PAST + 2)}
    store.write([event(30), event(20)], [PAST + 3, PAST + 2])
    assert store.standing() == {("movie", "1", "", "ann"): StandingRating(30, PAST + 3)}


def test_a_put_that_arrives_after_a_later_delete_stays_deleted(store: RatingStore) -> None:
    store.write([event(None)], [PAST + 2])
    store.write([event(10)], [PAST + 1])
    assert store.standing() == {("movie", "1", "", "ann"): StandingRating(None, PAST + 2)}
    assert store.aggregate(record_type="movie", record_id="1") is None


def test_of_equal_times_the_later_arrival_wins(store: RatingStore) -> None:
    store.write([event(10)], [PAST])
    store.write([event(20)], [PAST])
    assert values(store) == {("1", "", "ann"): 20}
    store.write([event(30), event(None), event(40)], [PAST] * 3)
    assert values(store) == {("1", "", "ann"): 40}
    store.write([event(None)], [PAST])
    assert values(store) == {("1", "", "ann"): None}


def test_an_equal_rating_takes_the_later_time(store: RatingStore) -> None:
    store.write([event(10)], [PAST])
    store.write([event(10)], [PAST + 5])
    store.write([event(20)], [PAST + 4])
    assert store.standing() == {("movie", "1", "", "ann"): StandingRating(10, PAST + 5)}


def test_a_replay_changes_nothing(store: RatingStore) -> None:
    events, times = [event(10), event(None, user="bob"), event(20)], [PAST, PAST, PAST + 1]
    store.write(events, times)
    before = store.standing()
    store.write(events, times)
    store.write(events[1:], times[1:])
    assert store.standing() == before


def test_what_is_written_now_beats_all_that_stands(store: RatingStore) -> None:
    store.write([event(10)], [FUTURE])
    store.write_now([event(20), event(30)])
    assert store.standing() == {("movie", "1", "", "ann"): StandingRating(30, FUTURE + 1)}
    store.write_now([event(None)])
    assert store.standing() == {("movie", "1", "", "ann"): StandingRating(None, FUTURE + 2)}


def test_what_is_written_now_loses_to_a_later_event(store: RatingStore) -> None:
    store.write_now([event(20)])
    store.write([event(10)], [PAST])
    assert values(store) == {("1", "", "ann"): 20}
    store.write([event(10)], [FUTURE])
    assert values(store) == {("1", "", "ann"): 10}


def test_erasing_takes_one_person_of_one_provider(store: RatingStore) -> None:
    store.write_now([event(10), event(None, record="2"), event(20, provider="imdb"), event(30, user="bob")])
    assert store.erase(provider_id="", user_id="ann") == 1
    assert values(store) == {("1", "imdb", "ann"): 20, ("1", "", "bob"): 30}
    assert store.aggregate(record_type="movie", record_id="1") == (2, 50)
    assert store.erase(provider_id="", user_id="ann") == 0


def test_an_erased_person_may_come_back_even_with_an_older_event(store: RatingStore) -> None:
    store.write([event(10)], [PAST + 9])
    store.erase(provider_id="", user_id="ann")
    store.write([event(20)], [PAST])
    assert store.standing() == {("movie", "1", "", "ann"): StandingRating(20, PAST)}


def test_nothing_to_write_is_fine(store: RatingStore) -> None:
    store.write([], [])
    store.write_now([])
    assert store.standing() == {}


def test_a_callers_transaction_decides_over_all_of_it() -> None:
    with transaction.atomic():
        ratings_write_now([event(10)])
        transaction.set_rollback(True)
    assert rating_tables.standing("movie") == {}
    assert aggregate_get(record_type="movie", record_id="1") is None
