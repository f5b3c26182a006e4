"""Every writer marks what it changes, in the same transaction; publishers take off only what they have seen."""

import threading
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Any

import pytest
from django.db import connection, connections, transaction

from ratings.changes import (
    ChangedAggregate,
    Shard,
    changes_count,
    changes_read,
    changes_take_off,
    mark_changed,
    mark_next,
)
from ratings.events import RatingEvent
from ratings.interning import Interner
from ratings.services import (
    interning_share,
    rater_erase,
    rating_delete,
    rating_put,
    rating_writes,
    ratings_write,
    ratings_write_now,
)
from tests.rating_tables import assert_consistent, own_connection, rows

pytestmark = pytest.mark.django_db(transaction=True)

WHOLE = Shard(0, 1)
ANN = {"record_type": "movie", "record_id": "1", "provider_id": "", "user_id": "ann"}


@pytest.fixture(autouse=True)
def publishing(settings: Any) -> Any:
    settings.RATINGS_PUBLISH_AGGREGATES = True
    return settings


def event(tenths: int | None, *, record: str = "1", user: str = "ann") -> RatingEvent:
    return RatingEvent("movie", record, "", user, tenths)


def consume(events: Sequence[RatingEvent], time: int) -> None:
    """As the consumer writes."""
    with own_connection() as own, own.cursor() as cursor:
        writes = rating_writes(cursor, Interner(), events, [time] * len(events))
        with own.transaction():
            ratings_write(cursor, writes)


def marks() -> dict[str, int]:
    found = rows(
        "SELECT external_id, version FROM ratings_aggregatechange JOIN ratings_record ON ratings_record.id = record_id"
    )
    return dict(found)


def versions() -> dict[str, int]:
    found = rows(
        "SELECT external_id, version FROM ratings_recordaggregate JOIN ratings_record ON ratings_record.id = record_id"
        " WHERE version > 0"
    )
    return dict(found)


def read(shard: Shard = WHOLE, *, after: int = 0, most: int = 100) -> list[ChangedAggregate]:
    with own_connection() as own, own.cursor() as cursor:
        return changes_read(cursor, shard=shard, after=after, most=most)


def take_off(published: Sequence[ChangedAggregate]) -> None:
    with own_connection() as own, own.cursor() as cursor:
        changes_take_off(cursor, published)


def test_every_writer_marks_the_new_version() -> None:
    rating_put(**ANN, tenths=10)
    assert marks() == {"1": 1}
    rating_delete(**ANN)
    assert marks() == {"1": 2}
    ratings_write_now([event(20), event(30, record="2")])
    assert marks() == {"1": 3, "2": 1}
    consume([event(40, user="bob"), event(50, record="3", user="bob")], 1_600_000_000_000_000)
    assert marks() == {"1": 4, "2": 1, "3": 1}
    rater_erase(provider_id="", user_id="bob")
    assert marks() == {"1": 5, "2": 1, "3": 2} == versions()
    assert_consistent()


def test_what_changes_no_aggregate_marks_nothing() -> None:
    consume([event(10)], 1_600_000_000_000_000)
    take_off(read())
    consume([event(10)], 1_600_000_000_000_000)
    consume([event(10)], 1_700_000_000_000_000)
    consume([event(20)], 1_500_000_000_000_000)
    consume([event(None, record="2")], 1_600_000_000_000_000)
    assert marks() == {}


def test_nothing_is_marked_while_it_is_off(publishing: Any) -> None:
    publishing.RATINGS_PUBLISH_AGGREGATES = False
    rating_put(**ANN, tenths=10)
    with own_connection() as own, own.cursor() as cursor:
        mark_changed(cursor, [change for (change,) in rows("SELECT id FROM ratings_record")])
    assert marks() == {}


def test_a_write_that_is_rolled_back_marks_nothing() -> None:
    with transaction.atomic():
        rating_put(**ANN, tenths=10)
        assert marks() == {"1": 1}
        transaction.set_rollback(True)
    assert marks() == {}


def test_whoever_mends_aggregates_marks_them() -> None:
    ratings_write_now([event(10), event(20, record="2")])
    take_off(read())
    (number,) = rows("UPDATE ratings_recordaggregate SET version = 7 WHERE total = 10 RETURNING record_id")[0]
    with own_connection() as own, own.cursor() as cursor, own.transaction():
        interning_share(cursor)
        mark_changed(cursor, [number])
    assert marks() == {"1": 7}


def test_all_that_ever_had_a_rating_is_marked_step_by_step() -> None:
    ratings_write_now([event(10, record=str(number)) for number in range(7)])
    ratings_write_now([event(None, record="never rated")])
    rating_delete(**ANN)
    before = versions()
    take_off(read())
    looked: list[int] = []
    with own_connection() as own, own.cursor() as cursor:
        after: int | None = 0
        while after is not None:
            looked.append(after)
            after = mark_next(cursor, after=after, most=3)
    assert marks() == before
    assert len(looked) == 4
    assert looked == sorted(looked)


