"""The probes, against a real database."""

import pytest
from django.db import connections
from django.test import Client

from movieapp.probes import middleware
from movieapp.probes.middleware import ProbeMiddleware, database_answers
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
