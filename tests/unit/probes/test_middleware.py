"""The two probes."""

import json

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from movieapp.probes import middleware
from movieapp.probes.middleware import ProbeMiddleware, Readiness


def passed_on(request):
    return HttpResponse("the next middleware")


@pytest.mark.parametrize(
    ("database", "broker", "status", "word"),
    [
        (True, True, 200, "ready"),
        (True, False, 200, "degraded"),
        (False, True, 503, "unavailable"),
        (False, False, 503, "unavailable"),
    ],
)
def test_readiness_hangs_on_the_database_alone(database, broker, status, word):
    response = Readiness(database=lambda: database, broker=lambda: broker).response()
    assert response.status_code == status
    assert json.loads(response.content) == {
        "status": word,
        "database": "up" if database else "down",
        "broker": "up" if broker else "down",
    }


def test_an_outage_of_the_database_shows_within_a_second():
    now = [0.0]
    answers = [True]
    readiness = Readiness(database=lambda: answers[0], broker=lambda: True, clock=lambda: now[0])
    assert readiness.response().status_code == 200
    answers[0] = False
    now[0] = 1.0
    assert readiness.response().status_code == 503


@pytest.mark.parametrize("host", ["testserver", "10.1.2.3", "evil.example", "bad host!"])
def test_liveness_needs_nothing_and_takes_any_host(host):
    response = ProbeMiddleware(passed_on)(RequestFactory().get("/healthz", HTTP_HOST=host))
    assert response.status_code == 200
    assert json.loads(response.content) == {"status": "up"}
    assert response["Cache-Control"] == "no-store"
    assert host not in str(response.headers)


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_are_only_read(path):
    response = ProbeMiddleware(passed_on)(RequestFactory().post(path))
    assert response.status_code == 405


@pytest.mark.parametrize("path", ["/", "/healthz/", "/readyz/x", "/api/v1/movies/1/"])
def test_everything_else_is_passed_on(path):
    assert ProbeMiddleware(passed_on)(RequestFactory().get(path)).content == b"the next middleware"


def test_one_readiness_a_process(monkeypatch):
    made = []
    monkeypatch.setattr(middleware, "database_answers", lambda: not made.append(1))
    monkeypatch.setattr(middleware, "broker_answers", lambda timeout: True)
    probes = ProbeMiddleware(passed_on)
    statuses = [probes(RequestFactory().get("/readyz")).status_code for _ in range(5)]
    assert statuses == [200] * 5
    assert len(made) == 1
