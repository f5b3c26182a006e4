"""A worker's own connection to Postgres: its session's settings, and how long it waits for an answer."""

import math
import time
from typing import Any, TypeVar

import psycopg
from django.db import connection
from psycopg.abc import PQGen

Answer = TypeVar("Answer")

_SESSION = {
    # One statement shape, tens of thousands of rows: with these on, a single bad plan took seconds (8 s for 20,000
    # events, measured); with them off the planner can only walk the indexes, which is what the statements are made for.
    "jit": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_seqscan": "off",
    # A consumer that is stopped inside a transaction would block the partition's next owner for ever.
    "idle_in_transaction_session_timeout": "10s",
    "lock_timeout": "10s",
    "statement_timeout": "60s",
    "synchronous_commit": "on",
    # The write path looks twice, the second time behind a lock: a role's or a server's other default would show it the
    # past. (The backslash keeps the space, as libpq splits options at spaces.)
    "default_transaction_isolation": "read\\ committed",
}
_CONNECT_SECONDS = 5
# A server that lives has ended the statement by its statement_timeout before this: one that is silent for longer hangs.
_PATIENCE = 70.0


class PatientConnection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that waits 70 s at most for the answer to one statement: it closes itself then.

    A server that is frozen keeps its connections alive: only the clock tells. Raises psycopg.OperationalError.
    """

    _asked_at: float | None = None
    _ends_at = math.inf

    def wait(self, gen: PQGen[Answer], *args: Any, **kwargs: Any) -> Answer:
        """See psycopg.Connection.wait, by which every statement waits."""
        return super().wait(self._patient(gen), *args, **kwargs)

    def silent_for(self) -> float:
        """Seconds since the statement in hand was sent; 0 when there is none. For any thread."""
        asked_at = self._asked_at
        return 0.0 if asked_at is None else time.monotonic() - asked_at

    def end_within(self, seconds: float) -> None:
        """Waits no longer than that from now on, whatever is asked. For any thread."""
        self._ends_at = time.monotonic() + seconds

    def _patient(self, gen: PQGen[Answer]) -> PQGen[Answer]:
        self._asked_at = asked_at = time.monotonic()
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                now = time.monotonic()
                if not ready and now > min(asked_at + _PATIENCE, self._ends_at):  # psycopg looks ten times a second
                    self.close()
                    raise psycopg.OperationalError(f"no answer for {now - asked_at:.0f} s")
                wanted = gen.send(ready)
        except StopIteration as end:
            answer: Answer = end.value
            return answer
        finally:
            self._asked_at = None


def connect() -> PatientConnection:
    """A new autocommit connection to Django's default database. Raises psycopg.OperationalError."""
    parameters: dict[str, Any] = {"connect_timeout": _CONNECT_SECONDS, **connection.get_connection_params()}
    parameters.pop("cursor_factory", None)  # Django's binds on the client's side
    options = " ".join(f"-c {name}={value}" for name, value in _SESSION.items())
    parameters["options"] = " ".join(part for part in (parameters.get("options"), options) if part)
    return PatientConnection.connect(**parameters, autocommit=True)
