"""The write path's single promises: what one call changes, refuses and locks."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import psycopg
import pytest
from django.db import connections

from ratings.errors import AggregateMissing, InvalidRating, StaleIds
from ratings.events import RatingEvent
from ratings.interning import Interner
from ratings.models import Rater, RecordAggregate
from ratings.selectors import aggregate_get, aggregates_get
from ratings.services import (
    Erased,
    Written,
    rater_erase,
    rating_delete,
    rating_put,
    rating_writes,
    ratings_write,
    ratings_write_now,
)
from tests.rating_tables import (
    assert_consistent,
    microseconds,
    own_connection,
    rows,
    standing,
    wait_until_someone_waits_for,
)

pytestmark = pytest.mark.django_db(transaction=True)

T = 1_600_000_000_000_000


def event(tenths: int | None, *, record: str = "1", user: str = "ann", provider: str = "") -> RatingEvent:
    return RatingEvent("movie", record, provider, user, tenths)


def write(events: Sequence[RatingEvent], times: Sequence[int], interner: Interner | None = None) -> Written:
    with own_connection() as connection, connection.cursor() as cursor:
        writes = rating_writes(cursor, interner or Interner(), events, times)
        with connection.transaction():
            return ratings_write(cursor, writes)


def now() -> int:
    (moment,) = rows("SELECT clock_timestamp()")[0]
    return microseconds(moment)


@contextmanager
def in_a_thread(work: Callable[[], object]) -> Iterator[None]:
    """Runs `work` beside the block; after the block it must end within seconds, and without an error."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # handed to the test
            errors.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield
    thread.join(timeout=20)
    assert not thread.is_alive()
    assert errors == []


@contextmanager
def held_up(
    watcher: psycopg.Connection[Any], holder: psycopg.Connection[Any], work: Callable[[], object]
) -> Iterator[None]:
    """Runs `work`, which must wait for a lock of `holder`'s transaction, beside the block; then commits that one."""
    with in_a_thread(work):
        try:
            wait_until_someone_waits_for(watcher, holder.info.backend_pid)
            yield
        finally:
            holder.commit()


class TestOneRating:
    def test_put_and_delete(self) -> None:
        address = {"record_type": "movie", "record_id": "1", "provider_id": "", "user_id": "ann"}
        before = now()
        rating_put(**address, tenths=45)
        found = aggregate_get(record_type="movie", record_id="1")
        assert found is not None
        assert (found.count, found.total, found.average, found.version) == (1, 45, 4.5, 1)
        (rating,) = standing("movie").values()
        assert before <= rating.written_at <= now()
        rating_put(**address, tenths=45)
        rating_delete(**address)
        rating_delete(**address)
        assert aggregate_get(record_type="movie", record_id="1") is None
        assert_consistent()

    def test_each_put_and_delete_takes_a_later_time(self) -> None:
        address = {"record_type": "movie", "record_id": "1", "provider_id": "", "user_id": "ann"}
        times = []
        for tenths in (1, 1, 2):
            rating_put(**address, tenths=tenths)
            times.append(standing("movie")["movie", "1", "", "ann"].written_at)
        rating_delete(**address)
        times.append(standing("movie")["movie", "1", "", "ann"].written_at)
        assert times == sorted(set(times))

    def test_a_bad_id_is_refused_and_nothing_is_interned(self) -> None:
        for bad in ("", "x" * 129, "a\x00b", "\ud800"):
            with pytest.raises(InvalidRating) as caught:
                rating_put(record_type="movie", record_id="1", provider_id="", user_id=bad, tenths=45)
            assert caught.value.field == "userId"
            with pytest.raises(InvalidRating):
                rating_delete(record_type="movie", record_id=bad, provider_id="", user_id="ann")
        assert rows("SELECT count(*) FROM ratings_rater") == [(0,)]
        assert rows("SELECT count(*) FROM ratings_record") == [(0,)]

    def test_the_database_refuses_a_value_that_is_no_rating(self) -> None:
        for tenths in (101, -2):
            with pytest.raises(psycopg.errors.CheckViolation):
                write([event(tenths)], [T])
        assert standing("movie") == {}
        assert aggregate_get(record_type="movie", record_id="1") is None