def test_a_record_that_changed_again_stays_on_the_list() -> None:
    ratings_write_now([event(10), event(10, record="2")])
    published = read()
    rating_put(**ANN, tenths=30)
    take_off(published)
    assert marks() == {"1": 2}
    (left,) = read()
    assert (left.record_type, left.record_id, left.count, left.total, left.version) == ("movie", "1", 1, 30, 2)
    take_off(published)
    assert marks() == {"1": 2}


def test_an_older_mark_never_replaces_a_newer_one() -> None:
    """Marking all reads the versions first: a writer may be faster."""
    rating_put(**ANN, tenths=10)
    (number,) = rows("SELECT id FROM ratings_record")[0]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE ratings_aggregatechange SET version = 9")
    with own_connection() as own, own.cursor() as cursor:
        mark_changed(cursor, [number])
        mark_next(cursor, after=0, most=10)
    assert marks() == {"1": 9}


def test_taking_off_waits_for_no_writer() -> None:
    ratings_write_now([event(10), event(10, record="2")])
    published = read()
    with own_connection() as writer, writer.transaction():
        writer.execute("UPDATE ratings_aggregatechange SET version = 2 WHERE record_id = %s", [published[0].number])
        with own_connection() as own, own.cursor() as cursor:
            cursor.execute("SET lock_timeout = '1s'")
            changes_take_off(cursor, published)
        assert set(marks()) == {"1"}
    assert marks() == {"1": 2}


def test_shards_and_steps_read_each_record_once_in_order() -> None:
    ratings_write_now([event(10, record=str(number)) for number in range(30)])
    parts = [read(Shard(number, 4)) for number in range(4)]
    numbers = [change.number for part in parts for change in part]
    assert len(numbers) == len(set(numbers)) == 30
    assert all(change.number % 4 == shard for shard, part in enumerate(parts) for change in part)
    first = read(most=20)
    assert [change.number for change in first + read(after=first[-1].number)] == sorted(numbers)
    with own_connection() as own, own.cursor() as cursor:
        assert changes_count(cursor, shard=Shard(1, 4), most=100) == len(parts[1])
        assert changes_count(cursor, shard=WHOLE, most=7) == 7


class Traffic:
    """Writers, somebody who marks all, and a publisher, each in a thread."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self.goes_on = True
        self.published: dict[int, ChangedAggregate] = {}

    def start(self, work: Callable[[], object]) -> threading.Thread:
        thread = threading.Thread(target=self._guarded, args=(work,), daemon=True)
        thread.start()
        return thread

    def write(self, seed: int) -> None:
        random = Random(seed)
        for _ in range(60):
            events = [
                event(random.choice([None, 10, 20]), record=str(random.randrange(9)), user=f"{seed}-{user}")
                for user in range(random.randint(1, 6))
            ]
            ratings_write_now(events)

    def erase(self) -> None:
        for number in range(10):
            rater_erase(provider_id="", user_id=f"1-{number % 6}")

    def mark_all(self) -> None:
        with own_connection() as own, own.cursor() as cursor:
            while self.goes_on:
                after: int | None = 0
                while after is not None:
                    with own.transaction():
                        interning_share(cursor)
                        after = mark_next(cursor, after=after, most=4)

    def publish(self) -> None:
        while self.goes_on:
            self.sweep()

    def sweep(self) -> int:
        found = read()
        for change in found:
            before = self.published.get(change.number)
            assert before is None or before.version < change.version or before == change
            self.published[change.number] = change
        take_off(found)
        return len(found)

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:  # handed to the test
            self.errors.append(error)
        finally:
            connections.close_all()


def test_what_was_published_last_is_what_stands_whoever_writes_meanwhile() -> None:
    """No change is lost, no version goes back, nobody waits for another in a circle."""
    traffic = Traffic()
    others = [traffic.start(traffic.publish), traffic.start(traffic.mark_all)]
    writers = [traffic.start(partial(traffic.write, seed)) for seed in range(3)] + [traffic.start(traffic.erase)]
    for thread in writers:
        thread.join(timeout=60)
    traffic.goes_on = False
    for thread in others:
        thread.join(timeout=20)
    assert traffic.errors == []
    while traffic.sweep():
        pass
    standing = rows("SELECT record_id, count, total, version FROM ratings_recordaggregate WHERE version > 0")
    assert {(number, one.count, one.total, one.version) for number, one in traffic.published.items()} == set(standing)
    assert marks() == {}
    assert_consistent()
