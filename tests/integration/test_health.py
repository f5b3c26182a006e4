"""The probes, against a real database."""

import threading

import pytest
from django.db import connection, connections
from django.test import Client

from movieapp.probes import database, middleware
from movieapp.probes.database import DatabaseProbe
from movieapp.probes.middleware import ProbeMiddleware, database_answers
from tests.waiting import wait_until
from workers.kafka.health import broker_answers


@pytest.fixture
def probes(monkeypatch):
    """Probes that no other test has asked before, without a broker."""
    monkeypatch.setattr(middleware, "broker_answers", lambda timeout: False)
    monkeypatch.setattr(
        ProbeMiddleware,
        "_process_readiness",
        lambda self: middleware.Readiness(
            database=lambda: middleware.database_answers(), broker=lambda: middleware.broker_answers(timeout=1)
        ),
    )
    return Client(raise_request_exception=False)


def test_ready_on_the_database_alone(db, probes):
    response = probes.get("/readyz", HTTP_HOST="10.1.2.3")
    assert response.status_code == 200
    assert response.json() == {"status": "degraded", "database": "up", "broker": "down"}


def test_not_ready_without_the_database(db, probes, monkeypatch):
    monkeypatch.setitem(connections["default"].settings_dict, "HOST", "127.0.0.1")
    monkeypatch.setitem(connections["default"].settings_dict, "PORT", "1")
    assert not database_answers()
    assert probes.get("/readyz").status_code == 503
    assert probes.get("/healthz").status_code == 200


def test_probes_are_not_redirected_to_https(db, probes, settings):
    settings.SECURE_SSL_REDIRECT = True
    assert probes.get("/healthz").status_code == 200
    assert probes.get("/readyz").status_code == 200
    assert probes.get("/").status_code == 301


def test_a_real_broker_answers(kafka_bootstrap_servers):
    assert broker_answers(timeout=10)


class TestDatabaseProbe:
    @pytest.fixture
    def probe(self, transactional_db):
        with DatabaseProbe() as probe:
            yield probe

    @staticmethod
    def session(probe):
        return probe._connection.connection.info.backend_pid

    def test_it_keeps_one_connection_whoever_asks(self, probe):
        assert probe.answers()
        session = self.session(probe)
        asking = threading.Thread(target=probe.answers)
        asking.start()
        asking.join()
        assert self.session(probe) == session

    def test_it_needs_no_other_connection_than_the_one_it_has(self, probe, monkeypatch):
        """As where others have taken all that the database has."""
        assert probe.answers()
        monkeypatch.setitem(probe._connection.settings_dict, "PORT", "1")
        assert probe.answers()

    @staticmethod
    def end(session):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 10000)", [session])

    def test_one_that_has_ended_is_no_miss(self, probe):
        assert probe.answers()
        session = self.session(probe)
        self.end(session)
        assert probe.answers()
        assert self.session(probe) != session

    def test_a_database_that_is_away(self, probe, monkeypatch):
        monkeypatch.setitem(probe._connection.settings_dict, "PORT", "1")
        assert [probe.answers(), probe.answers()] == [False, False]
        monkeypatch.undo()
        assert probe.answers()

    def test_what_waits_on_a_silent_connection_is_cut_and_asks_on_a_new_one(self, probe, monkeypatch):
        assert probe.answers()
        session, told = self.session(probe), []
        monkeypatch.setattr(database, "_QUESTION", "SELECT pg_sleep(20)")
        asking = threading.Thread(target=lambda: told.append(probe.answers()))
        asking.start()
        wait_until(lambda: probe._connection.connection.info.transaction_status.name == "ACTIVE")
        monkeypatch.undo()
        probe.cut()
        asking.join(10)
        assert told == [True]
        assert self.session(probe) != session
        self.end(session)  # the database has not noticed

    def test_it_leaves_no_connection_behind(self, transactional_db):
        with DatabaseProbe() as probe:
            assert probe.answers()
            raw = probe._connection.connection
        assert raw.closed
        assert not probe.answers()
        assert probe._connection.connection is None
