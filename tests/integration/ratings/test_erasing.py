"""Erasing a rater: what goes, what stays, and that nobody writes under a number from before."""

from collections.abc import Sequence
from typing import Any

import psycopg
import pytest

from ratings.errors import StaleIds
from ratings.events import RatingEvent
from ratings.interning import Interner
from ratings.models import Rater
from ratings.selectors import aggregate_get
from ratings.services import (
    Erased,
    Written,
    rater_erase,
    rating_put,
    rating_writes,
    ratings_write,
    ratings_write_now,
)
from tests.rating_tables import assert_consistent, own_connection, rows, standing
from tests.rating_writers import T, event, held_up, in_a_thread, with_another_connection, write

pytestmark = pytest.mark.django_db(transaction=True)


class TestStaleIds:
    def test_ids_from_before_an_erasure_are_refused(self) -> None:
        interner = Interner()
        write([event(10)], [T], interner)
        rater_erase(provider_id="", user_id="ann")
        with pytest.raises(StaleIds):
            write([event(20)], [T + 1], interner)
        with pytest.raises(StaleIds):
            write([], [], interner)
        assert rows("SELECT count(*) FROM ratings_rating") == [(0,)]
        interner.forget()
        assert write([event(20)], [T + 1], interner) == Written(1, 1)
        assert_consistent()

    def test_an_erasure_waits_for_a_write_and_takes_it_too(self) -> None:
        with own_connection() as watcher, own_connection() as connection, connection.cursor() as cursor:
            writes = rating_writes(cursor, Interner(), [event(10), event(20, user="bob")], [T, T])
            connection.execute("BEGIN")
            ratings_write(cursor, writes)
            with held_up(watcher, connection, lambda: rater_erase(provider_id="", user_id="ann")):
                pass
        assert {key[3] for key in standing("movie")} == {"bob"}
        assert_consistent()

    def test_a_command_that_meets_an_erasure_is_repeated_with_new_ids(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rating_put(record_type="movie", record_id="1", provider_id="", user_id="ann", tenths=10)
        old = Rater.objects.get()
        intern = Interner.intern
        looks: list[int] = []

        def intern_then_erased(self: Interner, cursor: psycopg.Cursor[Any], events: Sequence[RatingEvent]) -> Any:
            keys = intern(self, cursor, events)
            if not looks:
                with_another_connection(lambda: rater_erase(provider_id="", user_id="ann"))
            looks.append(1)
            return keys

        monkeypatch.setattr(Interner, "intern", intern_then_erased)
        rating_put(record_type="movie", record_id="1", provider_id="", user_id="ann", tenths=20)
        assert len(looks) == 2
        assert Rater.objects.get().id != old.id
        assert [rating.tenths for rating in standing("movie").values()] == [20]
        assert_consistent()


class TestErasing:
    def test_it_says_what_it_took(self) -> None:
        ratings_write_now([event(10), event(20, record="2"), event(None, record="3"), event(30, user="bob")])
        assert rater_erase(provider_id="", user_id="ann") == Erased(ratings=2, tombstones=1)
        assert rater_erase(provider_id="", user_id="ann") == Erased(ratings=0, tombstones=0)
        assert [rater.user_id for rater in Rater.objects.all()] == ["bob"]
        assert_consistent()

    def test_the_records_stay_with_an_aggregate_of_no_ratings(self) -> None:
        ratings_write_now([event(10)])
        rater_erase(provider_id="", user_id="ann")
        assert aggregate_get(record_type="movie", record_id="1") is None
        assert rows("SELECT count, total, version FROM ratings_recordaggregate") == [(0, 0, 2)]

    def test_only_tombstones_leave_the_aggregate_as_it_is(self) -> None:
        ratings_write_now([event(None), event(10, user="bob")])
        before = aggregate_get(record_type="movie", record_id="1")
        assert rater_erase(provider_id="", user_id="ann") == Erased(ratings=0, tombstones=1)
        assert aggregate_get(record_type="movie", record_id="1") == before

    def test_two_erasures_at_once_both_succeed(self) -> None:
        ratings_write_now([event(10, user=user, record=str(n)) for user in ("ann", "bob") for n in range(20)])
        with in_a_thread(lambda: rater_erase(provider_id="", user_id="ann")):
            rater_erase(provider_id="", user_id="bob")
        assert standing("movie") == {}
        assert rows("SELECT generation FROM ratings_interning") == [(2,)]
        assert_consistent()
