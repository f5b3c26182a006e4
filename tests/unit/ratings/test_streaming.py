"""A stream of events: what is written, what is rejected and under which place, and what waits for whom."""

import threading
from itertools import chain, repeat

import psycopg
import pytest
from django.db import DatabaseError, IntegrityError, InternalError, OperationalError

from ratings import streaming
from ratings.errors import InvalidRating, StreamIdle
from ratings.events import RatingEvent
from ratings.inbox import Inbox
from ratings.streaming import RatingStream, Rejected
from tests.waiting import wait_until

LATE = 5


def event(record, tenths=50):
    return RatingEvent("movie", record, "", "ann", tenths)


def invalid(reason):
    return InvalidRating("user_id", reason)


def caused(error, cause):
    error.__cause__ = cause
    return error


class Connection:
    """Stands for Django's."""

    def __init__(self):
        self.connection = object()

    def close_if_health_check_failed(self):
        pass

    def ensure_connection(self):
        pass


class Database:
    """Refuses what stands in `refused`, and fails with the errors of `troubles`, one for each attempt."""

    def __init__(self, *refused, troubles=(), refusal=psycopg.errors.CheckViolation):
        self.refused = set(refused)
        self.refusal = refusal
        self.troubles = list(troubles)
        self.batches = []
        self.interners = []

    def write(self, events, interner):
        self.interners.append(interner)
        if self.troubles:
            raise self.troubles.pop(0)
        if self.refused & {event.record_id for event in events}:
            raise caused(DatabaseError("Titanic"), self.refusal("Titanic"))
        self.batches.append([event.record_id for event in events])


@pytest.fixture
def stream(monkeypatch):
    """Makes a stream into such a database."""

    def make(database):
        monkeypatch.setattr(streaming, "ratings_write_now", database.write)
        monkeypatch.setattr(streaming, "close_old_connections", lambda: None)
        monkeypatch.setattr(streaming, "connection", Connection())
        return RatingStream()

    return make


def test_what_is_not_valid_is_named_by_its_place_in_the_stream(stream):
    database = Database()
    written = stream(database)
    batch = written.write([event("1"), invalid("it is empty"), event("2")])
    assert (batch.received, batch.rejected) == (3, [Rejected(1, "user_id", "it is empty")])
    batch = written.write([invalid("it is long"), event("3")])
    assert (batch.received, batch.rejected) == (5, [Rejected(3, "user_id", "it is long")])
    assert database.batches == [["1", "2"], ["3"]]


def test_where_nothing_is_valid_the_database_is_not_asked(stream):
    database = Database()
    assert stream(database).write([invalid("it is empty")]).received == 1
    assert database.interners == []


def test_what_the_database_refuses_is_found_and_the_rest_written_in_order(stream):
    database = Database("3", "4")
    batch = stream(database).write([event("1"), invalid("it is empty"), *map(event, "23456")])
    reason = "a rule of the database refuses it (SQLSTATE 23514)"
    assert batch.received == 7
    assert batch.rejected == [
        Rejected(1, "user_id", "it is empty"),
        Rejected(3, "", reason),
        Rejected(4, "", reason),
    ]
    assert list(chain.from_iterable(database.batches)) == ["1", "2", "5", "6"]


@pytest.mark.parametrize("refusal", [psycopg.errors.NoDataFound, psycopg.errors.AssertFailure])
def test_what_a_trigger_refuses_under_another_code_is_refused_too(stream, refusal):
    database = Database("2", refusal=refusal)
    batch = stream(database).write([event("1"), event("2"), event("3")])
    assert batch.rejected == [Rejected(1, "", f"a rule of the database refuses it (SQLSTATE {refusal.sqlstate})")]
    assert list(chain.from_iterable(database.batches)) == ["1", "3"]


def test_a_lock_that_is_held_too_long_is_waited_for_again(stream):
    held = [
        caused(OperationalError(), psycopg.errors.LockNotAvailable()),
        caused(OperationalError(), psycopg.errors.DeadlockDetected()),
    ]
    database = Database(troubles=held)
    assert stream(database).write([event("1")]).rejected == []
    assert database.batches == [["1"]]


@pytest.mark.parametrize(
    "error",
    [
        caused(OperationalError(), psycopg.errors.AdminShutdown()),
        OperationalError("gone"),
        caused(IntegrityError(), psycopg.errors.SequenceGeneratorLimitExceeded()),
        caused(InternalError(), psycopg.errors.ReadOnlySqlTransaction()),
    ],
)
def test_a_trouble_of_the_databases_own_ends_the_stream(stream, error):
    database = Database(troubles=[error])
    with pytest.raises(type(error)):
        stream(database).write([event("1")])
    assert database.batches == []


def test_a_lock_is_not_waited_for_for_ever(stream):
    database = Database(troubles=repeat(caused(OperationalError(), psycopg.errors.LockNotAvailable()), 10))
    with pytest.raises(OperationalError):
        stream(database).write([event("1")])
    assert len(database.interners) == 3


def test_numbers_are_kept_for_the_stream_and_forgotten_with_its_connection(stream, monkeypatch):
    database = Database()
    written = stream(database)
    forgotten = []
    monkeypatch.setattr(written._interner, "forget", lambda: forgotten.append(len(database.batches)))
    for _ in range(3):
        written.write([event("1")])
    assert len(set(map(id, database.interners))) == 1
    assert forgotten == [0]
    streaming.connection.connection = object()
    written.write([event("1")])
    assert forgotten == [0, 3]


def filled(inbox, batches):
    thread = threading.Thread(target=inbox.fill, args=(batches,), daemon=True)
    thread.start()
    return thread


def test_an_inbox_gives_what_has_come_in_whole_batches_and_then_ends():
    inbox = Inbox(most=20, idle=LATE)
    inbox.fill([[1, 2], [3], [4, 5, 6]])
    assert inbox.take(most=5) == [1, 2, 3]
    assert inbox.take(most=5) == [4, 5, 6]
    assert inbox.take(most=5) is None


def test_an_inbox_that_is_full_holds_whoever_fills_it():
    inbox, asked = Inbox(most=4, idle=LATE), []

    def batches():
        for number in range(6):
            asked.append(number)
            yield [number, number]

    thread = filled(inbox, batches())
    wait_until(lambda: len(asked) == 3, LATE)
    assert inbox.take(most=2) == [0, 0]
    wait_until(lambda: len(asked) == 4, LATE)
    taken = []
    while (some := inbox.take(most=4)) is not None:
        assert len(some) <= 4
        taken += some
    assert taken == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    thread.join(LATE)
    assert not thread.is_alive()


def test_an_inbox_that_is_closed_lets_go_of_whoever_fills_it():
    inbox = Inbox(most=2, idle=LATE)
    thread = filled(inbox, repeat([1, 2]))
    assert inbox.take(most=2) == [1, 2]
    inbox.close()
    thread.join(LATE)
    assert not thread.is_alive()


def test_an_error_of_whoever_fills_it_comes_after_what_was_before():
    def batches():
        yield [1]
        raise InvalidRating("events", "it has 1001 entries")

    inbox = Inbox(most=2, idle=LATE)
    inbox.fill(batches())
    assert inbox.take(most=2) == [1]
    with pytest.raises(InvalidRating):
        inbox.take(most=2)


def test_nothing_comes():
    inbox = Inbox(most=2, idle=0.01)
    with pytest.raises(StreamIdle, match=r"nothing has come for 0\.01 s"):
        inbox.take(most=2)
    inbox.wake()
    assert inbox.take(most=2) == []
