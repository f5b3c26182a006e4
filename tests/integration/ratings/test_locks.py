"""What the write path locks, in which order, and who waits for whom."""

from collections.abc import Callable
from unittest.mock import patch

import pytest

from ratings.events import RatingEvent
from ratings.interning import Interner
from ratings.selectors import aggregate_get
from ratings.services import rater_erase, rating_writes, ratings_write, ratings_write_now
from tests.rating_tables import assert_consistent, own_connection, rows, standing
from tests.rating_writers import T, event, held_up, write

pytestmark = pytest.mark.django_db(transaction=True)


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
