"""The database under people's hands: bounded transactions, what is tried again, and its errors by our own names."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from django.db import DatabaseError, InterfaceError, connection

from ratings.errors import AggregateMissing
from workers.ingestion.errors import StoreNotReady, StoreUnavailable

_BOUND = """
SELECT set_config('idle_in_transaction_session_timeout', %s, true), set_config('lock_timeout', '10s', true),
       set_config('statement_timeout', '60s', true)
"""
_ATTEMPTS = 5
# SQLSTATE classes of refused data: its form (22), a constraint (23), a size (54), a trigger's own words (P0); but for a
# sequence at its end, which refuses whatever comes.
_DATA = ("22", "23", "54", "P0")
_SEQUENCE_AT_END = "2200H"
# Rollbacks (40) and locks (55).
_AT_ONCE = ("40", "55")
_NOT_READY = "42"  # missing tables and permissions

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
            if not _state(error).startswith(_AT_ONCE):
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
        if _state(error).startswith(_NOT_READY):
            raise StoreNotReady(f"Run `manage.py migrate`, and check the permissions ({_first_line(error)})") from error
        if _is_drift(error):
            mend = "run `manage.py check_aggregates --repair`"
            raise StoreNotReady(f"An aggregate does not fit its ratings: {mend} ({_first_line(error)})") from error
        raise StoreUnavailable(_first_line(error)) from error


def is_refusal(error: DatabaseError) -> bool:
    """True when it is the data that the database does not take."""
    state = _state(error)
    return state.startswith(_DATA) and state != _SEQUENCE_AT_END and not _is_drift(error)


def refusal_in_words(error: DatabaseError) -> str:
    """Why the database does not take it; never in the server's own words, which quote the row."""
    diagnostic = getattr(error.__cause__, "diag", None)
    about = [
        f"{kind} {name}"
        for kind in ("constraint", "column", "table")
        if (name := getattr(diagnostic, f"{kind}_name", None))
    ]
    return f"the database refuses it: {', '.join([f'SQLSTATE {_state(error)}', *about])}"


def _is_drift(error: Exception) -> bool:
    """True when it is an aggregate that went wrong: no rating can do that."""
    constraint = getattr(getattr(error.__cause__, "diag", None), "constraint_name", None)
    return (constraint or "").startswith("ratings_aggregate_")


def _state(error: Exception) -> str:
    return getattr(error.__cause__, "sqlstate", None) or ""


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
