"""The two probes: /healthz says that the process is up, /readyz that it can do its work."""

import os
import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse

from movieapp.probes.bounded_check import BoundedCheck
from movieapp.probes.database import database_answers
from workers.kafka.health import broker_answers

_TIMEOUT = 1.5  # seconds; for both checks, which run at once
# Seconds; as old as an answer may be, however many probes ask. Short for the database: requests need it at once.
_KEEP_DATABASE = 1.0
_KEEP_BROKER = 2.0


class Readiness:
    """The checks behind /readyz. Their threads do not survive a fork, so each process makes its own."""

    def __init__(
        self,
        *,
        database: Callable[[], bool],
        broker: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = BoundedCheck(database, keep=_KEEP_DATABASE, clock=clock)
        self._broker = BoundedCheck(broker, keep=_KEEP_BROKER, clock=clock)

    def response(self) -> HttpResponse:
        """200 when the database answers, with "degraded" where no broker does; 503 otherwise."""
        deadline = time.monotonic() + _TIMEOUT
        self._database.start()
        self._broker.start()
        database = self._database.answer(timeout=deadline - time.monotonic())
        broker = self._broker.answer(timeout=deadline - time.monotonic())
        status = ("ready" if broker else "degraded") if database else "unavailable"
        body = {"status": status, "database": _word(database), "broker": _word(broker)}
        return JsonResponse(body, status=200 if database else 503)


class ProbeMiddleware:
    """Answers the probes before any other middleware: without a session, a redirect to HTTPS or a look at the Host.

    A probe comes from inside the cluster over plain HTTP, under an address that no ALLOWED_HOSTS can know; the
    answers tell nothing about the host and repeat nothing of the request.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response
        self._readiness: tuple[int, Readiness] | None = None

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """The probe's answer, or the next middleware's for any other address."""
        if request.path_info not in ("/healthz", "/readyz"):
            return self._get_response(request)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        is_readiness = request.path_info == "/readyz"
        response = self._process_readiness().response() if is_readiness else JsonResponse({"status": "up"})
        response["Cache-Control"] = "no-store"
        return response

    def _process_readiness(self) -> Readiness:
        if self._readiness is None or self._readiness[0] != os.getpid():
            readiness = Readiness(database=database_answers, broker=lambda: broker_answers(timeout=_TIMEOUT))
            self._readiness = (os.getpid(), readiness)
        return self._readiness[1]


def _word(answers: bool) -> str:
    return "up" if answers else "down"
