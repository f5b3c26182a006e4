"""What the IngestionStore on Postgres does beyond the contract: lost connections, locks, other databases' settings."""

import threading
from contextlib import closing

import psycopg
import pytest
from django.db import connection

from ratings.services import rater_erase
from tests import rating_tables
from tests.ingestion_stores import TIME, PostgresDatabase, letter, part, raters, take, write
from tests.waiting import wait_until
from workers.database import connect
from workers.ingestion.consuming.batch import Batch
from workers.ingestion.errors import StoreUnavailable
from workers.ingestion.models import ConsumerOffset, DeadLetter
from workers.kafka.topics import Topic


@pytest.fixture
def postgres(transactional_db):
    with closing(PostgresDatabase()) as database:
        yield database


def test_header_names_that_postgres_cannot_hold_are_written_in_another_way(postgres):
    store = postgres.store()
    claim = take(store, 0)[0]
    names = (("nul\x00", b"1"), ("half \ud800", b"2"))
    write(store, Batch([part(claim, letters=[letter(0, headers=names)])]))
    assert DeadLetter.objects.get().headers == [["nul\\x00", "MQ=="], ["half \\ud800", "Mg=="]]


def test_a_letter_says_where_it_was_and_why(postgres):
    store = postgres.store()
    write(store, Batch([part(take(store, 1)[1], partition=1, letters=[letter(0)])]))
    row = DeadLetter.objects.get()
    assert (row.cluster_id, row.topic_id, row.topic) == ("cluster-1", "topic-1", "ratings")
    assert (row.field, row.reason) == ("ratingValue", "it is wrong")


def test_a_topic_made_anew_and_another_cluster_begin_from_their_own_start(postgres):
    store = postgres.store()
    write(store, Batch([part(take(store, 0)[0], "a")]))
    anew = Topic(name="ratings", topic_id="topic-2", cluster_id="cluster-1", partitions=3)
    elsewhere = Topic(name="ratings", topic_id="topic-1", cluster_id="cluster-2", partitions=3)
    for topic in (anew, elsewhere):
        assert postgres.store(topic=topic).positions() == {}
    assert ConsumerOffset.objects.count() == 1


def terminate_all_but_me():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return len(cursor.fetchall())


def test_a_lost_connection_is_told_and_the_next_call_has_a_new_one(postgres):
    store = postgres.store()
    claim = take(store, 0)[0]
    assert terminate_all_but_me() >= 1
    batch = Batch([part(claim, "a", letters=[letter(1)])])
    with pytest.raises(StoreUnavailable):
        write(store, batch)
    write(store, batch)
    write(store, batch)
    assert raters(postgres) == {"a"}
    assert [found[-1] for found in postgres.letters()] == [1]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_connection_lost_at_the_commit_leaves_all_or_nothing(postgres, monkeypatch, moment):
    """The commit's answer is lost, and whether it happened is not known: the repeat finds it out."""
    store = postgres.store()
    claims = take(store, 0, 1)
    batch = Batch([part(claims[0], "a", letters=[letter(1)]), part(claims[1], "b", partition=1)])
    lost = []

    class LosesOneAnswer(psycopg.Transaction):
        def __exit__(self, kind, error, trace):
            if kind is None and not lost:
                lost.append(moment)
                if moment == "after":
                    super().__exit__(None, None, None)
                self.connection.close()
                raise psycopg.OperationalError("the connection was lost")
            return super().__exit__(kind, error, trace)

    monkeypatch.setattr("psycopg.connection.Transaction", LosesOneAnswer)
    with pytest.raises(StoreUnavailable):
        write(store, batch)
    assert raters(postgres) == (set() if moment == "before" else {"a", "b"})
    write(store, batch)
    assert lost
    assert raters(postgres) == {"a", "b"}
    assert [found[-1] for found in postgres.letters()] == [1]


