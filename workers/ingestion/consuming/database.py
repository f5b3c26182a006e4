"""The consumer's own connection to Postgres, and its session settings."""

from typing import Any

import psycopg
from django.db import connection

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
_KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}


def connect() -> psycopg.Connection[tuple[Any, ...]]:
    """A new autocommit connection to Django's default database. Raises psycopg.OperationalError."""
    parameters: dict[str, Any] = {**connection.get_connection_params(), **_KEEPALIVE}
    parameters.pop("cursor_factory", None)  # Django's binds on the client's side
    options = " ".join(f"-c {name}={value}" for name, value in _SESSION.items())
    parameters["options"] = " ".join(part for part in (parameters.get("options"), options) if part)
    return psycopg.connect(**parameters, autocommit=True)
