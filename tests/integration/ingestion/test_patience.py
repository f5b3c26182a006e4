"""A connection to a Postgres that does not answer: how long it waits, and how another thread ends that."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest

from tests.waiting import wait_until
from workers import database
from workers.ingestion.consuming.session import Session
from workers.ingestion.errors import StoreUnavailable

pytestmark = pytest.mark.usefixtures("transactional_db")
_LONG = "SELECT pg_sleep(5)"


@pytest.fixture
def session():
    with closing(Session()) as session:
        yield session


def ask(session, statement, *, in_transaction=True):
    with session.cursor() as cursor:
        if not in_transaction:
            return cursor.execute(statement).fetchone()
        with cursor.connection.transaction():
            return cursor.execute(statement).fetchone()


@pytest.mark.parametrize("in_transaction", [True, False])
def test_a_statement_without_an_answer_ends_and_the_next_one_has_a_new_connection(session, monkeypatch, in_transaction):
    monkeypatch.setattr(database, "_PATIENCE", 0.5)
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match="no answer for 1 s"):
        ask(session, _LONG, in_transaction=in_transaction)
    assert time.monotonic() - began < 3
    assert ask(session, "SELECT 7") == (7,)
    assert session.connects == 2


def test_a_connection_that_lost_its_patience_is_closed_whatever_its_owner_does(monkeypatch):
    monkeypatch.setattr(database, "_PATIENCE", 0.5)
    with closing(database.connect()) as connection:
        with pytest.raises(psycopg.OperationalError):
            connection.execute(_LONG)
        assert connection.closed


def test_each_statement_has_its_own_time(session, monkeypatch):
    monkeypatch.setattr(database, "_PATIENCE", 1.0)
    with session.cursor() as cursor:
        for _ in range(4):
            cursor.execute("SELECT pg_sleep(0.4)")
    assert session.connects == 1


def test_another_thread_sees_the_silence_and_ends_it(session):
    assert session.silent_for() == 0
    assert ask(session, "SELECT 7") == (7,)
    assert session.silent_for() == 0
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(ask, session, _LONG)
        wait_until(lambda: session.silent_for() > 0.3)
        session.end_within(0.2)
        with pytest.raises(StoreUnavailable, match="no answer"):
            asked.result(timeout=3)
    with pytest.raises(StoreUnavailable, match="connects no more"):
        ask(session, "SELECT 7")


def test_what_is_answered_in_the_time_that_is_left_holds(session):
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(ask, session, "SELECT 7 FROM pg_sleep(1)")
        wait_until(lambda: session.silent_for() > 0.1)
        session.end_within(4)
        assert asked.result(timeout=5) == (7,)


def test_the_kernel_too_gives_up_on_a_server_that_acknowledges_nothing():
    with database.connect() as connection:
        assert connection.info.get_parameters()["tcp_user_timeout"] == "30000"
        assert connection.info.get_parameters()["connect_timeout"] == "5"