def test_a_new_owner_waits_for_the_writer_before_it_and_goes_on_behind_it(postgres):
    """The offsets' rows are locked first, so a take-over sees all of a batch or fences all of it."""
    slow, heir = postgres.store(), postgres.store()
    claim = take(slow, 0)[0]
    with rating_tables.own_connection() as blocker, blocker.transaction():
        blocker.execute("LOCK TABLE ratings_rating IN ACCESS EXCLUSIVE MODE")
        writing = threading.Thread(target=write, args=[slow, Batch([part(claim, "a")])])
        writing.start()
        wait_until(lambda: waiting_for_locks() == 1)
        claims = {}
        taking = threading.Thread(target=lambda: claims.update(take(heir, 0)))
        taking.start()
        wait_until(lambda: waiting_for_locks() == 2)
    writing.join(10)
    taking.join(10)
    assert (claims[0].epoch, claims[0].next_offset) == (2, 1)
    assert raters(postgres) == {"a"}


def waiting_for_locks():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return cursor.fetchone()[0]


def test_an_erasure_in_between_makes_the_ids_be_looked_up_again(postgres):
    store = postgres.store()
    claim = take(store, 0)[0]
    write(store, Batch([part(claim, "ab")]))
    rater_erase(provider_id="", user_id="a")
    claim.next_offset = 2
    write(store, Batch([part(claim, "a", time=TIME + 1)]))
    assert raters(postgres) == {"a", "b"}


def test_another_default_isolation_is_overridden(postgres):
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        name = cursor.fetchone()[0]
        cursor.execute(f'ALTER DATABASE "{name}" SET default_transaction_isolation TO serializable')
        cursor.execute(f'ALTER DATABASE "{name}" SET synchronous_commit TO off')
    try:
        with rating_tables.own_connection() as plain, connect() as ours:
            assert plain.execute("SHOW transaction_isolation").fetchone() == ("serializable",)
            assert ours.execute("SHOW transaction_isolation").fetchone() == ("read committed",)
            assert ours.execute("SHOW synchronous_commit").fetchone() == ("on",)
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f'ALTER DATABASE "{name}" RESET default_transaction_isolation')
            cursor.execute(f'ALTER DATABASE "{name}" RESET synchronous_commit')


def test_a_letter_that_is_read_once_more_after_the_position_was_set_back_is_counted_not_doubled(postgres):
    store = postgres.store()
    batch = Batch([part(take(store, 0)[0], letters=[letter(0)])])
    write(store, batch)
    ConsumerOffset.objects.update(next_offset=0)
    write(store, batch)
    assert [found[-1] for found in postgres.letters()] == [2]


def test_nothing_is_pipelined_so_that_a_frozen_consumer_is_cut_off(postgres, monkeypatch):
    """A pipeline suspends idle_in_transaction_session_timeout: whoever froze in one would keep the next owner out."""

    def pipeline(*_, **__):
        raise AssertionError("a pipeline was opened")

    monkeypatch.setattr(psycopg.Connection, "pipeline", pipeline)
    monkeypatch.setattr(psycopg.Cursor, "executemany", pipeline)  # opens one by itself
    store = postgres.store()
    claims = take(store, 0, 1)
    letters = [letter(1), letter(2)]
    write(store, Batch([part(claims[0], "a", letters=letters), part(claims[1], "b", partition=1)]))
    assert len(postgres.letters()) == 2


def test_whoever_sleeps_inside_a_transaction_is_cut_off(postgres):
    with connect() as ours:
        timeouts = [
            ours.execute(f"SHOW {name}").fetchone()[0]
            for name in ("idle_in_transaction_session_timeout", "lock_timeout", "statement_timeout")
        ]
    assert timeouts == ["10s", "10s", "1min"]


def test_another_database_behind_a_new_connection_has_numbers_of_its_own(postgres):
    """As after a fail-over to an older state: what was looked up before the connection broke may be nobody's."""
    store = postgres.store()
    claim = take(store, 0)[0]
    write(store, Batch([part(claim, "a")]))
    claim.next_offset = 1
    prepared = store.prepare(Batch([part(claim, "a")]))
    terminate_all_but_me()
    with connection.cursor() as cursor:
        for table in ("rating", "recordaggregate", "record", "rater"):
            cursor.execute(f"DELETE FROM ratings_{table}")
    with pytest.raises(StoreUnavailable):
        store.apply(prepared)
    store.apply(prepared)
    assert raters(postgres) == {"a"}
    rating_tables.assert_consistent()
