"""The write path's single promises: what one call changes, and what it refuses."""

import numpy as np
import psycopg
import pytest

from ratings.errors import AggregateMissing, InvalidRating
from ratings.interning import Interner
from ratings.models import RecordAggregate
from ratings.selectors import aggregate_get, aggregates_get
from ratings.services import Written, rating_delete, rating_put, rating_writes, ratings_write_now
from tests.rating_tables import assert_consistent, microseconds, own_connection, rows, standing
from tests.rating_writers import T, event, write

pytestmark = pytest.mark.django_db(transaction=True)


def now() -> int:
    (moment,) = rows("SELECT clock_timestamp()")[0]
    return microseconds(moment)


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
