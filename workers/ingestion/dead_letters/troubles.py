"""The database under people's hands: bounded transactions, and what is tried again."""

import time
from collections.abc import Callable
from typing import TypeVar

from django.db import DatabaseError, connection

from workers.ingestion.postgres_errors import Refusal, psycopg_error, refusal_of

_BOUND = """
SELECT set_config('idle_in_transaction_session_timeout', %s, true), set_config('lock_timeout', '10s', true),
       set_config('statement_timeout', '60s', true)
"""
_ATTEMPTS = 5
# SQLSTATE classes: rollbacks (40) and locks (55).
_AT_ONCE = ("40", "55")

Done = TypeVar("Done")


def bound_transaction(*, idle_seconds: int = 10) -> None:
    """Bounds the transaction that is open: a process that is frozen in it must not keep others out for ever."""
    with connection.cursor() as cursor:
        cursor.execute(_BOUND, [f"{idle_seconds}s"])


def repeated(work: Callable[[], Done]) -> Done:
    """What `work` returns, tried again when a lock or another transaction came in its way."""
    for attempt in range(1, _ATTEMPTS):
        try:
            return work()
        except DatabaseError as error:
            plain = psycopg_error(error)
            if plain is None or not (plain.sqlstate or "").startswith(_AT_ONCE):
                raise
            time.sleep(0.05 * attempt)
    return work()


def refusal_in(error: DatabaseError) -> Refusal | None:
    """What the database has against a rating, from an error of the statements that write it; None if nothing."""
    plain = psycopg_error(error)
    return None if plain is None else refusal_of(plain)