class TestOneBatch:
    def test_writes_are_one_per_rating_in_the_order_of_their_keys(self) -> None:
        events = [event(n % 100, record=str(n * 7 % 13), user=str(n * 5 % 11)) for n in range(300)]
        with own_connection() as connection, connection.cursor() as cursor:
            writes = rating_writes(cursor, Interner(), events, range(300))
        assert np.all(np.diff(writes.ids) > 0)
        assert len(writes.ids) == 13 * 11
        last = {(e.record_id, e.user_id): (e.tenths, time) for time, e in enumerate(events)}
        assert sorted(zip(writes.values.tolist(), writes.times.tolist(), strict=True)) == sorted(last.values())

    def test_it_says_how_much_it_changed(self) -> None:
        assert write([event(10), event(20, user="bob"), event(30, record="2")], [T] * 3) == Written(3, 2)
        assert write([event(10), event(21, user="bob")], [T, T]) == Written(1, 1)
        assert write([event(10)], [T + 1]) == Written(1, 0)  # the time alone
        assert write([event(None, record="3")], [T]) == Written(1, 0)  # a tombstone where nothing was
        assert write([event(11)], [T - 1]) == Written(0, 0)
        assert write([], []) == Written(0, 0)

    def test_a_replay_touches_no_row(self) -> None:
        events = [event(n % 100, record=str(n % 7), user=str(n)) for n in range(50)] + [event(None)]
        write(events, [T] * 51)
        untouched = (
            "SELECT ctid::text, xmin::text FROM ratings_rating ORDER BY id",
            "SELECT ctid::text, xmin::text, version FROM ratings_recordaggregate ORDER BY record_id",
        )
        before = [rows(statement) for statement in untouched]
        assert write(events, [T] * 51) == Written(0, 0)
        assert [rows(statement) for statement in untouched] == before

    def test_the_version_and_its_time_move_with_the_aggregate_alone(self) -> None:
        write([event(10), event(20, user="bob")], [T, T])
        first = aggregate_get(record_type="movie", record_id="1")
        write([event(10)], [T + 1])
        assert aggregate_get(record_type="movie", record_id="1") == first
        write([event(11)], [T + 2])
        second = aggregate_get(record_type="movie", record_id="1")
        assert first is not None
        assert second is not None
        assert (first.version, second.version) == (1, 2)
        assert second.changed_at > first.changed_at

    def test_opposite_changes_of_one_record_still_make_a_new_version(self) -> None:
        write([event(10), event(20, user="bob")], [T, T])
        write([event(20), event(10, user="bob")], [T + 1] * 2)
        found = aggregate_get(record_type="movie", record_id="1")
        assert found is not None
        assert (found.total, found.version) == (30, 2)

    def test_a_record_without_its_aggregate_is_told_and_nothing_is_written(self) -> None:
        write([event(10)], [T])
        before = standing("movie")
        RecordAggregate.objects.all().delete()
        with pytest.raises(AggregateMissing, match="check_aggregates --repair"):
            write([event(20), event(30, record="2")], [T + 1] * 2)
        with pytest.raises(AggregateMissing):
            ratings_write_now([event(20)])
        assert standing("movie") == before

    def test_aggregates_of_many_records(self) -> None:
        write([event(10), event(30, user="bob"), event(5, record="2"), event(None, record="3")], [T] * 4)
        found = aggregates_get(record_type="movie", record_ids=["1", "2", "3", "4"])
        assert {record: (a.count, a.total) for record, a in found.items()} == {"1": (2, 40), "2": (1, 5)}


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


