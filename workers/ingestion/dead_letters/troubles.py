"""The database under people's hands: bounded transactions, what is tried again, and its errors by our own names."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import psycopg
from django.db import DatabaseError, InterfaceError, connection

from ratings.errors import AggregateMissing
from workers.ingestion.errors import StoreNotReady
from workers.ingestion.postgres_errors import Refusal, refusal_of, store_error

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
            if not (getattr(error.__cause__, "sqlstate", None) or "").startswith(_AT_ONCE):
                raise
            time.sleep(0.05 * attempt)
    return work()


@contextmanager
def named_troubles() -> Iterator[None]:
    """The database's own troubles inside the block become StoreUnavailable or StoreNotReady."""
    try:
        yield
    except AggregateMissing as error:
        raise StoreNotReady(str(error)) from error
    except (DatabaseError, InterfaceError) as error:
        told = store_error(error.__cause__, has_connected=True) if isinstance(error.__cause__, psycopg.Error) else None
        if told is None:
            raise
        raise told from error


def refusal_in(error: DatabaseError) -> Refusal | None:
    """What the database has against a rating, from an error of the statements that write it; None if nothing."""
    return refusal_of(error.__cause__) if isinstance(error.__cause__, psycopg.Error) else None
