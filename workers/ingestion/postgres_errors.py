"""What an error of Postgres tells: of a row, of tables that are not as they must be, or of nothing but the moment."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from django.db import DatabaseError, InterfaceError

from ratings.errors import AggregateMissing
from ratings.refusals import DRIFT, EXHAUSTED, FUNCTION, ID_GIVERS, OF_ELSE, is_refusal
from workers.ingestion.errors import IngestionError, StoreNotReady, StoreUnavailable

# The statement was cancelled, which is how statement_timeout ends one.
_CANCELLED = "57014"
# What the workers keep beside the ratings: no event is at fault where a row of these is refused. In any other table one
# is, in one that a deployment's own trigger writes too.
_BOOKKEEPING = frozenset({"ingestion_consumeroffset", "ingestion_deadletter", "publishing_publishedtopic"})
_FIELDS = {
    ("ratings_record", "type"): "recordType",
    ("ratings_record", None): "recordId",
    ("ratings_record", "external_id"): "recordId",
    ("ratings_rater", "provider_id"): "providerId",
    ("ratings_rater", None): "userId",
    ("ratings_rater", "user_id"): "userId",
}
# Syntax error or access rule violation: the tables are not the ones that this version knows, or not ours to write.
_OTHER_TABLES = "42"
_NO_PRIVILEGE = "42501"

_REFUSALS = ("authentication failed", "does not exist", "no pg_hba.conf entry", "permission denied", "not permitted")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the database refuses an event; `field` is the contract's name of the id that it is about, or ""."""

    field: str
    reason: str


def refusal_of(error: psycopg.Error) -> Refusal | None:
    """What the database has against a rating, from an error of the statements that intern and write; None if nothing.

    It names SQLSTATE, constraint, table and trigger function and no value: the server's own words may quote the row.
    """
    about = error.diag
    if not is_refusal(error) or about.table_name in _BOOKKEEPING:
        return None
    field = _FIELDS.get((about.table_name or "", about.column_name), "")
    return Refusal(field, f"the database refuses it: {_named(error)}")


@contextmanager
def named_troubles(*, has_connected: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """The database's own troubles inside the block, psycopg's or Django's, become StoreUnavailable or StoreNotReady."""
    try:
        yield
    except AggregateMissing as error:
        raise StoreNotReady(str(error)) from error
    except (psycopg.Error, DatabaseError, InterfaceError) as error:
        plain = psycopg_error(error)
        told = plain and store_error(plain, has_connected=has_connected())
        if told is None:
            raise
        raise told from error


def psycopg_error(error: Exception) -> psycopg.Error | None:
    """The error itself, or the one that Django has wrapped in it; None where there is none."""
    found = error if isinstance(error, psycopg.Error) else error.__cause__
    return found if isinstance(found, psycopg.Error) else None


def store_error(error: psycopg.Error, *, has_connected: bool) -> IngestionError | None:
    """The same error as the consume loop wants it: wait (StoreUnavailable) or stop with a clear word (StoreNotReady).

    What the server says is waited out unless it tells that the tables are not as they must be. None for an error that
    did not come from the server and not from the connection: it is our own.
    """
    words = _words(error)
    state = error.sqlstate
    if state is None:
        if _is_refused_login(error) and not has_connected:
            return StoreNotReady(f"The database refuses us: check DATABASE_URL ({words})")
        is_lost = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        return StoreUnavailable(words) if is_lost else None
    if state == _NO_PRIVILEGE:
        return StoreNotReady(f"The database refuses us: check what the role of DATABASE_URL may do ({words})")
    if state.startswith(_OTHER_TABLES):
        return StoreNotReady(f"The database is not as this version needs it: run `manage.py migrate` ({words})")
    if error.diag.constraint_name in DRIFT:
        return StoreNotReady(
            f"An aggregate does not fit its ratings: run `manage.py check_aggregates --repair` ({words})"
        )
    if state == _CANCELLED:
        words += "; where it is statement_timeout that ends it, a smaller --batch-size asks less of a statement"
    return StoreUnavailable(words)


def _words(error: psycopg.Error) -> str:
    """The server's own words where they are about itself; what a function raises, or is of a row, may quote the row."""
    state, about = error.sqlstate, error.diag
    is_own = (
        state is None
        or about.source_function in ID_GIVERS
        or (state.startswith((*OF_ELSE, EXHAUSTED)) and not about.context)
    )
    return (str(error).strip() or type(error).__name__).splitlines()[0] if is_own else _named(error)


def _named(error: psycopg.Error) -> str:
    about = error.diag
    raised_in = FUNCTION.match(about.context or "")
    named = {
        "table": about.table_name,
        "column": about.column_name,
        "constraint": about.constraint_name,
        "function": raised_in and raised_in[1],
    }
    where = "".join(f", {word} {name}" for word, name in named.items() if name)
    return f"{type(error).__name__} (SQLSTATE {error.sqlstate}){where}"


def _is_refused_login(error: psycopg.Error) -> bool:
    """True when a server is there and does not let us in: a wrong password, no such role or database, no permission.

    libpq gives such an error no SQLSTATE, so this reads the server's words; where they are not English it is False.
    """
    words = str(error)
    return "FATAL:" in words and any(reason in words for reason in _REFUSALS)