class TestLocks:
    """Every writer takes ratings by key and then aggregates by record, so that no two wait for each other."""

    @pytest.fixture
    def known(self) -> list[RatingEvent]:
        events = [event(50, record=f"{n:03}", user=f"{m:02}") for n in range(100) for m in range(3)]
        write(events, [T] * len(events))
        return events

    @pytest.mark.parametrize("writer", ["events", "commands", "erasure"])
    def test_aggregates_are_locked_in_the_order_of_their_records(self, known: list[RatingEvent], writer: str) -> None:
        works: dict[str, Callable[[], object]] = {
            "events": lambda: write([event(60, record=e.record_id, user="00") for e in known[::-1]], [T + 1] * 300),
            "commands": lambda: ratings_write_now([event(60, record=e.record_id, user="00") for e in known[::-1]]),
            "erasure": lambda: rater_erase(provider_id="", user_id="00"),
        }
        self.assert_first_only("ratings_recordaggregate", "record_id", works[writer])

    @pytest.mark.parametrize("writer", ["events", "events taken for a replay", "commands", "erasure"])
    def test_ratings_are_locked_in_the_order_of_their_keys(self, known: list[RatingEvent], writer: str) -> None:
        def write_as_a_replay() -> None:
            with patch("ratings.services.is_replay", return_value=True):
                write(changed, [T + 1] * 300)

        changed = [event(60, record=e.record_id, user="00") for e in known[::-1]]
        works: dict[str, Callable[[], object]] = {
            "events": lambda: write(changed, [T + 1] * 300),
            "events taken for a replay": write_as_a_replay,
            "commands": lambda: ratings_write_now(changed),
            "erasure": lambda: rater_erase(provider_id="", user_id="00"),
        }
        self.assert_first_only("ratings_rating", "id", works[writer])

    def test_no_rating_is_seen_before_its_aggregate(self) -> None:
        write([event(10)], [T])
        with own_connection() as holder, own_connection() as watcher:
            holder.execute("BEGIN")
            holder.execute("SELECT FROM ratings_recordaggregate FOR UPDATE")
            with held_up(watcher, holder, lambda: write([event(20), event(30, user="bob")], [T + 1] * 2)):
                assert [rating.tenths for rating in standing("movie").values()] == [10]
        assert_consistent()

    def test_a_difference_is_taken_from_what_another_writer_left(self) -> None:
        write([event(10)], [T])
        with own_connection() as first, own_connection() as watcher, first.cursor() as cursor:
            writes = rating_writes(cursor, Interner(), [event(70), event(5, user="bob")], [T + 1] * 2)
            first.execute("BEGIN")
            ratings_write(cursor, writes)
            with held_up(watcher, first, lambda: write([event(20)], [T + 2])):
                pass
        found = aggregate_get(record_type="movie", record_id="1")
        assert found is not None
        assert (found.count, found.total) == (2, 25)
        assert_consistent()

    @pytest.mark.parametrize("ahead", [0, 4_000_000_000_000_000])
    def test_a_command_beats_a_rating_that_was_just_being_added(self, ahead: int) -> None:
        with own_connection() as first, own_connection() as watcher, first.cursor() as cursor:
            writes = rating_writes(cursor, Interner(), [event(70)], [max(T, ahead)])
            first.execute("BEGIN")
            ratings_write(cursor, writes)
            with held_up(watcher, first, lambda: ratings_write_now([event(20)])):
                pass
        assert [rating.tenths for rating in standing("movie").values()] == [20]
        assert_consistent()

    def test_new_ids_are_nobodys_lock(self) -> None:
        write([event(10)], [T])
        with own_connection() as holder, own_connection() as watcher, own_connection() as other:
            holder.execute("BEGIN")
            holder.execute("SELECT FROM ratings_recordaggregate FOR UPDATE")
            with held_up(watcher, holder, lambda: ratings_write_now([event(20, user="bob")])):
                other.execute("SET lock_timeout = '1s'")
                assert Interner().intern(other.cursor(), [event(30, user="bob")])
        assert_consistent()

    @staticmethod
    def assert_first_only(table: str, key: str, work: Callable[[], object]) -> None:
        """With the first row of `table` taken by another, `work` waits for it and has locked none of the others."""
        with own_connection() as holder, own_connection() as watcher:
            holder.execute("BEGIN")
            holder.execute(f"SELECT FROM {table} WHERE {key} = (SELECT min({key}) FROM {table}) FOR UPDATE")
            with held_up(watcher, holder, work):
                free = f"SELECT FROM {table} WHERE {key} > (SELECT min({key}) FROM {table}) FOR UPDATE SKIP LOCKED"
                ((total,),) = rows(f"SELECT count(*) FROM {table}")
                assert watcher.execute(free).rowcount == total - 1
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


def with_another_connection(work: Callable[[], object]) -> None:
    """Runs `work` on a connection of its own, from begin to end."""
    with in_a_thread(work):
        pass
